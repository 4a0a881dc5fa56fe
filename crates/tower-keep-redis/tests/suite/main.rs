//! The store on a real server: `KEEP_REDIS_URL`, or one that the tests start themselves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

#[cfg(test)]
mod app;
#[cfg(test)]
mod cancelled;
#[cfg(all(test, feature = "cluster"))]
mod cluster;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod drops;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod secrets;
#[cfg(all(test, feature = "sentinel"))]
mod sentinel;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod storage;
#[cfg(all(test, feature = "tls"))]
mod tls;
