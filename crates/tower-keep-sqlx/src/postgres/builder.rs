//! Options of the store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool, Postgres};
use tokio::sync::OnceCell;
use tower_keep_core::StoreError;

use super::driver::{Text, channel, driver_error, revocation};
use super::wakeups::{Setup, Subscriber};
use super::{Inner, PostgresStore};
use crate::connections::{Connections, TRUSTED_FOR};
use crate::statement::Statements;
use crate::table::{NameError, Table};

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
    listen: Listen,
}

/// Where to hear of released sessions.
#[derive(Clone)]
enum Listen {
    /// Where the statements go, if the pool is the store's own.
    AlongWithPool,
    At(Box<PgConnectOptions>),
    Nowhere,
}

// The driver would show the password.
impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlongWithPool => "AlongWithPool",
            Self::At(_) => "At(..)",
            Self::Nowhere => "Nowhere",
        })
    }
}

impl Default for PostgresBuilder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            max_data: 1 << 20,
            listen: Listen::AlongWithPool,
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

    /// Where to listen for sessions that other processes release, if not at the URL that
    /// [`connect`](Self::connect) is given: directly at the server where that URL leads to a
    /// pooler in transaction mode, which cannot `LISTEN`. With a pool of your own
    /// ([`build`](Self::build)) nothing is listened to unless this names where.
    ///
    /// From the first time that a request waits for another process, each process keeps one
    /// connection for it beside the pool. While it cannot be had, waiters poll, which is slower
    /// and nothing worse; a warning is logged.
    ///
    /// # Errors
    /// If the URL cannot be understood.
    pub fn listen_url(mut self, url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(driver_error)?;
        self.listen = Listen::At(Box::new(options));
        Ok(self)
    }

    /// Does not listen, so that who waits for another process polls. The store still notifies
    /// processes that do listen.
    pub fn without_wakeups(mut self) -> Self {
        self.listen = Listen::Nowhere;
        self
    }

    /// Connects; see [`PostgresStore::connect`].
    ///
    /// # Errors
    /// If the URL cannot be understood, the server cannot be reached, or a pooler in between is
    /// not safe ([`UnsafePooling`](crate::UnsafePooling)).
    pub async fn connect(mut self, url: &str) -> Result<PostgresStore, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(driver_error)?;
        if matches!(self.listen, Listen::AlongWithPool) {
            self.listen = Listen::At(Box::new(options.clone()));
        }
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
            .connect_with(options)
            .await
            .map_err(driver_error)?;
        let store = self.assemble(Connections::own(pool));
        store.0.connections().await?;
        Ok(store)
    }

    /// A store that uses the connections of `pool`; see [`PostgresStore::new`].
    pub fn build(self, pool: PgPool) -> PostgresStore {
        self.assemble(Connections::of(pool))
    }

    fn assemble(self, connections: Connections<Postgres>) -> PostgresStore {
        let statements = Statements::new::<Text>(&self.table);
        let subscriber = match self.listen {
            Listen::At(options) => Some(Subscriber::new(Setup {
                options: *options,
                channel: channel(&self.table),
                connections: connections.clone(),
                mark: statements.mark.clone(),
            })),
            Listen::AlongWithPool | Listen::Nowhere => None,
        };
        PostgresStore(Arc::new(Inner {
            connections,
            verdict: OnceCell::new(),
            subscriber,
            statements,
            revocation: revocation(&self.table),
            migrations: self.table.script(include_str!("schema.sql")),
            max_data: self.max_data,
        }))
    }
}
