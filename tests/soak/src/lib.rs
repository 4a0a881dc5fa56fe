//! The demo under load for a long time, with faults: whether anything grows that should not, whether
//! anything is lost that was acknowledged, and how long others wait while a hostile neighbour keeps
//! five hundred requests on one session.
//!
//! [`Soak::run`] starts the real program on a store and visits it from 64 browsers, each with a
//! session of its own, at a fixed number of requests a second, so that a run is the same on fast and
//! on slow machines and a latency means something. Every few seconds something goes wrong: the
//! server ends the program's connections, another process has the file, the program stands still for
//! a moment; and all the time some visitors leave in the middle. What is looked at is outside the
//! program, in `/proc`, apart from its own number of tasks.
//!
//! Nothing is judged by the clock: the machine may be slow. Judged are
//!
//! - every answer, and every number that it shows ([`Account`]);
//! - memory, by the line through its samples ([`growth`](Growth));
//! - what is open and what runs once all have left again, against the same before ([`Levels`]);
//! - how many of the five hundred wait at once.
//!
//! Each of these is itself tested on something that leaks, or loses, on purpose.
//!
//! With `KEEP_HEAVY` a run takes `KEEP_TEST_MINUTES` minutes and what goes wrong does so every 30 s;
//! `KEEP_SEED` sets what the visitors do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "it is a test"
)]
#![cfg(target_os = "linux")]

mod account;
mod faults;
mod growth;
mod latency;
mod levels;
mod load;
mod neighbour;
mod place;
mod plan;
mod program;
mod report;
mod soak;
mod visitor;
mod vitals;
mod wire;

pub use account::{Account, Lost};
pub use growth::{Growth, Sample};
pub use levels::{Levels, Watch};
pub use place::Kind;
pub use program::Program;
pub use soak::Soak;
pub use vitals::{Files, Vitals, Where};
pub use wire::Wire;
