//! A store that fails when it is told to.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tower_keep_core::{
    Created, Expect, Finish, Finished, Looked, NewSession, Open, Opened, Owner, Record, Scan,
    Scope, SessionId, SessionStore, StoreError, StoreErrorKind, Sweep, Swept, Users, Wakeups,
};

use crate::calls::{Answer, Calls, Verb};
use crate::remote::{Carrier, Course, Effect, Gate, Wait, remote_verbs};

/// What happens to one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is not applied, and the caller gets an error of this kind.
    Fail(StoreErrorKind),
    /// It is applied, and the caller gets an error
    /// ([`Unavailable`](StoreErrorKind::Unavailable)).
    LoseReply,
    /// It waits at the gate, and is applied then.
    DelayBefore(Gate),
    /// It is applied, and its reply waits at the gate.
    DelayAfter(Gate),
    /// The caller gets an error at once; it is applied when the gate opens, by a task of its own.
    ApplyLater(Gate),
    /// The store panics, and nothing is applied.
    Panic,
}

/// Which calls meet which [`Fault`]. Calls are counted from 1, from when the script is given to
/// the store. Where several lines fit a call, the first one counts.
#[derive(Debug, Clone, Default)]
pub struct Script {
    lines: Vec<Line>,
    /// How many calls of each verb there were.
    met: HashMap<Verb, usize>,
}

#[derive(Debug, Clone)]
struct Line {
    verb: Option<Verb>,
    number: Option<usize>,
    fault: Fault,
}

impl Script {
    /// Nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// This happens to call `number`, whatever its verb.
    #[must_use]
    pub fn nth(self, number: usize, fault: Fault) -> Self {
        self.line(None, Some(number), fault)
    }

    /// This happens to call `number` of this verb.
    #[must_use]
    pub fn nth_of(self, verb: Verb, number: usize, fault: Fault) -> Self {
        self.line(Some(verb), Some(number), fault)
    }

    /// This happens to every call: an outage.
    #[must_use]
    pub fn every(self, fault: Fault) -> Self {
        self.line(None, None, fault)
    }

    /// This happens to every call of this verb.
    #[must_use]
    pub fn every_of(self, verb: Verb, fault: Fault) -> Self {
        self.line(Some(verb), None, fault)
    }

    fn line(mut self, verb: Option<Verb>, number: Option<usize>, fault: Fault) -> Self {
        self.lines.push(Line {
            verb,
            number,
            fault,
        });
        self
    }

    /// What happens to the next call, which is of this verb.
    fn meet(&mut self, verb: Verb) -> Option<Fault> {
        *self.met.entry(verb).or_default() += 1;
        let all = self.met.values().sum::<usize>();
        let same = self.met.get(&verb).copied().unwrap_or_default();
        let line = self.lines.iter().find(|line| {
            let count = if line.verb.is_some() { same } else { all };
            line.verb.is_none_or(|v| v == verb) && line.number.is_none_or(|n| n == count)
        });
        line.map(|line| line.fault.clone())
    }
}

/// A store in front of another one that follows a [`Script`] of faults and counts calls. Clones
/// are the same store.
///
/// It hides the other store's [`local`](SessionStore::local) ability: callers take the way they
/// take for a store that does I/O. Calls of its [`users`](SessionStore::users),
/// [`scan`](SessionStore::scan) and [`wakeups`](SessionStore::wakeups) abilities meet no fault and
/// are not counted.
///
/// ```
/// # use std::{collections::HashMap, sync::Mutex};
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
/// use tower_keep_testkit::{Fault, FaultStore, Script, Verb};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultStore::new(MyStore);
/// store.set_script(Script::new().nth_of(Verb::Ping, 2, Fault::Fail(StoreErrorKind::Unavailable)));
/// assert!(store.ping().await.is_ok());
/// assert!(store.ping().await.is_err());
/// assert!(store.ping().await.is_ok());
/// assert_eq!(store.calls().of(Verb::Ping), 3);
/// # }
/// ```
pub struct FaultStore<S> {
    inner: Arc<S>,
    script: Arc<Mutex<Script>>,
    calls: Calls,
    detached: bool,
}

impl<S> FaultStore<S> {
    /// `store` behind an empty script.
    pub fn new(store: S) -> Self {
        Self {
            inner: Arc::new(store),
            script: Arc::default(),
            calls: Calls::default(),
            detached: false,
        }
    }

    /// The same store, but every call that was polled once is carried out to its end, by a task
    /// of its own, even if the caller drops its future: as a server does that has received the
    /// request.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Follows this script from now on, counting from 1.
    pub fn set_script(&self, script: Script) {
        *self.script() = script;
    }

    /// The calls so far.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The store in front of which this one stands, for looking behind the faults.
    pub fn inner(&self) -> &Arc<S> {
        &self.inner
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // Every change under the lock is complete or did not begin.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn course(&self, verb: Verb) -> Course {
        let mut course = Course::default();
        if self.detached {
            course.carrier = Carrier::Task;
        }
        match self.script().meet(verb) {
            None => {}
            Some(Fault::Fail(kind)) => course.effect = Effect::Fail(kind),
            Some(Fault::LoseReply) => course.lose_reply = true,
            Some(Fault::DelayBefore(gate)) => course.before = Wait::Gate(gate),
            Some(Fault::DelayAfter(gate)) => course.after = Wait::Gate(gate),
            Some(Fault::ApplyLater(gate)) => {
                course.before = Wait::Gate(gate);
                course.carrier = Carrier::Forsaken;
            }
            Some(Fault::Panic) => course.effect = Effect::Panic,
        }
        course
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
        let call = Box::pin(call(self.inner.clone()));
        self.course(verb).run(entry, call).await
    }
}

impl<S> Clone for FaultStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            script: self.script.clone(),
            calls: self.calls.clone(),
            detached: self.detached,
        }
    }
}

impl<S> fmt::Debug for FaultStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("calls", &self.calls.total())
            .field("detached", &self.detached)
            .finish_non_exhaustive()
    }
}

impl<S: SessionStore> SessionStore for FaultStore<S> {
    remote_verbs!();

    fn wakeups(&self) -> Option<&dyn Wakeups> {
        self.inner.wakeups()
    }

    fn users(&self) -> Option<&dyn Users> {
        self.inner.users()
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.inner.scan()
    }
}
