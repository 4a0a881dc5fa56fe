//! What was asked of a store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tower_keep_core::{
    Created, Finished, Looked, Opened, SessionId, StoreError, StoreErrorKind, Swept,
};

/// A verb of the store contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "they are named after the methods of `SessionStore`"
)]
pub enum Verb {
    Look,
    Cas,
    Sweep,
    Open,
    Finish,
    Renew,
    Create,
    Destroy,
    Ping,
}

/// One call of a verb, without any content of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The verb.
    pub verb: Verb,
    /// The session it was about.
    pub id: Option<SessionId>,
    /// What the wrapped store answered, in one lower-case word (`granted`, `done`, `true`,
    /// `error`, …), whether or not the caller heard of it; `None` if it was not asked (yet).
    pub effect: Option<&'static str>,
    /// What the caller heard: an answer, or an error of this kind; `None` if nothing (yet).
    pub reply: Option<Result<(), StoreErrorKind>>,
}

/// The calls that a store has seen so far, in the order in which they came. Clones are the same
/// list.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    /// How many calls came before those kept.
    forgotten: usize,
    calls: Vec<Call>,
}

impl Calls {
    /// How many calls there were.
    pub fn total(&self) -> usize {
        self.list().calls.len()
    }

    /// How many calls of this verb there were.
    pub fn of(&self, verb: Verb) -> usize {
        self.list()
            .calls
            .iter()
            .filter(|call| call.verb == verb)
            .count()
    }

    /// All calls.
    pub fn log(&self) -> Vec<Call> {
        self.list().calls.clone()
    }

    /// Forgets all calls so far. Those under way are not noted any more either.
    pub fn clear(&self) {
        let mut list = self.list();
        list.forgotten += list.calls.len();
        list.calls.clear();
    }

    pub(crate) fn begin(&self, verb: Verb, id: Option<SessionId>) -> Entry {
        let mut list = self.list();
        let number = list.forgotten + list.calls.len();
        list.calls.push(Call {
            verb,
            id,
            effect: None,
            reply: None,
        });
        Entry {
            calls: self.clone(),
            number,
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // Every change under the lock is complete or did not begin.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where to note what becomes of a call.
#[derive(Clone)]
pub(crate) struct Entry {
    calls: Calls,
    /// Counted from the first call ever.
    number: usize,
}

impl Entry {
    pub(crate) fn effect<T: Answer>(&self, answer: &Result<T, StoreError>) {
        let word = answer.as_ref().map_or("error", Answer::word);
        self.note(|call| call.effect = Some(word));
    }

    pub(crate) fn reply<T>(&self, reply: &Result<T, StoreError>) {
        let heard = reply.as_ref().map(drop).map_err(StoreError::kind);
        self.note(|call| call.reply = Some(heard));
    }

    fn note(&self, note: impl FnOnce(&mut Call)) {
        let mut list = self.calls.list();
        let index = self.number.checked_sub(list.forgotten);
        if let Some(call) = index.and_then(|index| list.calls.get_mut(index)) {
            note(call);
        }
    }
}

/// The answer to a verb, in one word.
pub(crate) trait Answer: Send + 'static {
    fn word(&self) -> &'static str;
}

impl Answer for Looked {
    fn word(&self) -> &'static str {
        if self.record.is_some() {
            "found"
        } else {
            "absent"
        }
    }
}

impl Answer for Opened {
    fn word(&self) -> &'static str {
        match self {
            Self::Granted(_) => "granted",
            Self::Busy(_) => "busy",
            Self::Stale => "stale",
            Self::Absent => "absent",
            Self::Expired => "expired",
        }
    }
}

impl Answer for Finished {
    fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Lost => "lost",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

impl Answer for Created {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Collision => "collision",
            Self::Gone => "gone",
        }
    }
}

impl Answer for Swept {
    fn word(&self) -> &'static str {
        "swept"
    }
}

impl Answer for bool {
    fn word(&self) -> &'static str {
        if *self { "true" } else { "false" }
    }
}

impl Answer for () {
    fn word(&self) -> &'static str {
        "done"
    }
}
