//! MySQL and MariaDB.

mod builder;
mod driver;
mod users;

use std::sync::Arc;

use sqlx::{MySql, MySqlPool};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use crate::connections::Connections;
use crate::engine::{Engine, Outcome, Removed, Step};
use crate::row::Stored;
use crate::schema;
use crate::statement::Statements;
use crate::table::Table;
use driver::{Via, driver_error};

pub use builder::MySqlBuilder;

/// Sessions in a database of MariaDB (tested on 10.11) or MySQL (8.0 or later, not tested).
///
/// Clones are the same store. Every verb is one packet to the server, which carries it out
/// atomically and judges it by its own clock; no transaction and no connection is held in between.
/// Only where a session joins a user under a cap, or all of a user's end, it is a short transaction.
/// A user's name may have at most 2,800 bytes.
///
/// ```no_run
/// use tower_keep_sqlx::MySqlStore;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MySqlStore::connect("mysql://shop@db.example.com/shop").await?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MySqlStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Connections<MySql>,
    table: Table,
    statements: Statements,
    migrations: String,
    max_data: usize,
}

impl MySqlStore {
    /// A store with the defaults of [`MySqlBuilder`] and a pool of its own, of at most 10
    /// connections. The table is not made: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// If the URL cannot be understood or the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// A store with the defaults of [`MySqlBuilder`] and a pool of its own that has the options of
    /// `pool`, except that statements are not logged: here they hold what is stored. The server
    /// must be a primary, since a replica shows what was committed a while ago. A pool that tests
    /// connections before use (sqlx's default) adds a round trip to every verb.
    pub fn new(pool: &MySqlPool) -> Self {
        Self::builder().build(pool)
    }

    /// A store with other options.
    pub fn builder() -> MySqlBuilder {
        MySqlBuilder::default()
    }

    /// Creates the table, its indices, the view and the table of locks unless they are there.
    /// Several processes may do so at once.
    ///
    /// # Errors
    /// If the server refuses or cannot be reached.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut taken = self.0.connections.take().await.map_err(driver_error)?;
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(self.0.migrations.as_str()));
        script
            .execute(taken.connection())
            .await
            .map(drop)
            .map_err(driver_error)
    }

    /// The version of the schema that the database has: [`SCHEMA_VERSION`](crate::SCHEMA_VERSION)
    /// after [`migrate`](Self::migrate), 0 where the table is not there.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn schema_version(&self) -> Result<u32, StoreError> {
        schema::version(&*self.0).await
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for those who run it themselves.
    pub fn migrations(&self) -> &str {
        &self.0.migrations
    }
}

impl Engine for Inner {
    fn statements(&self) -> &Statements {
        &self.statements
    }

    fn max_data(&self) -> usize {
        self.max_data
    }

    async fn step(&self, step: Step) -> Result<Outcome, StoreError> {
        driver::step(&mut Via::Any(&self.connections), &self.statements, step).await
    }

    async fn read(&self, id: SessionId) -> Result<(Option<Stored>, Timestamp), StoreError> {
        driver::read(&mut Via::Any(&self.connections), &self.statements.look, id).await
    }

    async fn count(&self) -> Result<[i64; 4], StoreError> {
        driver::count(&self.connections, &self.statements.count).await
    }

    async fn has_table(&self) -> Result<bool, StoreError> {
        driver::has_table(&self.connections, &self.statements.has_table).await
    }

    async fn remove(&self, limit: i64, keep: i64) -> Result<Vec<Removed>, StoreError> {
        let sql = &self.statements.sweep;
        driver::remove(&self.connections, &self.table, sql, limit, keep).await
    }
}

crate::store::impl_store!(
    MySqlStore,
    fn name(&self) -> &'static str {
        "mysql"
    }
);
