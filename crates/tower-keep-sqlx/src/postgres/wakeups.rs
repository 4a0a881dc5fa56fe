//! Telling waiters that a lease was given up.
//!
//! One connection listens, from the first time that somebody waits, to one channel of the table.
//! The statement that gives up a lease notifies there only if the record is marked as waited for,
//! so without contention between processes there are no notifications.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Postgres;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tower_keep_core::{SessionId, Wakeups};
use tracing::{debug, warn};

use super::driver;
use crate::connections::Connections;
use crate::statement::Sql;

/// Pauses between attempts to connect: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// For one attempt to connect.
const PATIENCE: Duration = Duration::from_secs(5);

/// Owned by the store's clones; the task that listens ends with the last of them.
pub(super) struct Subscriber {
    shared: Arc<Shared>,
    /// To the task that listens, if there is one.
    task: Mutex<Option<mpsc::UnboundedSender<()>>>,
}

struct Shared {
    setup: Setup,
    waiting: Mutex<HashMap<SessionId, Entry>>,
}

pub(super) struct Setup {
    /// Where to listen.
    pub(super) options: PgConnectOptions,
    pub(super) channel: String,
    /// For the statement that marks a record as waited for.
    pub(super) connections: Connections<Postgres>,
    pub(super) mark: Sql,
}

/// Those who wait for one session.
struct Entry {
    released: watch::Sender<()>,
    count: usize,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

impl Subscriber {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            shared: Arc::new(Shared {
                setup,
                waiting: Mutex::default(),
            }),
            task: Mutex::default(),
        }
    }

    /// Has the task listen, starting it if it is not there or went away with its runtime. Without a
    /// runtime there are no wake-ups.
    fn attend(&self) {
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
        self.attend();
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
        let (mut pause, mut warned) = (PAUSES.0, false);
        loop {
            match self.connect().await {
                Ok(listener) => {
                    (pause, warned) = (PAUSES.0, false);
                    // What was told before is lost, so each has to be asked about.
                    let ids: Vec<_> = lock(&self.waiting).keys().copied().collect();
                    for id in ids {
                        tokio::spawn(self.clone().mark(id));
                    }
                    if self.listen(listener, &mut requests).await.is_break() {
                        return;
                    }
                    self.wake_all();
                }
                Err(error) => {
                    pause = (pause * 2).min(PAUSES.1);
                    let why = "cannot listen for released sessions; waiters poll meanwhile";
                    if warned {
                        debug!(%error, "{why}");
                    } else {
                        warn!(%error, "{why}");
                    }
                    warned = true;
                }
            }
            tokio::time::sleep(pause).await;
            if requests.is_closed() || self.idle(&mut requests).await.is_break() {
                return;
            }
        }
    }

    async fn connect(&self) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_with(self.setup.options.clone())
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.setup.channel).await?;
        Ok(listener)
    }

    /// Passes on what is told, until the connection or (`Break`) the store ends.
    async fn listen(
        &self,
        mut listener: PgListener,
        requests: &mut mpsc::UnboundedReceiver<()>,
    ) -> ControlFlow<()> {
        loop {
            tokio::select! {
                told = listener.try_recv() => match told {
                    Ok(Some(told)) => {
                        if let Ok(id) = told.payload().parse() {
                            self.wake(id);
                        }
                    }
                    Ok(None) | Err(_) => return ControlFlow::Continue(()),
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
        let Setup {
            connections, mark, ..
        } = &self.setup;
        if let Ok(false) = driver::matches(connections, mark, id).await {
            self.wake(id);
        }
    }

    fn wake(&self, id: SessionId) {
        if let Some(entry) = lock(&self.waiting).get(&id) {
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
