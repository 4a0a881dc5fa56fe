//! What the benchmarks have in common.

pub mod client;
pub mod contenders;
pub mod plot;
pub mod proxy;
pub mod servers;
pub mod statistics;
pub mod tables;
pub mod works;
