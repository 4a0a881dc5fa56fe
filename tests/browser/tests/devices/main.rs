//! "Your devices" in Chromium: two browsers of one user, a keyboard, no JavaScript, a narrow phone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../../../../examples/devices.rs"]
mod example;

mod looks;
mod two;
