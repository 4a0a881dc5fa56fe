//! The demo as its visitors meet it: the real program, over real HTTP.

#![cfg(unix)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

mod chat;
mod ends;
mod forms;
mod nodes;
mod program;
mod refusals;
mod visits;

/// Whoever waits for longer waits in vain.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);
