//! Temporary files of sessions.
//!
//! # Invariants
//! 1. A session's directory bears the session's id and is made only for a session that is stored, or
//!    that this process is about to store.
//! 2. Removing it begins with renaming it, so that at any moment it is there whole or not at all. What
//!    could not be removed is removed by the next sweep.
//! 3. Paths are walked segment by segment below an open directory, and no symbolic link is followed:
//!    nothing outside of the directory can be reached, whoever puts what there.
//! 4. The quota is judged, and files are replaced, under a lock on the directory, which all processes
//!    share.

mod config;
mod dir;
mod disk;
mod error;
mod name;
mod serve;
mod session;
mod sweep;
mod walk;

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tower_keep_core::SessionId;
use tracing::warn;

use crate::lock::Tasks;
use crate::slot::Reserved;

pub use config::TempStorage;
pub use dir::{TempDir, TempEntry, TempFile};
pub use error::TempError;
pub use serve::{TempBody, TempFiles, TempFilesFuture};
pub use sweep::TempSwept;

/// A layer's temporary storage at work.
#[derive(Clone)]
pub(crate) struct Temp {
    config: Arc<TempStorage>,
    tasks: Arc<Tasks>,
    /// Sessions that are not stored yet and have a directory: not to be swept.
    reserved: Arc<Mutex<HashSet<SessionId>>>,
    /// Where the last sweep stopped.
    swept: Arc<Mutex<Option<SessionId>>>,
}

impl Temp {
    pub(crate) fn new(config: TempStorage, tasks: Arc<Tasks>) -> Self {
        Self {
            config: Arc::new(config),
            tasks,
            reserved: Arc::default(),
            swept: Arc::default(),
        }
    }

    /// The id of a session that is about to be stored; its directory goes unless it is.
    fn reserve(&self, id: SessionId) -> Reserved {
        lock(&self.reserved).insert(id);
        let temp = self.clone();
        Reserved::new(id, move |is_stored| {
            lock(&temp.reserved).remove(&id);
            if !is_stored {
                temp.forget(id);
            }
        })
    }

    /// Removes the session's directory, in a task. Without a runtime, or during a shutdown, the next
    /// sweep does.
    pub(crate) fn forget(&self, id: SessionId) {
        let root = self.root();
        let _ = self.tasks.spawn(async move {
            let removed = blocking(move || disk::remove(&root, id)).await;
            if let Err(error) = removed {
                warn!(session.id = %id, %error, "temporary files could not be removed");
            }
        });
    }

    fn root(&self) -> PathBuf {
        self.config.root.clone()
    }
}

impl fmt::Debug for Temp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// Runs what waits for the disk where that disturbs nobody.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, TempError> + Send + 'static,
) -> Result<T, TempError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(run).await {
            Ok(result) => result,
            Err(error) => Err(TempError::Io(error.into())),
        },
        Err(error) => Err(TempError::Io(std::io::Error::other(error))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
