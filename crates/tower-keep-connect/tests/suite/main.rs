//! Every scheme, on a real store: what `KEEP_REDIS_URL`, `KEEP_POSTGRES_URL` and
//! `KEEP_MARIADB_URL` name (`./test.sh` starts them), a cluster that the test starts, files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

#[cfg(test)]
mod both;
#[cfg(all(test, feature = "redis-cluster"))]
mod cluster;
#[cfg(test)]
mod refused;
#[cfg(all(test, feature = "redis-sentinel"))]
mod sentinel;
#[cfg(test)]
mod session;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod vars;
