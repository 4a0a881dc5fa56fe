//! Changing a session's data.

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

use super::blob;
use super::decode::{Encoded, encode};
use super::edit::Edit;
use super::error::{DataError, Kind};
use super::path::{AsKey, Key, Keys};
use super::raw;

/// # Writing
impl Edit {
    /// Sets the value under a key.
    ///
    /// On the way of a path, missing maps are created and a scalar, `null` included, is replaced
    /// by a map. In an array an index up to its length sets or appends an element. A flash value
    /// of exactly this key becomes a permanent one, and one with a deadline loses it.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidKey`]; [`DataError::Encode`] or [`DataError::TooDeep`] if the value
    /// cannot be written; [`DataError::Index`] if an array is too short; [`DataError::WrongType`]
    /// if a path leads by a name into an array.
    #[doc(alias = "put")]
    pub fn insert<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        value: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        self.check(key)?;
        let value = encode(key.text(), value)?;
        self.insert_encoded(key, value)
    }

    pub(super) fn insert_encoded(&mut self, key: Key<'_>, value: Encoded) -> Result<(), DataError> {
        self.check(key)?;
        self.write(key, value)?;
        self.unmark(key.text());
        Ok(())
    }

    /// Sets several values in turn, all of them or, on an error, none.
    ///
    /// ```
    /// # use tower_keep_core::data::{Data, DataLimits, Edit};
    /// # let mut edit = Edit::new(Data::default(), DataLimits::default());
    /// edit.insert_all([("theme", "dark"), ("profile.name", "Ann")])?;
    /// assert_eq!(edit.len(), 2);
    /// assert!(edit.insert_all([("theme", "light"), ("", "?")]).is_err());
    /// assert_eq!(edit.get::<String>("theme")?.as_deref(), Some("dark"));
    /// # Ok::<(), tower_keep_core::data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_all<K: AsKey, V: Serialize>(
        &mut self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), DataError> {
        let before = (self.patch.clone(), self.now.clone());
        for (key, value) in values {
            if let Err(error) = self.insert(key, &value) {
                (self.patch, self.now) = before;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes the value under a key and returns it; `None` if there was none.
    ///
    /// A value that contained it stays, be it empty; the elements of an array after it move up.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); nothing is removed then.
    #[doc(alias = "pull")]
    pub fn remove<T: DeserializeOwned>(&mut self, key: impl AsKey) -> Result<Option<T>, DataError> {
        let key = key.as_key();
        let value = self.get(key)?;
        if value.is_some() {
            self.drop_value(key);
        }
        Ok(value)
    }

    /// Removes the values under the keys, in turn; returns how many there were.
    #[doc(alias = "forget")]
    pub fn remove_all(&mut self, keys: impl Keys) -> usize {
        let mut removed = 0;
        keys.every(&mut |key| {
            removed += usize::from(self.drop_value(key));
            true
        });
        removed
    }

    /// Removes all of the user's data, flash values included.
    #[doc(alias = "flush")]
    pub fn clear(&mut self) {
        for key in self.keys() {
            self.unset(&key);
        }
        self.forget_flashes();
        self.forget_deadlines();
    }

    /// Appends an element to an array. A missing value or `null` counts as an empty array.
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] if there is something else; otherwise as [`insert`](Self::insert).
    pub fn push<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        element: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        self.check(key)?;
        let element = encode(key.text(), element)?;
        self.push_encoded(key, element)
    }

    pub(super) fn push_encoded(&mut self, key: Key<'_>, element: Encoded) -> Result<(), DataError> {
        self.check(key)?;
        let array = match self.lookup(key) {
            None | Some(b"null") => &b"[]"[..],
            Some(json) if raw::kind(json) == Kind::Array => json,
            Some(json) => return Err(wrong_type(key, "array", json)),
        };
        let array = element.pushed_onto(array);
        self.write(key, array)
    }

    /// Adds to an integer and returns the sum. A missing value or `null` counts as 0.
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] if there is no number; [`DataError::Value`] if it has a fraction
    /// or an exponent or is no `i64`; [`DataError::Overflow`] if the sum is no `i64`; otherwise as
    /// [`insert`](Self::insert).
    pub fn increment(&mut self, key: impl AsKey, by: i64) -> Result<i64, DataError> {
        self.calculate(key.as_key(), |number| number.checked_add(by))
    }

    /// Subtracts from an integer and returns the difference. A missing value or `null` counts
    /// as 0.
    ///
    /// # Errors
    ///
    /// As [`increment`](Self::increment).
    pub fn decrement(&mut self, key: impl AsKey, by: i64) -> Result<i64, DataError> {
        self.calculate(key.as_key(), |number| number.checked_sub(by))
    }

    fn calculate(
        &mut self,
        key: Key<'_>,
        with: impl FnOnce(i64) -> Option<i64>,
    ) -> Result<i64, DataError> {
        self.check(key)?;
        let number = match self.lookup(key) {
            None | Some(b"null") => 0,
            Some(json) => integer(key, json)?,
        };
        let result = with(number).ok_or_else(|| DataError::Overflow {
            key: key.text().to_owned(),
        })?;
        self.write(key, encode(key.text(), &result)?)?;
        Ok(result)
    }
}

fn integer(key: Key<'_>, json: &[u8]) -> Result<i64, DataError> {
    const EXPECTED: &str = "64-bit integer";
    if raw::kind(json) != Kind::Number {
        return Err(wrong_type(key, EXPECTED, json));
    }
    // Every JSON number that `i64` reads is an integer.
    blob::text(json).parse().map_err(|_| DataError::Value {
        key: key.text().to_owned(),
        expected: EXPECTED,
    })
}

fn wrong_type(key: Key<'_>, expected: &'static str, json: &[u8]) -> DataError {
    DataError::WrongType {
        key: key.text().to_owned(),
        expected,
        found: raw::kind(json),
    }
}
