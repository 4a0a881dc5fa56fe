//! Directories for stores, and sessions to put there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tower_keep::core::data::Data;
use tower_keep::core::{CommitId, NewSession, Secret, SessionId, Timestamp};
use tower_keep::{Clock, Limits};
use tower_keep_file::{Durability, FileStore};

/// A clock that keeps a directory: it lives as long as the store that has the clock.
#[derive(Debug)]
struct Keeping<C> {
    clock: C,
    _dir: TempDir,
}

impl<C: Clock> Clock for Keeping<C> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> std::time::Duration {
        self.clock.monotonic()
    }
}

/// A store on the disk, in a directory that goes with it.
pub(crate) fn store(clock: impl Clock, durability: Durability) -> FileStore {
    store_in(&std::env::temp_dir(), clock, durability)
}

/// As [`store`], but in memory where the system has a file system there: hundreds of stores take
/// a disk minutes to make.
pub(crate) fn store_in_memory(clock: impl Clock, durability: Durability) -> FileStore {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        store_in(memory, clock, durability)
    } else {
        store(clock, durability)
    }
}

fn store_in(parent: &Path, clock: impl Clock, durability: Durability) -> FileStore {
    let dir = tempfile::tempdir_in(parent).unwrap();
    let path = dir.path().join("sessions");
    let clock = Arc::new(Keeping { clock, _dir: dir });
    let builder = FileStore::builder(path).clock(clock);
    builder.durability(durability).open().unwrap()
}

/// A session with the secret in its data, and the file it is in.
pub(crate) fn new_session(secret: &Secret) -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_700_000_000_000)),
        secret: secret.hash(),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: Some("somebody".into()),
        cap: None,
        authenticated: true,
        client: None,
        remember: false,
        data: Data::from_json(br#"{"data":{"n":1}}"#, 1024).unwrap(),
    }
}

/// Where the session is.
pub(crate) fn file_of(dir: &Path, id: SessionId) -> PathBuf {
    let name = id.to_string();
    dir.join(&name[34..]).join(name)
}

/// Every file below the directory.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let shards = list(dir).into_iter();
    let shards = shards.filter(|shard| !shard.ends_with("users"));
    shards.flat_map(|shard| list(&shard)).collect()
}

/// The entries of all users, or what is left of them.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let users = files(&dir.join("users"));
    users.iter().flat_map(|user| list(user)).collect()
}

fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}
