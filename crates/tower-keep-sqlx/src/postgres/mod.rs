//! PostgreSQL.

mod builder;
mod driver;
mod users;

use std::sync::Arc;

use sqlx::{Executor, PgPool};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use crate::engine::{Engine, Outcome, Step};
use crate::row::Stored;
use crate::statement::{Sql, Statements};
use driver::driver_error;

pub use builder::PostgresBuilder;

/// Sessions in a PostgreSQL database, version 12 or later.
///
/// Clones are the same store. Every verb is one statement, which the server carries out
/// atomically and judges by its own clock; no transaction and no connection is held in between. Only
/// where a session joins a user under a cap, or all of a user's end, it is a short transaction.
///
/// ```no_run
/// use tower_keep_sqlx::PostgresStore;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://shop@db.example.com/shop").await?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    statements: Statements,
    revocation: Sql,
    migrations: String,
    max_data: usize,
}

impl PostgresStore {
    /// A store with the defaults of [`PostgresBuilder`] and a pool of its own, of at most 10
    /// connections. The table is not made: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// If the URL cannot be understood or the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// A store with the defaults of [`PostgresBuilder`] that uses the connections of `pool`. They
    /// must lead to a primary, since a replica shows what was committed a while ago. A pool that
    /// tests connections before use (sqlx's default) adds a round trip to every verb.
    pub fn new(pool: PgPool) -> Self {
        Self::builder().build(pool)
    }

    /// A store with other options.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// Creates the table, its indices and the view unless they are there. Several processes may
    /// do so at once.
    ///
    /// # Errors
    /// If the server refuses or cannot be reached.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut transaction = self.0.pool.begin().await.map_err(driver_error)?;
        // `IF NOT EXISTS` alone does not keep two from creating the same at once.
        let lock = "SELECT pg_advisory_xact_lock(hashtext('tower-keep migrate'))";
        transaction.execute(lock).await.map_err(driver_error)?;
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(self.0.migrations.as_str()));
        script
            .execute(&mut *transaction)
            .await
            .map_err(driver_error)?;
        transaction.commit().await.map_err(driver_error)
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for those who run it themselves.
    pub fn migrations(&self) -> &str {
        &self.0.migrations
    }
}

impl Engine for Inner {
    const TOUCHES_ALONG: bool = true;

    fn statements(&self) -> &Statements {
        &self.statements
    }

    fn max_data(&self) -> usize {
        self.max_data
    }

    async fn step(&self, step: Step) -> Result<Outcome, StoreError> {
        driver::step(&self.pool, step).await
    }

    async fn read(&self, id: SessionId) -> Result<(Option<Stored>, Timestamp), StoreError> {
        driver::read(&self.pool, &self.statements.look, id).await
    }

    async fn remove(&self, limit: i64, keep: i64) -> Result<Vec<bool>, StoreError> {
        driver::remove(&self.pool, &self.statements.sweep, limit, keep).await
    }
}

crate::store::impl_store!(PostgresStore);
