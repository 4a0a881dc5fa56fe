//! Walking JSON text without decoding it.
//!
//! Everything here takes text that is known to be one valid JSON value without insignificant
//! whitespace. Other text gives meaningless answers, but never a panic.

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use super::error::Kind;

/// The text of one value. Small ones need no allocation.
pub(super) type Buf = SmallVec<[u8; 22]>;

/// How many levels of arrays and objects a top-level value may have. The parser gives up at 128,
/// and whoever reads a whole session in one go has two more around it.
pub(super) const MAX_DEPTH: usize = 100;

/// The kind of a value, told by its first byte.
pub(super) fn kind(json: &[u8]) -> Kind {
    match json.first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'n') | None => Kind::Null,
        Some(_) => Kind::Number,
    }
}

/// Where the value that starts at `start` ends.
pub(super) fn value_end(json: &[u8], start: usize) -> usize {
    match json.get(start) {
        Some(b'"') => string_end(json, start),
        Some(b'{' | b'[') => {
            let mut depth = 0_usize;
            let mut at = start;
            while let Some(byte) = json.get(at) {
                match byte {
                    b'"' => {
                        at = string_end(json, at);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth <= 1 => return at + 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
            }
            json.len()
        }
        _ => json
            .iter()
            .skip(start)
            .position(|byte| matches!(byte, b',' | b'}' | b']'))
            .map_or(json.len(), |len| start + len),
    }
}

/// Where the string that starts at `start` ends.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// One element of an array or one member of an object.
#[derive(Clone)]
pub(super) struct Item<'a> {
    /// The member's name with its quotes; empty in arrays.
    pub(super) name: &'a [u8],
    /// Name and value.
    pub(super) whole: Range<usize>,
    /// The value alone.
    pub(super) value: Range<usize>,
}

impl Item<'_> {
    /// Whether the member has this name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let inner = unquoted(self.name);
        if inner.contains(&b'\\') {
            decoded(self.name) == name
        } else {
            inner == name.as_bytes()
        }
    }

    /// The member's name.
    pub(super) fn decoded_name(&self) -> String {
        decoded(self.name).into_owned()
    }
}

fn unquoted(string: &[u8]) -> &[u8] {
    string
        .get(1..string.len().saturating_sub(1))
        .unwrap_or_default()
}

/// The content of a string; none if no Rust string can hold it (half a surrogate pair).
fn content(string: &[u8]) -> Option<Cow<'_, str>> {
    let inner = unquoted(string);
    if inner.contains(&b'\\') {
        serde_json::from_slice(string).ok().map(Cow::Owned)
    } else {
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}

/// The content of a string, or its source text if it has none.
fn decoded(string: &[u8]) -> Cow<'_, str> {
    content(string).unwrap_or_else(|| String::from_utf8_lossy(unquoted(string)))
}

/// The elements or members of the array or object that starts at `start`; none for a scalar.
pub(super) fn items(json: &[u8], start: usize) -> impl Iterator<Item = Item<'_>> {
    let is_object = json.get(start) == Some(&b'{');
    let mut next = match (json.get(start), json.get(start + 1)) {
        (Some(b'{'), Some(b'"')) => Some(start + 1),
        (Some(b'['), Some(byte)) if *byte != b']' => Some(start + 1),
        _ => None,
    };
    std::iter::from_fn(move || {
        let from = next?;
        let (name, value_from) = if is_object {
            let end = string_end(json, from);
            (json.get(from..end)?, end + 1)
        } else {
            (&[][..], from)
        };
        let to = value_end(json, value_from);
        next = (json.get(to) == Some(&b',')).then_some(to + 1);
        Some(Item {
            name,
            whole: from..to,
            value: value_from..to,
        })
    })
}

/// Whether two values are equal: the order of an object's members and the way a string is escaped
/// do not matter, numbers are equal when they are written alike.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    match (kind(a), kind(b)) {
        (Kind::String, Kind::String) => {
            let content = content(a);
            content.is_some() && content == self::content(b)
        }
        (Kind::Array, Kind::Array) => {
            let (mut left, mut right) = (items(a, 0), items(b, 0));
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return true,
                    (Some(l), Some(r)) if equal_at(a, l.value.clone(), b, r.value.clone()) => {}
                    _ => return false,
                }
            }
        }
        (Kind::Object, Kind::Object) => {
            let (left, right) = (members(a), members(b));
            left.len() == right.len()
                && left
                    .into_iter()
                    .zip(right)
                    .all(|((left, l), (right, r))| left == right && equal_at(a, l, b, r))
        }
        _ => false,
    }
}

fn equal_at(a: &[u8], left: Range<usize>, b: &[u8], right: Range<usize>) -> bool {
    matches!((a.get(left), b.get(right)), (Some(left), Some(right)) if equal(left, right))
}

/// An object's members in the order of their names; of several of one name the last.
fn members(json: &[u8]) -> Vec<(Cow<'_, str>, Range<usize>)> {
    let mut members: Vec<_> = items(json, 0)
        .map(|item| (decoded(item.name), item.value))
        .collect();
    members.reverse();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    members.dedup_by(|(a, _), (b, _)| a == b);
    members
}

/// What [`measure`] finds.
pub(super) struct Shape {
    /// Levels of arrays and objects; 0 for a scalar.
    pub(super) depth: usize,
    /// Whether there is whitespace that [`compact`] would drop.
    pub(super) spaced: bool,
}

/// Depth and compactness of a value that may contain insignificant whitespace.
pub(super) fn measure(json: &[u8]) -> Shape {
    let mut shape = Shape {
        depth: 0,
        spaced: false,
    };
    if !matches!(kind(json), Kind::Array | Kind::Object) {
        return shape;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at = string_end(json, at);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                shape.depth = shape.depth.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => shape.spaced = true,
            _ => {}
        }
        at += 1;
    }
    shape
}

/// The same value without insignificant whitespace.
pub(super) fn compact(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        let end = match byte {
            b'"' => string_end(json, at),
            _ => at + 1,
        };
        if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.extend_from_slice(json.get(at..end).unwrap_or_default());
        }
        at = end;
    }
    out
}

/// The length of [`escaped`].
pub(super) fn escaped_len(name: &[u8]) -> usize {
    name.len() + name.iter().filter(|byte| needs_escape(**byte)).count()
}

/// A key as it stands between the quotes of a JSON string. Keys contain no control characters.
pub(super) fn escaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| needs_escape(*byte)) {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::with_capacity(name.len() + 2);
    for byte in name {
        if needs_escape(*byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    Cow::Owned(out)
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_in_valid_text() {
        let json = br#"{"a":1,"b\"}":[{"x":"]"},2],"":{},"d":"\\"}"#;
        let found: Vec<_> = items(json, 0)
            .map(|item| {
                (
                    item.decoded_name(),
                    std::str::from_utf8(&json[item.value]).unwrap(),
                )
            })
            .collect();
        let expected = [
            ("a", "1"),
            ("b\"}", r#"[{"x":"]"},2]"#),
            ("", "{}"),
            ("d", r#""\\""#),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
        assert_eq!(items(b"[]", 0).count(), 0);
        assert_eq!(items(b"{}", 0).count(), 0);
        assert_eq!(items(b"[[],{},\"\",1.5e3]", 0).count(), 4);
        assert_eq!(items(b"12", 0).count(), 0);
    }

    #[test]
    fn damaged_text_gives_no_panic() {
        let json = br#"{"a":[1,"b\"",{"c":null}],"d":"\\"}"#;
        for cut in 0..json.len() {
            let json = &json[..cut];
            for item in items(json, 0) {
                let _ = (item.decoded_name(), json.get(item.value));
            }
            let _ = (measure(json).depth, compact(json), equal(json, b"{}"));
        }
    }

    #[test]
    fn equality_ignores_order_and_escapes_only() {
        let same = [
            (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1,2],"a":1}"#),
            (r#"["\u0041"]"#, r#"["A"]"#),
            (r#"{"\u0041":1}"#, r#"{"A":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ];
        for (a, b) in same {
            assert!(equal(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
        let different = [
            ("1", "1.0"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("[18446744073709551616]", "[18446744073709551617]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("[]", "{}"),
            ("\"1\"", "1"),
            (r#""\ud800""#, r#""\\ud800""#),
            (r#""\ud800""#, r#""\ud801""#),
            ("null", "false"),
        ];
        for (a, b) in different {
            assert!(!equal(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
    }

    #[test]
    fn whitespace_goes_except_in_strings() {
        let json = b"{ \"a b\" :\t[ 1 ,\r\n \"x \\\" y\" ] }";
        assert!(measure(json).spaced);
        let compacted = compact(json);
        assert_eq!(compacted, br#"{"a b":[1,"x \" y"]}"#);
        assert!(!measure(&compacted).spaced);
        assert_eq!(measure(&compacted).depth, 2);
        assert_eq!(measure(b"\"[ [ [\"").depth, 0);
    }

    #[test]
    fn names_are_escaped() {
        assert!(matches!(escaped("é.x".as_bytes()), Cow::Borrowed(_)));
        let name = "a\"\\é".as_bytes();
        assert_eq!(*escaped(name), *"a\\\"\\\\é".as_bytes());
        assert_eq!(escaped(name).len(), escaped_len(name));
    }
}
