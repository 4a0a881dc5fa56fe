//! The file store on a real file system.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod codec;
mod common;
mod conformance;
mod drops;
mod encrypted;
mod files;
mod processes;
mod stopped;
mod together;
mod users;
