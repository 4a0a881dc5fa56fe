//! The changes of one request.

use std::cmp::Ordering;
use std::fmt;

use smallvec::SmallVec;

use super::blob::{Data, is_system, text};
use super::raw::Buf;

/// The changes that turn one [`Data`] into another: new JSON text or removal, by top-level key.
///
/// It comes from [`Edit::into_patch`](super::Edit::into_patch) and holds nothing that would leave
/// the data as it was, so an empty patch means that nothing has to be saved.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// In the order of the keys; without a value the key is removed.
    changes: SmallVec<[(Buf, Option<Buf>); 2]>,
}

impl Patch {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The number of keys that change.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Every changed key with its new JSON text, `None` if it is removed, in the order of the
    /// keys' bytes. The library's own entries, whose keys start with `U+0001`, are among them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.entries().map(|(key, value)| (text(key), value))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> + Clone {
        self.changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether a key changes.
    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Whether entries of the library's own change; they come first.
    pub(super) fn has_system(&self) -> bool {
        self.entries().next().is_some_and(|(key, _)| is_system(key))
    }

    /// What this adds at most to the loaded form of the data.
    pub(super) fn loaded_size(&self) -> usize {
        const FRAME: usize = size_of::<u32>() + size_of::<u16>();
        self.entries()
            .map(|(key, value)| FRAME + key.len() + value.map_or(0, <[u8]>::len))
            .sum()
    }

    /// The value of a key after the changes, `base` being the one before.
    pub(super) fn value<'a>(
        &'a self,
        key: &str,
        base: impl FnOnce() -> Option<&'a [u8]>,
    ) -> Option<&'a [u8]> {
        match self.find(key).ok().and_then(|at| self.changes.get(at)) {
            Some((_, value)) => value.as_deref(),
            None => base(),
        }
    }

    /// Sets or removes a key.
    pub(super) fn put(&mut self, key: &str, value: Option<Buf>) {
        match self.find(key) {
            Ok(index) => {
                if let Some((_, old)) = self.changes.get_mut(index) {
                    *old = value;
                }
            }
            Err(index) => self
                .changes
                .insert(index, (Buf::from_slice(key.as_bytes()), value)),
        }
    }

    /// Leaves a key as it was.
    pub(super) fn forget(&mut self, key: &str) {
        if let Ok(index) = self.find(key) {
            self.changes.remove(index);
        }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.changes
            .binary_search_by(|(other, _)| other.as_slice().cmp(key.as_bytes()))
    }
}

/// Shows how much changes, never what.
impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: usize = self.entries().map(|(_, v)| v.map_or(0, <[u8]>::len)).sum();
        f.debug_struct("Patch")
            .field("keys", &self.len())
            .field("bytes", &bytes)
            .finish()
    }
}

/// The entries of `base` after the changes of `patch`, in the order of their keys.
pub(super) fn merged<'a>(
    base: &'a Data,
    patch: &'a Patch,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
    let mut old = base.entries().peekable();
    let mut new = patch.entries().peekable();
    std::iter::from_fn(move || {
        loop {
            let Some((key, value)) = new.peek() else {
                return old.next();
            };
            match old
                .peek()
                .map_or(Ordering::Greater, |(old, _)| old.cmp(key))
            {
                Ordering::Less => return old.next(),
                Ordering::Equal => old.next(),
                Ordering::Greater => None,
            };
            let entry = value.map(|value| (*key, value));
            new.next();
            if entry.is_some() {
                return entry;
            }
        }
    })
}
