//! The session for what outlives a request, or must not hold it while it waits.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tower_keep_core::SessionId;

use crate::error::{Conflict, Error};
use crate::merge::MergeSession;
use crate::read::ReadSession;
use crate::session::Session;
use crate::shared::Shared;
use crate::slot::{Absence, Identity, Mode, Slot, Source, Tokens};

/// Opens the session later, as often as needed: from WebSocket and SSE tasks, background work, or
/// in a handler that must not hold the lock while a slow body arrives.
///
/// Extracting it does nothing in the store. A handle is bound to the session it meets first (the
/// one its own request opened, or else the one that the request's cookie opens) *and to the
/// authority it had then*: after a login, a logout or a rotation of that session the handle gets
/// [`Error::Stale`]. So a socket that was opened before the login never becomes the logged-in
/// user's.
///
/// ```
/// use tower_keep::{Error, SessionHandle};
///
/// async fn upload(handle: SessionHandle, body: String) -> Result<(), Error> {
///     // The session is not held while the body arrives; this part holds it.
///     handle.write(async |session| session.push("uploads", &body.len())).await
/// }
/// ```
#[derive(Clone)]
pub struct SessionHandle {
    slot: Arc<Slot>,
    tokens: Arc<Tokens>,
    bound: Arc<Mutex<Option<Identity>>>,
    detached: bool,
    /// Opens this one, under whatever authority.
    id: Option<SessionId>,
}

impl SessionHandle {
    pub(crate) fn new(slot: Arc<Slot>, tokens: Tokens) -> Self {
        Self {
            slot,
            tokens: Arc::new(tokens),
            bound: Arc::default(),
            detached: false,
            id: None,
        }
    }

    /// A handle for an administrator.
    pub(crate) fn by_id(slot: Arc<Slot>, id: SessionId) -> Self {
        Self {
            id: Some(id),
            ..Self::new(slot, Tokens::default())
        }
    }

    /// Whether the request that this handle was made in has opened its session.
    pub fn is_loaded(&self) -> bool {
        self.slot.is_loaded()
    }

    /// A handle that queues like a stranger while its own request holds the session, instead of
    /// failing with [`Error::InUse`]. To be used from another task: a handler that waits for it
    /// waits for itself.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            detached: true,
            ..self.clone()
        }
    }

    /// Loads the session as it is now, without a lock. Empty if the request came with none.
    ///
    /// # Errors
    /// [`Error::Stale`] if the session it is bound to changed hands or ended;
    /// [`Conflict::Mismatch`] if it belongs to another client; [`Error::Store`].
    pub async fn read(&self) -> Result<ReadSession, Error> {
        let slot = self.open(Mode::Read).await?;
        Ok(ReadSession { slot })
    }

    /// Locks the session, runs `change`, and commits if that returned `Ok`. If it returns an
    /// error, panics or is dropped, nothing is saved.
    ///
    /// # Errors
    /// What `change` returns; [`Error::InUse`] while the handle's own request holds the session
    /// (see [`detached`](Self::detached)); [`Error::Stale`] if the session it is bound to changed
    /// hands or ended; [`Conflict::Mismatch`] if it belongs to another client;
    /// [`Error::NeedsResponse`] if the change would start a session or replace its
    /// cookie; and those of opening and committing.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        E: From<Error>,
        F: AsyncFnOnce(Session) -> Result<T, E>,
    {
        if !self.detached && self.slot.holds_lease() {
            return Err(Error::InUse.into());
        }
        let slot = self.open(Mode::Write).await?;
        // Every way out of here but the commit discards.
        let discard = Discard(&slot);
        let session = Session(ReadSession { slot: slot.clone() });
        let answer = change(session).await?;
        slot.commit_without_response().await?;
        drop(discard);
        Ok(answer)
    }

    /// As [`write`](Self::write), with a [`MergeSession`]: `change` does not wait for others, nor do
    /// others for it.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`Conflict::Outdated`](crate::Conflict::Outdated).
    pub async fn merge<T, E, F>(&self, change: F) -> Result<T, E>
    where
        E: From<Error>,
        F: AsyncFnOnce(MergeSession) -> Result<T, E>,
    {
        if !self.detached && self.slot.holds_lease() {
            return Err(Error::InUse.into());
        }
        let slot = self.open(Mode::Merge).await?;
        let discard = Discard(&slot);
        let session = MergeSession::new(ReadSession { slot: slot.clone() }, slot.clone());
        let answer = change(session).await?;
        slot.commit_without_response().await?;
        drop(discard);
        Ok(answer)
    }

    /// Opens the session in a slot of its own.
    async fn open(&self, mode: Mode) -> Result<Arc<Slot>, Error> {
        let bound = self.binding();
        let slot = Arc::new(Slot::without_response(
            self.slot.shared.clone(),
            self.slot.arrived,
        ));
        let source = match (self.id, bound) {
            (Some(id), _) => Source::Id(id),
            (None, Some(identity)) => Source::Bound(identity),
            (None, None) => Source::Tokens(&self.tokens),
        };
        slot.open(&slot, mode, source).await?;
        match slot.read(crate::slot::Work::absence)? {
            None if bound.is_none() => *self.bound() = slot.identity(),
            Some(Absence::Stale) => return Err(Error::Stale),
            Some(Absence::Mismatch { .. }) => return Err(Conflict::Mismatch.into()),
            _ => {}
        }
        Ok(slot)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.slot.shared
    }

    /// Which session the handle is bound to, by itself or by what its request has met.
    pub(crate) fn binding(&self) -> Option<Identity> {
        let mut bound = self.bound();
        if bound.is_none() {
            *bound = self.slot.identity();
        }
        *bound
    }

    fn bound(&self) -> std::sync::MutexGuard<'_, Option<Identity>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Discard<'a>(&'a Slot);

impl Drop for Discard<'_> {
    fn drop(&mut self) {
        self.0.discard();
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle")
            .field("bound", &*self.bound())
            .finish_non_exhaustive()
    }
}
