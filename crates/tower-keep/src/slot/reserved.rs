//! The id of a session that is not stored yet.

use std::fmt;

use tower_keep_core::{SessionId, Timestamp};

use super::work::Work;
use crate::error::Error;

type End = Box<dyn FnOnce(bool) + Send>;

/// An id under which something was made for a session before the session is stored. When it is
/// dropped, whoever made that is told whether the session was.
pub(crate) struct Reserved {
    id: SessionId,
    is_stored: bool,
    end: Option<End>,
}

impl Reserved {
    #[cfg_attr(not(feature = "temp"), expect(dead_code, reason = "nothing is made"))]
    pub(crate) fn new(id: SessionId, end: impl FnOnce(bool) + Send + 'static) -> Self {
        Self {
            id,
            is_stored: false,
            end: Some(Box::new(end)),
        }
    }

    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// The session is stored.
    pub(super) fn stored(mut self) {
        self.is_stored = true;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end(self.is_stored);
        }
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reserved").field(&self.id).finish()
    }
}

impl Work {
    /// The id of the session, or the one that it will have: from then on it is stored by the commit.
    ///
    /// # Errors
    /// [`Error::Conflict`] if this request can neither use nor start one.
    #[cfg_attr(not(feature = "temp"), expect(dead_code, reason = "nothing is made"))]
    pub(crate) fn reserve(
        &mut self,
        now: Timestamp,
        reserve: impl FnOnce(SessionId) -> Reserved,
    ) -> Result<SessionId, Error> {
        if let Some(head) = self.head() {
            return Ok(head.id);
        }
        if let Some(conflict) = self.forbids_to_start() {
            return Err(conflict.into());
        }
        let reserved = &mut self.asked.reserved;
        Ok(reserved
            .get_or_insert_with(|| reserve(SessionId::new(now)))
            .id())
    }
}
