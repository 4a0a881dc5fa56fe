//! What stores on disk have after the worst moment: the process is killed, a call fails or the power
//! goes, at every system call that writes, one after the other.
//!
//! A child process carries out a [`Plan`] on a store and says each step that was acknowledged. A few
//! lines of C stand between it and the C library (`shim.c`, by `LD_PRELOAD`), count its calls over
//! all threads, and strike at the n-th. That needs no right to trace other processes, one count for
//! all threads, which `strace` does not have, and half writes, and it can write down what was
//! written, so that what a disk would have after a power cut can be put together afterwards
//! (`disk.rs`).
//!
//! Then the store is opened anew, and everything must be there that was acknowledged, and nothing
//! that was acknowledged to be gone; what was under way is either or; leases end; a sweep leaves no
//! litter; and work goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "it is a test"
)]
#![cfg(target_os = "linux")]

mod act;
mod after;
mod child;
mod disk;
mod place;
mod plan;
mod run;
mod site;

pub use act::{Failure, May};
pub use child::serve;
pub use disk::{Disk, Loss};
pub use place::Kind;
pub use plan::Plan;
pub use run::{Child, How, Log, Said, Shim};
pub use site::Site;
