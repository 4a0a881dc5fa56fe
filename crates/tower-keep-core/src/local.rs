//! Stores whose every step is immediate, and how requests queue in them.
//!
//! A store in this process's memory needs no task between a request and itself: the request takes
//! each step directly, and gives the lease back in `Drop`. The queue of those who want a session
//! then belongs to the store, so that every layer over the store shares it, and it obeys:
//!
//! 1. Under the mutex that guards a record, *somebody waits ⇒ the lease is taken*. A lease that
//!    is given up goes to the first in the queue in the same step, so nobody can push in.
//! 2. Only who passed the check of the secret queues; at its turn each is judged again against
//!    the record as it is then.
//! 3. A turn is answered at most once, and whoever leaves takes with it either its place in the
//!    queue or the lease that it was just given, never neither.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::data::Patch;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::record::NewSession;
use crate::store::{Created, Finish, Finished, Open, Opened};
use crate::sync::{Mutex, MutexGuard};

/// The verbs of a store that does each of them at once, without waiting for anything; see
/// [`SessionStore::local`](crate::SessionStore::local). They decide as the methods of
/// [`Record`](crate::Record) do.
pub trait LocalStore: Send + Sync {
    /// Opens a session, or says why not. With a lease asked for it never waits:
    /// [`Opened::Busy`] where it is taken.
    fn open(&self, open: &Open) -> Opened;

    /// Opens a session with its lease, or queues for it.
    fn acquire(&self, open: &Open, max_waiting: usize) -> LocalOpened;

    /// Takes back what [`acquire`](Self::acquire) queued: the place, or the lease if it was given
    /// meanwhile. Does nothing for a turn whose answer was taken.
    fn leave(&self, turn: &Arc<Turn>);

    /// Hands on a lease that ran out while others wait, and tells how long the one that is held
    /// now still lasts; `None` if none is.
    fn expire_lease(&self, id: SessionId) -> Option<Duration>;

    /// Commits or releases. The data of an [`Op::Put`](crate::Op::Put) come as a patch to what
    /// was opened; [`Finish::next`] is not looked at, the queue decides.
    ///
    /// # Errors
    /// [`StoreErrorKind::UserFull`](crate::StoreErrorKind::UserFull) if the session would be one
    /// too many of its user's. Nothing was applied, and the lease is held as before.
    fn finish(&self, finish: &Finish, patch: &Patch) -> Result<Finished, StoreError>;

    /// Creates a session.
    ///
    /// # Errors
    /// [`StoreErrorKind::Full`](crate::StoreErrorKind::Full) if there is no room.
    fn create(&self, new: &NewSession) -> Result<Created, StoreError>;
}

/// The answer to [`LocalStore::acquire`].
#[derive(Debug)]
pub enum LocalOpened {
    /// Decided at once.
    Now(Opened),
    /// The session is taken: wait for this turn, at least until the lease that is held now ends.
    Queued(Arc<Turn>),
    /// As many wait already as may.
    Full,
}

/// One request's place in the queue for a session.
#[derive(Debug)]
pub struct Turn {
    open: Open,
    state: Mutex<TurnState>,
}

/// What has become of a [`Turn`].
#[derive(Debug)]
pub enum TurnState {
    /// In the queue; whom to wake.
    Waiting(Option<Waker>),
    /// Out of the queue: the answer is there to be taken.
    Answered(Opened),
    /// The answer was taken, or the waiter went away.
    Over,
}

impl Turn {
    /// A turn for this request, not answered yet.
    pub fn new(open: Open) -> Arc<Self> {
        Arc::new(Self {
            open,
            state: Mutex::new(TurnState::Waiting(None)),
        })
    }

    /// What the turn is for.
    pub const fn open(&self) -> &Open {
        &self.open
    }

    /// Answers the turn and returns whom to wake, once the caller holds no lock any more. If the
    /// waiter went away, `Err` gives the answer back.
    #[expect(
        clippy::result_large_err,
        reason = "the error is the argument handed back"
    )]
    pub fn answer(&self, opened: Opened) -> Result<Option<Waker>, Opened> {
        let mut state = self.state();
        match &mut *state {
            TurnState::Waiting(waker) => {
                let waker = waker.take();
                *state = TurnState::Answered(opened);
                Ok(waker)
            }
            TurnState::Answered(_) | TurnState::Over => Err(opened),
        }
    }

    /// Takes the answer, or registers to be woken when it is there.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Opened> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, TurnState::Over) {
            TurnState::Answered(opened) => Poll::Ready(opened),
            TurnState::Waiting(waker) => {
                let waker = match waker {
                    Some(waker) if waker.will_wake(cx.waker()) => waker,
                    _ => cx.waker().clone(),
                };
                *state = TurnState::Waiting(Some(waker));
                Poll::Pending
            }
            // Polled again after its end, which a future's contract leaves open.
            TurnState::Over => Poll::Pending,
        }
    }

    /// Ends the turn and returns what it was before.
    pub fn end(&self) -> TurnState {
        std::mem::replace(&mut *self.state(), TurnState::Over)
    }

    fn state(&self) -> MutexGuard<'_, TurnState> {
        // Nothing above panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::time::Timestamp;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn turn() -> Arc<Turn> {
        Turn::new(Open {
            id: SessionId::new(Timestamp::from_millis(1_000)),
            secret: None,
            age: Duration::ZERO,
            touch: None,
            lease: None,
        })
    }

    #[test]
    fn who_polled_last_is_woken_and_gets_the_answer_once() {
        let turn = turn();
        let bells = [(); 2].map(|()| Arc::new(Bell::default()));
        let wakers = bells.clone().map(Waker::from);
        let poll = |waker| turn.poll(&mut Context::from_waker(waker));
        for waker in [&wakers[0], &wakers[0], &wakers[1]] {
            assert!(poll(waker).is_pending());
        }
        turn.answer(Opened::Absent).unwrap().unwrap().wake();
        assert_eq!(bells.map(|bell| bell.0.load(Ordering::Relaxed)), [0, 1]);
        assert!(turn.answer(Opened::Stale).is_err(), "it has its answer");
        assert!(matches!(poll(&wakers[0]), Poll::Ready(Opened::Absent)));
        assert!(poll(&wakers[0]).is_pending());
    }

    #[test]
    fn who_leaves_says_what_it_leaves_behind() {
        let waiting = turn();
        assert!(matches!(waiting.end(), TurnState::Waiting(None)));
        assert!(matches!(waiting.end(), TurnState::Over));
        assert!(matches!(waiting.answer(Opened::Stale), Err(Opened::Stale)));
        let answered = turn();
        assert!(answered.answer(Opened::Stale).unwrap().is_none());
        assert!(matches!(answered.end(), TurnState::Answered(Opened::Stale)));
    }
}
