//! Tests for session stores and for applications that keep sessions with [tower-keep].
//!
//! - [`conformance`]: the store contract as a suite of named cases that the author of a store
//!   runs in one line, [`conformance_tests!`].
//! - [`history`]: whether what several clients saw can be explained, checked.
//! - [`TestClock`]: a clock that a test moves.
//! - [`FaultStore`]: a store that fails as a [`Script`] says, and counts its calls.
//! - [`NetworkStore`]: a store behind a network that delays, reorders and loses, by a seed.
//! - [`TestClient`]: a browser in this process, with a cookie jar.
//! - [`TestSession`]: a session that is there before the first request.
//!
//! What is random here follows from a seed. The environment variable `KEEP_SEED` sets those of
//! the suite, and a failure names the seed that shows it.
//!
//! [tower-keep]: https://docs.rs/tower-keep

#![cfg_attr(docsrs, feature(doc_cfg))]

mod calls;
mod client;
mod clock;
pub mod conformance;
mod fault;
pub mod history;
mod jar;
mod network;
mod remote;
mod rng;
mod send;
mod session;

pub use calls::{Call, Calls, Verb};
pub use client::{TestClient, TestResponse};
pub use clock::TestClock;
pub use fault::{Fault, FaultStore, Script};
pub use network::NetworkStore;
pub use remote::Gate;
pub use rng::{Rng, seed_or};
pub use session::TestSession;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
