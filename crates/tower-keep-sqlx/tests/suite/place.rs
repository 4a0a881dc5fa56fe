//! Where a test keeps its sessions.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use tower_keep_core::{CommitId, DynStore, StoreError};
use tower_keep_sqlx::{MySqlStore, PostgresStore, SqliteStore};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    MariaDb,
}

pub(crate) const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];

/// A database, and a table in it that no other test uses.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) engine: Engine,
    pub(crate) url: String,
    pub(crate) table: String,
    /// Removed at the end.
    dir: Option<PathBuf>,
}

impl Place {
    pub(crate) fn new(engine: Engine) -> Self {
        let table = format!("t_{:?}", CommitId::unique());
        let (url, dir) = match engine {
            Engine::Sqlite => {
                let dir = std::env::temp_dir().join(format!("keep-sqlx-{table}"));
                std::fs::create_dir_all(&dir).unwrap();
                (
                    format!("sqlite:{}", dir.join("keep.db").display()),
                    Some(dir),
                )
            }
            Engine::Postgres => (server("KEEP_POSTGRES_URL"), None),
            Engine::MariaDb => (server("KEEP_MARIADB_URL"), None),
        };
        Self {
            engine,
            url,
            table,
            dir,
        }
    }

    /// PostgreSQL behind a PgBouncer.
    pub(crate) fn behind(variable: &str) -> Self {
        let mut place = Self::new(Engine::Postgres);
        place.url = server(variable);
        place
    }

    /// As a worker finds it in its environment.
    pub(crate) fn existing(engine: &str, url: String, table: String) -> Self {
        let engine = ENGINES.into_iter().find(|e| format!("{e:?}") == engine);
        Self {
            engine: engine.unwrap(),
            url,
            table,
            dir: None,
        }
    }

    /// The host and port of the server.
    pub(crate) fn address(&self) -> String {
        let mut parts = self.url.split(['@', '/']);
        let address = parts.find(|part| part.contains("127.0.0.1:"));
        address.expect("a server on loopback").to_owned()
    }

    /// A store of its own connections, its table made if need be.
    pub(crate) async fn store(&self) -> DynStore {
        match self.engine {
            Engine::Sqlite => DynStore::new(self.sqlite(Duration::from_mins(1)).await),
            Engine::Postgres => DynStore::new(self.postgres(8).await),
            Engine::MariaDb => DynStore::new(self.mariadb(8).await),
        }
    }

    /// The same for a server that may not be there: with so many connections at most, and no longer
    /// than this for one. The table must be there.
    pub(crate) async fn connected(
        &self,
        connections: u32,
        patience: Duration,
    ) -> Result<DynStore, StoreError> {
        Ok(if self.engine == Engine::MariaDb {
            let builder = MySqlStore::builder().table(&self.table).unwrap();
            let builder = builder.max_connections(connections);
            let builder = builder.acquire_timeout(patience);
            DynStore::new(builder.connect(&self.url).await?)
        } else {
            let builder = PostgresStore::builder().table(&self.table).unwrap();
            let builder = builder.max_connections(connections);
            let builder = builder.acquire_timeout(patience);
            DynStore::new(builder.connect(&self.url).await?)
        })
    }

    pub(crate) async fn sqlite(&self, busy_timeout: Duration) -> SqliteStore {
        let builder = SqliteStore::builder().table(&self.table).unwrap();
        let store = builder
            .busy_timeout(busy_timeout)
            .connect(&self.url)
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store
    }

    pub(crate) async fn postgres(&self, connections: u32) -> PostgresStore {
        let builder = PostgresStore::builder().table(&self.table).unwrap();
        // By the name the server's lists tell who is connected.
        let url = format!("{}?application_name={}", self.url, self.table);
        let store = builder
            .max_connections(connections)
            .connect(&url)
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store
    }

    pub(crate) async fn mariadb(&self, connections: u32) -> MySqlStore {
        let builder = MySqlStore::builder().table(&self.table).unwrap();
        let store = builder
            .max_connections(connections)
            .connect(&self.url)
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// Runs a statement of the test's own.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql);
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                connection.execute(sql).await.map(drop)
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                connection.execute(sql).await.map(drop)
            }
            Engine::MariaDb => {
                let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
                connection.execute(sql).await.map(drop)
            }
        }
        .unwrap();
    }

    /// Runs a query for one number.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let query = AssertSqlSafe(sql);
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await
            }
            Engine::MariaDb => {
                let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut connection).await
            }
        }
        .unwrap()
    }

    /// The threads in MariaDB that wait for a lock in a statement on this table. The tables of its
    /// information schema are a copy, which is not renewed while several look at it often.
    pub(crate) async fn waiting_in_mariadb(&self) -> Vec<u64> {
        let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
        let status = sqlx::query_as::<_, (String, String, String)>("SHOW ENGINE INNODB STATUS");
        let (.., status) = status.fetch_one(&mut connection).await.unwrap();
        let transactions = status.split("---TRANSACTION").skip(1);
        let waits = |text: &&str| text.contains("LOCK WAIT") && text.contains(&self.table);
        let thread = |text: &str| {
            let (_, rest) = text.split_once(" thread id ").unwrap();
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
            rest[..digits].parse().unwrap()
        };
        transactions.filter(waits).map(thread).collect()
    }

    /// The bytes of the database's files, the log included.
    pub(crate) fn files(&self) -> Vec<u8> {
        let dir = std::fs::read_dir(self.dir.as_ref().unwrap()).unwrap();
        dir.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            drop(std::fs::remove_dir_all(dir));
        }
    }
}

/// For what must happen, however slow the machine is.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_mins(1);
    let result = tokio::time::timeout(limit, future).await;
    result.expect("it happens within a minute")
}

/// Asks until it is so.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    soon(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no server: ./test.sh starts one, or set it to one of yours")
    })
}
