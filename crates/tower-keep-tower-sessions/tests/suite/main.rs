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
mod rows;
mod secrets;
mod sweeping;
mod trouble;
mod turns;
