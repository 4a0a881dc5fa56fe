//! A session's data in its loaded form.

use std::fmt;
use std::iter::repeat_n;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::patch::{Patch, merged};
use super::raw;

/// What the keys of the library's own entries start with. Users' keys contain no control
/// characters, so neither can reach the other's, and in the order of keys these come first.
pub(super) const SYSTEM: char = '\u{1}';

/// The longest key, so that its length fits a `u16` with [`SYSTEM`] in front.
pub(super) const MAX_KEY: usize = u16::MAX as usize - 1;

const WORD: usize = size_of::<u32>();

/// A session's data: JSON values under top-level keys, immutable and cheap to clone.
///
/// Values are kept as their JSON text and decoded only when asked for. Read and change it through
/// an [`Edit`](super::Edit); stores move it with [`to_json`](Self::to_json),
/// [`from_json`](Self::from_json) and [`apply`](Self::apply).
///
/// Two `Data` are equal when they have the same keys with the same JSON text.
///
/// The entries that the library itself keeps beside the user's (flash ages, CSRF token, …) are
/// part of it, under keys that start with the control character `U+0001`, which no user's key may
/// contain.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// The offsets of the entries in the order of their keys, then the entries: the length of the
    /// key, the key, the value. The first offset tells how many there are. Nothing at all for a
    /// session without data.
    blob: Option<Arc<[u8]>>,
}

impl Data {
    /// The JSON text of the value under a top-level key; no dotted paths.
    ///
    /// ```
    /// use tower_keep_core::data::{Data, DataError};
    ///
    /// let data = Data::from_json(br#"{"data":{"views":3}}"#, 1024)?;
    /// assert_eq!(data.get("views"), Some(&b"3"[..]));
    /// assert_eq!(data.get("cart"), None);
    /// # Ok::<(), DataError>(())
    /// ```
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let blob = self.bytes();
        blob.get(find(blob, key.as_bytes())?)
    }

    /// Every key with the JSON text of its value, in the order of the keys' bytes: the library's
    /// own entries, then the user's.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries().map(|(key, value)| (text(key), value))
    }

    /// As [`iter`](Self::iter), without the library's own entries.
    pub fn users(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().filter(|(key, _)| !key.starts_with(SYSTEM))
    }

    /// The number of entries, the library's own included.
    pub fn len(&self) -> usize {
        count(self.bytes())
    }

    /// Whether there are no entries at all.
    pub fn is_empty(&self) -> bool {
        self.blob.is_none()
    }

    /// The length in bytes of what [`to_json`](Self::to_json) returns.
    pub fn size(&self) -> usize {
        json_size(self.entries())
    }

    /// Makes the changes of a patch.
    ///
    /// If nothing else shares this data and every change replaces a value by one of the same
    /// length, that happens in place; otherwise the data is built anew.
    ///
    /// ```
    /// use tower_keep_core::data::{Data, DataLimits, Edit};
    ///
    /// let mut data = Data::default();
    /// let mut edit = Edit::new(data.clone(), DataLimits::default());
    /// edit.insert("views", &1)?;
    /// data.apply(&edit.into_patch()?);
    /// assert_eq!(data.to_json(), br#"{"data":{"views":1}}"#);
    /// # Ok::<(), tower_keep_core::data::DataError>(())
    /// ```
    pub fn apply(&mut self, patch: &Patch) {
        if !self.overwrite(patch) {
            *self = Self::build(merged(self, patch));
        }
    }

    /// Makes the changes in place if that is possible; otherwise makes none.
    fn overwrite(&mut self, patch: &Patch) -> bool {
        if patch.is_empty() {
            return true;
        }
        let Some(blob) = self.blob.as_mut().and_then(Arc::get_mut) else {
            return false;
        };
        let mut places = SmallVec::<[Range<usize>; 4]>::new();
        for (key, value) in patch.entries() {
            match (find(blob, key), value) {
                (Some(place), Some(value)) if place.len() == value.len() => places.push(place),
                _ => return false,
            }
        }
        for (place, (_, value)) in places.into_iter().zip(patch.entries()) {
            if let (Some(old), Some(new)) = (blob.get_mut(place), value) {
                old.copy_from_slice(new);
            }
        }
        true
    }

    /// Builds the data from its entries, which come in the order of their keys, each key once and
    /// at most `u16::MAX` bytes long.
    pub(super) fn build<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let entries: SmallVec<[_; 16]> = entries.collect();
        if entries.is_empty() {
            return Self::default();
        }
        let first = WORD * entries.len();
        let len = |(key, value): &(&[u8], &[u8])| size_of::<u16>() + key.len() + value.len();
        let whole = first + entries.iter().map(len).sum::<usize>();
        // An iterator of known length is what fills an `Arc` with a single allocation.
        let mut blob: Arc<[u8]> = repeat_n(0, whole).collect();
        if let Some(out) = Arc::get_mut(&mut blob) {
            let mut index = Cursor { out, at: 0 };
            let mut start = first;
            for entry in &entries {
                index.put(&word(start));
                start += len(entry);
            }
            for (key, value) in &entries {
                index.put(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
                index.put(key);
                index.put(value);
            }
        }
        Self { blob: Some(blob) }
    }

    /// Whether there are entries of the library's own.
    pub(super) fn has_system(&self) -> bool {
        self.entries().next().is_some_and(|(key, _)| is_system(key))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let blob = self.bytes();
        (0..count(blob)).filter_map(move |index| {
            let (key, value) = entry(blob, index)?;
            Some((key, blob.get(value)?))
        })
    }

    /// The length of the loaded form, which bounds the JSON form.
    pub(super) fn loaded_size(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        self.blob.as_deref().unwrap_or_default()
    }
}

/// Shows how much there is, never what.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data")
            .field("keys", &self.len())
            .field("bytes", &self.size())
            .finish()
    }
}

/// The length of the JSON form of these entries.
pub(super) fn json_size<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> usize {
    // A section is `"name":{…}`, its entries are `"key":value` with commas between them.
    let (mut system, mut users) = (0, 0);
    for (key, value) in entries {
        if is_system(key) {
            system += raw::escaped_len(key) - SYSTEM.len_utf8() + value.len() + r#""":,"#.len();
        } else {
            users += raw::escaped_len(key) + value.len() + r#""":,"#.len();
        }
    }
    let mut size = r#"{"data":{}}"#.len() + users.saturating_sub(1);
    if system > 0 {
        size += r#","keep":{}"#.len() + system - 1;
    }
    size
}

pub(super) fn is_system(key: &[u8]) -> bool {
    // `SYSTEM` is a single byte.
    key.first() == Some(&(SYSTEM as u8))
}

/// Keys are made from `str`s, so none is lost here.
pub(super) fn text(key: &[u8]) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

/// The limits keep data far below 4 GiB; beyond that an entry would be unreachable.
fn word(number: usize) -> [u8; WORD] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

fn read_word(blob: &[u8], index: usize) -> Option<usize> {
    let word = blob.get(index * WORD..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

fn count(blob: &[u8]) -> usize {
    // Where the offsets end.
    read_word(blob, 0).unwrap_or(0) / WORD
}

/// The key of an entry, and the place of its value.
fn entry(blob: &[u8], index: usize) -> Option<(&[u8], Range<usize>)> {
    let start = read_word(blob, index)?;
    let end = if index + 1 < count(blob) {
        read_word(blob, index + 1)?
    } else {
        blob.len()
    };
    let len = blob.get(start..)?.first_chunk()?;
    let key = start + len.len();
    let value = key + usize::from(u16::from_le_bytes(*len));
    Some((blob.get(key..value)?, value..end))
}

/// The place of the value under a key.
fn find(blob: &[u8], key: &[u8]) -> Option<Range<usize>> {
    let (mut low, mut high) = (0, count(blob));
    while low < high {
        let middle = usize::midpoint(low, high);
        let (found, value) = entry(blob, middle)?;
        match found.cmp(key) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Some(value),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if let Some(place) = self.out.get_mut(self.at..end) {
            place.copy_from_slice(bytes);
        }
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataLimits, Edit};

    fn data(json: &str) -> Data {
        Data::from_json(json.as_bytes(), 1024).unwrap()
    }

    fn patch(base: &Data, change: impl FnOnce(&mut Edit)) -> Patch {
        let mut edit = Edit::new(base.clone(), DataLimits::default());
        change(&mut edit);
        edit.into_patch().unwrap()
    }

    fn address(data: &Data) -> *const u8 {
        data.bytes().as_ptr()
    }

    #[test]
    fn nothing_needs_no_allocation() {
        let empty = data(r#"{"data":{}}"#);
        assert!(empty.blob.is_none());
        assert_eq!(
            (empty.len(), empty.is_empty(), empty.get("a")),
            (0, true, None)
        );
        assert_eq!(empty, Data::default());
    }

    #[test]
    fn every_key_of_many_is_found() {
        for count in 1..40 {
            let entries: Vec<_> = (0..count)
                .map(|n| (format!("k{n:02}"), format!("{}", n * n)))
                .collect();
            let data = Data::build(entries.iter().map(|(k, v)| (k.as_bytes(), v.as_bytes())));
            for (key, value) in &entries {
                assert_eq!(data.get(key), Some(value.as_bytes()));
            }
            for missing in ["", "a", "k", "k00a", "k99", "z"] {
                assert_eq!(data.get(missing), None, "{missing}");
            }
            let found: Vec<_> = data.iter().map(|(key, _)| key.to_owned()).collect();
            assert!(found.iter().eq(entries.iter().map(|(key, _)| key)));
        }
    }

    #[test]
    fn system_entries_come_first_and_are_not_the_users() {
        let data = data(r#"{"data":{"a":1,"csrf":"mine"},"keep":{"csrf":"x","flash":{"a":0}}}"#);
        let keys: Vec<_> = data.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["\u{1}csrf", "\u{1}flash", "a", "csrf"]);
        let users: Vec<_> = data.users().map(|(key, _)| key).collect();
        assert_eq!(users, ["a", "csrf"]);
        assert_eq!(data.get("csrf"), Some(&b"\"mine\""[..]));
    }

    #[test]
    fn a_replacement_of_the_same_length_is_made_in_place() {
        let mut data = data(r#"{"data":{"a":1,"b":2}}"#);
        let before = address(&data);
        let change = patch(&data, |edit| {
            edit.insert("a", &7).unwrap();
            edit.insert("b", &8).unwrap();
        });
        data.apply(&change);
        assert_eq!(address(&data), before);
        assert_eq!(data.to_json(), br#"{"data":{"a":7,"b":8}}"#);
    }

    #[test]
    fn shared_data_does_not_change_for_the_others() {
        let mut data = data(r#"{"data":{"a":1}}"#);
        let other = data.clone();
        let change = patch(&data, |edit| edit.insert("a", &7).unwrap());
        data.apply(&change);
        assert_eq!(data.get("a"), Some(&b"7"[..]));
        assert_eq!(other.get("a"), Some(&b"1"[..]));
    }

    #[test]
    fn anything_else_is_built_anew() {
        type Change = fn(&mut Edit);
        let changes: [(Change, &str); 4] = [
            (
                |edit| edit.insert("a", &10).unwrap(),
                r#"{"data":{"a":10,"c":3}}"#,
            ),
            (
                |edit| edit.insert("b", &2).unwrap(),
                r#"{"data":{"a":1,"b":2,"c":3}}"#,
            ),
            (
                |edit| assert_eq!(edit.remove_all("a"), 1),
                r#"{"data":{"c":3}}"#,
            ),
            (Edit::clear, r#"{"data":{}}"#),
        ];
        for (change, expected) in changes {
            let mut data = data(r#"{"data":{"a":1,"c":3}}"#);
            let change = patch(&data, change);
            data.apply(&change);
            assert_eq!(String::from_utf8(data.to_json()).unwrap(), expected);
        }
    }

    #[test]
    fn a_patch_for_other_data_does_what_it_says() {
        let change = patch(&data(r#"{"data":{"a":1,"b":2}}"#), |edit| {
            edit.insert("a", &5).unwrap();
            edit.remove_all("b");
        });
        let mut other = data(r#"{"data":{"z":0}}"#);
        other.apply(&change);
        assert_eq!(other.to_json(), br#"{"data":{"a":5,"z":0}}"#);
    }

    #[test]
    fn the_size_is_that_of_the_json() {
        let texts = [
            r#"{"data":{}}"#,
            r#"{"data":{"a":1}}"#,
            r#"{"data":{"a":1,"b\"\\":[1,2]}}"#,
            r#"{"data":{},"keep":{"x":1}}"#,
            r#"{"data":{"é":"ü"},"keep":{"x":1,"y":2}}"#,
        ];
        for text in texts {
            let data = data(text);
            assert_eq!(String::from_utf8(data.to_json()).unwrap(), text);
            assert_eq!(data.size(), text.len(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let data = data(r#"{"data":{"user":"ann"}}"#);
        assert_eq!(format!("{data:?}"), "Data { keys: 1, bytes: 23 }");
        let change = patch(&data, |edit| edit.insert("user", "bob").unwrap());
        assert_eq!(format!("{change:?}"), "Patch { keys: 1, bytes: 5 }");
        let mut edit = Edit::new(data, DataLimits::default());
        edit.flash_now("secret-name", "eve").unwrap();
        let shown = format!("{edit:?}");
        assert!(
            !["ann", "eve", "secret"]
                .iter()
                .any(|part| shown.contains(part)),
            "{shown}"
        );
    }
}
