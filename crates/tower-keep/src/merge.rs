//! The session for requests that must not wait for one another.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use tower_keep_core::Timestamp;
use tower_keep_core::data::{AsKey, DataError, Edit, Keys, MergeLog};

use crate::error::Error;
use crate::read::ReadSession;
use crate::session::Session;
use crate::slot::{Mode, Slot, Source};

/// The session, to be read and changed by many requests at once.
///
/// As an extractor it only loads the session, without a lock; the handler never waits for another
/// request. What it changes is noted and, after the handler, done on the newest state, in one
/// round trip if nothing came between. Requests that touch different keys never disturb one
/// another; [`increment`](Self::increment) and [`push`](Self::push) go together with those of
/// others, and paths into one value with other paths into it.
///
/// What the handler has *read*, be it whether a key is there, must be the same when it is
/// committed, as must the user. Otherwise nothing is saved and the answer is 409, with
/// [`Conflict::Outdated`](crate::Conflict::Outdated): the request may be sent again. An element of
/// an array counts as its array. What is read of the data by a [`ReadSession`] of the same request
/// counts from when the `MergeSession` was taken.
///
/// ```
/// use tower_keep::{Error, MergeSession};
///
/// async fn seen(session: MergeSession) -> Result<(), Error> {
///     session.increment("views", 1)?;
///     session.insert("pages.home.seen", &true)?;
///     session.push("history", "home")
/// }
/// ```
///
/// What replaces or ends the session needs it locked: [`upgrade`](Self::upgrade). Where the
/// request has a [`Session`] already, this is the same session. A new session is
/// stored as by a `Session`.
///
/// # Errors
/// Every method that changes something returns [`Error::Closed`] after the session was committed
/// or discarded, and [`Error::Data`] if the data cannot be changed in that way; then nothing is.
/// What can no longer be done when it is committed makes the commit fail with the same error, and
/// nothing is saved.
pub struct MergeSession {
    session: ReadSession,
    /// The innermost slot of the request.
    within: Arc<Slot>,
}

impl MergeSession {
    pub(crate) fn new(session: ReadSession, within: Arc<Slot>) -> Self {
        Self { session, within }
    }

    /// Sets the value under `key`, whatever it is by then. An equal value is written too.
    ///
    /// # Errors
    /// As [`Session::insert`].
    #[doc(alias = "put")]
    pub fn insert<T: Serialize + ?Sized>(&self, key: impl AsKey, value: &T) -> Result<(), Error> {
        self.change(|log, edit| log.insert(edit, key, value))
    }

    /// Sets a value that is gone `ttl` from now; see [`Session::insert_for`].
    ///
    /// # Errors
    /// As [`Session::insert_for`].
    pub fn insert_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: Duration,
    ) -> Result<(), Error> {
        self.change(|log, edit| log.insert_for(edit, key, value, ttl))
    }

    /// Sets a value that is gone from this instant on; see [`Session::insert_until`].
    ///
    /// # Errors
    /// As [`Session::insert_for`].
    pub fn insert_until<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        until: Timestamp,
    ) -> Result<(), Error> {
        let slot = &self.session.slot;
        slot.write(|work| {
            if work.head().is_none() {
                work.edit.assume_now(slot.shared.clock.now());
            }
            Ok(())
        })?;
        self.change(|log, edit| log.insert_until(edit, key, value, until))
    }

    /// Sets many values, or none of them if one cannot be set.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_all<K: AsKey, V: Serialize>(
        &self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        // The caller's iterator may look at this very session: it must not run under its mutex.
        let values: Vec<_> = values.into_iter().collect();
        self.change(|log, edit| log.insert_all(edit, values))
    }

    /// Removes the value under `key` and returns it, which is reading it; see
    /// [`remove_all`](Self::remove_all). If it is not a `T` it stays.
    ///
    /// # Errors
    /// As above.
    pub fn remove<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, Error> {
        self.change(|log, edit| log.remove(edit, key))
    }

    /// Removes whatever is under `keys` by then, one or many.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "forget")]
    pub fn remove_all(&self, keys: impl Keys) -> Result<(), Error> {
        self.change(|log, edit| {
            log.remove_all(edit, keys);
            Ok(())
        })
    }

    /// Appends to the array under `key`, which is made if it is missing. Others may append too.
    ///
    /// # Errors
    /// As above; what is there and not an array stays.
    pub fn push<T: Serialize + ?Sized>(&self, key: impl AsKey, value: &T) -> Result<(), Error> {
        self.change(|log, edit| log.push(edit, key, value))
    }

    /// Adds to the integer under `key`, 0 if it is missing. Others may add too; so there is no sum
    /// to return, see [`increment_and_get`](Self::increment_and_get).
    ///
    /// # Errors
    /// As above; what is not an integer, or would overflow an `i64`, stays.
    pub fn increment(&self, key: impl AsKey, by: i64) -> Result<(), Error> {
        self.change(|log, edit| log.increment(edit, key, by))
    }

    /// Subtracts; otherwise as [`increment`](Self::increment).
    ///
    /// # Errors
    /// As [`increment`](Self::increment).
    pub fn decrement(&self, key: impl AsKey, by: i64) -> Result<(), Error> {
        let by = by.checked_neg().ok_or_else(|| DataError::Overflow {
            key: key.as_key().text().to_owned(),
        })?;
        self.increment(key, by)
    }

    /// Adds to the integer under `key` and returns the sum, which is reading it: who else adds at
    /// the same time is a conflict.
    ///
    /// # Errors
    /// As [`increment`](Self::increment).
    pub fn increment_and_get(&self, key: impl AsKey, by: i64) -> Result<i64, Error> {
        self.change(|log, edit| {
            log.increment(edit, &key, by)?;
            log.read(edit, key.as_key());
            edit.get_or_default(&key)
        })
    }

    /// Sets a value for this request and the next; see [`Session::flash`].
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn flash<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.change(|log, edit| log.flash(edit, key, value))
    }

    /// Sets a value for this request only; see [`Session::flash_now`].
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn flash_now<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.change(|log, edit| log.flash_now(edit, key, value))
    }

    /// Keeps all flash messages for one more request.
    ///
    /// # Errors
    /// As above.
    pub fn reflash(&self) -> Result<(), Error> {
        self.change(|log, edit| {
            log.reflash(edit);
            Ok(())
        })
    }

    /// Keeps these flash messages for one more request; unknown keys are ignored.
    ///
    /// # Errors
    /// As above.
    pub fn keep(&self, keys: impl Keys) -> Result<(), Error> {
        self.change(|log, edit| {
            log.keep(edit, keys);
            Ok(())
        })
    }

    /// Gives up every change of this request: nothing is saved.
    ///
    /// # Errors
    /// [`Error::Closed`] if it was committed already.
    pub fn discard(&self) -> Result<(), Error> {
        self.session.slot.write(|work| {
            work.discarded = true;
            Ok(())
        })
    }

    /// Saves now, instead of after the handler. From here on the session is read only.
    ///
    /// # Errors
    /// As [`Session::commit`], and [`Conflict::Outdated`](crate::Conflict::Outdated).
    pub async fn commit(&self) -> Result<(), Error> {
        self.session.slot.commit_early().await
    }

    /// Locks the session, and does on its newest state what was done so far: for what needs it
    /// exclusively, such as [`Session::set_user`], [`rotate`](Session::rotate),
    /// [`clear`](Session::clear) or [`destroy`](Session::destroy).
    ///
    /// ```
    /// use tower_keep::{Error, MergeSession};
    ///
    /// async fn third_strike(session: MergeSession) -> Result<(), Error> {
    ///     if session.increment_and_get("strikes", 1)? >= 3 {
    ///         session.upgrade().await?.invalidate()?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Conflict`] if what was read has changed, or the session ended or changed hands;
    /// those of locking.
    pub async fn upgrade(&self) -> Result<Session, Error> {
        let slot = &self.session.slot;
        let identity = slot.identity();
        // Without a stored session there is nothing to lock, and it is open for writing already.
        let source = identity.map_or(Source::None, Source::Bound);
        slot.open(&self.within, Mode::Write, source).await?;
        Ok(Session(self.session.clone()))
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut MergeLog, &mut Edit) -> Result<T, DataError>,
    ) -> Result<T, Error> {
        self.session.slot.merge(change)
    }
}

impl Deref for MergeSession {
    type Target = ReadSession;

    fn deref(&self) -> &ReadSession {
        &self.session
    }
}

impl Clone for MergeSession {
    fn clone(&self) -> Self {
        Self::new(self.session.clone(), self.within.clone())
    }
}

impl Drop for MergeSession {
    fn drop(&mut self) {
        // As for a `Session`: half of a handler's changes must not be saved.
        if std::thread::panicking() {
            self.session.slot.poison();
        }
    }
}

impl fmt::Debug for MergeSession {
    /// Shows the id and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergeSession")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
