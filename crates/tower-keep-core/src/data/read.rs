//! Reading a session's data.

use serde_core::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::decode::decode;
use super::edit::Edit;
use super::error::DataError;
use super::path::{AsKey, Keys};

/// # Reading
impl Edit {
    /// The value under a key, decoded; `None` if there is none.
    ///
    /// A `null` is a value: it is there, and decodes as an `Option`.
    ///
    /// # Errors
    ///
    /// [`DataError::WrongType`] or [`DataError::Value`] if it does not decode as a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, DataError> {
        let key = key.as_key();
        self.lookup(key)
            .map(|json| decode(key.text(), json))
            .transpose()
    }

    /// The value under a key, or `default` if there is none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get): a value of another type is not replaced by the default.
    pub fn get_or<T: DeserializeOwned>(&self, key: impl AsKey, default: T) -> Result<T, DataError> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The value under a key, or the type's default if there is none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get): a value of another type is not replaced by the default.
    pub fn get_or_default<T: DeserializeOwned + Default>(
        &self,
        key: impl AsKey,
    ) -> Result<T, DataError> {
        Ok(self.get(key)?.unwrap_or_default())
    }

    /// The JSON text of the value under a key.
    pub fn get_raw(&self, key: impl AsKey) -> Option<&[u8]> {
        self.lookup(key.as_key())
    }

    /// Whether every one of the keys has a value that is not `null`.
    pub fn has(&self, keys: impl Keys) -> bool {
        keys.every(&mut |key| self.lookup(key).is_some_and(|json| json != b"null"))
    }

    /// Whether every one of the keys has a value, be it `null`.
    #[doc(alias = "exists")]
    pub fn contains_key(&self, keys: impl Keys) -> bool {
        keys.every(&mut |key| self.lookup(key).is_some())
    }

    /// All of the user's data, flash values included, decoded.
    ///
    /// # Errors
    ///
    /// [`DataError::Value`] if a stored value is beyond what [`Value`] can hold, such as the
    /// number `1e400`.
    pub fn all(&self) -> Result<Map<String, Value>, DataError> {
        self.users()
            .map(|(key, json)| Ok((key.to_owned(), decode(key, json)?)))
            .collect()
    }

    /// The user's top-level keys in the order of their bytes.
    pub fn keys(&self) -> Vec<String> {
        self.users().map(|(key, _)| key.to_owned()).collect()
    }

    /// The number of the user's top-level keys.
    pub fn len(&self) -> usize {
        self.users().count()
    }

    /// Whether there is no user data.
    pub fn is_empty(&self) -> bool {
        self.users().next().is_none()
    }
}
