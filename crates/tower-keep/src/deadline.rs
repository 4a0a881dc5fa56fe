//! Values of a session that are gone before the session is.

use std::time::Duration;

use serde_core::Serialize;
use tower_keep_core::Timestamp;
use tower_keep_core::data::AsKey;

use crate::error::Error;
use crate::session::Session;

/// # Values with a deadline
///
/// From its deadline on such a value is absent for everything that looks at the session, with or
/// without a request. It is judged once for each opening, by the store's time then, and removed
/// from the store with the next commit that changes data.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::{Error, Session};
///
/// async fn send_code(session: Session) -> Result<(), Error> {
///     session.insert_for("login_code", "271828", Duration::from_secs(300))
/// }
///
/// async fn check_code(session: Session, given: String) -> Result<bool, Error> {
///     // Five minutes later there is none.
///     let code: Option<String> = session.remove("login_code")?;
///     Ok(code.is_some_and(|code| code == given))
/// }
/// ```
///
/// A deadline belongs to one whole top-level value. [`insert`](Session::insert),
/// [`flash`](Session::flash), [`remove`](Session::remove) of exactly this key and
/// [`clear`](Session::clear) end it; `increment`, `push` and changes inside of the value keep it.
/// It survives [`rotate`](Session::rotate).
impl Session {
    /// Sets a value that is gone `ttl` from now; at once if that is less than a millisecond. In a
    /// new session the time counts from the commit that creates it.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and
    /// [`DataError::NestedDeadline`](crate::DataError::NestedDeadline) if `key` is a path into a
    /// value.
    pub fn insert_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: Duration,
    ) -> Result<(), Error> {
        self.edit(|edit| edit.insert_for(key, value, ttl))
    }

    /// Sets a value that is gone from this instant on, by the store's clock.
    ///
    /// # Errors
    /// As [`insert_for`](Self::insert_for).
    pub fn insert_until<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        until: Timestamp,
    ) -> Result<(), Error> {
        let clock = &self.0.slot.shared.clock;
        self.change(|work| {
            if work.head().is_none() {
                work.edit.assume_now(clock.now());
            }
            Ok(work.edit.insert_until(key, value, until)?)
        })
    }
}
