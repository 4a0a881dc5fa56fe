//! The session as a request reads it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_core::de::DeserializeOwned;
use serde_json::{Map, Value};
use tower_keep_core::data::{AsKey, Edit, Keys, MergeLog};
use tower_keep_core::{Client, SessionId, Timestamp};

use crate::error::Error;
use crate::slot::{Absence, Slot};

/// The session, to be read: never locks, never waits for a writer.
///
/// As an extractor it loads the newest committed state, in one round trip. `ReadSession` never
/// fails for want of a session; then it is empty, and [`absence`](Self::absence) says why.
/// `Option<ReadSession>` is `None` instead. After a [`Session`](crate::Session) in the same
/// request it shows that one's changes.
///
/// Keys are paths: in `cart.items.0.qty` dots lead into objects and digits into arrays, except
/// where a top-level key of exactly that text exists. A [`Literal`](crate::Literal) is always one
/// top-level key.
///
/// ```
/// use tower_keep::{Error, ReadSession};
///
/// async fn greeting(session: ReadSession) -> Result<String, Error> {
///     let name: String = session.get_or("profile.name", "stranger".into())?;
///     Ok(format!("Hello, {name}!"))
/// }
/// ```
#[derive(Clone)]
pub struct ReadSession {
    pub(crate) slot: Arc<Slot>,
}

impl ReadSession {
    /// The value under `key`, or `None` if there is none. `null` is a value: ask for an
    /// `Option<T>` where it may occur.
    ///
    /// # Errors
    /// [`Error::Data`] naming the key if the value is not a `T`, [`Error::Closed`] after the end
    /// of the request.
    pub fn get<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, Error> {
        Ok(self.seen(key.as_key(), |edit| edit.get(&key))??)
    }

    /// The value under `key`, or `default` if there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or<T: DeserializeOwned>(&self, key: impl AsKey, default: T) -> Result<T, Error> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The value under `key`, or the type's default if there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or_default<T: DeserializeOwned + Default>(
        &self,
        key: impl AsKey,
    ) -> Result<T, Error> {
        Ok(self.get(key)?.unwrap_or_default())
    }

    /// Whether all of `keys` are present and not null.
    ///
    /// # Errors
    /// [`Error::Closed`] after the end of the request, as for all that follows.
    pub fn has(&self, keys: impl Keys) -> Result<bool, Error> {
        self.seen(&keys, |edit| edit.has(&keys))
    }

    /// Whether all of `keys` are present, null or not.
    ///
    /// # Errors
    /// As [`has`](Self::has).
    #[doc(alias = "exists")]
    pub fn contains_key(&self, keys: impl Keys) -> Result<bool, Error> {
        self.seen(&keys, |edit| edit.contains_key(&keys))
    }

    /// All data of the application, flash messages included; nothing that the library keeps for
    /// itself.
    ///
    /// # Errors
    /// As [`has`](Self::has), and [`Error::Data`] if a stored value is damaged.
    pub fn all(&self) -> Result<Map<String, Value>, Error> {
        Ok(self.seen_all(Edit::all)??)
    }

    /// The top-level keys.
    ///
    /// # Errors
    /// As [`has`](Self::has).
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        self.seen_all(Edit::keys)
    }

    /// How many top-level keys there are.
    ///
    /// # Errors
    /// As [`has`](Self::has).
    pub fn len(&self) -> Result<usize, Error> {
        self.seen_all(Edit::len)
    }

    /// Whether the application keeps nothing in it.
    ///
    /// # Errors
    /// As [`has`](Self::has).
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.seen_all(Edit::is_empty)
    }

    /// The flash messages that can be seen now, without using them up.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn peek_flash(&self) -> Result<Map<String, Value>, Error> {
        Ok(self.slot.see(MergeLog::read_flashes, Edit::flashes)??)
    }

    /// The session's public id; `None` as long as it is not stored. It may be logged and shown.
    pub fn id(&self) -> Option<SessionId> {
        self.stored(|work| Some(work.head()?.id))
    }

    /// Whose session it is, as set by [`set_user`](crate::Session::set_user).
    pub fn user(&self) -> Option<Arc<str>> {
        self.stored(crate::slot::Work::user)
    }

    /// Whether there is no stored session (yet).
    pub fn is_new(&self) -> bool {
        self.id().is_none()
    }

    /// Why there is no stored session; `None` if there is one.
    pub fn absence(&self) -> Option<Absence> {
        self.stored(crate::slot::Work::absence)
    }

    /// How many commits have been made to it.
    pub fn version(&self) -> Option<u64> {
        self.stored(|work| Some(work.head()?.version))
    }

    /// When it was created, by the store's clock.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.stored(|work| Some(work.head()?.created_at))
    }

    /// When it was last used, as exactly as touches are throttled.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.stored(|work| Some(work.head()?.last_seen))
    }

    /// When the user last proved who they are.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.stored(|work| work.head()?.authenticated_at)
    }

    /// Whether the user has proved who they are within this span, or does so in this request: for
    /// what asks for more than being logged in (OWASP ASVS 5.0, 7.5.3).
    pub fn is_fresh(&self, within: Duration) -> bool {
        let ago = self.stored(crate::slot::Work::authenticated_ago);
        ago.is_some_and(|ago| ago <= within)
    }

    /// Refuses unless [`is_fresh`](Self::is_fresh). To be followed by asking for the password and
    /// [`reauthenticate`](crate::Session::reauthenticate).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_keep::{Error, ReadSession};
    ///
    /// async fn change_address(session: ReadSession) -> Result<(), Error> {
    ///     session.require_fresh(Duration::from_secs(300))?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFresh`], which is answered with 403.
    pub fn require_fresh(&self, within: Duration) -> Result<(), Error> {
        self.is_fresh(within).then_some(()).ok_or(Error::NotFresh)
    }

    /// Whether the user asked to be remembered.
    pub fn is_remembered(&self) -> bool {
        self.stored(|work| Some(work.head()?.remember)) == Some(true)
    }

    /// When it expires unless it is used before.
    pub fn idle_deadline(&self) -> Option<Timestamp> {
        self.stored(|work| Some(work.head()?.idle_deadline))
    }

    /// When it expires in any case.
    pub fn absolute_deadline(&self) -> Option<Timestamp> {
        self.stored(|work| Some(work.head()?.absolute_deadline))
    }

    /// How long after the opening it expires, unless it is used again.
    pub fn expires_in(&self) -> Option<Duration> {
        self.stored(crate::slot::Work::expires_in)
    }

    /// The client it was last seen with: recorded at creation and at changes of authority.
    pub fn client(&self) -> Option<Arc<Client>> {
        self.stored(|work| work.head()?.client.clone())
    }

    /// Looks at what is under some keys.
    fn seen<T>(&self, keys: impl Keys, look: impl FnOnce(&Edit) -> T) -> Result<T, Error> {
        self.slot.see(|log, edit| log.read(edit, keys), look)
    }

    /// Looks at everything.
    fn seen_all<T>(&self, look: impl FnOnce(&Edit) -> T) -> Result<T, Error> {
        self.slot.see(|log, _| log.read_all(), look)
    }

    /// A part of what is stored, `None` after the end too.
    fn stored<T>(&self, look: impl FnOnce(&crate::slot::Work) -> Option<T>) -> Option<T> {
        self.slot.read(look).ok().flatten()
    }
}

impl fmt::Debug for ReadSession {
    /// Shows the id and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadSession")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
