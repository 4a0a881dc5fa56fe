//! What can go wrong in a store.

use std::fmt;

/// Any error that can be passed between threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A store could not do what it was asked.
///
/// A failed store is never "no session" (G5): whoever meets this error answers with a failure,
/// sends no cookie and overwrites nothing. Messages and sources must not hold a session's data or
/// the digest of its secret; its id is fine.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: BoxError,
}

/// What sort of failure a [`StoreError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, did not answer in time, or refused for now. For a verb that
    /// writes, whether it was applied is unknown. Trying again later may help.
    Unavailable,
    /// The record is there and cannot be read: it is damaged. It stays as it is until it expires;
    /// the visitor may go on with a new session.
    Corrupt,
    /// The record is in a format, codec or encryption key that this version does not know, as
    /// during a rolling deployment. It is left alone and nobody is logged out.
    Unsupported,
    /// The store has no room for another session.
    Full,
    /// The record's body is larger than the store accepts.
    TooLarge,
    /// The user has as many sessions as may ([`UserCap`](crate::UserCap)). Nothing was applied.
    UserFull,
    /// The store was shut down.
    Closed,
}

impl StoreError {
    /// An error of this kind with its cause: an error, or a text.
    pub fn new(kind: StoreErrorKind, source: impl Into<BoxError>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// What sort of failure it is.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the session store is unavailable",
            Self::Corrupt => "the stored session is damaged",
            Self::Unsupported => "the stored session is in a format this version does not know",
            Self::Full => "the session store is full",
            Self::TooLarge => "the session is larger than the store accepts",
            Self::UserFull => "the user has as many sessions as may",
            Self::Closed => "the session store was shut down",
        })
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn an_error_says_what_sort_it_is_and_keeps_its_cause() {
        let error = StoreError::new(StoreErrorKind::Full, "no room on the shelf");
        assert_eq!(error.to_string(), "the session store is full");
        assert_eq!(error.kind(), StoreErrorKind::Full);
        let cause = error.source().map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("no room on the shelf"));
    }
}
