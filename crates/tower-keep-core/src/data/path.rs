//! How values are named: dotted paths and literal keys.

use super::blob::{MAX_KEY, SYSTEM};
use super::error::{DataError, KeyFault};

/// A key exactly as written: its dots do not separate anything.
///
/// ```
/// use tower_keep_core::data::{Data, DataLimits, Edit, Literal};
///
/// let mut edit = Edit::new(Data::default(), DataLimits::default());
/// edit.insert(Literal("ann@example.com"), &1)?;
/// assert_eq!(edit.keys(), ["ann@example.com"]);
/// # Ok::<(), tower_keep_core::data::DataError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Literal<'a>(pub &'a str);

/// The name of one value: a dotted path, or a [`Literal`] key.
///
/// A dotted path such as `cart.items.0` first means the top-level key of exactly that text. If
/// there is none, its parts lead from the top-level key `cart` into the value: names into objects,
/// digits into arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    text: &'a str,
    literal: bool,
}

impl<'a> Key<'a> {
    /// The text of the key.
    pub fn text(self) -> &'a str {
        self.text
    }

    /// The top-level part of a path of several parts.
    pub(super) fn parent(self) -> Option<&'a str> {
        if self.literal {
            return None;
        }
        self.text.split_once('.').map(|(top, _)| top)
    }

    pub(super) fn is_literal(self) -> bool {
        self.literal
    }

    /// Whether the key could name anything of the user's.
    pub(super) fn is_users(self) -> bool {
        !self.text.starts_with(SYSTEM)
    }

    /// Refuses what may not be written to. Empty parts of a path are not judged here.
    pub(super) fn check(self, max: usize) -> Result<(), DataError> {
        let len = self.text.len();
        let max = max.min(MAX_KEY);
        let fault = if len == 0 {
            KeyFault::Empty
        } else if len > max {
            KeyFault::TooLong { len, max }
        } else if self.text.chars().any(char::is_control) {
            KeyFault::Control
        } else {
            return Ok(());
        };
        Err(self.invalid(fault))
    }

    /// Refuses a path with an empty part.
    pub(super) fn check_segments(self) -> Result<(), DataError> {
        if self.text.split('.').any(str::is_empty) {
            return Err(self.invalid(KeyFault::EmptySegment));
        }
        Ok(())
    }

    fn invalid(self, fault: KeyFault) -> DataError {
        const SHOWN: usize = 64;
        let mut key: String = self.text.chars().take(SHOWN).collect();
        if key.len() < self.text.len() {
            key.push('…');
        }
        DataError::InvalidKey { key, fault }
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self {
            text,
            literal: false,
        }
    }
}

impl<'a> From<&'a String> for Key<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl<'a> From<Literal<'a>> for Key<'a> {
    fn from(Literal(text): Literal<'a>) -> Self {
        Self {
            text,
            literal: true,
        }
    }
}

/// What names one value: `"a.b"`, a `String`, `Literal("a.b")`, a [`Key`], and references to these.
pub trait AsKey {
    /// The key.
    fn as_key(&self) -> Key<'_>;
}

impl AsKey for str {
    fn as_key(&self) -> Key<'_> {
        Key::from(self)
    }
}

impl AsKey for String {
    fn as_key(&self) -> Key<'_> {
        Key::from(self)
    }
}

impl AsKey for Literal<'_> {
    fn as_key(&self) -> Key<'_> {
        Key::from(*self)
    }
}

impl AsKey for Key<'_> {
    fn as_key(&self) -> Key<'_> {
        *self
    }
}

impl<K: AsKey + ?Sized> AsKey for &K {
    fn as_key(&self) -> Key<'_> {
        (**self).as_key()
    }
}

/// What names one or several values: anything that is [`AsKey`], and arrays, slices and vectors of
/// it.
pub trait Keys {
    /// Calls `visit` with each key in turn until it answers `false`; tells whether it never did.
    fn every(&self, visit: &mut dyn FnMut(Key<'_>) -> bool) -> bool;
}

macro_rules! one_key {
    ($($kind:ty),*) => {$(
        impl Keys for $kind {
            fn every(&self, visit: &mut dyn FnMut(Key<'_>) -> bool) -> bool {
                visit(self.as_key())
            }
        }
    )*};
}

one_key!(str, String, Literal<'_>, Key<'_>);

impl<K: AsKey> Keys for [K] {
    fn every(&self, visit: &mut dyn FnMut(Key<'_>) -> bool) -> bool {
        self.iter().all(|key| visit(key.as_key()))
    }
}

impl<K: AsKey, const N: usize> Keys for [K; N] {
    fn every(&self, visit: &mut dyn FnMut(Key<'_>) -> bool) -> bool {
        self.as_slice().every(visit)
    }
}

impl<K: AsKey> Keys for Vec<K> {
    fn every(&self, visit: &mut dyn FnMut(Key<'_>) -> bool) -> bool {
        self.as_slice().every(visit)
    }
}

impl<K: Keys + ?Sized> Keys for &K {
    fn every(&self, visit: &mut dyn FnMut(Key<'_>) -> bool) -> bool {
        (**self).every(visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(key: &str) -> Option<KeyFault> {
        match Key::from(key).check(8) {
            Ok(()) => None,
            Err(DataError::InvalidKey { fault, .. }) => Some(fault),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn keys_are_checked() {
        assert_eq!(fault("a.b"), None);
        assert_eq!(fault("12345678"), None);
        assert_eq!(fault("éééé"), None);
        assert_eq!(fault(""), Some(KeyFault::Empty));
        assert_eq!(
            fault("123456789"),
            Some(KeyFault::TooLong { len: 9, max: 8 })
        );
        assert_eq!(fault("a\nb"), Some(KeyFault::Control));
        assert_eq!(fault("\u{1}flash"), Some(KeyFault::Control));
        assert_eq!(fault("\u{85}"), Some(KeyFault::Control));
    }

    #[test]
    fn no_key_is_longer_than_the_format_allows() {
        let long = "k".repeat(70_000);
        let error = Key::from(&long).check(usize::MAX).unwrap_err();
        let DataError::InvalidKey { key, fault } = error else {
            panic!("{error}")
        };
        assert_eq!(key, format!("{}…", "k".repeat(64)));
        assert_eq!(
            fault,
            KeyFault::TooLong {
                len: 70_000,
                max: 65_534
            }
        );
    }

    #[test]
    fn empty_parts_are_refused() {
        for key in [".", ".a", "a.", "a..b"] {
            assert!(Key::from(key).check_segments().is_err(), "{key}");
        }
        assert!(Key::from("a.b.0").check_segments().is_ok());
    }

    #[test]
    fn several_keys_come_in_many_forms() {
        fn texts(keys: impl Keys) -> Vec<String> {
            let mut texts = Vec::new();
            keys.every(&mut |key| {
                texts.push(key.text().to_owned());
                true
            });
            texts
        }
        let owned = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(texts("a"), ["a"]);
        assert_eq!(texts(Literal("a.b")), ["a.b"]);
        assert_eq!(texts(Key::from("a")), ["a"]);
        assert_eq!(texts(["a", "b"]), ["a", "b"]);
        assert_eq!(texts([Literal("a"), Literal("b")]), ["a", "b"]);
        assert_eq!(texts(&["a", "b"][..]), ["a", "b"]);
        assert_eq!(texts(&owned), ["a", "b"]);
        assert_eq!(texts(owned), ["a", "b"]);
        assert!(!["a", "b"].every(&mut |key| key.text() == "a"));
    }
}
