//! Who may write a session: one request at a time, in the order of arrival, whatever happens.
//!
//! - [`line`] decides, as a pure state machine;
//! - [`keeper`] is the actor that carries its decisions out on a store that does I/O;
//! - [`grant`] is a request's right to end its exclusive section, once: by a commit, or by being
//!   dropped. On a store in this process's memory it acts directly and needs no actor.
//!
//! # Why no write can be lost
//! A commit is made of one store step that is conditional on the owner token and on the version
//! that was opened. Only the holder of the lease has that token, and it exists before the lease
//! is asked for; whatever reply gets lost, it can be asked again or given back. The commit carries
//! an id of its own by which a retry recognises that it was applied. So a commit either follows
//! directly upon the state its request saw, or changes nothing and its client gets an error.

mod call;
mod config;
mod grant;
mod keeper;
mod line;
#[cfg(test)]
mod model;
mod tasks;
#[cfg(keep_shuttle)]
pub mod threads;
mod waiter;
mod waiting;
mod watchdog;

pub(crate) use call::call;
pub use config::LockConfig;
pub(crate) use grant::{Commit, Committed, Committing, Grant, acquire_free, acquire_local};
pub(crate) use keeper::Keeper;
pub(crate) use tasks::Tasks;
pub(crate) use waiting::jittered;
