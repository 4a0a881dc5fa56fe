//! What can go wrong with temporary files.

use std::io;

use http::StatusCode;

/// Why a temporary file could not be had, or written.
///
/// The messages name no path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TempError {
    /// The layer has no temporary storage.
    #[error("no temporary storage: give the layer one by `SessionLayerBuilder::temp_storage`")]
    NotConfigured,
    /// The name is not one that a file may have, for this reason.
    #[error("a temporary file cannot have this name: {0}")]
    Name(&'static str),
    /// The session's files would have more bytes than this in all.
    #[error("the session's temporary files may have {limit} bytes in all: remove some first")]
    TooManyBytes {
        /// [`TempStorage::max_bytes`](super::TempStorage::max_bytes).
        limit: u64,
    },
    /// The session would have more files than this.
    #[error("a session may have {limit} temporary files: remove some first")]
    TooManyFiles {
        /// [`TempStorage::max_files`](super::TempStorage::max_files).
        limit: usize,
    },
    /// There is no file of this name.
    #[error("there is no such temporary file")]
    NotFound,
    /// The directory is not there: its session has ended.
    #[error("the temporary files are gone with their session")]
    Gone,
    /// The file system failed.
    #[error("temporary files: {0}")]
    Io(#[source] io::Error),
}

impl TempError {
    /// The status that the client is answered with: 404 for what is not there, 400 for a name, 413
    /// for too much, else 500.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Name(_) => StatusCode::BAD_REQUEST,
            Self::TooManyBytes { .. } | Self::TooManyFiles { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Gone => StatusCode::CONFLICT,
            Self::NotConfigured | Self::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<io::Error> for TempError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for TempError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}
