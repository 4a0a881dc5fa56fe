//! The stores on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tempfile::TempDir;
use tower_keep_core::{DynStore, StoreError};
use tower_keep_file::{Durability, FileStore};
use tower_keep_sqlx::SqliteStore;
use tower_keep_testkit::TestClock;

use crate::act::Failure;

/// A store on disk, and how careful it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    /// Leaves it to the system when something gets to the disk.
    FileUnsynced,
    Sqlite,
    /// Synchronises now and then only.
    SqliteRelaxed,
}

pub(crate) const DATABASE: &str = "sessions.db";

/// A store that is open.
#[derive(Debug)]
pub struct Opened {
    pub store: DynStore,
    pool: Option<SqlitePool>,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::File,
        Self::FileUnsynced,
        Self::Sqlite,
        Self::SqliteRelaxed,
    ];

    /// Whether it is a directory of files.
    pub fn is_files(self) -> bool {
        matches!(self, Self::File | Self::FileUnsynced)
    }

    pub fn name(self) -> String {
        format!("{self:?}")
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Opens the store in this directory. What is below it, and nothing else, is the store's.
    pub async fn open(self, dir: &Path, clock: &TestClock) -> Result<Opened, StoreError> {
        let clock = Arc::new(clock.clone());
        match self {
            Self::File | Self::FileUnsynced => {
                let durability = match self {
                    Self::File => Durability::Full,
                    _ => Durability::NoSync,
                };
                let builder = FileStore::builder(dir).clock(clock).durability(durability);
                Ok(Opened {
                    store: DynStore::new(builder.open()?),
                    pool: None,
                })
            }
            Self::Sqlite | Self::SqliteRelaxed => {
                let options = SqliteConnectOptions::new()
                    .filename(dir.join(DATABASE))
                    .create_if_missing(true);
                // Whose connections are known can close them.
                let pool = SqlitePoolOptions::new().max_connections(1);
                let pool = pool.connect_lazy_with(options);
                let relaxed = self == Self::SqliteRelaxed;
                let builder = SqliteStore::builder().clock(clock);
                let store = builder.relaxed_durability(relaxed).build(pool.clone());
                store.migrate().await?;
                Ok(Opened {
                    store: DynStore::new(store),
                    pool: Some(pool),
                })
            }
        }
    }
}

impl Opened {
    /// Whether all of it is in order, as far as the engine can tell.
    pub async fn check(&self) -> Result<(), Failure> {
        let Some(pool) = &self.pool else {
            return Ok(());
        };
        let check = sqlx::query_scalar("PRAGMA integrity_check");
        let found: String = check.fetch_one(pool).await.map_err(|e| e.to_string())?;
        (found == "ok").then_some(()).ok_or(found)
    }

    /// Closes it, and waits until everything is put away.
    pub async fn close(self, dir: &Path) -> Result<(), Failure> {
        let Self { store, pool } = self;
        let Some(pool) = pool else {
            return Ok(());
        };
        // One after the other: two that end at once take each other for one that stays.
        pool.close().await;
        drop(store);
        // The last one removes the log.
        let log = dir.join(format!("{DATABASE}-wal"));
        for _ in 0..10_000 {
            if !log.exists() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Err("the database was not closed".into())
    }
}

/// In memory if there is such a place: what a disk would have is known by the record of the calls.
pub fn temporary() -> TempDir {
    let places = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let place = places.iter().find(|place| place.is_dir()).unwrap();
    tempfile::tempdir_in(place).unwrap()
}

/// Every file below a directory, by its path from there; directories too, each before what is in it.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(dir).unwrap().to_owned());
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}
