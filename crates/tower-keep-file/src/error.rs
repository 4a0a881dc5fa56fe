//! What can go wrong between the store and the file system.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tower_keep_core::{StoreError, StoreErrorKind};

/// The file system refused something, or is not as it has to be.
///
/// Messages name paths and causes, never what is in a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A call to the operating system failed.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        /// What was attempted: "cannot …".
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system answered.
        error: io::Error,
    },
    /// Anyone on this machine may write to the directory, and so forge sessions.
    #[error(
        "every user may write to {}: let only the server's own do so (chmod o-w)",
        path.display()
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
    },
}

impl FileError {
    /// Says what was attempted on which path.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::new(StoreErrorKind::Unavailable, error)
    }
}

/// A record's file cannot be used. The name of the session is fine to tell.
pub(crate) fn damaged(why: impl fmt::Display) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why.to_string())
}
