//! Random requests of several processes to one store, while processes are killed, clients leave and
//! calls and connections fail; then the check that one order of the requests explains all that
//! their clients saw ([`tower_keep_testkit::history`]).
//!
//! A test suite calls [`Campaign::run`]. It starts the test's own binary again for each process, in
//! which [`is_worker`] is true and the test calls [`work`]; a store in this process's memory has its
//! nodes there ([`Campaign::run_here`]). With `KEEP_HEAVY` it goes on for `KEEP_TEST_MINUTES`
//! minutes, with `KEEP_OPERATIONS` until so many were done, at most for a minute and a half; and
//! `KEEP_SEED` sets what it does, though not when things happen.
//!
//! [`drops`] has one process, whose requests end in the middle, at every moment that there is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "it is a test"
)]

mod app;
mod board;
#[path = "../../../crates/tower-keep/tests/common_sweep/mod.rs"]
mod common_sweep;
mod conductor;
mod log;
mod node;
mod plan;
mod report;

use std::time::Duration;

use tower_keep::{DynStore, SessionStore};
use tower_keep_testkit::history::Anomaly;

use common_sweep::sweep::sweep_given;
use conductor::Conductor;
pub use node::{is_worker, work};

/// How long the requests of a short campaign go on, and those of a round of a long one.
const SHORT: Duration = Duration::from_millis(4_500);
const ROUND: Duration = Duration::from_secs(15);

/// A campaign against one store.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// What the report calls it.
    pub name: &'a str,
    /// The test that runs it, by which its binary is started again for each process.
    pub test: &'a str,
    /// By what the processes find the store, in their environment.
    pub place: Vec<(String, String)>,
}

impl Campaign<'_> {
    /// Runs it on this store, which is that of the processes; `disturb` is called a few times a
    /// second.
    ///
    /// # Panics
    /// If it finds an anomaly.
    pub async fn run(&self, store: impl SessionStore, disturb: impl AsyncFn()) {
        Conductor::new(self, &DynStore::new(store))
            .rounds(async |conductor, round| conductor.processes(round, &disturb).await)
            .await;
    }

    /// Runs it with three nodes in this process.
    ///
    /// # Panics
    /// If it finds an anomaly.
    pub async fn run_here(&self, nodes: impl Fn(u64) -> Vec<DynStore>, store: impl SessionStore) {
        Conductor::new(self, &DynStore::new(store))
            .rounds(async |conductor, round| conductor.nodes(round, nodes(round.seed)).await)
            .await;
    }

    /// A short one in this process, on a store that has a mistake; tells what was found.
    pub async fn glance(
        &self,
        nodes: impl FnOnce(u64) -> Vec<DynStore>,
        store: impl SessionStore,
    ) -> Vec<Anomaly> {
        Conductor::new(self, &DynStore::new(store))
            .once(nodes)
            .await
    }
}

/// Drops requests in the middle, over stores that `store` makes, each with what must be kept while
/// it is in use; returns how often. Of all moments one in `step` is taken. With `KEEP_HEAVY` it
/// goes on for `KEEP_TEST_MINUTES` minutes, and `KEEP_SEED` sets which moments.
///
/// # Panics
/// If a session is not as it was or as the commit made it, or is not free.
pub async fn drops<G>(name: &str, step: u64, store: impl AsyncFn() -> (DynStore, G)) -> usize {
    sweep_given(name, step, store).await
}
