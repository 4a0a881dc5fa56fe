//! One request's session: opened when first asked for, ended exactly once.
//!
//! Everything in a request that asks for the session (guards, extractors, middleware, the
//! handler) shares the request's [`Slot`], so opening it twice is opening it once.
//!
//! # Invariants
//! 1. A grant lives in the slot's state and nowhere else, so whoever takes the state ends it.
//! 2. [`State::Ended`] is final: an opening that completes after it gives its grant back.
//! 3. The state's mutex is never held across an `.await` or a store call that can wait.

mod client;
mod commit;
mod create;
mod early;
mod find;
mod import;
mod merge;
mod merges;
mod open;
mod opening;
mod reserved;
#[cfg(keep_shuttle)]
pub mod threads;
mod tokens;
mod work;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tower_keep_core::SessionId;
use tower_keep_core::data::{DataError, Edit, MergeLog};

use crate::error::Error;
use crate::shared::Shared;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

use early::Early;
use opening::Opening;

pub(crate) use commit::{Ending, Outcome};
pub(crate) use create::create_stored;
pub(crate) use merges::Merges;
#[cfg(keep_shuttle)]
pub use merges::threads as merging;
pub(crate) use open::{Mode, Source};
#[cfg(feature = "temp")]
pub(crate) use reserved::Reserved;
pub(crate) use tokens::Tokens;
pub use work::Absence;
pub(crate) use work::Work;

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) shared: Arc<Shared>,
    /// When the request arrived, by the layer's monotonic clock.
    pub(crate) arrived: Duration,
    /// Whether a response follows that can carry a cookie.
    responds: bool,
    /// The slot of the layer around this one, if there is one with another cookie.
    outer: Option<Arc<Slot>>,
    /// Held while a session is being opened, so that two extractions at once open one.
    opening: Opening,
    /// Whether anybody tried to open it, successfully or not: the response depends on the cookie.
    tried: AtomicBool,
    early: Early,
    /// What an import of the session wants said.
    moved: Mutex<Option<Box<import::Moved>>>,
    state: Mutex<State>,
}

/// A session, and the generation of the authority it was opened with.
pub(crate) type Identity = (SessionId, u64);

#[derive(Debug)]
enum State {
    /// Nobody has asked for it.
    Untouched,
    Open(Box<Work>),
    /// The request is over; what it committed, if it did.
    Ended(Option<Identity>),
}

impl Slot {
    pub(crate) fn new(shared: Arc<Shared>, outer: Option<Arc<Self>>) -> Self {
        let arrived = shared.clock.monotonic();
        Self {
            responds: true,
            outer,
            ..Self::without_response(shared, arrived)
        }
    }

    /// For what is done with the session of a request that arrived then, after its response or
    /// beside it.
    pub(crate) fn without_response(shared: Arc<Shared>, arrived: Duration) -> Self {
        Self {
            shared,
            arrived,
            responds: false,
            outer: None,
            opening: Opening::default(),
            tried: AtomicBool::new(false),
            early: Early::default(),
            moved: Mutex::default(),
            state: Mutex::new(State::Untouched),
        }
    }

    /// This slot and those of the layers around it.
    pub(crate) fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |slot| slot.outer.as_ref())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Application code that can panic (`Serialize`, for one) runs under this mutex; what it
        // leaves behind is discarded with the request.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) -> MutexGuard<'_, Option<Box<import::Moved>>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the open session.
    ///
    /// # Errors
    /// [`Error::Closed`] if the request is over.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Work) -> T) -> Result<T, Error> {
        match &*self.state() {
            State::Open(work) => Ok(look(work)),
            State::Untouched | State::Ended(_) => Err(Error::Closed),
        }
    }

    /// Changes the open session.
    ///
    /// # Errors
    /// [`Error::Closed`] if it was committed or discarded, or what `change` returns.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&mut Work) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &mut *self.state() {
            State::Open(work) if work.is_writable() => change(work),
            _ => Err(Error::Closed),
        }
    }

    /// Looks at the data of the open session, and notes what of it, should others be able to change
    /// it meanwhile.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn see<T>(
        &self,
        note: impl FnOnce(&mut MergeLog, &Edit),
        look: impl FnOnce(&Edit) -> T,
    ) -> Result<T, Error> {
        match &mut *self.state() {
            State::Open(work) => {
                if let Some(merging) = &mut work.merging {
                    note(&mut merging.log, &work.edit);
                }
                Ok(look(&work.edit))
            }
            State::Untouched | State::Ended(_) => Err(Error::Closed),
        }
    }

    /// Changes the data of the open session and notes how, unless nobody else can change it.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn merge<T>(
        &self,
        change: impl FnOnce(&mut MergeLog, &mut Edit) -> Result<T, DataError>,
    ) -> Result<T, Error> {
        self.write(|work| {
            let mut unneeded = MergeLog::default();
            let merging = work.merging.as_deref_mut();
            let log = merging.map_or(&mut unneeded, |merging| &mut merging.log);
            Ok(change(log, &mut work.edit)?)
        })
    }

    /// Whether this request has opened its session.
    pub(crate) fn is_loaded(&self) -> bool {
        matches!(&*self.state(), State::Open(_) | State::Ended(Some(_)))
    }

    /// Whether this request holds the session's lease.
    pub(crate) fn holds_lease(&self) -> bool {
        matches!(&*self.state(), State::Open(work) if work.holds_lease())
    }

    /// Which session this request has met: read, written or committed.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match &*self.state() {
            State::Open(work) => work.identity(),
            State::Ended(identity) => *identity,
            State::Untouched => None,
        }
    }

    /// A `Session` was dropped by a panic: whatever answers in its place, nothing is saved.
    pub(crate) fn poison(&self) {
        if let State::Open(work) = &mut *self.state() {
            work.discarded = true;
        }
    }

    /// The request is over without a response: nothing is saved.
    pub(crate) fn discard(&self) {
        let state = {
            let mut state = self.state();
            match &mut *state {
                // What was read or committed before stays readable for those who still have it.
                State::Open(work) if !work.is_writable() => {
                    work.mode = Mode::Closed;
                    self.early.forget();
                    return;
                }
                State::Ended(_) => return,
                _ => std::mem::replace(&mut *state, State::Ended(None)),
            }
        };
        // Gives back the lease, outside of the mutex.
        drop(state);
    }

    /// The request is over with a response of this status.
    pub(crate) fn end(self: &Arc<Self>, status: StatusCode) -> Ending {
        let work = {
            let mut state = self.state();
            match &mut *state {
                // Read only, or committed early: the cookie of that commit goes out whatever the
                // response.
                State::Open(work) if !work.is_writable() => {
                    work.mode = Mode::Closed;
                    if self.early.is_under_way() {
                        let slot = self.clone();
                        return Ending::Soon(Box::pin(async move { slot.end_early().await }));
                    }
                    return Ending::Now(Outcome::of_early(work.cookie.take()));
                }
                _ => match std::mem::replace(&mut *state, State::Ended(None)) {
                    State::Open(work) => work,
                    State::Untouched if self.tried.load(Ordering::Relaxed) => {
                        return Ending::Now(Outcome::default());
                    }
                    State::Untouched => return Ending::Untouched,
                    State::Ended(identity) => {
                        *state = State::Ended(identity);
                        return Ending::Untouched;
                    }
                },
            }
        };
        if work.discarded || !work.writes || !(self.shared.commit_when)(status) {
            drop(work);
            return Ending::Now(Outcome::default());
        }
        self.commit(work)
    }
}
