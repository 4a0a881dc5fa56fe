//! What the benchmarks share.

pub mod contenders;
pub mod works;
