//! Removing what is over.

use std::fs;
use std::sync::atomic::Ordering;

use tower_keep_core::{SessionId, Stats, StoreError, StoreErrorKind, Sweep, Swept};

use crate::error::FileError;
use crate::shard::{Shard, TEMPORARY};
use crate::steps::Steps;

impl Steps {
    /// Goes through the shards from where the last sweep stopped. Reads without a lock, and takes
    /// it only to remove something, so no request waits for longer than one removal.
    ///
    /// Nothing is synced: what a power cut brings back is over still, and swept again.
    pub(crate) fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        for shard in self.shards_from(self.swept.load(Ordering::Relaxed)) {
            let result = self.sweep_shard(&shard, sweep, &mut swept);
            if swept.more {
                return result.map(|()| swept);
            }
            // Also after an error, or one bad shard would keep the others from being swept.
            self.swept.fetch_add(1, Ordering::Relaxed);
            result?;
        }
        Ok(swept)
    }

    fn sweep_shard(
        &self,
        shard: &Shard,
        sweep: Sweep,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let cannot = || FileError::io("list", shard.path());
        for entry in fs::read_dir(shard.path()).map_err(cannot())? {
            let name = entry.map_err(cannot())?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == TEMPORARY {
                shard.lock()?.remove_temporary()?;
                continue;
            }
            let Ok(id) = name.parse() else { continue };
            let is_over = || -> Result<_, StoreError> {
                let now = self.clock.now();
                Ok(readable(self.load(shard, id))?
                    .filter(|stored| stored.record.is_sweepable(now, sweep.keep_tombstones))
                    .map(|stored| (stored.record.gone_at.is_some(), stored.record.head.user)))
            };
            if is_over()?.is_none() {
                continue;
            }
            if swept.removed() >= sweep.limit {
                swept.more = true;
                return Ok(());
            }
            let locked = shard.lock()?;
            // It may have been renewed since, or swept by another.
            if let Some((tombstone, user)) = is_over()?
                && locked.remove(id)?
            {
                drop(locked);
                self.leave(user, id);
                if tombstone {
                    swept.tombstones += 1;
                } else {
                    swept.expired.push(id);
                }
            }
        }
        Ok(())
    }
}

impl Steps {
    /// Reads every file. What cannot be read for what stands in it does not count.
    pub(crate) fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        for shard in self.shards_from(0) {
            for id in ids(&shard)? {
                let id = id?;
                let now = self.clock.now();
                if let Some(stored) = readable(self.load(&shard, id))? {
                    stats.count(&stored.record, now);
                }
            }
        }
        Ok(stats)
    }
}

/// The sessions whose files are in this directory.
pub(crate) fn ids(
    shard: &Shard,
) -> Result<impl Iterator<Item = Result<SessionId, FileError>>, FileError> {
    let cannot = |error| FileError::io("list", shard.path())(error);
    let entries = fs::read_dir(shard.path()).map_err(cannot)?;
    Ok(
        entries.filter_map(move |entry| match entry.map_err(cannot) {
            Ok(entry) => entry.file_name().to_str()?.parse().ok().map(Ok),
            Err(error) => Some(Err(error)),
        }),
    )
}

/// A file that cannot be read for what stands in it is nobody's to remove.
fn readable<T>(loaded: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match loaded {
        Err(error) if error.kind() != StoreErrorKind::Unavailable => Ok(None),
        loaded => loaded,
    }
}
