//! What several clients did to sessions and saw of them, and whether one order explains it.
//!
//! A [`History`] is made of [`Event`]s: a [`Call`] when an operation begins, an [`Outcome`] when its
//! client hears of it. [`History::check`] finds every reason why a session's history is not
//! *linearizable*: why there is no order of its operations, each at one instant between its call
//! and its outcome, in which every one of them did and saw what it says. An operation whose outcome
//! is not known may have taken effect once, at any later time, or never.
//!
//! ```
//! use tower_keep_testkit::history::{Action, Call, Effect, History, Outcome, State};
//!
//! let session = "0190a5d0-0000-7000-8000-000000000001".parse().unwrap();
//! let call = |id, action| Call { id, session, secret: None, action };
//! let write = Action::Write { effect: Effect::add(1), blind: false };
//! let empty = || Outcome::saw(State::default());
//!
//! // Two that overlap, and both increment what they saw.
//! let mut history = History::default();
//! history.called(10, call(1, write));
//! history.called(20, call(2, write));
//! history.returned(30, 1, empty());
//! history.returned(40, 2, empty());
//! assert_eq!(history.check().len(), 1);
//! println!("{}", history.check()[0]);
//! ```
//!
//! # The model
//! A session is a list of the writes that were committed, the sum of what they added, the last
//! note and user that one of them set, the secret that opens it, and whether it has ended. Every
//! write appends its own number, so the list tells the order of all commits, and whatever else a
//! write does must be in every state from its place on. A write that is not *blind* says what it
//! saw, and is the next in the list after that.
//!
//! # How it is checked
//! With numbers that are used once the order of the writes need not be searched for: it can be
//! read. Let *L* be the longest list that anybody saw, or that a successful write says it made.
//!
//! 1. In every explanation all lists that were seen are prefixes of the final one, so each must be
//!    a prefix of *L*, without repetition, made of writes that were begun and not refused.
//! 2. That gives most operations a place: who saw the first *p* writes has *2p*, the write that
//!    comes next has *2p + 1*. A blind success that nobody saw comes after *L*, then the end of the
//!    session, then those who found that it had ended. Every explanation has them in this order;
//!    what has the same place is free.
//! 3. Operations that are sorted by places have an explanation if and only if none of them returned
//!    before another with a lower place was called. *Only if* is clear: an instant within the first
//!    is before any within the second. *If*: give each the latest call of all those up to it. That
//!    is not before its own call, not after its return, and never goes back.
//! 4. A write of unknown outcome that is not in *L* may be taken for one that never happened: by 1
//!    nobody saw it.
//! 5. What is left follows from the places: sum, note and user from the writes before, and that an
//!    operation was let in by the secret of its place. Who was told that there is no such session
//!    needs an end, or a write that replaced the secret, that was called before; if its secret was
//!    replaced in *L*, its place is anywhere after that, and 3 holds of it as of one that must not
//!    return before those up to there were called.
//!
//! So the check takes the time to sort. It reports no history that has an explanation. One that has
//! none can pass in two cases only: who found no session is believed if a write that would have
//! replaced its secret has an unknown outcome and left no trace; and where the write that made the
//! session is not in the history, any secret is taken for the first one.

mod anomaly;
mod check;
mod places;
mod text;

use std::collections::BTreeMap;

use tower_keep_core::SessionId;

pub use anomaly::{Anomaly, Kind};
pub use text::Unreadable;

/// What a session holds as far as histories go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The numbers of the writes so far, in their order.
    pub list: Vec<u64>,
    /// The sum of what they added.
    pub count: i64,
    /// The number of the last write that left a note.
    pub note: Option<u64>,
    /// The number of the last write that set the user.
    pub user: Option<u64>,
}

/// What a write does besides appending its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// Adds this to the counter.
    pub add: i64,
    /// Sets the note to its number.
    pub note: bool,
    /// Sets the user to its number.
    pub user: bool,
    /// Replaces the secret.
    pub secret: bool,
}

impl Effect {
    /// One that adds to the counter and does nothing else.
    pub const fn add(add: i64) -> Self {
        Self {
            add,
            note: false,
            user: false,
            secret: false,
        }
    }
}

/// What an operation is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Sees the state.
    Read,
    /// Appends the operation's number, and more. A blind one does not say what it saw.
    #[expect(missing_docs, reason = "said above")]
    Write { effect: Effect, blind: bool },
    /// Ends the session for good.
    End,
}

/// The beginning of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number, which no other operation of any session has.
    pub id: u64,
    /// The session it is about.
    pub session: SessionId,
    /// The name of the secret by which it asks; `None` if by the session's id alone.
    pub secret: Option<u64>,
    /// What it is to do.
    pub action: Action,
}

/// What the client of an operation heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done {
        /// The state before.
        saw: Option<State>,
        /// The name of the secret that opens the session from now on, if that was replaced.
        secret: Option<u64>,
    },
    /// There is no such session, so nothing was done.
    Absent,
    /// Nothing was done, certainly.
    Refused,
    /// Nobody knows. An operation that never returned is the same.
    #[default]
    Unknown,
}

impl Outcome {
    /// Done, upon this state.
    pub const fn saw(state: State) -> Self {
        Self::Done {
            saw: Some(state),
            secret: None,
        }
    }
}

/// A line of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An operation begins.
    Called(u64, Call),
    /// The operation of this number has ended.
    Returned(u64, u64, Outcome),
}

#[derive(Debug, Clone)]
struct Operation {
    call: Call,
    called: u64,
    /// Never, if the outcome is not known.
    returned: u64,
    outcome: Outcome,
}

/// See the [module documentation](self). Times are of any monotonic clock that all clients share,
/// in any unit; within one client they may be equal.
#[derive(Debug, Clone, Default)]
pub struct History {
    operations: BTreeMap<u64, Operation>,
}

impl History {
    /// Adds a line. Lines may come in any order, except that an outcome comes after its call.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::Called(at, call) => self.called(at, call),
            Event::Returned(at, id, outcome) => self.returned(at, id, outcome),
        }
    }

    /// An operation begins at `at`, not later than anything it does.
    pub fn called(&mut self, at: u64, call: Call) {
        let operation = Operation {
            call,
            called: at,
            returned: u64::MAX,
            outcome: Outcome::Unknown,
        };
        self.operations.insert(call.id, operation);
    }

    /// Its client hears at `at` what became of it. What was never called is not noted.
    pub fn returned(&mut self, at: u64, id: u64, outcome: Outcome) {
        if let Some(operation) = self.operations.get_mut(&id) {
            let known = outcome != Outcome::Unknown;
            operation.returned = if known { at } else { u64::MAX };
            operation.outcome = outcome;
        }
    }

    /// Takes over all operations of another history with other numbers.
    pub fn append(&mut self, mut other: Self) {
        self.operations.append(&mut other.operations);
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// How many operations have an outcome of which this is true.
    pub fn count(&self, mut of: impl FnMut(&Call, &Outcome) -> bool) -> usize {
        let operations = self.operations.values();
        operations.filter(|o| of(&o.call, &o.outcome)).count()
    }

    /// The sessions that it is about.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.by_session().into_keys().collect()
    }

    /// Everything that no order of the operations explains; nothing if all is well. One mistake may
    /// show in several ways.
    pub fn check(&self) -> Vec<Anomaly> {
        let sessions = self.by_session();
        sessions
            .into_iter()
            .flat_map(|(session, operations)| check::session(session, &operations))
            .collect()
    }

    fn by_session(&self) -> BTreeMap<SessionId, Vec<&Operation>> {
        let mut sessions = BTreeMap::<_, Vec<_>>::new();
        for operation in self.operations.values() {
            let session = sessions.entry(operation.call.session).or_default();
            session.push(operation);
        }
        sessions
    }
}

impl Operation {
    fn saw(&self) -> Option<&State> {
        match &self.outcome {
            Outcome::Done { saw, .. } => saw.as_ref(),
            _ => None,
        }
    }

    const fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }

    const fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown)
    }

    const fn effect(&self) -> Option<Effect> {
        match self.call.action {
            Action::Write { effect, .. } => Some(effect),
            Action::Read | Action::End => None,
        }
    }
}
