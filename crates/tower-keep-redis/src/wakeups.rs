//! Telling waiters that a lease was given up.
//!
//! One connection listens, from the first time that somebody waits, to one channel of all
//! sessions under the prefix. A script publishes there only if the record is marked as waited
//! for, so without contention between processes there are no messages.

use std::collections::HashMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSub;
use redis::{Client, ErrorKind, RedisError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tower_keep_core::{SessionId, StoreError, WAIT_MARK, Wakeups};
use tracing::debug;

use crate::format::span;
use crate::inner::Inner;

/// Pauses between attempts to connect: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Owned by the store's clones; the task that listens ends with the last of them.
pub(crate) struct Subscriber {
    shared: Arc<Shared>,
    /// To the task that listens, if there is one.
    task: Mutex<Option<mpsc::UnboundedSender<()>>>,
}

/// The servers that hear everything published; one at a time is listened to.
pub(crate) enum Publishers {
    Clients(Vec<Client>),
    #[cfg(feature = "sentinel")]
    Sentinels(Arc<crate::sentinel::Sentinels>),
}

impl Publishers {
    /// Completes when it is time to listen to another server.
    async fn moved(&self) {
        match self {
            #[cfg(feature = "sentinel")]
            // It fails if there is nobody left to tell.
            Self::Sentinels(sentinels) => drop(sentinels.moves().changed().await),
            Self::Clients(_) => std::future::pending().await,
        }
    }
}

struct Shared {
    inner: Arc<Inner>,
    publishers: Publishers,
    waiting: Mutex<HashMap<SessionId, Entry>>,
}

/// Those who wait for one session.
struct Entry {
    released: watch::Sender<()>,
    count: usize,
}

impl Subscriber {
    pub(crate) fn new(inner: Arc<Inner>, publishers: Publishers) -> Self {
        Self {
            shared: Arc::new(Shared {
                inner,
                publishers,
                waiting: Mutex::default(),
            }),
            task: Mutex::default(),
        }
    }

    /// Has the task listen, starting it if it is not there or went away with its runtime. Without
    /// a runtime there are no wake-ups.
    fn listen(&self) {
        let mut task = lock(&self.task);
        if task.as_ref().is_some_and(|task| task.send(()).is_ok()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (sender, requests) = mpsc::unbounded_channel();
            runtime.spawn(self.shared.clone().run(requests));
            // Once it has connected it begins with all who wait, so also with this one.
            *task = Some(sender);
        }
    }
}

impl Wakeups for Subscriber {
    fn released(&self, id: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut registered = Registered::new(&self.shared, id);
        self.listen();
        Box::pin(async move {
            // An error would mean that nobody can tell any more.
            let _ = registered.released.changed().await;
        })
    }
}

/// One who waits.
struct Registered<'a> {
    shared: &'a Shared,
    id: SessionId,
    released: watch::Receiver<()>,
}

impl<'a> Registered<'a> {
    fn new(shared: &'a Shared, id: SessionId) -> Self {
        let mut waiting = lock(&shared.waiting);
        let entry = waiting.entry(id).or_insert_with(|| Entry {
            released: watch::Sender::new(()),
            count: 0,
        });
        entry.count += 1;
        let released = entry.released.subscribe();
        Self {
            shared,
            id,
            released,
        }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.shared.waiting);
        if let Some(entry) = waiting.get_mut(&self.id) {
            entry.count -= 1;
            if entry.count == 0 {
                waiting.remove(&self.id);
            }
        }
    }
}

impl Shared {
    /// Listens as long as there is a store, whatever becomes of the connection.
    async fn run(self: Arc<Self>, mut requests: mpsc::UnboundedReceiver<()>) {
        let mut pause = PAUSES.0;
        for turn in 0.. {
            match self.connect(turn).await {
                Ok(channel) => {
                    pause = PAUSES.0;
                    // What was published before is lost, so each has to be asked about.
                    let ids: Vec<_> = lock(&self.waiting).keys().copied().collect();
                    for id in ids {
                        tokio::spawn(self.clone().mark(id));
                    }
                    if self.listen(channel, &mut requests).await.is_break() {
                        return;
                    }
                    self.wake_all();
                }
                Err(error) => {
                    debug!(%error, "cannot listen for released sessions; waiters poll");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
            if requests.is_closed() || self.idle(&mut requests).await.is_break() {
                return;
            }
        }
    }

    async fn connect(&self, turn: usize) -> Result<PubSub, StoreError> {
        self.inner
            .in_time(async {
                let client = match &self.publishers {
                    Publishers::Clients(clients) => {
                        clients.get(turn % clients.len().max(1)).cloned()
                    }
                    #[cfg(feature = "sentinel")]
                    Publishers::Sentinels(sentinels) => Some(sentinels.primary().await?),
                };
                let none = (ErrorKind::InvalidClientConfig, "no server to listen to");
                let client = client.ok_or(none)?;
                let mut pubsub = client.get_async_pubsub().await?;
                pubsub.subscribe(&self.inner.channel).await?;
                Ok::<_, RedisError>(pubsub)
            })
            .await
    }

    /// Passes on what is published, until the connection or (`Break`) the store ends.
    async fn listen(
        self: &Arc<Self>,
        mut channel: PubSub,
        requests: &mut mpsc::UnboundedReceiver<()>,
    ) -> ControlFlow<()> {
        let mut messages = channel.on_message();
        let mut moved = pin!(self.publishers.moved());
        loop {
            tokio::select! {
                () = &mut moved => return ControlFlow::Continue(()),
                message = messages.next() => match message {
                    Some(message) => self.wake(message.get_payload_bytes()),
                    None => return ControlFlow::Continue(()),
                },
                // Who waits now is refused after this, and so marks the record.
                request = requests.recv() => if request.is_none() {
                    return ControlFlow::Break(());
                },
            }
        }
    }

    /// Without anybody who waits there is no hurry to connect again.
    async fn idle(&self, requests: &mut mpsc::UnboundedReceiver<()>) -> ControlFlow<()> {
        if lock(&self.waiting).is_empty() && requests.recv().await.is_none() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Has whoever gives up the lease say so; if nobody holds it, that is what was waited for.
    async fn mark(self: Arc<Self>, id: SessionId) {
        let reply = self.inner.step(&self.inner.scripts.listen, id, |cmd| {
            cmd.arg(span(WAIT_MARK));
        });
        if reply.await.is_ok_and(|reply| reply.word() == b"free") {
            self.wake(id.as_bytes());
        }
    }

    fn wake(&self, id: &[u8]) {
        let id = id.try_into().ok().map(SessionId::from_bytes);
        if let Some(Ok(id)) = id
            && let Some(entry) = lock(&self.waiting).get(&id)
        {
            entry.released.send_replace(());
        }
    }

    fn wake_all(&self) {
        for entry in lock(&self.waiting).values() {
            entry.released.send_replace(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing above panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
