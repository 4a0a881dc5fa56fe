//! What can go wrong with a session, and what the client is told.

use std::time::Duration;

use http::StatusCode;
use tower_keep_core::data::DataError;
use tower_keep_core::{StoreError, StoreErrorKind};

use crate::previous::UrlFault;

/// Why a session could not be opened, used or saved.
///
/// As a response (with the `axum` feature, or where the layer itself answers) it is the
/// [status](Self::status) and a line of text that says no more than its kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request did not come through a [`SessionLayer`](crate::SessionLayer), or that layer
    /// skips it.
    #[error(
        "no session layer on this route: add `.layer(SessionLayer::new(store))` to the router \
         (below any `skip` rule that matches this request), with the same key as the extractor"
    )]
    MissingLayer,
    /// The store failed. This is never "no session" (G5).
    #[error("{0}")]
    Store(StoreError),
    /// The store did not say whether the commit was applied, and cannot say any more.
    #[error("the store did not confirm the commit; it may or may not have been applied")]
    OutcomeUnknown,
    /// As many requests wait for this session as may.
    #[error("too many requests are waiting for this session")]
    TooManyWaiting,
    /// The session stayed taken for as long as a request may wait.
    #[error("the session is in use by another request and did not become free in time")]
    LockTimeout,
    /// The user has as many sessions as the layer's [`UserCap`](crate::UserCap) allows, and none
    /// is to make room; nothing was changed.
    #[error("the user has as many sessions as may: end one of them first")]
    TooManySessions,
    /// It is too long ago that the user proved who they are.
    #[error("the user must prove again who they are")]
    NotFresh,
    /// There is no live session of this id, or it is not the user's.
    #[error("there is no such session")]
    NotFound,
    /// The store cannot find the sessions of a user.
    #[error("this store cannot find the sessions of a user: use one that can")]
    NoUsers,
    /// Somebody else's change came between; nothing of this request was applied.
    #[error("{0}")]
    Conflict(Conflict),
    /// The data cannot be what was asked for; nothing was changed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The URL cannot be kept as the previous one; nothing was changed.
    #[error("this is no URL to go back to: {0}")]
    PreviousUrl(UrlFault),
    /// A value of another version is stored, and [`SessionData::migrate`](crate::SessionData::migrate)
    /// does not know it.
    #[error(
        "session key `{key}` holds version {found}, and this program reads version {expected}: \
         let `SessionData::migrate` know it"
    )]
    Version {
        /// The key.
        key: &'static str,
        /// The version that is stored.
        found: u32,
        /// The version that is known.
        expected: u32,
    },
    /// A [`Typed`](crate::Typed) value cannot be written: something else in this request has changed
    /// what is under its key since it was read.
    #[error(
        "session key `{key}` was changed by something else in this request while a `Typed` value \
         held it: drop that first, or change it through it alone"
    )]
    Overlap {
        /// The key.
        key: &'static str,
    },
    /// A changed [`Typed`](crate::Typed) value was alive at the commit, or could not be written.
    #[error(
        "a changed `Typed` value of session key `{key}` was not written before the commit: drop it \
         before the response is made, or call its `save`"
    )]
    Unsaved {
        /// The key.
        key: &'static str,
    },
    /// The session has been committed or discarded already; it cannot be changed any more.
    #[error("the session was already committed or discarded: it can no longer be changed")]
    Closed,
    /// This very request holds the session: go through its `Session`, or use
    /// [`SessionHandle::detached`](crate::SessionHandle::detached).
    #[error("this request holds the session itself: use its `Session`, or a detached handle")]
    InUse,
    /// There is no response any more that could carry a new cookie.
    #[error("no response can carry the new cookie: do this in a request handler")]
    NeedsResponse,
    /// The handle is bound to a session that has changed hands (login, logout, rotation) or ended.
    #[error("the session was ended or changed hands since this handle was made")]
    Stale,
    /// Temporary files.
    #[cfg(feature = "temp")]
    #[error(transparent)]
    Temp(#[from] crate::temp::TempError),
    /// A store that does I/O needs a Tokio runtime.
    #[error("sessions on this store need a Tokio runtime")]
    NoRuntime,
    /// The layer is shutting down.
    #[error("the session layer is shutting down")]
    ShuttingDown,
}

/// What came between; see [`Error::Conflict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// The lease ran out and another request took the session over.
    #[error("the session was taken over by another request before this one ended")]
    Lost,
    /// The session was destroyed or expired before this request ended.
    #[error("the session ended before this request did")]
    Gone,
    /// The cookie was replaced (login, logout) while this request was under way, and it changed
    /// something.
    #[error("the session was replaced while this request was under way")]
    Stale,
    /// What was read first and what was locked then differ in session, generation or user.
    #[error("the session changed hands between reading it and locking it")]
    Changed,
    /// A [`MergeSession`](crate::MergeSession) has read what another request changed before it ended.
    #[error("what this request had read was changed by another before it ended")]
    Outdated,
    /// The request carries the cookies of two live sessions.
    #[error("the request carries two different sessions")]
    Ambiguous,
    /// The session belongs to another client, and the request changed something.
    #[error("the session belongs to another client")]
    Mismatch,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::UserFull => Self::TooManySessions,
            _ => Self::Store(error),
        }
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl Error {
    /// The status that the client is answered with: 409 for a conflict and for too many sessions, 404 where there is no such session, 403 where the
    /// user must prove again who they are, 503 where trying again may
    /// help, else 500.
    pub fn status(&self) -> StatusCode {
        match self {
            #[cfg(feature = "temp")]
            Self::Temp(error) => error.status(),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotFresh => StatusCode::FORBIDDEN,
            Self::Conflict(_) | Self::Stale | Self::TooManySessions => StatusCode::CONFLICT,
            Self::Store(error) if error.kind() == StoreErrorKind::TooLarge => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Store(_)
            | Self::OutcomeUnknown
            | Self::TooManyWaiting
            | Self::LockTimeout
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how long the client may try again, for `Retry-After`; 1 second where the session was
    /// taken.
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::TooManyWaiting | Self::LockTimeout).then_some(Duration::from_secs(1))
    }
}
