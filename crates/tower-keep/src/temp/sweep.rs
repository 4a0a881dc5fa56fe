//! Directories whose session is over.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tower_keep_core::{Opened, SessionId, StoreErrorKind};
use tracing::{debug, warn};

use super::disk::{self, GONE};
use super::{Temp, TempError, blocking, lock};
use crate::error::Error;
use crate::sessions::Sessions;
use crate::shared::Shared;

/// So many sessions are asked for at most in one sweep.
const BATCH: usize = 1_000;

/// What [`Sessions::sweep_temp`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TempSwept {
    /// How many directories were removed.
    pub removed: usize,
    /// Whether there are others that were not looked at yet.
    pub more: bool,
}

impl Sessions {
    /// Removes temporary directories whose session is not there, or is over: after a crash, and where a
    /// session ended without this process, as by a [`UserCap`](crate::UserCap), another process that has
    /// stopped, or Redis by itself. [`sweep_every`](Self::sweep_every) does this too.
    ///
    /// It looks at up to 1000 directories at a time and goes on from there the next time, with one read a
    /// directory. A live session's is never removed, nor one that was changed in the last
    /// [`max_request_age`](crate::SessionLayerBuilder::max_request_age), whose session may be about to be
    /// stored by another process. What could not be removed is tried again. Does nothing without a
    /// temporary storage.
    ///
    /// # Errors
    /// [`Error::Store`]: the store cannot say what lives, and nothing more is removed;
    /// [`Error::Temp`] if the directory cannot be read.
    pub async fn sweep_temp(&self) -> Result<TempSwept, Error> {
        match self.shared.temp() {
            Some(temp) => temp.sweep(&self.shared).await,
            None => Ok(TempSwept::default()),
        }
    }
}

impl Temp {
    async fn sweep(&self, shared: &Shared) -> Result<TempSwept, Error> {
        let (root, grace) = (self.root(), shared.max_request_age);
        let old = blocking(move || old_directories(&root, grace)).await?;
        let (batch, more) = self.next_batch(old);
        let mut swept = TempSwept { removed: 0, more };
        for id in batch {
            // One that is being stored, however long that takes.
            if lock(&self.reserved).contains(&id) || lives(shared, id).await? {
                continue;
            }
            let root = self.root();
            match blocking(move || disk::remove(&root, id)).await {
                Ok(removed) => swept.removed += usize::from(removed),
                Err(error) => {
                    warn!(session.id = %id, %error, "temporary files could not be removed");
                }
            }
        }
        debug!(removed = swept.removed, "temporary files swept");
        Ok(swept)
    }

    /// Those that are next, and whether there are others after them.
    fn next_batch(&self, mut ids: Vec<SessionId>) -> (Vec<SessionId>, bool) {
        ids.sort_unstable();
        let mut last = lock(&self.swept);
        if let Some(last) = *last {
            ids.drain(..ids.partition_point(|id| *id <= last));
        }
        let more = ids.len() > BATCH;
        ids.truncate(BATCH);
        *last = if more { ids.last().copied() } else { None };
        (ids, more)
    }
}

/// Whether the session may still be opened. One that the store cannot read for what stands in it has
/// not ended.
async fn lives(shared: &Shared, id: SessionId) -> Result<bool, Error> {
    match shared.peek(id).await {
        Ok(Opened::Granted(_) | Opened::Busy(_)) => Ok(true),
        Ok(Opened::Stale | Opened::Absent | Opened::Expired) => Ok(false),
        Err(Error::Store(error))
            if matches!(
                error.kind(),
                StoreErrorKind::Corrupt | StoreErrorKind::Unsupported
            ) =>
        {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The sessions' directories that were not changed for so long. What was left of a removal is removed.
fn old_directories(root: &Path, grace: Duration) -> Result<Vec<SessionId>, TempError> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let now = SystemTime::now();
    let mut old = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // Whatever else is there is none of ours.
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(GONE) {
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                debug!(%error, "what was left of a removal stays for now");
            }
            continue;
        }
        let Ok(id) = name.parse() else { continue };
        let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else {
            // Removed since.
            continue;
        };
        // One from the future is not old.
        if now.duration_since(modified).is_ok_and(|age| age >= grace) {
            old.push(id);
        }
    }
    Ok(old)
}
