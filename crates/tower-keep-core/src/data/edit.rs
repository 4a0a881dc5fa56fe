//! A session's data while a request works on it.

use std::fmt;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use smallvec::SmallVec;

use super::blob::{self, Data, SYSTEM, is_system};
use super::deadline::{Hidden, Moment};
use super::decode::{Encoded, decode, encode};
use super::error::DataError;
use super::nested;
use super::patch::{Patch, merged};
use super::path::Key;
use super::raw::{self, Buf};

/// No session may be larger than this, whatever the limits say: 1 GiB.
pub(super) const MAX_SIZE: usize = 1 << 30;

/// How much a session may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataLimits {
    /// The longest key that may be written, in bytes: 255 by default, never more than 65,534.
    pub max_key: usize,
    /// The largest data that may be saved, in bytes of its JSON form: 64 KiB by default, never
    /// more than 1 GiB.
    pub max_size: usize,
}

impl Default for DataLimits {
    fn default() -> Self {
        Self {
            max_key: 255,
            max_size: 64 * 1024,
        }
    }
}

/// A session's data while a request works on it: the data as it was loaded, and the changes made
/// to it since.
///
/// Every key is a dotted path (`"cart.items.0.qty"`) or a [`Literal`](super::Literal); a top-level
/// key of exactly the given text comes before its parts. Keys that are written to are checked:
/// not empty, not longer than [`DataLimits::max_key`], without control characters, no empty part
/// in a path ([`DataError::InvalidKey`]). Reading or removing under an invalid key is no error.
///
/// Writing a value that equals the stored one is not a change; neither is a change that a later
/// one takes back. A call that returns an error has changed nothing.
///
/// ```
/// use tower_keep_core::data::{Data, DataLimits, Edit};
///
/// let stored = Data::from_json(br#"{"data":{"views":1}}"#, 1024)?;
/// let mut edit = Edit::new(stored, DataLimits::default());
/// assert_eq!(edit.increment("views", 1)?, 2);
/// edit.insert("cart.coupon", "SPRING")?;
/// assert_eq!(edit.get::<String>("cart.coupon")?.as_deref(), Some("SPRING"));
/// assert!(edit.is_changed());
/// let saved = edit.into_data()?;
/// assert_eq!(saved.to_json(), br#"{"data":{"cart":{"coupon":"SPRING"},"views":2}}"#);
/// # Ok::<(), tower_keep_core::data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Edit {
    /// Without what is over.
    pub(super) base: Data,
    /// What was loaded, if something of it is over.
    pub(super) hidden: Option<Box<Hidden>>,
    pub(super) moment: Moment,
    /// Never repeats what `base` holds.
    pub(super) patch: Patch,
    /// The keys of the values that are for this request only. They are in `patch`, or equal what
    /// `base` holds.
    pub(super) now: SmallVec<[Box<str>; 1]>,
    limits: DataLimits,
    /// What tells the flash values that are set here from others under the same keys.
    pub(super) stamp: u64,
}

impl Edit {
    /// Starts to work on the data of a new session; on those of a stored one by
    /// [`opened`](Self::opened).
    pub fn new(base: Data, limits: DataLimits) -> Self {
        Self {
            base,
            hidden: None,
            moment: Moment::default(),
            patch: Patch::default(),
            now: SmallVec::new(),
            limits,
            stamp: 0,
        }
    }

    /// The same, on data of this version, which tells flash values of the same key apart.
    #[must_use]
    pub fn at_version(mut self, version: u64) -> Self {
        self.stamp = version;
        self
    }

    /// For the library: one of its own entries, which no user's key can reach.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn system_get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DataError> {
        self.system(&system_key(name))
            .map(|json| decode(name, json))
            .transpose()
    }

    /// For the library: sets one of its own entries. `name` is chosen by code, never by input;
    /// `flash` and `deadlines` are taken.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn system_insert<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), DataError> {
        self.check(Key::from(name))?;
        let value = encode(name, value)?;
        self.set(&system_key(name), value.json);
        Ok(())
    }

    /// For the library: removes one of its own entries; tells whether there was one.
    pub fn system_remove(&mut self, name: &str) -> bool {
        let key = system_key(name);
        let was_there = self.system(&key).is_some();
        self.unset(&key);
        was_there
    }

    /// Whether anything would be saved.
    pub fn is_changed(&self) -> bool {
        self.now.iter().any(|key| self.base.get(key).is_some())
            || self.patch.iter().any(|(key, _)| !self.is_now(key))
    }

    /// Checks the size of the data as it would be saved; data without changes is not judged.
    ///
    /// # Errors
    ///
    /// [`DataError::TooLarge`] if it is above [`DataLimits::max_size`].
    pub fn check_size(&self) -> Result<(), DataError> {
        let max = self.limits.max_size.min(MAX_SIZE);
        // Cheap and seldom above the limit: in the JSON form a key is at most twice as long, and
        // what is around key and value shorter.
        let bound = 2 * (self.base.loaded_size() + self.patch.loaded_size()) + 32;
        if bound <= max || !self.is_changed() {
            return Ok(());
        }
        let saved =
            merged(&self.base, &self.patch).filter(|(key, _)| !self.is_now(blob::text(key)));
        let size = blob::json_size(saved);
        if size > max {
            return Err(DataError::TooLarge { size, max });
        }
        Ok(())
    }

    /// The changes to save. Values that were for this request only are not among them, and what
    /// they hid is removed.
    ///
    /// # Errors
    ///
    /// As [`check_size`](Self::check_size).
    pub fn into_patch(self) -> Result<Patch, DataError> {
        Ok(self.into_parts()?.1)
    }

    /// The data as they were loaded, and the changes to save.
    ///
    /// # Errors
    ///
    /// As [`check_size`](Self::check_size).
    pub fn into_parts(mut self) -> Result<(Data, Patch), DataError> {
        self.check_size()?;
        self.drop_now();
        Ok(match self.hidden {
            None => (self.base, self.patch),
            Some(hidden) => hidden.join(self.patch),
        })
    }

    /// The data to save, as [`into_patch`](Self::into_patch) would make it.
    ///
    /// # Errors
    ///
    /// As [`check_size`](Self::check_size).
    pub fn into_data(self) -> Result<Data, DataError> {
        let (mut data, patch) = self.into_parts()?;
        data.apply(&patch);
        Ok(data)
    }

    /// Refuses a key that may not be written to.
    pub(super) fn check(&self, key: Key<'_>) -> Result<(), DataError> {
        key.check(self.limits.max_key)
    }

    /// The value that a key of the user's means.
    pub(super) fn lookup(&self, key: Key<'_>) -> Option<&[u8]> {
        if !key.is_users() {
            return None;
        }
        if let Some(json) = self.top(key.text()) {
            return Some(json);
        }
        key.parent()?;
        self.lookup_path(key.text())
    }

    /// The value that a path leads to, whether or not there is a literal key of the same text.
    pub(super) fn lookup_path(&self, path: &str) -> Option<&[u8]> {
        let top = path.split_once('.').map_or(path, |(top, _)| top);
        let json = self.top(top)?;
        json.get(nested::find(json, path)?)
    }

    /// The value under a top-level key.
    pub(super) fn top(&self, key: &str) -> Option<&[u8]> {
        self.patch.value(key, || self.base.get(key))
    }

    /// Whether there are entries of the library's own. Most sessions have none.
    pub(super) fn has_system(&self) -> bool {
        self.base.has_system() || self.patch.has_system()
    }

    /// The value of an entry of the library's own.
    pub(super) fn system(&self, key: &str) -> Option<&[u8]> {
        self.patch.value(key, || {
            let base = self.base.has_system().then_some(&self.base);
            base.and_then(|base| base.get(key))
        })
    }

    /// The top-level key whose value a key leads into; none if it is a top-level key itself.
    pub(super) fn parent<'k>(&self, key: Key<'k>) -> Option<&'k str> {
        key.parent().filter(|_| self.top(key.text()).is_none())
    }

    /// Writes the value that a checked key means.
    pub(super) fn write(&mut self, key: Key<'_>, value: Encoded) -> Result<(), DataError> {
        let Some(parent) = self.parent(key) else {
            self.set(key.text(), value.json);
            return Ok(());
        };
        key.check_segments()?;
        value.check_depth(key.text(), key.text().split('.').count() - 1)?;
        let old = self.top(parent).unwrap_or(b"null");
        let json = nested::set(old, key.text(), &value.json)?;
        self.set(parent, json);
        Ok(())
    }

    /// Removes the value that a key means; tells whether there was one.
    pub(super) fn drop_value(&mut self, key: Key<'_>) -> bool {
        if self.lookup(key).is_none() {
            return false;
        }
        let Some(parent) = self.parent(key) else {
            self.unset(key.text());
            self.unmark(key.text());
            return true;
        };
        let old = self.top(parent);
        if let Some(json) = old.and_then(|json| nested::remove(json, key.text())) {
            self.set(parent, json);
        }
        true
    }

    /// Sets a top-level key, or leaves it as it was loaded if it equals that.
    pub(super) fn set(&mut self, key: &str, json: Buf) {
        match self.base.get(key) {
            Some(old) if raw::equal(old, &json) => self.patch.forget(key),
            _ => self.patch.put(key, Some(json)),
        }
    }

    /// Removes a top-level key.
    pub(super) fn unset(&mut self, key: &str) {
        if self.base.get(key).is_some() {
            self.patch.put(key, None);
        } else {
            self.patch.forget(key);
        }
    }

    pub(super) fn users(&self) -> impl Iterator<Item = (&str, &[u8])> {
        merged(&self.base, &self.patch)
            .filter(|(key, _)| !is_system(key))
            .map(|(key, json)| (blob::text(key), json))
    }
}

/// Shows how much there is, never what.
impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("base", &self.base)
            .field("patch", &self.patch)
            .finish_non_exhaustive()
    }
}

pub(super) fn system_key(name: &str) -> String {
    format!("{SYSTEM}{name}")
}
