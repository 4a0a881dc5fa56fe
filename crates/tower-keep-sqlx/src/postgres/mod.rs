//! PostgreSQL.

mod builder;
mod driver;
mod packed;
mod pooling;
mod users;
mod wakeups;

use std::sync::Arc;

use sqlx::{Connection, Executor, PgPool, Postgres};
use tokio::sync::OnceCell;
use tower_keep_core::{SessionId, StoreError, StoreErrorKind, Timestamp, Wakeups};

use crate::connections::Connections;
use crate::engine::{Engine, Outcome, Removed, Step};
use crate::row::Stored;
use crate::schema;
use crate::statement::{Sql, Statements};
use driver::driver_error;
use wakeups::Subscriber;

pub use builder::PostgresBuilder;
pub use pooling::UnsafePooling;

/// Sessions in a PostgreSQL database, version 12 or later.
///
/// Clones are the same store. Every verb is one statement, which the server carries out
/// atomically and judges by its own clock; no transaction and no connection is held in between. What
/// it refuses, and a read whose touch is due, is a second one. Only where a session joins a user under
/// a cap, or all of a user's end, it is a short transaction.
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
    connections: Connections<Postgres>,
    /// Whether statements prepared on the pool's connections stay theirs, once that is known.
    verdict: OnceCell<Result<(), UnsafePooling>>,
    subscriber: Option<Subscriber>,
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
    /// If the URL cannot be understood, the server cannot be reached, or a pooler in between is
    /// not safe ([`UnsafePooling`]).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// A store with the defaults of [`PostgresBuilder`] that uses the connections of `pool`. They
    /// must lead to a primary, since a replica shows what was committed a while ago. A pool that
    /// tests connections before use (sqlx's default) adds a round trip to every verb.
    ///
    /// Before its first statement, which is [`migrate`](Self::migrate)'s if that is called, the
    /// store makes two connections more with the pool's options, finds out whether a pooler in
    /// between is safe, and closes them. If it is not ([`UnsafePooling`]), every verb is refused.
    /// Waiters of other processes are not woken but poll, unless
    /// [`listen_url`](PostgresBuilder::listen_url) names where to listen.
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
    /// If the server refuses or cannot be reached, or a pooler in between is not safe
    /// ([`UnsafePooling`]).
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let connections = self.0.connections().await?;
        let mut taken = connections.take().await.map_err(driver_error)?;
        let begun = taken.connection().begin().await;
        let mut transaction = begun.map_err(driver_error)?;
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

impl Inner {
    /// Comes before every use of the pool, and asks the server only once.
    async fn connections(&self) -> Result<&Connections<Postgres>, StoreError> {
        let verdict = self.verdict.get_or_try_init(|| async {
            let pool = self.connections.pool();
            let limit = pool.options().get_acquire_timeout();
            pooling::probe(&pool.connect_options(), limit).await
        });
        let verdict = verdict.await?;
        verdict.map_err(|unsafe_pooling| {
            StoreError::new(StoreErrorKind::Unavailable, unsafe_pooling)
        })?;
        Ok(&self.connections)
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
        driver::step(self.connections().await?, &self.statements, step).await
    }

    async fn read(&self, id: SessionId) -> Result<(Option<Stored>, Timestamp), StoreError> {
        driver::read(self.connections().await?, &self.statements.look, id).await
    }

    async fn count(&self) -> Result<[i64; 4], StoreError> {
        driver::count(self.connections().await?, &self.statements.count).await
    }

    async fn has_table(&self) -> Result<bool, StoreError> {
        driver::has_table(self.connections().await?, &self.statements.has_table).await
    }

    async fn remove(&self, limit: i64, keep: i64) -> Result<Vec<Removed>, StoreError> {
        let connections = self.connections().await?;
        driver::remove(connections, &self.statements.sweep, limit, keep).await
    }
}

crate::store::impl_store!(
    PostgresStore,
    fn name(&self) -> &'static str {
        "postgres"
    },
    fn wakeups(&self) -> Option<&dyn Wakeups> {
        // It runs statements too, so not before they are known to be safe.
        let is_safe = matches!(self.0.verdict.get(), Some(Ok(())));
        let subscriber = self.0.subscriber.as_ref().filter(|_| is_safe);
        subscriber.map(|subscriber| subscriber as &dyn Wakeups)
    }
);
