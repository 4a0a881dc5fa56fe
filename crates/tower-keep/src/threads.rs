//! Threads that meet in the parts of this crate that many requests use at once. `tests/threads`
//! plays these scenes, in every order of their steps that shuttle thinks of; a step ends wherever
//! a mutex or an atomic is used.
//!
//! # What must hold, in every order
//! 1. *One at a time.* Between a grant and its end nobody else is granted the session, as long as
//!    no lease runs out, and every commit that succeeds is there in the end, once.
//! 2. *Everybody is answered.* Whoever waits gets the session or hears why not, whether those in
//!    front commit, drop what they have, leave the queue, or time out; at the end nobody is in the
//!    queue, no lease is held, no line is left. Where time stands still, one who is not woken is a
//!    deadlock, which shuttle finds.
//! 3. *Over is over.* After a destruction or a rotation nobody is granted the session by its old
//!    secret, and nothing brings it back.
//! 4. *The index says what the records say.* A user's sessions are those whose records have that
//!    user, and no more of them live than the cap allows.
//! 5. *Somebody watches.* As long as there is a line a watchdog looks after it: its lease is
//!    renewed.
//! 6. *A shutdown waits.* What was admitted before has ended when all is drained, and nothing is
//!    admitted after.
//! 7. *A merge counts once.* Those that succeed are there in the end, those that are told that nothing
//!    was done are not, and no line of them is left.
//! 8. *No end is missed.* Who watches a session and then looks whether it is over hears of it by one
//!    of both.
//!
//! Shuttle takes every atomic access to be sequentially consistent. Here nothing depends on more than
//! is written there: what an atomic says is looked at again under a mutex, or goes before one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

pub use crate::events::threads as events;
pub use crate::lock::threads::{direct, keeper, tasks};
pub use crate::memory::threads as users;
pub use crate::slot::{merging as merges, threads as slot};

use std::future::Future;

use tokio::shuttle;

pub(crate) enum Time {
    StandsStill,
    /// From one timer to the next, at any moment.
    Passes,
}

pub(crate) fn play(time: Time, scene: impl Future<Output = ()>) {
    tokio::play(matches!(time, Time::Passes), scene);
}

/// Runs beside the others, not as a task of the runtime that may end.
pub(crate) use shuttle::future::spawn as start;

/// A choice of one of so many, which belongs to the schedule.
pub(crate) fn choose(of: u64) -> u64 {
    use shuttle::rand::RngCore;
    shuttle::rand::thread_rng().next_u64() % of
}
