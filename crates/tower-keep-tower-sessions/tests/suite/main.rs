//! Stores of tower-sessions under tower-keep.

#![cfg(feature = "v14")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod app;
mod conformance;
mod contract;
mod differences;
mod import;
mod import_trouble;
mod life;
mod login;
mod messages;
mod plain;
mod rows;
mod secrets;
mod served;
mod spelling;
mod sweeping;
mod trouble;
mod turns;
