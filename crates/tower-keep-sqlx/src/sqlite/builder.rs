//! Options of the store.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tower_keep_core::{Clock, StoreError, SystemClock};

use super::driver::{Text, driver_error};
use super::rounds::Readers;
use super::together;
use super::writer::{Setup, Writer};
use super::{Sqlite, SqliteStore};
use crate::connections::Connections;
use crate::statement::Statements;
use crate::table::{NameError, Table};

/// Options of a [`SqliteStore`].
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_keep_sqlx::SqliteStore;
///
/// let store = SqliteStore::builder()
///     .table("shop_sessions")?
///     .busy_timeout(Duration::from_secs(2))
///     .connect("sqlite::memory:")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteBuilder {
    table: Table,
    synchronous: SqliteSynchronous,
    busy_timeout: Duration,
    readers: u32,
    max_data: usize,
    clock: Arc<dyn Clock>,
}

impl Default for SqliteBuilder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            synchronous: SqliteSynchronous::Full,
            busy_timeout: Duration::from_secs(5),
            readers: 4,
            max_data: 1 << 20,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl SqliteBuilder {
    /// The table's name. Default `keep_sessions`. The indices and the view are named after it.
    ///
    /// # Errors
    /// Unless it is 1 to 48 lower-case letters, digits and underscores, the first no digit.
    pub fn table(mut self, name: &str) -> Result<Self, NameError> {
        self.table = self.table.named(name)?;
        Ok(self)
    }

    /// The schema the table is in, which for SQLite is the name of an attached database. Default
    /// none, which is `main`.
    ///
    /// # Errors
    /// As for [`table`](Self::table).
    pub fn schema(mut self, name: &str) -> Result<Self, NameError> {
        self.table = self.table.in_schema(name)?;
        Ok(self)
    }

    /// Gives up durability of the last commits when the power fails, for speed: commits are not
    /// synchronised with the disk one by one (`synchronous=NORMAL`). The database stays
    /// consistent, and a crash of the process alone loses nothing. Default off
    /// (`synchronous=FULL`).
    pub fn relaxed_durability(mut self, relaxed: bool) -> Self {
        self.synchronous = if relaxed {
            SqliteSynchronous::Normal
        } else {
            SqliteSynchronous::Full
        };
        self
    }

    /// How long a write waits for another process that is writing to the same file before it
    /// fails as [`Unavailable`](tower_keep_core::StoreErrorKind::Unavailable). Default 5 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many connections [`connect`](Self::connect) opens for reading at most. Default 4.
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers;
        self
    }

    /// The most bytes that a session's data may take in their stored form. What is larger is
    /// neither written nor decoded. Default 1 MiB.
    pub fn max_data(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// Where the time comes from. Default the system's clock. All processes that share the file
    /// must agree on it.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the database; see [`SqliteStore::connect`].
    ///
    /// # Errors
    /// If the URL cannot be understood or the database cannot be opened.
    pub async fn connect(self, url: &str) -> Result<SqliteStore, StoreError> {
        let options = SqliteConnectOptions::from_str(url).map_err(driver_error)?;
        let options = self.configure(options.create_if_missing(true));
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Ok(self.assemble(options, None));
        }
        let pool = SqlitePoolOptions::new().max_connections(self.readers.max(1));
        let pool = pool
            .connect_with(options.clone())
            .await
            .map_err(driver_error)?;
        Ok(self.assemble(options, Some(Connections::own(pool))))
    }

    /// A store that reads through `pool`; see [`SqliteStore::new`].
    pub fn build(self, pool: SqlitePool) -> SqliteStore {
        let options = self.configure((*pool.connect_options()).clone());
        self.assemble(options, Some(Connections::of(pool)))
    }

    fn configure(&self, options: SqliteConnectOptions) -> SqliteConnectOptions {
        options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(self.synchronous)
            .busy_timeout(self.busy_timeout)
    }

    fn assemble(
        self,
        options: SqliteConnectOptions,
        readers: Option<Connections<sqlx::Sqlite>>,
    ) -> SqliteStore {
        let statements = Arc::new(Statements::new::<Text>(&self.table));
        let migrations = self.table.script(include_str!("schema.sql"));
        SqliteStore(Arc::new(Sqlite {
            writer: Writer::new(Setup {
                options: Arc::new(options.row_buffer_size(together::RESULTS)),
                statements: statements.clone(),
                clock: self.clock.clone(),
                is_file: readers.is_some(),
                lasting: readers.is_some() && self.synchronous == SqliteSynchronous::Full,
            }),
            statements,
            migrations,
            max_data: self.max_data,
            clock: self.clock,
            readers: readers.map(|connections| Readers::new(connections, &self.table)),
        }))
    }
}
