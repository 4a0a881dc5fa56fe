//! SQLite.

mod builder;
mod driver;
mod rounds;
mod task;
mod together;
mod users;
mod writer;

use std::sync::Arc;

use sqlx::SqlitePool;
use tower_keep_core::{Clock, SessionId, StoreError, Timestamp};

use crate::engine::{Engine, Outcome, Removed, Step};
use crate::row::Stored;
use crate::schema;
use crate::statement::Statements;
use rounds::Readers;
use task::Task;
use writer::Writer;

pub use builder::SqliteBuilder;

/// Sessions in a SQLite database.
///
/// Clones are the same store. Every write goes through one connection, whose task carries out
/// together what arrives together, in one transaction and with one synchronisation of the disk;
/// readers work beside it on connections of their own, and read together what waits together. No
/// transaction outlives a step, so another process that uses the same file never waits for a
/// request of this one.
///
/// ```
/// use tower_keep_sqlx::SqliteStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::connect("sqlite::memory:").await?; // or "sqlite:sessions.db"
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SqliteStore(Arc<Sqlite>);

#[derive(Debug)]
struct Sqlite {
    statements: Arc<Statements>,
    migrations: String,
    max_data: usize,
    clock: Arc<dyn Clock>,
    writer: Writer,
    /// None for a database in memory, which is the writer's alone.
    readers: Option<Readers>,
}

impl SqliteStore {
    /// A store with the defaults of [`SqliteBuilder`].
    ///
    /// `url` is `sqlite:FILE`, or `sqlite::memory:` for a database that only this store sees and
    /// that ends with it, or with the runtime that it was first used on. The file is made if it
    /// is not there. The table is not: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// If the URL cannot be understood or the database cannot be opened.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// A store with the defaults of [`SqliteBuilder`] that reads through `pool` and writes through
    /// a connection of its own with the pool's options. The pool's database must be a file.
    pub fn new(pool: SqlitePool) -> Self {
        Self::builder().build(pool)
    }

    /// A store with other options.
    pub fn builder() -> SqliteBuilder {
        SqliteBuilder::default()
    }

    /// Creates the table, its indices and the view unless they are there.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let sql = self.0.migrations.as_str().into();
        self.0.writer.run(Task::Script(sql)).await.map(drop)
    }

    /// The version of the schema that the database has: [`SCHEMA_VERSION`](crate::SCHEMA_VERSION)
    /// after [`migrate`](Self::migrate), 0 where the table is not there.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn schema_version(&self) -> Result<u32, StoreError> {
        schema::version(&*self.0).await
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for those who run it themselves.
    pub fn migrations(&self) -> &str {
        &self.0.migrations
    }
}

impl Engine for Sqlite {
    fn statements(&self) -> &Statements {
        &self.statements
    }

    fn max_data(&self) -> usize {
        self.max_data
    }

    async fn step(&self, step: Step) -> Result<Outcome, StoreError> {
        self.writer.run(Task::Step(step)).await?.outcome()
    }

    async fn read(&self, id: SessionId) -> Result<(Option<Stored>, Timestamp), StoreError> {
        let Some(readers) = &self.readers else {
            return self.writer.run(Task::Read(id)).await?.row();
        };
        let row = readers.read(id).await?;
        Ok((row, self.clock.now()))
    }

    async fn count(&self) -> Result<[i64; 4], StoreError> {
        let Some(readers) = &self.readers else {
            return self.writer.run(Task::Count).await?.counts();
        };
        let mut taken = readers.take().await?;
        let counts = driver::count(taken.connection(), &self.statements.count, self.clock.now());
        let counts = counts.await?;
        taken.keep();
        Ok(counts)
    }

    async fn has_table(&self) -> Result<bool, StoreError> {
        let Some(readers) = &self.readers else {
            return self.writer.run(Task::HasTable).await?.has_table();
        };
        let mut taken = readers.take().await?;
        let is_there = driver::has_table(taken.connection(), &self.statements.has_table).await?;
        taken.keep();
        Ok(is_there)
    }

    async fn remove(&self, limit: i64, keep: i64) -> Result<Vec<Removed>, StoreError> {
        self.writer
            .run(Task::Remove { limit, keep })
            .await?
            .removed()
    }
}

crate::store::impl_store!(
    SqliteStore,
    fn name(&self) -> &'static str {
        "sqlite"
    }
);
