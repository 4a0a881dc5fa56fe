//! What shows that the lock manager keeps its promises.
//!
//! - [`world`] is a few processes, each with its [`Line`](super::line::Line) and a driver, over one
//!   record that obeys the real rules of the store, and everything that can happen to them;
//! - [`explore`] walks through all the states of small worlds, and at random through larger ones;
//! - [`mutants`] shows that the walk finds mistakes;
//! - [`actor`], [`trouble`], [`contention`] and [`edges`] test the real keeper, over stores that fail;
//! - [`direct`] tests what takes its place on a store in memory;
//! - [`simulation`] has real keepers do random work on several nodes, of which all follows from a
//!   seed, and checks what their requests saw.

mod actor;
mod contention;
mod direct;
mod driver;
mod edges;
mod explore;
mod moves;
mod mutants;
mod scene;
mod simulation;
mod store;
mod trouble;
mod world;

pub(super) use simulation::chance;

/// How much longer the long versions of the tests are, which `KEEP_HEAVY` asks for.
fn heavy() -> bool {
    std::env::var_os("KEEP_HEAVY").is_some_and(|value| value != "0")
}
