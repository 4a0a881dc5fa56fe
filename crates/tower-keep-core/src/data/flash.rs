//! Values for this request and the next.
//!
//! Which keys are flash values, and whether they have been readable in an earlier request, stands
//! in one entry of the library's own: `{"name":14}`, an even number for new ones, an odd one for old
//! ones. Half of it is the version of the data that the value was set on, by which it is told from
//! a later one of the same name. A session without flash values does not have the entry.

use serde_core::Serialize;
use serde_json::{Map, Value};

use super::blob;
use super::decode::{Encoded, decode, encode};
use super::edit::Edit;
use super::error::DataError;
use super::path::{AsKey, Key, Keys};
use super::raw::{self, Buf};

const FLASH: &str = "\u{1}flash";

/// That a value is a flash value.
#[derive(Clone)]
pub(super) struct Mark {
    key: String,
    /// Whether it goes with the next ageing.
    old: bool,
    stamp: u64,
}

/// Flash values share the keys of the other values and are read like them. The key of a flash
/// value is always one literal top-level key: dots in it separate nothing.
///
/// [`insert`](Edit::insert) to exactly this key makes the value permanent,
/// [`insert_for`](Edit::insert_for) one with a deadline; changes of it or inside
/// of it by `increment`, `push` and longer paths leave it a flash value.
impl Edit {
    /// Sets a value that is readable now and in the next request that opens the session.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidKey`], [`DataError::Encode`] or [`DataError::TooDeep`].
    ///
    /// ```
    /// # use tower_keep_core::data::{Data, DataError, DataLimits, Edit};
    /// fn next_request(edit: Edit) -> Result<Edit, DataError> {
    ///     let mut edit = Edit::new(edit.into_data()?, DataLimits::default());
    ///     edit.age_flash();
    ///     Ok(edit)
    /// }
    ///
    /// let mut edit = Edit::new(Data::default(), DataLimits::default());
    /// edit.flash("status", "saved")?;
    /// let edit = next_request(edit)?;
    /// assert_eq!(edit.get::<String>("status")?.as_deref(), Some("saved"));
    /// let edit = next_request(edit)?;
    /// assert!(!edit.has("status"));
    /// # Ok::<(), DataError>(())
    /// ```
    pub fn flash<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        value: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        self.check(key)?;
        let value = encode(key.text(), value)?;
        self.flash_encoded(key, value)
    }

    pub(super) fn flash_encoded(&mut self, key: Key<'_>, value: Encoded) -> Result<(), DataError> {
        let key = self.set_literal(key, value)?;
        self.now.retain(|now| **now != *key);
        self.forget_deadline(&key);
        self.mark_new(&[key]);
        Ok(())
    }

    /// Sets a value that is readable in this request only and never saved.
    ///
    /// A stored value under the same key is lost.
    ///
    /// # Errors
    ///
    /// As [`flash`](Self::flash).
    pub fn flash_now<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        value: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        self.check(key)?;
        let value = encode(key.text(), value)?;
        self.flash_now_encoded(key, value)
    }

    pub(super) fn flash_now_encoded(
        &mut self,
        key: Key<'_>,
        value: Encoded,
    ) -> Result<(), DataError> {
        let key = self.set_literal(key, value)?;
        self.unmark(&key);
        self.now.push(key.into_boxed_str());
        Ok(())
    }

    /// Keeps all flash values for the next request too, those of `flash_now` included.
    pub fn reflash(&mut self) {
        let keys: Vec<_> = self.flash_keys().collect();
        self.now.clear();
        self.mark_new(&keys);
    }

    /// Keeps these flash values for the next request too, those of `flash_now` included. Keys that
    /// are not of flash values are ignored.
    pub fn keep(&mut self, keys: impl Keys) {
        let mut kept: Vec<_> = self.flash_keys().collect();
        kept.retain(|flash| !keys.every(&mut |key| key.text() != flash));
        self.now
            .retain(|now| !kept.iter().any(|key| **key == **now));
        self.mark_new(&kept);
    }

    /// The flash values that are readable now.
    ///
    /// # Errors
    ///
    /// As [`all`](Self::all).
    pub fn flashes(&self) -> Result<Map<String, Value>, DataError> {
        let mut flashes = Map::new();
        for key in self.flash_keys() {
            if let Some(json) = self.top(&key) {
                let value = decode(&key, json)?;
                flashes.insert(key, value);
            }
        }
        Ok(flashes)
    }

    /// For the library: whether there are flash values at all, and so something to age.
    pub fn has_flash(&self) -> bool {
        self.system(FLASH).is_some()
    }

    /// For the library: removes the flash values that an earlier request could read, and marks the
    /// others so that they go next time. To be called once when a request opens the session to
    /// write.
    pub fn age_flash(&mut self) {
        if !self.has_flash() {
            return;
        }
        let mut marks = self.marks();
        for mark in marks.extract_if(.., |mark| mark.old) {
            self.unset(&mark.key);
        }
        for mark in &mut marks {
            mark.old = true;
        }
        self.set_marks(&marks);
    }

    /// As [`age_flash`](Self::age_flash), but only those that were seen to be flash values. One
    /// that was aged meanwhile does not age twice.
    pub(super) fn age_those(&mut self, seen: &[Mark]) {
        let mut marks = self.marks();
        let seen = |mark: &Mark| {
            let mut seen = seen.iter();
            seen.find(|seen| seen.key == mark.key && seen.stamp == mark.stamp)
        };
        for mark in marks.extract_if(.., |mark| seen(mark).is_some_and(|seen| seen.old)) {
            self.unset(&mark.key);
        }
        for mark in &mut marks {
            mark.old |= seen(mark).is_some();
        }
        self.set_marks(&marks);
    }

    /// Makes what is under a key no flash value, and one without a deadline.
    pub(super) fn unmark(&mut self, key: &str) {
        self.now.retain(|now| **now != *key);
        if !self.has_system() {
            return;
        }
        self.forget_deadline(key);
        if self.system(FLASH).is_some() {
            let mut marks = self.marks();
            marks.retain(|mark| mark.key != key);
            self.set_marks(&marks);
        }
    }

    /// Makes nothing a flash value.
    pub(super) fn forget_flashes(&mut self) {
        self.now.clear();
        self.set_marks(&[]);
    }

    pub(super) fn is_now(&self, key: &str) -> bool {
        self.now.iter().any(|now| **now == *key)
    }

    /// Removes the values that were for this request only.
    pub(super) fn drop_now(&mut self) {
        for key in std::mem::take(&mut self.now) {
            self.unset(&key);
        }
    }

    fn set_literal(&mut self, key: Key<'_>, value: Encoded) -> Result<String, DataError> {
        self.check(key)?;
        self.set(key.text(), value.json);
        Ok(key.text().to_owned())
    }

    pub(super) fn flash_keys(&self) -> impl Iterator<Item = String> {
        let marked = self.marks().into_iter().map(|mark| mark.key);
        marked.chain(self.now.iter().map(ToString::to_string))
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let json = self.system(FLASH).unwrap_or_default();
        raw::items(json, 0)
            .map(|item| {
                let number = json.get(item.value.clone()).map_or("", blob::text);
                let number: u64 = number.parse().unwrap_or_default();
                Mark {
                    key: item.decoded_name(),
                    old: number % 2 == 1,
                    stamp: number / 2,
                }
            })
            .collect()
    }

    fn mark_new(&mut self, keys: &[String]) {
        let mut marks = self.marks();
        marks.retain(|mark| !keys.contains(&mark.key));
        marks.extend(keys.iter().map(|key| Mark {
            key: key.clone(),
            old: false,
            stamp: self.stamp,
        }));
        self.set_marks(&marks);
    }

    fn set_marks(&mut self, marks: &[Mark]) {
        if marks.is_empty() {
            return self.unset(FLASH);
        }
        let mut json = Buf::new();
        for (index, mark) in marks.iter().enumerate() {
            json.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
            json.extend_from_slice(&raw::escaped(mark.key.as_bytes()));
            let number = mark
                .stamp
                .saturating_mul(2)
                .saturating_add(u64::from(mark.old));
            json.extend_from_slice(format!("\":{number}").as_bytes());
        }
        json.push(b'}');
        self.set(FLASH, json);
    }
}
