//! The `Cookie` header: each line of the input is one field of it.

use ::cookie::Cookie;
use http::{HeaderMap, HeaderValue, header};
use tower_keep::cookie::{MAX_CANDIDATES, candidates};

const NAME: &str = "id";

pub(crate) fn check(input: &[u8]) {
    let mut headers = HeaderMap::new();
    let lines = input.split(|byte| *byte == b'\n').take(16);
    for value in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(header::COOKIE, value);
    }
    let found = candidates(&headers, NAME);
    let values = found.as_slice();
    assert!(values.len() <= MAX_CANDIDATES && found.len() == values.len());
    assert_eq!(found.is_empty(), values.is_empty());
    assert!(found.iter().eq(values.iter().copied()));
    for (at, value) in values.iter().enumerate() {
        assert!(!values[..at].contains(value), "twice the same");
        assert!(!value.contains(&b';'));
    }
    let shown = format!("{found:?}");
    let number = values.len();
    assert!(shown.starts_with(&format!("Candidates {{ len: {number}, truncated: ")));
    if let Some(theirs) = theirs(&headers) {
        assert_eq!(found.is_truncated(), theirs.len() > MAX_CANDIDATES);
        let kept = theirs.iter().take(MAX_CANDIDATES).map(String::as_bytes);
        assert!(values.iter().copied().eq(kept), "{values:?} {theirs:?}");
    }
}

/// What the crate `cookie` finds, where both mean to say the same: it takes text alone, and more than
/// spaces and tabs for blank.
fn theirs(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut distinct = Vec::new();
    for field in headers.get_all(header::COOKIE) {
        let text = field.to_str().ok()?;
        for cookie in Cookie::split_parse(text).flatten() {
            let value = cookie.value_trimmed().to_owned();
            if cookie.name() == NAME && !distinct.contains(&value) {
                distinct.push(value);
            }
        }
    }
    Some(distinct)
}
