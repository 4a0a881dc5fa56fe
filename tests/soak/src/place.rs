//! Where the program keeps its sessions, and what goes wrong there.

use std::fmt;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};
use tower_keep::core::CommitId;
use url::Url;

use crate::vitals::Where;

/// The stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Memory,
    File,
    Sqlite,
    Redis,
    Postgres,
    MariaDb,
}

/// A store that nobody else uses, apart from Redis.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// As the program is told it.
    pub(crate) url: String,
    pub(crate) dir: PathBuf,
    /// Of a database on a server, and the server.
    pub(crate) database: String,
    pub(crate) server: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Sqlite => "SQLite",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

impl Kind {
    /// How many connections to its server, or files, a store of this kind may have open at once
    /// while nothing is done.
    pub(crate) const fn most_open(self) -> usize {
        match self {
            Self::Memory | Self::File => 0,
            // SQLite: five connections, with the database and its log each, and the log's index.
            // PostgreSQL: the pool, and one that listens.
            Self::Sqlite | Self::Postgres => 11,
            // One for commands, one that listens.
            Self::Redis => 2,
            Self::MariaDb => 10,
        }
    }
}

impl Place {
    /// # Panics
    /// If there is no such server.
    pub(crate) async fn new(kind: Kind, dir: &Path) -> Self {
        let dir = dir.canonicalize().unwrap().join("store");
        std::fs::create_dir(&dir).unwrap();
        let database = format!("soak_{:?}", CommitId::unique());
        let server = match kind {
            Kind::Memory | Kind::File | Kind::Sqlite => String::new(),
            Kind::Redis => server("KEEP_REDIS_URL"),
            Kind::Postgres => server("KEEP_POSTGRES_URL"),
            Kind::MariaDb => server("KEEP_MARIADB_URL"),
        };
        let url = match kind {
            Kind::Memory => "memory:".to_owned(),
            Kind::File => format!("file:{}", dir.display()),
            Kind::Sqlite => format!("sqlite:{}", dir.join("keep.db").display()),
            Kind::Redis => server.clone(),
            Kind::Postgres | Kind::MariaDb => {
                let mut url = Url::parse(&server).unwrap();
                url.set_path(&database);
                url.into()
            }
        };
        let place = Self {
            kind,
            url,
            dir,
            database,
            server,
        };
        place.on_its_database("CREATE", "").await;
        place
    }

    /// What of the program's open files is the store's.
    pub(crate) fn whereabouts(&self) -> Where {
        match self.kind {
            Kind::Memory => Where::Nowhere,
            Kind::File | Kind::Sqlite => Where::Dir(self.dir.clone()),
            Kind::Redis => Where::Port(self.port(6379)),
            Kind::Postgres => Where::Port(self.port(5432)),
            Kind::MariaDb => Where::Port(self.port(3306)),
        }
    }

    fn port(&self, default: u16) -> u16 {
        Url::parse(&self.server).unwrap().port().unwrap_or(default)
    }

    /// What is on a server would stay there.
    pub(crate) async fn remove(self) {
        // PostgreSQL may not have seen yet that the program's connections are closed.
        let force = if self.kind == Kind::Postgres {
            "WITH (FORCE)"
        } else {
            ""
        };
        self.on_its_database("DROP", force).await;
    }

    async fn on_its_database(&self, what: &str, how: &str) {
        let sql = AssertSqlSafe(format!("{what} DATABASE {} {how}", self.database));
        match self.kind {
            Kind::Postgres => {
                let mut admin = PgConnection::connect(&self.server).await.unwrap();
                admin.execute(sql).await.map(drop).unwrap();
            }
            Kind::MariaDb => {
                let mut admin = MySqlConnection::connect(&self.server).await.unwrap();
                admin.execute(sql).await.map(drop).unwrap();
            }
            _ => {}
        }
    }
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no server: ./test.sh starts one, or set it to one of yours")
    })
}
