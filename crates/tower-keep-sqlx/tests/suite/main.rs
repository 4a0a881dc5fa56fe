//! The stores on real databases: SQLite in memory and in files, and the servers that
//! `KEEP_POSTGRES_URL`, `KEEP_MARIADB_URL`, `KEEP_PGBOUNCER_SESSION_URL` and
//! `KEEP_PGBOUNCER_TRANSACTION_URL` name (`./test.sh` starts them).
#![cfg(all(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#![allow(
    clippy::doc_markdown,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

#[cfg(test)]
mod answers;
#[cfg(test)]
mod app;
#[cfg(test)]
mod cancelled;
#[cfg(test)]
mod conflicts;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod drops;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod full;
#[cfg(test)]
mod held;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod place;
#[cfg(test)]
mod pooling;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod server;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod stuck;
#[cfg(test)]
mod together;
#[cfg(test)]
mod users;
#[cfg(test)]
mod wakeups;
