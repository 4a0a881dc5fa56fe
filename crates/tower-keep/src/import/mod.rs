//! Taking over the sessions of another library, one by one, as their visitors come back.
//!
//! # Invariants
//! 1. One old session becomes at most one of ours, however many requests bring its cookie, on
//!    however many servers: its id is derived from the old cookie, and a store creates an id once.
//! 2. It is created before the old one is ended, and ended before anybody sees it; so a failure
//!    between the two loses nothing, and the next request goes on from there.
//! 3. What opens it can be derived from the old cookie only by who has the key, and the old cookie
//!    is good for that only for the grace after the import.

mod erased;
mod error;
mod old;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::Timestamp;

use crate::keys::SecretKey;

pub(crate) use erased::Erased;
pub use error::ImportError;
pub use old::{OldCookie, OldSession, OldSessions};

/// Has a layer take over the sessions of another library, for
/// [`SessionLayerBuilder::import`](crate::SessionLayerBuilder::import), so that nobody who is logged
/// in has to log in again.
///
/// A request that asks for its session and comes with the old library's cookie, and none of ours,
/// gets a session of ours with what the old one held. The old one is ended, the response brings the
/// new cookie and takes back the old one. A visitor who does not come back costs nothing, nor does a
/// request that asks for no session.
///
/// An old session is imported once, however many requests bring its cookie at the same time, and on
/// however many servers: they all get the same session. For that they must share the key and the
/// store. For a short [`grace`](Self::grace) after the import the old cookie still opens what it has
/// become, for requests that were under way and for a browser that has never got the response; after
/// that it opens nothing.
///
/// # What it trusts
/// Whoever has an old cookie gets the session, as it was with the old library: the import makes it no
/// safer than it was there, until it is over. So put its end as near as you can: the longest time
/// that an old session lives, or less. From then on old cookies mean nothing and the old store is
/// not asked any more.
///
/// A [`SessionHandle`](crate::SessionHandle) of a request with an old cookie alone has no session:
/// only what opens the request's own session imports.
///
/// Switch all servers at once: one that still runs the old library finds an imported session ended.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::keys::SecretKey;
/// use tower_keep::{Import, MemoryStore, OldSessions, SessionLayer, Timestamp};
///
/// # fn f(old: impl OldSessions, key: SecretKey) -> Result<(), Box<dyn std::error::Error>> {
/// // Until the end of 2026.
/// let import = Import::new(old, key, Timestamp::from_millis(1_798_761_600_000));
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .import(import.grace(Duration::from_secs(60)))
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct Import {
    pub(crate) old: Arc<dyn Erased>,
    key: SecretKey,
    until: Timestamp,
    pub(crate) grace: Duration,
}

impl Import {
    /// Imports from `old` until this instant, by the layer's clock. The key must be the same on all
    /// servers, and be kept until then; one that serves the layer's
    /// [`token_keys`](crate::SessionLayerBuilder::token_keys) or encryption may serve here too.
    pub fn new(old: impl OldSessions, key: SecretKey, until: Timestamp) -> Self {
        Self {
            old: Arc::new(old),
            key,
            until,
            grace: Duration::from_secs(10 * 60),
        }
    }

    /// For how long after the import the old cookie opens the session that it has become, for who
    /// has not got the new one yet. Default: 10 minutes, as long as a request may be under way.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Whether old cookies still mean anything.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("until", &self.until)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
