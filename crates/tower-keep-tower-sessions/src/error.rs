//! What can go wrong between the bridge and their store.

use tower_keep_core::{StoreError, StoreErrorKind};

/// The store under the bridge failed, or holds what the bridge cannot use.
///
/// It is the source of every [`StoreError`] of a [`Bridged`](crate::Bridged). Messages say nothing
/// of what is stored: what their store says of a record that it cannot encode or decode is left
/// out, because such texts quote values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// Their store could not do it. Whether a write was applied is unknown.
    #[error("the tower-sessions store failed: {0}")]
    Failed(String),
    /// Their store could not write the record in its own format.
    #[error("the tower-sessions store cannot encode the record")]
    Encode,
    /// Their store has a record and cannot read it: it is damaged, or of another release of their
    /// store.
    #[error("the tower-sessions store cannot decode the record it has")]
    Decode,
    /// The record is not one of tower-keep.
    #[error(
        "the record was not written by tower-keep: give the bridge a table, a prefix or a store \
         of its own"
    )]
    Foreign,
    /// The record is one of tower-keep, and what is inside it is not what was written.
    #[error("the record is damaged: {0}")]
    Damaged(&'static str),
    /// The record is in a form that this release does not know.
    #[error("the record was written by another release of tower-keep")]
    OtherRelease,
    /// Their store does not show a record under this id, and does not let one be created there.
    #[error(
        "the tower-sessions store shows no record under this id and creates none there: is \
         somebody else writing to it?"
    )]
    Taken,
    /// The session's data are larger than [`max_data`](crate::BridgedBuilder::max_data).
    #[error("{size} bytes of data where at most {max} are accepted")]
    TooLarge {
        /// The size of the data as JSON, in bytes.
        size: usize,
        /// How much is accepted, in bytes.
        max: usize,
    },
    /// There is no tokio runtime to call their store in.
    #[error("the bridge needs a tokio runtime: call it from a task or inside `block_on`")]
    NoRuntime,
    /// The call was begun and its end is not known: their store panicked, or the runtime is
    /// shutting down.
    #[error("the call to the tower-sessions store did not run to its end")]
    Unfinished,
}

impl BridgeError {
    const fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Failed(_) | Self::Encode | Self::Taken | Self::NoRuntime | Self::Unfinished => {
                StoreErrorKind::Unavailable
            }
            Self::Decode | Self::Foreign | Self::Damaged(_) => StoreErrorKind::Corrupt,
            Self::OtherRelease => StoreErrorKind::Unsupported,
            Self::TooLarge { .. } => StoreErrorKind::TooLarge,
        }
    }
}

impl From<BridgeError> for StoreError {
    fn from(error: BridgeError) -> Self {
        Self::new(error.kind(), error)
    }
}
