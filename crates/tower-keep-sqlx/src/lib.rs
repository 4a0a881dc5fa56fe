//! SQL databases as session stores for [tower-keep]: `SqliteStore`, `PostgresStore` and
//! `MySqlStore`, each with the feature of its name (`sqlite`, `postgres`, `mysql`).
//!
//! Locking and loading a session is one statement, saving and unlocking it another; the README
//! has the table of what each engine takes and what it cannot. One row is one session, whose data
//! can be read in SQL through a view.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_keep::SessionLayer;
//! use tower_keep_sqlx::SqliteStore;
//!
//! let store = SqliteStore::connect("sqlite::memory:").await?; // or "sqlite:sessions.db"
//! store.migrate().await?;
//! let sessions = SessionLayer::builder(store).build()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "sqlite"))]
//! # fn main() {}
//! ```
//!
//! The stores find the sessions of a user and keep a cap on them, exact under logins at once on any
//! number of nodes.
//!
//! On PostgreSQL, requests that wait for another process are woken by `NOTIFY`, and a pooler that
//! would mix up clients' statements is refused (`UnsafePooling`). The README says what they need,
//! and which commits survive a power failure.
//!
//! The verbs decide as the methods of `Record` in `tower-keep-core` do. What is granted is one
//! conditional `UPDATE`; what is refused is told from the row by those very methods, so the rules
//! of refusals exist once.
//!
//! [tower-keep]: https://docs.rs/tower-keep

#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(clippy::doc_markdown, reason = "the engines' names are no code")]

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod connections;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod engine;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod error;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod parameters;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod row;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod scan;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod statement;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod store;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod table;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod transaction;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod users;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod value;

#[cfg(feature = "mysql")]
pub use mysql::{MySqlBuilder, MySqlStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresBuilder, PostgresStore, UnsafePooling};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use schema::SCHEMA_VERSION;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBuilder, SqliteStore};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use table::NameError;
