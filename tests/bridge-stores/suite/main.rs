//! The stores that are published for tower-sessions, unchanged, under tower-keep: what
//! `KEEP_REDIS_URL`, `KEEP_POSTGRES_URL` and `KEEP_MARIADB_URL` name (`./test.sh` starts them), SQLite
//! in a file, and Moka.

#![allow(
    clippy::doc_markdown,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod bridged;
mod limits;
mod moving;
mod place;
mod redis;
mod sql;

#[path = "../../../crates/tower-keep-tower-sessions/tests/suite/life.rs"]
mod life;
#[path = "../../../crates/tower-keep-tower-sessions/tests/suite/spelling.rs"]
mod spelling;
