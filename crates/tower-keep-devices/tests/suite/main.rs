//! The "your devices" router, request by request.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod app;
mod checks;
mod ending;
mod listing;
mod mounting;
