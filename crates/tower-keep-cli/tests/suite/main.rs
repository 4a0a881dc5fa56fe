//! The built program on real stores: files, a database in one, and what `KEEP_REDIS_URL`,
//! `KEEP_POSTGRES_URL` and `KEEP_MARIADB_URL` name (`./test.sh` starts them). The sessions are made
//! by the layer.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

#[cfg(test)]
mod app;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod place;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod trouble;
