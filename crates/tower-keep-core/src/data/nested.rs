//! Values inside values: the parts of a dotted path after its first.
//!
//! Changes are made on the text, so that what is beside the changed place stays as it was, byte
//! for byte.

use std::ops::Range;

use super::error::{DataError, Kind};
use super::raw::{self, Buf, Item};

/// Where the value that `path` leads to lies in `json`. `path` starts with the name of `json`
/// itself.
pub(super) fn find(json: &[u8], path: &str) -> Option<Range<usize>> {
    let mut place = 0..json.len();
    for segment in path.split('.').skip(1) {
        place = step(json, place.start, segment)?.value;
    }
    Some(place)
}

/// The item that one part of a path means in the container that starts at `start`.
fn step<'a>(json: &'a [u8], start: usize, segment: &str) -> Option<Item<'a>> {
    match json.get(start) {
        // Of several members of one name the last one counts, as for the parser.
        Some(b'{') if !segment.is_empty() => raw::items(json, start)
            .filter(|item| item.is_named(segment))
            .last(),
        Some(b'[') => raw::items(json, start).nth(index(segment)?),
        _ => None,
    }
}

/// The index that a part of a path means; numbers out of range are beyond every array.
fn index(segment: &str) -> Option<usize> {
    if segment.is_empty() || !segment.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(segment.parse().unwrap_or(usize::MAX))
}

/// `json` with `value` at `path`; what is missing on the way is created, a scalar on the way is
/// replaced.
pub(super) fn set(json: &[u8], path: &str, value: &[u8]) -> Result<Buf, DataError> {
    let mut start = 0;
    let mut rest = path.split_once('.').map_or("", |(_, rest)| rest);
    loop {
        let (segment, tail) = match rest.split_once('.') {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (rest, None),
        };
        let found = step(json, start, segment);
        let end = || raw::value_end(json, start);
        let last = || {
            let end = end().saturating_sub(1);
            end..end
        };
        match (json.get(start), found, tail) {
            (_, Some(item), Some(tail)) => {
                start = item.value.start;
                rest = tail;
            }
            (_, Some(item), None) => return Ok(splice(json, item.value, &[value])),
            (Some(b'{'), None, _) => {
                let comma = raw::items(json, start).next().map_or("", |_| ",");
                let member = wrapped(rest, value);
                let member = member.get(1..member.len().saturating_sub(1));
                let text = [comma.as_bytes(), member.unwrap_or_default()];
                return Ok(splice(json, last(), &text));
            }
            (Some(b'['), None, tail) => {
                // `rest` is the end of `path`, after a dot.
                let array = path.len().saturating_sub(rest.len() + 1);
                let array = || path.get(..array).unwrap_or(path).to_owned();
                let len = raw::items(json, start).count();
                return match index(segment) {
                    None => Err(DataError::WrongType {
                        key: array(),
                        expected: "object",
                        found: Kind::Array,
                    }),
                    Some(index) if index > len => Err(DataError::Index {
                        key: array(),
                        index,
                        len,
                    }),
                    Some(_) => {
                        let element = tail.map(|tail| wrapped(tail, value));
                        let element = element.as_deref().unwrap_or(value);
                        let comma: &[u8] = if len == 0 { b"" } else { b"," };
                        Ok(splice(json, last(), &[comma, element]))
                    }
                };
            }
            (_, None, _) => return Ok(splice(json, start..end(), &[&wrapped(rest, value)])),
        }
    }
}

/// `json` without the value at `path`; nothing if it has none.
pub(super) fn remove(json: &[u8], path: &str) -> Option<Buf> {
    let (parent, segment) = path.rsplit_once('.')?;
    let parent = find(json, parent)?.start;
    let mut whole = step(json, parent, segment)?.whole;
    let mut out = Buf::from_slice(json);
    loop {
        let before = whole.start.saturating_sub(1);
        if out.get(before) == Some(&b',') {
            whole.start = before;
        } else if out.get(whole.end) == Some(&b',') {
            whole.end += 1;
        }
        out.drain(whole);
        // An earlier member of the same name must not come to light.
        match step(&out, parent, segment) {
            Some(again) if out.get(parent) == Some(&b'{') => whole = again.whole,
            _ => return Some(out),
        }
    }
}

/// `[a,b]` with one more element.
pub(super) fn push(array: &[u8], element: &[u8]) -> Buf {
    let end = array.len().saturating_sub(1);
    let comma: &[u8] = if array.len() == 2 { b"" } else { b"," };
    splice(array, end..end, &[comma, element])
}

/// `value` inside one new object for each part of `path`.
fn wrapped(path: &str, value: &[u8]) -> Buf {
    let mut out = Buf::with_capacity(path.len() + value.len() + 8);
    for segment in path.split('.') {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(&raw::escaped(segment.as_bytes()));
        out.extend_from_slice(b"\":");
    }
    out.extend_from_slice(value);
    out.extend(path.split('.').map(|_| b'}'));
    out
}

/// `json` with the text at `place` replaced by `parts`.
fn splice(json: &[u8], place: Range<usize>, parts: &[&[u8]]) -> Buf {
    let added: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Buf::with_capacity(json.len() + added);
    out.extend_from_slice(json.get(..place.start).unwrap_or_default());
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(json.get(place.end..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &[u8]) -> &str {
        std::str::from_utf8(json).unwrap()
    }

    fn set_text(json: &str, path: &str, value: &str) -> String {
        text(&set(json.as_bytes(), path, value.as_bytes()).unwrap()).to_owned()
    }

    fn remove_text(json: &str, path: &str) -> Option<String> {
        remove(json.as_bytes(), path).map(|json| text(&json).to_owned())
    }

    #[test]
    fn paths_lead_into_objects_and_arrays() {
        let json = r#"{"items":[{"qty":2},{"q\"":3}],"0":"zero","":{"x":1}}"#;
        let get = |path| find(json.as_bytes(), path).map(|place| &json[place]);
        assert_eq!(get("cart.items.0.qty"), Some("2"));
        assert_eq!(get("cart.items.1.q\""), Some("3"));
        assert_eq!(get("cart.items.00.qty"), Some("2"));
        assert_eq!(get("cart.0"), Some("\"zero\""));
        assert_eq!(get("cart.items"), Some(r#"[{"qty":2},{"q\"":3}]"#));
        assert_eq!(get("cart.items.2"), None);
        assert_eq!(get("cart.items.+1"), None);
        assert_eq!(get("cart.items.99999999999999999999999"), None);
        assert_eq!(get("cart.items.0.qty.x"), None);
        assert_eq!(get("cart.0.x"), None);
        assert_eq!(get("cart..x"), None);
        assert_eq!(get("cart."), None);
    }

    #[test]
    fn the_last_of_several_members_counts() {
        let json = r#"{"a":1,"b":2,"a":3}"#;
        assert_eq!(find(json.as_bytes(), "k.a"), Some(17..18));
        assert_eq!(set_text(json, "k.a", "4"), r#"{"a":1,"b":2,"a":4}"#);
        assert_eq!(remove_text(json, "k.a").unwrap(), r#"{"b":2}"#);
    }

    #[test]
    fn set_creates_and_replaces() {
        assert_eq!(set_text("{}", "k.a", "1"), r#"{"a":1}"#);
        assert_eq!(set_text("null", "k.a.b", "1"), r#"{"a":{"b":1}}"#);
        assert_eq!(set_text("5", "k.0", "1"), r#"{"0":1}"#);
        assert_eq!(
            set_text(r#"{"x":1.0,"y":1e400}"#, "k.a.\"b", "[]"),
            r#"{"x":1.0,"y":1e400,"a":{"\"b":[]}}"#
        );
        assert_eq!(
            set_text(r#"{"x":[0,{"y":"s"}]}"#, "k.x.1.y.z", "1"),
            r#"{"x":[0,{"y":{"z":1}}]}"#
        );
        assert_eq!(set_text("[]", "k.0", "1"), "[1]");
        assert_eq!(set_text("[1,[]]", "k.2", "3"), "[1,[],3]");
        assert_eq!(set_text("[1]", "k.1.a.b", "3"), r#"[1,{"a":{"b":3}}]"#);
        assert_eq!(set_text("[1,2]", "k.0", "{}"), "[{},2]");
        assert_eq!(set_text("[[1]]", "k.0.1", "2"), "[[1,2]]");
    }

    #[test]
    fn arrays_are_not_overwritten_silently() {
        let error = set(br#"{"a":[1]}"#, "k.a.b.c", b"1").unwrap_err();
        assert!(
            matches!(&error, DataError::WrongType { key, expected: "object", found: Kind::Array } if key == "k.a"),
            "{error:?}"
        );
        let error = set(b"[1]", "k.2", b"1").unwrap_err();
        assert!(
            matches!(&error, DataError::Index { key, index: 2, len: 1 } if key == "k"),
            "{error:?}"
        );
    }

    #[test]
    fn remove_keeps_the_parent_and_shifts() {
        assert_eq!(remove_text(r#"{"a":1}"#, "k.a").unwrap(), "{}");
        let json = r#"{"a":1,"b":2,"c":3}"#;
        assert_eq!(remove_text(json, "k.a").unwrap(), r#"{"b":2,"c":3}"#);
        assert_eq!(remove_text(json, "k.b").unwrap(), r#"{"a":1,"c":3}"#);
        assert_eq!(remove_text(json, "k.c").unwrap(), r#"{"a":1,"b":2}"#);
        assert_eq!(remove_text(json, "k.d"), None);
        assert_eq!(
            remove_text(r#"{"x":[1,2,3]}"#, "k.x.0").unwrap(),
            r#"{"x":[2,3]}"#
        );
        assert_eq!(remove_text("[1]", "k.0").unwrap(), "[]");
        assert_eq!(remove_text("[7,7,7]", "k.1").unwrap(), "[7,7]");
        assert_eq!(remove_text("[1]", "k.1"), None);
        assert_eq!(remove_text("5", "k.a.b"), None);
    }

    #[test]
    fn push_appends() {
        assert_eq!(text(&push(b"[]", b"1")), "[1]");
        assert_eq!(text(&push(b"[[]]", b"1")), "[[],1]");
    }
}
