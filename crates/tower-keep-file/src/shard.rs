//! The 256 directories that records are spread over, each of them also the lock for what is in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tower_keep_core::SessionId;

use crate::error::FileError;
use crate::sys;

/// How many there are: one for every last byte of an id.
pub(crate) const SHARDS: usize = 256;

/// What is being written. There is one such name a shard, and only who holds the shard's lock may
/// use it: what another holder finds there was left by one that died.
pub(crate) const TEMPORARY: &str = ".new";

/// One directory of records.
pub(crate) struct Shard(PathBuf);

impl Shard {
    pub(crate) fn new(root: &Path, index: u8) -> Self {
        Self(root.join(format!("{index:02x}")))
    }

    /// The shard of a session. The first bytes of an id are the time; the last are random.
    pub(crate) fn index_of(id: SessionId) -> u8 {
        let [.., last] = *id.as_bytes();
        last
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The file of a session: the only way from an id to a path.
    pub(crate) fn file(&self, id: SessionId) -> PathBuf {
        self.0.join(id.to_string())
    }

    /// The bytes of a session's file at one instant: files are replaced, never written into, so
    /// nobody who reads one needs a lock.
    pub(crate) fn read(&self, id: SessionId) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.file(id);
        match sys::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Nothing is there, unless it is the shard that is not, as when a volume was
                // unmounted: that must not log everybody out.
                sys::metadata(&self.0).map_err(FileError::io("find", &self.0))?;
                Ok(None)
            }
            Err(error) => Err(FileError::io("read", &path)(error)),
        }
    }

    /// Waits for the lock between all processes and keeps it until the answer is dropped.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, FileError> {
        loop {
            let dir = sys::open_dir(&self.0).map_err(FileError::io("open", &self.0))?;
            let locked = Locked { shard: self, dir };
            sys::lock(&locked.dir).map_err(FileError::io("lock", &self.0))?;
            // The directory may have been replaced while this waited, and then others lock the
            // new one.
            let here = locked.dir.metadata();
            let there = sys::metadata(&self.0);
            let [here, there] = [here, there].map(|found| found.map(|m| (m.dev(), m.ino())));
            if here.map_err(FileError::io("find", &self.0))?
                == there.map_err(FileError::io("find", &self.0))?
            {
                return Ok(locked);
            }
        }
    }
}

/// Makes a directory that only this user may read, unless it is there.
pub(crate) fn make_dir(path: &Path) -> Result<(), FileError> {
    match sys::make_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(FileError::io("create the directory", path)),
    }
}

/// A shard whose lock is held.
pub(crate) struct Locked<'a> {
    shard: &'a Shard,
    dir: File,
}

impl Locked<'_> {
    /// Replaces the file of a session at once, whatever happens meanwhile: with `sync`, what the
    /// name stands for after a power cut is complete too, the old or the new.
    pub(crate) fn replace(&self, id: SessionId, bytes: &[u8], sync: bool) -> Result<(), FileError> {
        let (new, path) = (self.shard.0.join(TEMPORARY), self.shard.file(id));
        let written = sys::create(&new)
            .map_err(FileError::io("create", &new))
            .and_then(|file| {
                sys::write(&file, bytes).map_err(FileError::io("write", &new))?;
                if sync {
                    sys::sync(&file).map_err(FileError::io("sync", &new))?;
                }
                sys::rename(&new, &path).map_err(FileError::io("replace", &path))
            });
        if written.is_err() {
            // A full disk needs the room. That it cannot be removed either adds nothing.
            let _ = sys::remove(&new);
        }
        written
    }

    /// Makes sure that a power cut does not undo what was replaced.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        sys::sync_dir(&self.dir).map_err(FileError::io("sync", &self.shard.0))
    }

    /// Removes a session's file; tells whether there was one.
    pub(crate) fn remove(&self, id: SessionId) -> Result<bool, FileError> {
        remove(&self.shard.file(id))
    }

    /// Removes what one that died was writing; tells whether there was anything.
    pub(crate) fn remove_temporary(&self) -> Result<bool, FileError> {
        remove(&self.shard.0.join(TEMPORARY))
    }
}

fn remove(path: &Path) -> Result<bool, FileError> {
    match sys::remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io("remove", path)(error)),
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // If it fails, closing the directory does the same.
        let _ = sys::unlock(&self.dir);
    }
}
