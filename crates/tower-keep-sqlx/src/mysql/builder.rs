//! Options of the store.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{ConnectOptions, Connection, MySql, MySqlPool};
use tower_keep_core::StoreError;

use super::driver::{Text, driver_error};
use super::{Inner, MySqlStore};
use crate::connections::{Connections, TRUSTED_FOR};
use crate::statement::Statements;
use crate::table::{NameError, Table};

/// Options of a [`MySqlStore`].
///
/// ```no_run
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_keep_sqlx::MySqlStore;
///
/// let store = MySqlStore::builder()
///     .schema("web")?
///     .table("shop_sessions")?
///     .max_connections(20)
///     .connect("mysql://shop@db.example.com/shop")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct MySqlBuilder {
    table: Table,
    max_connections: u32,
    acquire_timeout: Duration,
    max_data: usize,
}

impl Default for MySqlBuilder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            max_data: 1 << 20,
        }
    }
}

impl MySqlBuilder {
    /// The table's name. Default `keep_sessions`. The indices, the view and the table of locks
    /// are named after it.
    ///
    /// # Errors
    /// Unless it is 1 to 48 lower-case letters, digits and underscores, the first no digit.
    pub fn table(mut self, name: &str) -> Result<Self, NameError> {
        self.table = self.table.named(name)?;
        Ok(self)
    }

    /// The database the table is in, which must exist. Default none, which is the one that the
    /// connection names.
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

    /// Connects; see [`MySqlStore::connect`].
    ///
    /// # Errors
    /// If the URL cannot be understood or the server cannot be reached.
    pub async fn connect(self, url: &str) -> Result<MySqlStore, StoreError> {
        let options = MySqlConnectOptions::from_str(url).map_err(driver_error)?;
        let pool = MySqlPoolOptions::new()
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
            .connect_with(quiet(options))
            .await
            .map_err(driver_error)?;
        Ok(self.assemble(Connections::own(pool)))
    }

    /// A store with a pool of its own that has the options of `pool`; see [`MySqlStore::new`].
    pub fn build(self, pool: &MySqlPool) -> MySqlStore {
        let options = quiet((*pool.connect_options()).clone());
        let own = pool.options().clone().connect_lazy_with(options);
        self.assemble(Connections::own(own))
    }

    fn assemble(self, connections: Connections<MySql>) -> MySqlStore {
        MySqlStore(Arc::new(Inner {
            connections,
            table: self.table.clone(),
            statements: Statements::new::<Text>(&self.table),
            migrations: self.table.script(include_str!("schema.sql")),
            max_data: self.max_data,
        }))
    }
}

/// The statements hold what is stored, so the driver must not log them.
fn quiet(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options.disable_statement_logging()
}
