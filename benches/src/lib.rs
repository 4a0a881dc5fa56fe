//! What the benchmarks share.

pub mod contenders;
