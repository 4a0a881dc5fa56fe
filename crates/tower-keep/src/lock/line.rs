//! Who is next for a session: the keeper's decisions, without any I/O.
//!
//! A [`Line`] is the queue of one process for one session under one secret, with the state of its
//! conversation with the store. Events go in, the [`Step`] to take next comes out. A driver
//! (`keeper`) takes the steps; a model checker (`model`, in the tests) takes them in every order.
//!
//! # Invariants
//! 1. *One step at a time.* Between a step and its event the line only gains and loses waiters.
//! 2. *At most one holder.* A waiter is served only in [`Phase::Held`], entered with a token that
//!    the store granted, or that our own finish installed and the store confirmed at the first try.
//! 3. *No token is forgotten.* A token that the store may hold for us is in the phase until the
//!    store said that it is not, or is handed to a holder, or is given back by a
//!    [`Step::Release`]. Tokens exist before they are asked for, so a lost reply loses no lock.
//! 4. *Nobody is forgotten.* A waiter leaves the queue by being served, by being refused, or by
//!    having gone away itself; the line ends ([`Step::Exit`]) only when the queue is empty.
//! 5. *No hand-over on hearsay.* After a finish whose reply was lost, the successor asks the store
//!    itself, with the token that the finish may have installed.
//! 6. *A commit is judged once.* `Unknown` becomes `Lost` only at a first try.

use std::collections::VecDeque;
use std::time::Duration;

use tower_keep_core::Owner;

/// Somebody who waits.
pub(crate) trait Waiter {
    /// How a store fails.
    type Error;
    /// When its request arrived, by the layer's monotonic clock.
    fn arrived(&self) -> Duration;
    /// Until when it waits, by the same clock.
    fn deadline(&self) -> Duration;
    /// Whether it still waits.
    fn is_there(&self) -> bool;
    /// Sends it away.
    fn refuse(self, why: Refusal<Self::Error>);
}

/// Why a waiter is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal<E> {
    Stale,
    Absent,
    Expired,
    /// It waited as long as it may.
    Timeout,
    /// The store failed.
    Failed(E),
}

/// What the store said to an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenReply<E> {
    Granted,
    Busy,
    Stale,
    Absent,
    Expired,
    /// Nothing, or an error: the lease may be ours or not.
    Failed(E),
}

/// What the store said to a finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinishReply {
    /// With whether somebody waits elsewhere, and whether the next one must ask the store itself
    /// because what was committed must not simply be handed on.
    Done {
        waiting: bool,
        reopen: bool,
    },
    Lost,
    Gone,
    Unknown,
    /// An error that says that this call changed nothing, and that another try would not either.
    Refused,
    /// Nothing, or an error that leaves it open.
    Failed,
}

/// How a holder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(crate) enum Ending {
    /// With nothing to write.
    Release,
    /// With a commit after which those who wait may go on.
    Commit,
    /// With a commit after which their secret opens nothing any more.
    Invalidate,
}

/// What has become of a finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Lost,
    Gone,
    Unknown,
    Refused,
    /// Not known yet: there will be another try.
    Undecided,
}

/// What the driver must do next.
#[derive(Debug)]
pub(crate) enum Step<W> {
    /// Ask for the lease for a request that arrived then; then [`Line::opened`].
    Open { owner: Owner, arrived: Duration },
    /// Wait for a wake-up or a while; then [`Line::woken`].
    Wait,
    /// Let this one go first who waits elsewhere; then [`Line::next`].
    Yield,
    /// Hand the session to `waiter`; at its end [`Line::ended`], or [`Line::abandoned`] if it went
    /// away before it heard of it.
    Serve { waiter: W },
    /// Finish for `owner` and install `next`; then [`Line::finished`].
    Finish { owner: Owner, next: Option<Owner> },
    /// Finish again after a pause, with everything as before, or [`Line::give_up`].
    Retry,
    /// Give back the lease of `owner`, if it is ours; then [`Line::released`].
    Release { owner: Owner },
    /// Nobody waits and nothing is held.
    Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
enum Phase {
    /// Nothing is under way. The store may hold `maybe` for us.
    Idle {
        maybe: Option<Owner>,
    },
    Opening {
        owner: Owner,
        arrived: Duration,
    },
    /// Somebody else has the lease; `owner` will ask again.
    Refused {
        owner: Owner,
    },
    Held {
        owner: Owner,
        since: Duration,
        renewed: Duration,
    },
    Finishing {
        owner: Owner,
        next: Option<Owner>,
        ending: Ending,
        again: bool,
    },
    Releasing,
}

/// See the [module documentation](self).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub(crate) struct Line<W> {
    queue: VecDeque<W>,
    phase: Phase,
    /// How many have been served while somebody waited elsewhere.
    served: u32,
    cohort: u32,
}

impl<W: Waiter> Line<W> {
    pub(crate) const fn new(cohort: u32) -> Self {
        Self {
            queue: VecDeque::new(),
            phase: Phase::Idle { maybe: None },
            served: 0,
            cohort,
        }
    }

    /// Queues `waiter`, or gives it back if `max` wait already.
    pub(crate) fn join(&mut self, waiter: W, max: usize) -> Result<(), W> {
        if self.queue.len() >= max {
            self.forget_leavers();
            if self.queue.len() >= max {
                return Err(waiter);
            }
        }
        self.queue.push_back(waiter);
        Ok(())
    }

    /// Sends away who waited too long, and forgets who went away.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.forget_leavers();
        self.refuse(|| Refusal::Timeout, |waiter| waiter.deadline() <= now);
    }

    /// Whose lease is due for renewal, if any: a third of it has passed, and the hold limit not.
    pub(crate) fn renew(
        &mut self,
        now: Duration,
        lease: Duration,
        hold: Duration,
    ) -> Option<Owner> {
        match &mut self.phase {
            Phase::Held {
                owner,
                since,
                renewed,
            } if now.saturating_sub(*renewed) >= lease / 3 && now.saturating_sub(*since) < hold => {
                *renewed = now;
                Some(*owner)
            }
            _ => None,
        }
    }

    /// What to do when nothing is under way.
    pub(crate) fn next(&mut self) -> Step<W> {
        let Phase::Idle { maybe } = self.phase else {
            return Step::Wait;
        };
        self.forget_leavers();
        match (self.queue.front(), maybe) {
            (Some(first), _) => {
                let (owner, arrived) = (maybe.unwrap_or_else(Owner::unique), first.arrived());
                self.phase = Phase::Opening { owner, arrived };
                Step::Open { owner, arrived }
            }
            (None, Some(owner)) => {
                self.phase = Phase::Releasing;
                Step::Release { owner }
            }
            (None, None) => Step::Exit,
        }
    }

    /// The store has answered a [`Step::Open`] at `now`.
    pub(crate) fn opened(&mut self, reply: OpenReply<W::Error>, now: Duration) -> Step<W> {
        let Phase::Opening { owner, arrived } = self.phase else {
            return self.next();
        };
        let mut maybe = None;
        match reply {
            OpenReply::Granted => return self.serve(owner, now),
            OpenReply::Busy => {
                self.phase = Phase::Refused { owner };
                return Step::Wait;
            }
            // Who arrived before a stale one is stale as well, and who arrived after one for whom
            // there is nothing finds nothing either.
            OpenReply::Stale => self.refuse(|| Refusal::Stale, |w| w.arrived() <= arrived),
            OpenReply::Absent => self.refuse(|| Refusal::Absent, |w| w.arrived() >= arrived),
            OpenReply::Expired => self.refuse(|| Refusal::Expired, |_| true),
            OpenReply::Failed(error) => {
                if let Some(first) = self.queue.pop_front() {
                    first.refuse(Refusal::Failed(error));
                }
                maybe = Some(owner);
            }
        }
        self.phase = Phase::Idle { maybe };
        self.next()
    }

    /// A wait is over.
    pub(crate) fn woken(&mut self) -> Step<W> {
        let Phase::Refused { owner } = self.phase else {
            return self.next();
        };
        self.forget_leavers();
        if let Some(first) = self.queue.front() {
            let arrived = first.arrived();
            self.phase = Phase::Opening { owner, arrived };
            Step::Open { owner, arrived }
        } else {
            self.phase = Phase::Idle { maybe: None };
            self.next()
        }
    }

    /// The waiter of a [`Step::Serve`] was gone before it heard of it.
    pub(crate) fn abandoned(&mut self, now: Duration) -> Step<W> {
        match self.phase {
            Phase::Held { owner, .. } => self.serve(owner, now),
            _ => self.next(),
        }
    }

    /// The holder has ended.
    pub(crate) fn ended(&mut self, ending: Ending) -> Step<W> {
        let Phase::Held { owner, .. } = self.phase else {
            return self.next();
        };
        self.served += 1;
        self.forget_leavers();
        let goes_on =
            ending != Ending::Invalidate && self.served < self.cohort && !self.queue.is_empty();
        let next = goes_on.then(Owner::unique);
        self.phase = Phase::Finishing {
            owner,
            next,
            ending,
            again: false,
        };
        Step::Finish { owner, next }
    }

    /// The store has answered a [`Step::Finish`] at `now`.
    pub(crate) fn finished(&mut self, reply: FinishReply, now: Duration) -> (Verdict, Step<W>) {
        let Phase::Finishing {
            owner,
            next,
            ending,
            again,
        } = self.phase
        else {
            return (Verdict::Undecided, self.next());
        };
        let verdict = match reply {
            FinishReply::Done { .. } => Verdict::Done,
            // A release that is asked for again has lost its token because it was carried out.
            FinishReply::Lost | FinishReply::Gone if again && ending == Ending::Release => {
                Verdict::Done
            }
            // What became of the first try will never be known: of a session that is gone, too, no
            // more than the last commits are remembered.
            FinishReply::Gone | FinishReply::Unknown | FinishReply::Refused if again => {
                Verdict::Unknown
            }
            FinishReply::Gone => Verdict::Gone,
            FinishReply::Lost | FinishReply::Unknown => Verdict::Lost,
            FinishReply::Refused => Verdict::Refused,
            FinishReply::Failed => {
                self.phase = Phase::Finishing {
                    owner,
                    next,
                    ending,
                    again: true,
                };
                return (Verdict::Undecided, Step::Retry);
            }
        };
        // What of ours may be installed: nothing new if the very first try was refused.
        let maybe = match verdict {
            Verdict::Refused => Some(owner),
            verdict => next.filter(|_| again || verdict == Verdict::Done),
        };
        self.phase = Phase::Idle { maybe };
        if let FinishReply::Done { waiting, reopen } = reply {
            if !waiting {
                self.served = 0;
            }
            if ending == Ending::Invalidate {
                // Each of them arrived before this commit.
                self.refuse(|| Refusal::Stale, |_| true);
            } else if let (Some(owner), false) = (next, again || reopen) {
                return (verdict, self.serve(owner, now));
            } else if waiting && self.served >= self.cohort {
                self.served = 0;
                return (verdict, Step::Yield);
            }
        }
        (verdict, self.next())
    }

    /// Nobody will ever know what has become of the finish: its retries took as long as the lease.
    pub(crate) fn give_up(&mut self) -> Step<W> {
        if let Phase::Finishing { next, .. } = self.phase {
            self.phase = Phase::Idle { maybe: next };
        }
        self.next()
    }

    /// A [`Step::Release`] was carried out as well as it could be.
    pub(crate) fn released(&mut self) -> Step<W> {
        if self.phase == Phase::Releasing {
            self.phase = Phase::Idle { maybe: None };
        }
        self.next()
    }

    /// Serves the next who is there with a lease that is ours, or gives it back.
    fn serve(&mut self, owner: Owner, now: Duration) -> Step<W> {
        self.forget_leavers();
        if let Some(waiter) = self.queue.pop_front() {
            self.phase = Phase::Held {
                owner,
                since: now,
                renewed: now,
            };
            Step::Serve { waiter }
        } else {
            self.phase = Phase::Releasing;
            Step::Release { owner }
        }
    }

    /// The tokens it knows, for a model that gives them short names.
    #[cfg(test)]
    pub(super) fn tokens(&mut self) -> impl Iterator<Item = &mut Owner> {
        let (owner, next) = match &mut self.phase {
            Phase::Idle { maybe } => (maybe.as_mut(), None),
            Phase::Opening { owner, .. } | Phase::Refused { owner } | Phase::Held { owner, .. } => {
                (Some(owner), None)
            }
            Phase::Finishing { owner, next, .. } => (Some(owner), next.as_mut()),
            Phase::Releasing => (None, None),
        };
        owner.into_iter().chain(next)
    }

    fn forget_leavers(&mut self) {
        self.queue.retain(W::is_there);
    }

    fn refuse(&mut self, why: fn() -> Refusal<W::Error>, whom: impl Fn(&W) -> bool) {
        for waiter in std::mem::take(&mut self.queue) {
            if whom(&waiter) {
                waiter.refuse(why());
            } else {
                self.queue.push_back(waiter);
            }
        }
    }
}

#[cfg(test)]
mod tests;
