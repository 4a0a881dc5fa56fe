//! The steps on the disk. All of them block.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, open, openat, renameat,
    statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};
use tower_keep_core::{CommitId, SessionId};

use super::name::Name;
use super::walk::{PARTIAL, usage};
use super::{TempError, TempStorage};

/// In front of the name of a directory that is being removed.
pub(super) const GONE: &str = ".gone-";

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::CLOEXEC);

fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    open(root, DIRECTORY, Mode::empty())
}

/// A directory below another, which is no link.
pub(super) fn open_below(dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// The session's directory, if it has one.
pub(super) fn open_dir(root: &Path, id: SessionId) -> Result<Option<OwnedFd>, TempError> {
    let opened = open_root(root).and_then(|root| open_below(&root, &id.to_string()));
    match opened {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes the session's directory, unless it has one.
pub(super) fn make_dir(root: &Path, id: SessionId) -> Result<(), TempError> {
    DirBuilder::new().mode(0o700).recursive(true).create(root)?;
    match mkdirat(open_root(root)?, id.to_string(), Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    // What is there must be a directory.
    open_dir(root, id)?.map(drop).ok_or(TempError::Gone)
}

/// Removes the session's directory; tells whether there was one.
pub(super) fn remove(root: &Path, id: SessionId) -> Result<bool, TempError> {
    let gone = format!("{GONE}{id}-{:032x}", CommitId::unique().to_u128());
    let renamed =
        open_root(root).and_then(|root| renameat(&root, id.to_string(), &root, gone.as_str()));
    match renamed {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    std::fs::remove_dir_all(root.join(gone))?;
    Ok(true)
}

/// The directory, locked: nobody else writes or removes a file meanwhile, in no process.
struct Locked(OwnedFd);

impl Locked {
    fn new(root: &Path, id: SessionId) -> Result<Self, TempError> {
        let dir = open_dir(root, id)?.ok_or(TempError::Gone)?;
        retry_on_intr(|| flock(&dir, FlockOperation::LockExclusive))?;
        Ok(Self(dir))
    }
}

impl Drop for Locked {
    /// A child that is just being started may have inherited the descriptor, so closing alone may not
    /// be enough.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// The directory that the file belongs into.
fn parent(dir: &OwnedFd, name: &Name, make: bool) -> Result<OwnedFd, TempError> {
    let mut at = dir.try_clone()?;
    for segment in name.parts().0 {
        if make {
            match mkdirat(&at, segment, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        at = match open_below(&at, segment) {
            Ok(below) => below,
            Err(Errno::NOTDIR | Errno::LOOP) if make => {
                return Err(TempError::Name("a directory on the way is a file"));
            }
            Err(error) => return Err(missing(error)),
        };
    }
    Ok(at)
}

/// What is not there, or not as it should be, is not found.
fn missing(error: Errno) -> TempError {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => TempError::NotFound,
        error => error.into(),
    }
}

/// Replaces a file as a whole, within the quota.
pub(super) fn write(
    config: &TempStorage,
    id: SessionId,
    name: &Name,
    bytes: &[u8],
) -> Result<(), TempError> {
    let (limit, size) = (config.max_bytes, bytes.len() as u64);
    if size > limit {
        return Err(TempError::TooManyBytes { limit });
    }
    let dir = Locked::new(&config.root, id)?;
    let usage = usage(&dir.0)?;
    let old = match parent(&dir.0, name, false) {
        Ok(parent) => statat(&parent, name.file(), AtFlags::SYMLINK_NOFOLLOW).ok(),
        Err(_) => None,
    };
    let old_size = match &old {
        Some(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {
            return Err(TempError::Name("it is that of a directory"));
        }
        Some(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {
            u64::try_from(stat.st_size).unwrap_or(0)
        }
        _ => 0,
    };
    if usage.files + usize::from(old.is_none()) > config.max_files {
        let limit = config.max_files;
        return Err(TempError::TooManyFiles { limit });
    }
    if usage.bytes.saturating_sub(old_size).saturating_add(size) > limit {
        return Err(TempError::TooManyBytes { limit });
    }
    let parent = parent(&dir.0, name, true)?;
    let partial = format!("{PARTIAL}{:032x}", CommitId::unique().to_u128());
    let create =
        OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&dir.0, partial.as_str(), create, Mode::RUSR | Mode::WUSR)?;
    let written = File::from(file)
        .write_all(bytes)
        .map_err(TempError::Io)
        .and_then(|()| Ok(renameat(&dir.0, partial.as_str(), &parent, name.file())?));
    if written.is_err() {
        // Otherwise the next one to write removes it.
        let _ = unlinkat(&dir.0, partial.as_str(), AtFlags::empty());
    }
    written
}

/// The file, to be read, and its size.
pub(super) fn read(root: &Path, id: SessionId, name: &Name) -> Result<(File, u64), TempError> {
    let dir = open_dir(root, id)?.ok_or(TempError::NotFound)?;
    let parent = parent(&dir, name, false)?;
    // A pipe must not be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&parent, name.file(), flags, Mode::empty()).map_err(missing)?;
    let stat = fstat(&file)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(TempError::NotFound);
    }
    Ok((file.into(), u64::try_from(stat.st_size).unwrap_or(0)))
}

/// Removes a file, and the directories that are empty without it; tells whether it was there.
pub(super) fn unlink(root: &Path, id: SessionId, name: &Name) -> Result<bool, TempError> {
    let dir = match Locked::new(root, id) {
        Err(TempError::Gone) => return Ok(false),
        dir => dir?,
    };
    let removed = parent(&dir.0, name, false)
        .and_then(|parent| unlinkat(parent, name.file(), AtFlags::empty()).map_err(missing));
    match removed {
        Ok(()) => {}
        Err(TempError::NotFound) => return Ok(false),
        Err(error) => return Err(error),
    }
    let parents: Vec<_> = name.parts().0.collect();
    for depth in (1..=parents.len()).rev() {
        let path = parents[..depth].join("/");
        // Each of them is a directory and was opened as one, under the lock.
        if unlinkat(&dir.0, path, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(true)
}
