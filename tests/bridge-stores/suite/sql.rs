//! The databases of sqlx, each in a table that no other test uses.

use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;
use time::OffsetDateTime;
use tower_keep::core::CommitId;
use tower_keep_testkit::TestClock;
use tower_keep_tower_sessions::{BridgedBuilder, V14};
use tower_sessions_core_014::session::Id;
use tower_sessions_sqlx_store::{MySqlStore, PostgresStore, SqliteStore};

use crate::life::on;
use crate::place::{Place, server};

fn unique() -> String {
    format!("bridge_{:?}", CommitId::unique()).replace('-', "_")
}

type Columns = (String, Vec<u8>, OffsetDateTime);

fn joined(rows: Vec<Columns>) -> Vec<u8> {
    let row = |(id, data, until): Columns| [id.into_bytes(), data, until.to_string().into_bytes()];
    rows.into_iter().flat_map(row).flatten().collect()
}

/// A place by its connections, its store, its table's name in SQL, and how a first parameter is
/// written there.
macro_rules! place {
    ($Place:ident, $Store:ident, $parameter:literal) => {
        impl Place for $Place {
            type Store = $Store;

            async fn new() -> Self {
                Self::made().await
            }

            fn store(&self) -> $Store {
                self.store.clone()
            }

            fn bridge(&self, clock: &TestClock) -> BridgedBuilder<V14<$Store>> {
                on(self.store(), clock).sweep_expired()
            }

            async fn bytes(&self) -> Vec<u8> {
                let sql = format!("select * from {}", self.table);
                let rows = sqlx::query_as(&sql).fetch_all(&self.pool).await;
                joined(rows.unwrap())
            }

            async fn until(&self, id: Id) -> Option<i64> {
                let table = &self.table;
                let sql = format!("select expiry_date from {table} where id = {}", $parameter);
                let row = sqlx::query_scalar(&sql).bind(id.to_string());
                let until: Option<OffsetDateTime> = row.fetch_optional(&self.pool).await.unwrap();
                until.map(OffsetDateTime::unix_timestamp)
            }
        }
    };
}

pub(crate) struct Sqlite {
    pool: SqlitePool,
    store: SqliteStore,
    table: &'static str,
    /// Removed at the end.
    _dir: TempDir,
}

place!(Sqlite, SqliteStore, "?");

impl Sqlite {
    async fn made() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("sessions.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(std::time::Duration::from_secs(60));
        let pool = SqlitePoolOptions::new().max_connections(4);
        let pool = pool.connect_with(options).await.unwrap();
        let store = SqliteStore::new(pool.clone());
        store.migrate().await.unwrap();
        Self {
            pool,
            store,
            table: "tower_sessions",
            _dir: dir,
        }
    }
}

pub(crate) struct Postgres {
    pool: PgPool,
    store: PostgresStore,
    table: String,
}

place!(Postgres, PostgresStore, "$1");

impl Postgres {
    async fn made() -> Self {
        let pool = PgPoolOptions::new().max_connections(4);
        let pool = pool.connect(&server("KEEP_POSTGRES_URL")).await.unwrap();
        let schema = unique();
        let store = PostgresStore::new(pool.clone());
        let store = store.with_schema_name(&schema).unwrap();
        store.migrate().await.unwrap();
        let table = format!("{schema}.session");
        Self { pool, store, table }
    }
}

pub(crate) struct MariaDb {
    pool: MySqlPool,
    store: MySqlStore,
    table: String,
}

place!(MariaDb, MySqlStore, "?");

impl MariaDb {
    async fn made() -> Self {
        let pool = MySqlPoolOptions::new().max_connections(4);
        let pool = pool.connect(&server("KEEP_MARIADB_URL")).await.unwrap();
        let name = unique();
        let store = MySqlStore::new(pool.clone()).with_table_name(&name);
        let store = store.unwrap();
        store.migrate().await.unwrap();
        let table = format!("tower_sessions.{name}");
        Self { pool, store, table }
    }
}
