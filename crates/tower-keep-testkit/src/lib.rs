//! Tests.

mod calls;
mod client;
mod clock;
pub mod conformance;
mod fault;
mod jar;
mod network;
mod remote;
mod rng;

pub use calls::{Call, Calls, Verb};
pub use client::{TestClient, TestResponse};
pub use clock::TestClock;
pub use fault::{Fault, FaultStore, Script};
pub use network::NetworkStore;
pub use remote::Gate;
pub use rng::{Rng, seed_or};
