//! What can go wrong with another library's store.

use tower_keep_core::{StoreError, StoreErrorKind};

/// The old library's store did not do what it was asked for; the request is answered with 503.
///
/// The text is logged, so it must not quote what the store holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store that sessions are imported from failed: {0}")]
pub struct ImportError(String);

impl ImportError {
    /// With the reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<ImportError> for StoreError {
    fn from(error: ImportError) -> Self {
        Self::new(StoreErrorKind::Unavailable, error)
    }
}
