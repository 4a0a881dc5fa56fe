//! One call to a store that is somewhere else: what may happen to it on its way.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tower_keep_core::{StoreError, StoreErrorKind};

use crate::calls::{Answer, Entry};

/// Holds up calls until a test lets them go on. Clones are the same gate.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use tower_keep_testkit::Gate;
///
/// let gate = Gate::new();
/// let call = tokio::spawn({
///     let gate = gate.clone();
///     async move { gate.pass().await }
/// });
/// gate.arrived(1).await;
/// gate.open();
/// call.await.unwrap();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    open: watch::Sender<bool>,
    arrivals: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(GateState {
            open: watch::Sender::new(false),
            arrivals: watch::Sender::new(0),
        }))
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Waits until at least `count` calls have come to the gate since it was made.
    pub async fn arrived(&self, count: usize) {
        // It fails only without a sender, and `self` has it.
        let _ = self.0.arrivals.subscribe().wait_for(|n| *n >= count).await;
    }

    /// Comes to the gate and waits until it is open.
    pub async fn pass(&self) {
        self.0.arrivals.send_modify(|n| *n += 1);
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}

/// How long a call stays at one point of its way.
#[derive(Debug, Clone, Default)]
pub(crate) enum Wait {
    #[default]
    None,
    Gate(Gate),
    Travel {
        yields: u64,
        latency: Duration,
    },
}

impl Wait {
    async fn pass(&self) {
        match self {
            Self::None => {}
            Self::Gate(gate) => gate.pass().await,
            Self::Travel { yields, latency } => {
                for _ in 0..*yields {
                    tokio::task::yield_now().await;
                }
                if !latency.is_zero() {
                    tokio::time::sleep(*latency).await;
                }
            }
        }
    }
}

/// What happens at the store.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Effect {
    #[default]
    Apply,
    Fail(StoreErrorKind),
    Panic,
}

/// Who carries the call out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Carrier {
    /// The caller's future: dropping it ends the call wherever it is.
    #[default]
    Caller,
    /// A task of its own, whatever becomes of the caller's future.
    Task,
    /// As before, and the caller hears at once of an error.
    Forsaken,
}

/// The way of one call.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Calls over one connection take effect in the order in which they were sent.
    pub(crate) connection: Option<Arc<Mutex<()>>>,
    pub(crate) before: Wait,
    pub(crate) effect: Effect,
    pub(crate) after: Wait,
    pub(crate) lose_reply: bool,
    pub(crate) carrier: Carrier,
}

impl Course {
    /// Takes the call through its course.
    pub(crate) async fn run<T: Answer>(
        self,
        entry: Entry,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let carrier = self.carrier;
        let way = self.way(entry.clone(), call);
        let reply = match carrier {
            Carrier::Caller => way.await,
            Carrier::Task => match tokio::spawn(way).await {
                Ok(reply) => reply,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_) => Err(unavailable("the runtime is shutting down")),
                },
            },
            Carrier::Forsaken => {
                tokio::spawn(way);
                Err(unavailable("injected: the call timed out"))
            }
        };
        entry.reply(&reply);
        reply
    }

    async fn way<T: Answer>(
        self,
        entry: Entry,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let sent = match &self.connection {
            Some(connection) => Some(connection.lock().await),
            None => None,
        };
        self.before.pass().await;
        let answer = match self.effect {
            Effect::Apply => {
                let answer = call.await;
                entry.effect(&answer);
                answer
            }
            Effect::Fail(kind) => Err(StoreError::new(kind, "injected: the call was refused")),
            Effect::Panic => injected_panic(),
        };
        drop(sent);
        self.after.pass().await;
        if self.lose_reply {
            return Err(unavailable("injected: the reply was lost"));
        }
        answer
    }
}

fn unavailable(reason: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, reason)
}

#[expect(clippy::panic, reason = "the test asked for it")]
fn injected_panic() -> ! {
    panic!("injected: the store panics")
}

/// The verbs of a store that reaches another one through `self.call`.
macro_rules! remote_verbs {
    () => {
        async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
            let call = move |store: Arc<S>| async move { store.look(id).await };
            self.call(Verb::Look, Some(id), call).await
        }
        async fn cas(
            &self,
            id: SessionId,
            expect: Expect,
            record: &Record,
        ) -> Result<bool, StoreError> {
            let record = record.clone();
            let call = move |store: Arc<S>| async move { store.cas(id, expect, &record).await };
            self.call(Verb::Cas, Some(id), call).await
        }
        async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
            let call = move |store: Arc<S>| async move { store.sweep(sweep).await };
            self.call(Verb::Sweep, None, call).await
        }
        fn scope(&self) -> Scope {
            self.inner.scope()
        }
        fn name(&self) -> &'static str {
            self.inner.name()
        }
        async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
            let open = *open;
            let call = move |store: Arc<S>| async move { store.open(&open).await };
            self.call(Verb::Open, Some(open.id), call).await
        }
        async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
            let (id, finish) = (finish.id, finish.clone());
            let call = move |store: Arc<S>| async move { store.finish(&finish).await };
            self.call(Verb::Finish, Some(id), call).await
        }
        async fn renew(
            &self,
            id: SessionId,
            owner: Owner,
            lease: Duration,
        ) -> Result<bool, StoreError> {
            let call = move |store: Arc<S>| async move { store.renew(id, owner, lease).await };
            self.call(Verb::Renew, Some(id), call).await
        }
        async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
            let (id, new) = (new.id, new.clone());
            let call = move |store: Arc<S>| async move { store.create(&new).await };
            self.call(Verb::Create, Some(id), call).await
        }
        async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
            let call = move |store: Arc<S>| async move { store.destroy(id).await };
            self.call(Verb::Destroy, Some(id), call).await
        }
        async fn stats(&self) -> Result<Option<tower_keep_core::Stats>, StoreError> {
            self.inner.stats().await
        }
        async fn ping(&self) -> Result<(), StoreError> {
            let call = move |store: Arc<S>| async move { store.ping().await };
            self.call(Verb::Ping, None, call).await
        }
    };
}
pub(crate) use remote_verbs;
