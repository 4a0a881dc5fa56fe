//! Looking at all files of a directory.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, statat, unlinkat};
use rustix::io::Errno;

use super::TempError;
use super::disk::open_below;

/// In front of the name of a file that is not complete.
pub(super) const PARTIAL: &str = ".part-";

/// Deeper than any name goes; what somebody puts below is not counted.
const DEEPEST: usize = 32;

/// What a session has.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// What there is in the directory, which is locked: so a file that is not complete never will be,
/// and is removed.
pub(super) fn usage(dir: &OwnedFd) -> Result<Usage, TempError> {
    let mut usage = Usage::default();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(PARTIAL.as_bytes()) {
            let _ = unlinkat(dir, entry.file_name(), AtFlags::empty());
        }
    }
    visit(dir, "", 0, &mut |_, bytes| {
        usage.files += 1;
        usage.bytes = usage.bytes.saturating_add(bytes);
    })?;
    Ok(usage)
}

/// Calls `each` with the path and the size of everything that is no directory.
pub(super) fn visit(
    dir: &OwnedFd,
    path: &str,
    depth: usize,
    each: &mut impl FnMut(&str, u64),
) -> Result<(), TempError> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        // Names of others' making; they count, and show as well as they can.
        let name = entry.file_name().to_string_lossy();
        if matches!(&*name, "." | "..") || depth == 0 && name.starts_with(PARTIAL) {
            continue;
        }
        let stat = match statat(dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            // Removed since.
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        let path = if path.is_empty() {
            name.to_string()
        } else {
            format!("{path}/{name}")
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if depth < DEEPEST => match open_below(dir, &name) {
                Ok(below) => visit(&below, &path, depth + 1, each)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            },
            FileType::Directory => {}
            FileType::RegularFile => each(&path, u64::try_from(stat.st_size).unwrap_or(0)),
            _ => each(&path, 0),
        }
    }
    Ok(())
}
