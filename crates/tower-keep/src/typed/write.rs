//! A value that is written back by itself.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde_json::value::{RawValue, to_raw_value};
use tower_keep_core::SessionId;
use tower_keep_core::data::{DataError, Literal};
use tracing::error;

use super::{SessionData, Stored};
use crate::error::Error;
use crate::session::Session;

/// A value of the session as a type of the application, to be read and changed by one request at a
/// time.
///
/// As an extractor it locks the session as [`Session`] does, and reads the value: the type's
/// default where nothing is stored. When it is dropped, at the latest with the handler, it is
/// written into the session, and so saved with the request's commit; only if it has changed, so a
/// default that stays one starts no session. `Option<Typed<T>>` never starts one.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tower_keep::{SessionData, Typed};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<String>,
/// }
///
/// impl SessionData for Cart {
///     const KEY: &'static str = "cart";
/// }
///
/// async fn add(mut cart: Typed<Cart>, item: String) {
///     cart.items.push(item);
/// }
/// ```
///
/// # What cannot be written is not lost silently
/// If writing fails as it is dropped (the value is no JSON, say), the request's commit fails with
/// that error and nothing is saved; [`save`](Self::save) writes now and returns the error instead.
/// A changed value that is still alive at the commit, in a task or in the response's body, makes
/// it fail with [`Error::Unsaved`]. One that is dropped by a panic is not written, and nor is
/// anything else of the request. Changes after the commit are an event of the level `ERROR`.
///
/// # One at a time
/// What is under the key belongs to the `Typed` for as long as it lives. If the same request
/// changes it in another way meanwhile (another `Typed` of the type, `insert`, `clear`), the write
/// fails with [`Error::Overlap`] instead of undoing that. After
/// [`destroy`](Session::destroy) there is nothing to write to, and the value goes with the session.
pub struct Typed<T: SessionData> {
    value: T,
    session: Session,
    /// The session that it was read from.
    id: Option<SessionId>,
    /// What stood under its key then, or was written by this since.
    stored: Option<Box<[u8]>>,
    /// Whether it was borrowed to be changed since it was read or written.
    touched: bool,
    /// What it was before that; unknown if it could not be written even then.
    before: Option<Box<RawValue>>,
}

impl<T: SessionData> Typed<T> {
    /// Reads the value, for services without axum.
    ///
    /// # Errors
    /// [`Error::Data`] naming the key if what is stored is not a `T`, [`Error::Version`] if it is of
    /// another version, [`Error::Closed`] after the end of the request.
    pub fn from_session(session: Session) -> Result<Self, Error> {
        let (id, stored, loaded) = session.slot.read(|work| {
            let stored = work.edit.get_raw(Literal(T::KEY)).map(Box::from);
            let id = work.head().map(|head| head.id);
            (id, stored, Stored::load(&work.edit))
        })?;
        Ok(Self {
            value: loaded?.value()?,
            session,
            id,
            stored,
            touched: false,
            before: None,
        })
    }

    /// The session that it is part of.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Writes the value into the session now, if it has changed; saved it is with the commit.
    ///
    /// # Errors
    /// [`Error::Data`] if the value cannot be written, [`Error::Overlap`] if it was changed in
    /// another way meanwhile, [`Error::Stale`] after `destroy`, [`Error::Closed`] after the commit.
    /// Nothing is written then, and the value stays to be written.
    pub fn save(&mut self) -> Result<(), Error> {
        if !self.touched {
            return Ok(());
        }
        // The application's code must not run under the session's mutex.
        let new = self.encoded().map_err(|source| DataError::Encode {
            key: T::KEY.to_owned(),
            source,
        })?;
        let is_changed = self.before.as_ref().map(|b| b.get()) != Some(new.get());
        self.session.change(|work| {
            if is_changed {
                if work.head().map(|head| head.id) != self.id {
                    return Err(Error::Stale);
                }
                let key = Literal(T::KEY);
                if work.edit.get_raw(key) != self.stored.as_deref() {
                    return Err(Error::Overlap { key: T::KEY });
                }
                work.edit.insert(key, &new)?;
                self.stored = work.edit.get_raw(key).map(Box::from);
            }
            work.pending.end(T::KEY);
            Ok(())
        })?;
        self.touched = false;
        self.before = None;
        Ok(())
    }

    fn encoded(&self) -> Result<Box<RawValue>, serde_json::Error> {
        to_raw_value(&(T::VERSION, &self.value))
    }

    /// Leaves word that what could not be written must not be missed.
    fn failed(&self, error: Error) {
        let mut error = Some(error);
        let told = self.session.change(|work| {
            match error.take() {
                Some(Error::Stale) => work.pending.end(T::KEY),
                Some(error) => work.pending.fail(error),
                None => {}
            }
            Ok(())
        });
        if let (Err(_), Some(error)) = (told, error) {
            error!(key = T::KEY, %error, "a value of the session was changed after its commit");
        }
    }
}

impl<T: SessionData> Deref for Typed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: SessionData> DerefMut for Typed<T> {
    fn deref_mut(&mut self) -> &mut T {
        if !self.touched {
            self.touched = true;
            self.before = self.encoded().ok();
            // After the commit there is nothing that could wait for it; dropping it says so.
            let _ = self.session.change(|work| {
                work.pending.begin(T::KEY);
                Ok(())
            });
        }
        &mut self.value
    }
}

impl<T: SessionData> Drop for Typed<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The `Session` in here sees to it that nothing is saved.
            return;
        }
        if let Err(error) = self.save() {
            self.failed(error);
        }
    }
}

impl<T: SessionData> fmt::Debug for Typed<T> {
    /// Shows the key and the session's id, and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("key", &T::KEY)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
