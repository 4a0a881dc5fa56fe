//! An event, and who is told.

use std::fmt;
use std::sync::Arc;

use tower_keep_core::{SessionId, Timestamp};

/// What has become of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It was stored for the first time.
    Created,
    /// Its secret was replaced: by a login, a logout that kept it, a re-authentication,
    /// [`rotate`](crate::Session::rotate) or [`invalidate`](crate::Session::invalidate).
    Rotated,
    /// A request of its own destroyed it.
    Destroyed,
    /// It was ended by its id or its user: through [`Sessions`](crate::Sessions) or
    /// [`UserSessions`](crate::UserSessions).
    Revoked,
    /// Its time was over, which a request that still had its cookie or a sweep has found.
    Expired,
}

impl EventKind {
    /// Its name in lower case, for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Rotated => "rotated",
            Self::Destroyed => "destroyed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something happened to a session, and the store has confirmed it.
///
/// There is nothing secret in it, but `user` is personal data, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEvent {
    /// What happened.
    pub kind: EventKind,
    /// The session's public id.
    pub id: SessionId,
    /// Whose it is after a creation or a rotation, and was before an end. `None` for nobody's, and
    /// where the store is not asked for it: when a session is ended by its id, or expires.
    pub user: Option<Arc<str>>,
    /// When this process learnt of it, by the layer's clock.
    pub at: Timestamp,
}

impl fmt::Debug for SessionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEvent")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Somebody who is told of a layer's sessions; see
/// [`SessionLayerBuilder::on_event`](crate::SessionLayerBuilder::on_event). Closures are listeners.
pub trait EventListener: Send + Sync + 'static {
    /// Something happened. It is called in the middle of requests, before they are answered: it must
    /// not block, and what takes long belongs into a task or behind
    /// [`SessionLayer::events`](crate::SessionLayer::events). A panic is caught and logged, and
    /// changes nothing for the request.
    fn told(&self, event: &SessionEvent);
}

impl<F: Fn(&SessionEvent) + Send + Sync + 'static> EventListener for F {
    fn told(&self, event: &SessionEvent) {
        self(event);
    }
}
