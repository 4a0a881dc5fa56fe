//! The system calls of a step, each one a function: in the unit tests of this crate a script may
//! let any of them fail, or end the process in front of it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, ReadDir};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

#[cfg(test)]
use crate::tests::script::before;

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "the tests' own can fail")]
const fn before(_call: &'static str) -> io::Result<()> {
    Ok(())
}

pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    before("open the directory")?;
    File::open(path)
}

pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    before("make the directory")?;
    DirBuilder::new().mode(0o700).create(path)
}

pub(crate) fn list(path: &Path) -> io::Result<ReadDir> {
    before("list")?;
    fs::read_dir(path)
}

/// Waits until no other open description of the directory is locked.
pub(crate) fn lock(dir: &File) -> io::Result<()> {
    before("lock")?;
    Ok(retry_on_intr(|| flock(dir, FlockOperation::LockExclusive))?)
}

/// A file's lock ends when its last descriptor is closed, and a child of this process that is
/// just being started may have inherited one: hence not by closing alone.
pub(crate) fn unlock(dir: &File) -> io::Result<()> {
    Ok(flock(dir, FlockOperation::Unlock)?)
}

pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    before("stat")?;
    fs::metadata(path)
}

pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    before("open to read")?;
    let mut file = File::open(path)?;
    before("read")?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file that only this user may read, empty.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    before("create")?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

pub(crate) fn write(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    before("write")?;
    #[cfg(test)]
    let bytes = {
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        before("write the rest")?;
        rest
    };
    file.write_all(bytes)
}

pub(crate) fn sync(file: &File) -> io::Result<()> {
    before("sync")?;
    file.sync_all()
}

pub(crate) fn sync_dir(dir: &File) -> io::Result<()> {
    before("sync the directory")?;
    dir.sync_all()
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    before("rename")?;
    fs::rename(from, to)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    before("remove")?;
    fs::remove_file(path)
}

/// Only of a directory that is empty.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    before("remove the directory")?;
    fs::remove_dir(path)
}
