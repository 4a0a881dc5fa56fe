//! The session as a request changes it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use tower_keep_core::data::{AsKey, Edit, Keys};

use crate::error::Error;
use crate::read::ReadSession;
use crate::slot::Work;

/// The session, to be read and changed, by one request at a time.
///
/// As an extractor it locks the session and loads its newest state, in one round trip. From then
/// on everything is synchronous. After the handler the changes are saved and the lock given up,
/// in one round trip too, before the response leaves; with a response of 500 or above, an error
/// or a panic nothing is saved. `Session` never fails for want of a session: then it is new, and
/// stored only if something is written. `Option<Session>` never starts one.
///
/// What a [`ReadSession`] shows, this shows too. All clones, and every `Session` of the same
/// request, are the same.
///
/// ```
/// use tower_keep::{Error, Session};
///
/// async fn count(session: Session) -> Result<String, Error> {
///     let views = session.increment("views", 1)?;
///     Ok(format!("{views} views"))
/// }
/// ```
///
/// # Errors
/// Every method that changes something returns [`Error::Closed`] after the session was committed
/// or discarded, and [`Error::Data`] if the data cannot be changed in that way; then nothing is.
pub struct Session(pub(crate) ReadSession);

impl Session {
    /// Sets the value under `key`; one that is equal is no change. Objects on the way are created,
    /// a scalar on the way is replaced by one.
    ///
    /// # Errors
    /// As above; among them a value that is not JSON, a key that is empty, too long or contains
    /// control characters, an array index out of range.
    #[doc(alias = "put")]
    #[doc(alias = "set")]
    pub fn insert<T: Serialize + ?Sized>(&self, key: impl AsKey, value: &T) -> Result<(), Error> {
        self.edit(|edit| edit.insert(key, value))
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
        self.edit(|edit| edit.insert_all(values))
    }

    /// Removes the value under `key` and returns it. If it is not a `T` it stays.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "pull")]
    pub fn remove<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, Error> {
        self.edit(|edit| edit.remove(key))
    }

    /// Removes whatever is under `keys`, one or many, and tells how many were there.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "forget")]
    pub fn remove_all(&self, keys: impl Keys) -> Result<usize, Error> {
        self.edit(|edit| Ok(edit.remove_all(keys)))
    }

    /// Removes all data, flash messages too. The session, its cookie and its user stay.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "flush")]
    pub fn clear(&self) -> Result<(), Error> {
        self.edit(|edit| {
            edit.clear();
            Ok(())
        })
    }

    /// Appends to the array under `key`, which is made if it is missing.
    ///
    /// # Errors
    /// As above; what is there and not an array stays.
    pub fn push<T: Serialize + ?Sized>(&self, key: impl AsKey, value: &T) -> Result<(), Error> {
        self.edit(|edit| edit.push(key, value))
    }

    /// Adds to the integer under `key`, 0 if it is missing, and returns the sum.
    ///
    /// # Errors
    /// As above; what is not an integer, or would overflow an `i64`, stays.
    pub fn increment(&self, key: impl AsKey, by: i64) -> Result<i64, Error> {
        self.edit(|edit| edit.increment(key, by))
    }

    /// Subtracts from the integer under `key`; otherwise as [`increment`](Self::increment).
    ///
    /// # Errors
    /// As [`increment`](Self::increment).
    pub fn decrement(&self, key: impl AsKey, by: i64) -> Result<i64, Error> {
        self.edit(|edit| edit.decrement(key, by))
    }

    /// Sets a value that can be read in this request and in the next one that opens the session
    /// with a `Session`, and is gone after that: for a message behind a redirect. HEAD and
    /// prefetch requests do not count.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn flash<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.edit(|edit| edit.flash(key, value))
    }

    /// Sets a value that can be read in this request only. A stored value under the same key is
    /// given up.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn flash_now<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.edit(|edit| edit.flash_now(key, value))
    }

    /// Keeps all flash messages for one more request.
    ///
    /// # Errors
    /// As above.
    pub fn reflash(&self) -> Result<(), Error> {
        self.edit(|edit| {
            edit.reflash();
            Ok(())
        })
    }

    /// Keeps these flash messages for one more request; unknown keys are ignored.
    ///
    /// # Errors
    /// As above.
    pub fn keep(&self, keys: impl Keys) -> Result<(), Error> {
        self.edit(|edit| {
            edit.keep(keys);
            Ok(())
        })
    }

    /// Replaces the secret in the cookie at the commit: do this wherever privileges change
    /// (OWASP ASVS 5.0, 7.2.4). Data, user, creation time and deadlines stay; the old cookie stops
    /// working with the commit, and the [CSRF token](Self::csrf_token) is renewed.
    /// [`set_user`](Self::set_user) does it by itself.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "cycle_id")]
    #[doc(alias = "migrate")]
    #[doc(alias = "regenerate")]
    #[doc(alias = "renew")]
    pub fn rotate(&self) -> Result<(), Error> {
        self.change_authority(|work| work.asked.rotate = true)
    }

    /// Makes it the session of `user`, who has just proved who they are: sets the user, rotates,
    /// notes the time and counts the absolute timeout anew. It takes effect with the commit, so a
    /// login that fails later in the request changes nothing.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "login")]
    pub fn set_user(&self, user: impl Into<Arc<str>>) -> Result<(), Error> {
        let user = user.into();
        self.change_authority(|work| work.set_user(Some(user), false))
    }

    /// As [`set_user`](Self::set_user), for a user who asked to be remembered: the session gets the
    /// layer's [`remember_timeouts`](crate::SessionLayerBuilder::remember_timeouts), and its cookie
    /// outlives the browser.
    ///
    /// # Errors
    /// As above.
    #[doc(alias = "remember_me")]
    pub fn set_user_remembered(&self, user: impl Into<Arc<str>>) -> Result<(), Error> {
        let user = user.into();
        self.change_authority(|work| work.set_user(Some(user), true))
    }

    /// Makes it nobody's session, and rotates if it was somebody's. The data stay: to log out,
    /// [`destroy`](Self::destroy) or [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// As above.
    pub fn clear_user(&self) -> Result<(), Error> {
        self.change_authority(|work| work.set_user(None, false))
    }

    /// Notes that the user has just proved again who they are: rotates and counts the absolute
    /// timeout anew.
    ///
    /// # Errors
    /// As above.
    pub fn reauthenticate(&self) -> Result<(), Error> {
        self.change_authority(|work| work.asked.authenticated = true)
    }

    /// Clears data, flash messages and user, and rotates: the same record under a new secret and
    /// with a new CSRF token, with nothing of before.
    ///
    /// # Errors
    /// As above.
    pub fn invalidate(&self) -> Result<(), Error> {
        self.change_authority(|work| {
            work.edit.clear();
            crate::previous::forget(&mut work.edit);
            work.set_user(None, false);
            work.asked.rotate = true;
            work.asked.forget_files = true;
        })
    }

    /// Destroys the session at the commit, and removes the cookie; tells whether there was one.
    /// What is written after this starts a new session.
    ///
    /// # Errors
    /// As above; that there is none is none.
    #[doc(alias = "delete")]
    #[doc(alias = "purge")]
    #[doc(alias = "logout")]
    pub fn destroy(&self) -> Result<bool, Error> {
        let limits = self.0.slot.shared.data;
        self.change(|work| Ok(work.destroy(limits)))
    }

    /// Moves the idle deadline to at least `span` from now, never beyond the absolute one and
    /// never back.
    ///
    /// # Errors
    /// As above.
    pub fn extend(&self, span: Duration) -> Result<(), Error> {
        self.change(|work| {
            work.asked.extend = work.asked.extend.max(Some(span));
            Ok(())
        })
    }

    /// Gives up every change of this request: nothing is saved.
    ///
    /// # Errors
    /// [`Error::Closed`] if it was committed already.
    pub fn discard(&self) -> Result<(), Error> {
        self.change(|work| {
            work.discarded = true;
            Ok(())
        })
    }

    /// Saves and unlocks now, instead of after the handler. From here on the session is read
    /// only. A new cookie goes out with the response, whatever its status.
    ///
    /// # Errors
    /// [`Error::Data`] if the session is too large; it stays open then. Those of a commit:
    /// [`Error::Store`], [`Error::OutcomeUnknown`], [`Error::Conflict`]; nothing is saved then, and
    /// the session stays closed. A commit whose future is dropped goes on.
    #[doc(alias = "save")]
    #[doc(alias = "close")]
    pub async fn commit(&self) -> Result<(), Error> {
        self.0.slot.commit_early().await
    }

    pub(crate) fn edit<T>(
        &self,
        change: impl FnOnce(&mut Edit) -> Result<T, tower_keep_core::data::DataError>,
    ) -> Result<T, Error> {
        self.change(|work| Ok(change(&mut work.edit)?))
    }

    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Work) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.0.slot.write(change)
    }
}

impl Deref for Session {
    type Target = ReadSession;

    fn deref(&self) -> &ReadSession {
        &self.0
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A panic is passing through the code that had the session: whatever a `CatchPanic` inside
        // of the layer makes of it, half of its changes must not be saved.
        if std::thread::panicking() {
            self.0.slot.poison();
        }
    }
}

impl fmt::Debug for Session {
    /// Shows the id and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
