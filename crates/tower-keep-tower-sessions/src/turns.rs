//! Who may use a record: one that writes, or any that read.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tower_keep_core::SessionId;

/// Two sessions that share a turn wait for each other's calls to their store; so many make that
/// rare, and take a few tens of kilobytes, whatever ids are asked for.
const TURNS: usize = 1024;

/// A lock for every session, shared by a few.
pub(crate) struct Turns(Box<[RwLock<()>]>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..TURNS).map(|_| RwLock::default()).collect())
    }

    /// The turn to write.
    pub(crate) async fn write(&self, id: SessionId) -> RwLockWriteGuard<'_, ()> {
        self.of(id).write().await
    }

    /// The turn to read.
    ///
    /// A read must not run beside a write: a store with a cache before it would put into the cache
    /// what it has read before the write.
    pub(crate) async fn read(&self, id: SessionId) -> RwLockReadGuard<'_, ()> {
        self.of(id).read().await
    }

    fn of(&self, id: SessionId) -> &RwLock<()> {
        let index = usize::try_from(id.random_bits() % TURNS as u64).unwrap_or_default();
        &self.0[index]
    }
}
