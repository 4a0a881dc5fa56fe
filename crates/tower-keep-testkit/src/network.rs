//! A store at the other end of an unreliable network.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tower_keep_core::{
    Created, Expect, Finish, Finished, Looked, NewSession, Open, Opened, Owner, Record, Scan,
    Scope, SessionId, SessionStore, StoreError, StoreErrorKind, Sweep, Swept, Users, Wakeups,
};

use crate::calls::{Answer, Calls, Verb};
use crate::remote::{Carrier, Course, Effect, Wait, remote_verbs};
use crate::rng::Rng;

/// A store behind an artificial network. Clones are the same store.
///
/// Every call travels for a random number of scheduler turns, and of milliseconds if
/// [`latency`](Self::latency) is set, before it takes effect and again before it is answered. It
/// is carried by a task of its own: a caller who drops its future once it was polled does not
/// stop it. Calls over one of the [`connections`](Self::connections) take effect in the order in
/// which they were sent; those on different ones overtake each other. On one thread, with
/// tokio's time paused, everything follows from the seed.
///
/// The wrapped store has its own clock, as a server has; [`TestClock::skewed`] makes one that
/// does not agree with the caller's. Its [`local`](SessionStore::local) ability is hidden.
///
/// [`TestClock::skewed`]: crate::TestClock::skewed
///
/// ```
/// # use tower_keep_core::*;
/// # struct MyStore;
/// # impl SessionStore for MyStore {
/// #     async fn look(&self, _: SessionId) -> Result<Looked, StoreError> {
/// #         Ok(Looked { record: None, now: Timestamp::from_millis(1) })
/// #     }
/// #     async fn cas(&self, _: SessionId, _: Expect, _: &Record) -> Result<bool, StoreError> { Ok(true) }
/// #     async fn sweep(&self, _: Sweep) -> Result<Swept, StoreError> { Ok(Swept::default()) }
/// #     fn scope(&self) -> Scope { Scope::Process }
/// # }
/// use tower_keep_testkit::{NetworkStore, Verb};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = NetworkStore::new(MyStore, 42).connections(2).lost_replies(50);
/// let answered = async {
///     for _ in 0..100 {
///         if store.ping().await.is_ok() {
///             return true;
///         }
///     }
///     false
/// };
/// assert!(answered.await);
/// assert!(store.calls().of(Verb::Ping) >= 1);
/// # }
/// ```
pub struct NetworkStore<S> {
    inner: Arc<S>,
    seed: u64,
    network: Network,
    rng: Arc<Mutex<Rng>>,
    calls: Calls,
    bell: Option<Bell>,
}

/// How the network behaves.
#[derive(Clone)]
struct Network {
    yields: u64,
    latency: Duration,
    lost_requests: u32,
    lost_replies: u32,
    connections: Vec<Arc<tokio::sync::Mutex<()>>>,
}

impl<S> NetworkStore<S> {
    /// `store` behind a network of 4 connections with up to 8 scheduler turns each way, that
    /// loses nothing.
    pub fn new(store: S, seed: u64) -> Self {
        let network = Network {
            yields: 8,
            latency: Duration::ZERO,
            lost_requests: 0,
            lost_replies: 0,
            connections: Vec::new(),
        };
        let store = Self {
            inner: Arc::new(store),
            seed,
            network,
            rng: Arc::new(Mutex::new(Rng::new(seed))),
            calls: Calls::default(),
            bell: None,
        };
        store.connections(4)
    }

    /// Lets each way take up to this many scheduler turns.
    #[must_use]
    pub fn yields(mut self, max: u64) -> Self {
        self.network.yields = max;
        self
    }

    /// Lets each way take up to this long, in whole milliseconds of tokio's time.
    #[must_use]
    pub fn latency(mut self, max: Duration) -> Self {
        self.network.latency = max;
        self
    }

    /// Loses so many percent of the calls before they take effect.
    #[must_use]
    pub fn lost_requests(mut self, percent: u32) -> Self {
        self.network.lost_requests = percent;
        self
    }

    /// Loses so many percent of the replies to calls that took effect, and of the wake-ups.
    #[must_use]
    pub fn lost_replies(mut self, percent: u32) -> Self {
        self.network.lost_replies = percent;
        self
    }

    /// Sends calls over this many connections, at least one, chosen at random for each.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.network.connections = (0..count.max(1)).map(|_| Arc::default()).collect();
        self
    }

    /// Tells waiters when a lease was given up ([`SessionStore::wakeups`]).
    #[must_use]
    pub fn with_wakeups(mut self) -> Self {
        self.bell = Some(Bell(broadcast::Sender::new(64)));
        self
    }

    /// The calls so far. Each is a round trip.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The store at the other end, for looking past the network.
    pub fn inner(&self) -> &Arc<S> {
        &self.inner
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        // Every change under the lock is complete or did not begin.
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn course(&self) -> Course {
        let (network, mut rng) = (&self.network, self.rng());
        let mut way = || Wait::Travel {
            yields: rng.below(network.yields.saturating_add(1)),
            latency: rng.up_to(network.latency),
        };
        let (before, after) = (way(), way());
        Course {
            connection: rng.pick(&network.connections).cloned(),
            before,
            effect: if rng.percent(network.lost_requests) {
                Effect::Fail(StoreErrorKind::Unavailable)
            } else {
                Effect::Apply
            },
            after,
            lose_reply: rng.percent(network.lost_replies),
            carrier: Carrier::Task,
        }
    }

    async fn call<T: Answer, F>(
        &self,
        verb: Verb,
        id: Option<SessionId>,
        call: impl FnOnce(Arc<S>) -> F + Send,
    ) -> Result<T, StoreError>
    where
        S: SessionStore,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let entry = self.calls.begin(verb, id);
        let gives_up = matches!(verb, Verb::Finish | Verb::Destroy);
        let heard = !self.rng().percent(self.network.lost_replies);
        let bell = self.bell.clone().filter(|_| gives_up && heard);
        let call = call(self.inner.clone());
        let rung = Box::pin(async move {
            let answer = call.await;
            if let (Some(bell), Some(id)) = (bell, id) {
                // Nobody may be waiting.
                let _ = bell.0.send(id);
            }
            answer
        });
        self.course().run(entry, rung).await
    }
}

impl<S> Clone for NetworkStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            seed: self.seed,
            network: self.network.clone(),
            rng: self.rng.clone(),
            calls: self.calls.clone(),
            bell: self.bell.clone(),
        }
    }
}

impl<S> fmt::Debug for NetworkStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkStore")
            .field("seed", &self.seed)
            .field("calls", &self.calls.total())
            .finish_non_exhaustive()
    }
}

impl<S: SessionStore> SessionStore for NetworkStore<S> {
    remote_verbs!();

    fn wakeups(&self) -> Option<&dyn Wakeups> {
        self.bell.as_ref().map(|bell| bell as &dyn Wakeups)
    }

    fn users(&self) -> Option<&dyn Users> {
        self.inner.users()
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.inner.scan()
    }
}

/// Rings when a lease may have been given up.
#[derive(Debug, Clone)]
struct Bell(broadcast::Sender<SessionId>);

impl Wakeups for Bell {
    fn released(&self, id: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut rings = self.0.subscribe();
        Box::pin(async move {
            // An error means that rings were missed, and one of them may have been for `id`.
            while rings.recv().await.is_ok_and(|rung| rung != id) {}
        })
    }
}
