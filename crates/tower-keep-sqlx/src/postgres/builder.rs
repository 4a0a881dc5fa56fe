//! Options of the store.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgPool};
use tower_keep_core::StoreError;

use super::driver::{Text, driver_error, revocation};
use super::{Inner, PostgresStore};
use crate::statement::Statements;
use crate::table::{NameError, Table};

/// A connection that was idle for longer is asked whether it is still there before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Options of a [`PostgresStore`].
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_keep_sqlx::PostgresStore;
///
/// let store = PostgresStore::builder()
///     .schema("web")?
///     .table("shop_sessions")?
///     .max_connections(20)
///     .connect("postgres://shop@db.example.com/shop")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PostgresBuilder {
    table: Table,
    max_connections: u32,
    acquire_timeout: Duration,
    max_data: usize,
}

impl Default for PostgresBuilder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            max_data: 1 << 20,
        }
    }
}

impl PostgresBuilder {
    /// The table's name. Default `keep_sessions`. The indices and the view are named after it.
    ///
    /// # Errors
    /// Unless it is 1 to 48 lower-case letters, digits and underscores, the first no digit.
    pub fn table(mut self, name: &str) -> Result<Self, NameError> {
        self.table = self.table.named(name)?;
        Ok(self)
    }

    /// The schema the table is in, which must exist. Default none, which leaves it to the
    /// connection's `search_path`.
    ///
    /// # Errors
    /// As for [`table`](Self::table).
    pub fn schema(mut self, name: &str) -> Result<Self, NameError> {
        self.table = self.table.in_schema(name)?;
        Ok(self)
    }

    /// How many connections [`connect`](Self::connect) opens at most. Default 10.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long a verb waits for a free connection of [`connect`](Self::connect)'s pool before it
    /// fails as [`Unavailable`](tower_keep_core::StoreErrorKind::Unavailable). Default 5 seconds.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// The most bytes that a session's data may take in their stored form. What is larger is
    /// neither written nor decoded. Default 1 MiB.
    pub fn max_data(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// Connects; see [`PostgresStore::connect`].
    ///
    /// # Errors
    /// If the URL cannot be understood or the server cannot be reached.
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(self.max_connections.max(1))
            .acquire_timeout(self.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect(url)
            .await
            .map_err(driver_error)?;
        Ok(self.build(pool))
    }

    /// A store that uses the connections of `pool`; see [`PostgresStore::new`].
    pub fn build(self, pool: PgPool) -> PostgresStore {
        let schema = include_str!("schema.sql");
        let schema = schema.replace("{table}", &self.table.to_string());
        PostgresStore(Arc::new(Inner {
            pool,
            statements: Statements::new::<Text>(&self.table),
            revocation: revocation(&self.table),
            migrations: schema.replace("{name}", self.table.name()),
            max_data: self.max_data,
        }))
    }
}
