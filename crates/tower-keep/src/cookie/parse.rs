//! Finding the session's cookie in a request.

use std::fmt;

use http::{HeaderMap, header};

use super::split_pair;

/// How many distinct values of one cookie name [`candidates`] reports.
pub const MAX_CANDIDATES: usize = 4;

/// The distinct values that a request has for one cookie name, in the order they were sent.
///
/// A browser sends several when the cookie was set for several paths or domains; servers must not
/// rely on their order (§4.2.2). At most [`MAX_CANDIDATES`] are kept, see
/// [`is_truncated`](Self::is_truncated). `Debug` shows no value.
#[derive(Clone, Copy, Default)]
pub struct Candidates<'h> {
    values: [&'h [u8]; MAX_CANDIDATES],
    len: usize,
    truncated: bool,
}

impl<'h> Candidates<'h> {
    /// The values, without the one pair of double quotes that may surround each.
    pub fn as_slice(&self) -> &[&'h [u8]] {
        self.values.get(..self.len).unwrap_or_default()
    }

    /// Goes through the values.
    pub fn iter(&self) -> std::iter::Copied<std::slice::Iter<'_, &'h [u8]>> {
        self.as_slice().iter().copied()
    }

    /// How many distinct values there are, at most [`MAX_CANDIDATES`].
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the request has no cookie of this name.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the request had more than [`MAX_CANDIDATES`] distinct values; the rest was ignored.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub(crate) fn add(&mut self, value: &'h [u8]) {
        if self.as_slice().contains(&value) {
            return;
        }
        match self.values.get_mut(self.len) {
            Some(free) => {
                *free = value;
                self.len += 1;
            }
            None => self.truncated = true,
        }
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("len", &self.len)
            .field("truncated", &self.truncated)
            .finish_non_exhaustive()
    }
}

impl<'a, 'h> IntoIterator for &'a Candidates<'h> {
    type Item = &'h [u8];
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, &'h [u8]>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Finds the values of the cookie called exactly `name` in all `Cookie` fields of a request.
///
/// Names are compared byte by byte, with case. Other cookies may be anything, broken UTF-8
/// included, and a pair without `=` is passed over. Spaces and tabs around names and values are
/// ignored (§4.1.1), one pair of double quotes around a value is taken off, and equal values count
/// once. Nothing is allocated, and the time taken is linear in the size of the fields.
///
/// ```
/// # use http::{HeaderMap, HeaderValue, header};
/// use tower_keep::cookie::candidates;
///
/// let mut headers = HeaderMap::new();
/// headers.append(header::COOKIE, HeaderValue::from_static("id=old; ID=other; id=new"));
/// headers.append(header::COOKIE, HeaderValue::from_static("id=\"old\""));
/// assert_eq!(candidates(&headers, "id").as_slice(), [b"old", b"new"]);
/// ```
pub fn candidates<'h>(headers: &'h HeaderMap, name: &str) -> Candidates<'h> {
    let mut found = Candidates::default();
    for field in headers.get_all(header::COOKIE) {
        let mut rest = Some(field.as_bytes());
        while let Some(pairs) = rest {
            let end = memchr::memchr(b';', pairs);
            let pair = end.map_or(pairs, |end| &pairs[..end]);
            rest = end.map(|end| &pairs[end + 1..]);
            let Some((key, value)) = split_pair(pair) else {
                continue;
            };
            if key != name.as_bytes() {
                continue;
            }
            found.add(unquote(value));
            if found.truncated {
                return found;
            }
        }
    }
    found
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn request(fields: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_bytes(field).unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(fields: &[&[u8]], expected: &[&[u8]]) {
        assert_eq!(candidates(&request(fields), "id").as_slice(), expected);
    }

    #[test]
    fn none_without_a_cookie_of_this_name() {
        check(&[], &[]);
        check(&[b""], &[]);
        check(&[b"other=1; theme=dark"], &[]);
    }

    #[test]
    fn names_match_exactly() {
        check(
            &[b"ID=1; Id=2; iid=3; idd=4; i=5; d=6; =7; x-id=8; id2=9"],
            &[],
        );
        check(&[b"x=id=1; y=\"id=2\""], &[]);
    }

    #[test]
    fn only_space_and_tab_are_blank() {
        check(&[b" \t id \t=\t x y \t ;"], &[b"x y"]);
        // A no-break space in Latin-1 and in UTF-8: other names and other values.
        check(&[b"\xA0id=1; id\xC2\xA0=2; id=3\xA0"], &[b"3\xA0"]);
    }

    #[test]
    fn junk_around_does_not_matter() {
        check(
            &[b";;; id; \xff\xfe=\x80; =; a==b; id=x;=;id ;\xf0\x28"],
            &[b"x"],
        );
    }

    #[test]
    fn values_are_taken_literally() {
        check(&[b"id=a=b==; id=%41"], &[b"a=b==", b"%41"]);
        check(&[b"id="], &[b""]);
        check(&[b"id=\xff"], &[b"\xff"]);
    }

    #[test]
    fn one_pair_of_quotes_is_taken_off() {
        check(&[b"id=\"x\""], &[b"x"]);
        check(&[b"id=\"\"x\"\""], &[b"\"x\""]);
        check(&[b"id=\" x \""], &[b" x "]);
        check(&[b"id=\"\""], &[b""]);
        check(&[b"id=\""], &[b"\""]);
        check(&[b"id=\"x"], &[b"\"x"]);
        check(&[b"id=x\""], &[b"x\""]);
        // Quotes do not protect a semicolon.
        check(&[b"id=\"x;y\""], &[b"\"x"]);
    }

    #[test]
    fn several_fields_and_duplicates() {
        check(&[b"id=1; a=2", b"b=3", b"id=4"], &[b"1", b"4"]);
        check(&[b"id=1; id=\"1\"", b"id= 1 "], &[b"1"]);
    }

    #[test]
    fn four_distinct_values_are_kept() {
        let headers = request(&[b"id=1; id=2; id=1; id=3", b"id=4; id=2"]);
        let found = candidates(&headers, "id");
        assert_eq!(found.len(), 4);
        assert!(!found.is_truncated());

        let headers = request(&[b"id=1; id=2; id=3", b"id=4; id=5; id=6"]);
        let found = candidates(&headers, "id");
        assert!(found.iter().eq([b"1", b"2", b"3", b"4"]));
        assert!(found.is_truncated());
    }

    #[test]
    fn debug_shows_no_value() {
        let headers = request(&[b"id=secret"]);
        let shown = format!("{:?}", candidates(&headers, "id"));
        assert_eq!(shown, "Candidates { len: 1, truncated: false, .. }");
    }

    /// The same rules with strings, where a character stands for a byte.
    fn model(fields: &[Vec<u8>], name: &str) -> Vec<Vec<u8>> {
        let blank = [' ', '\t'];
        let mut distinct: Vec<String> = Vec::new();
        for field in fields {
            let text: String = field.iter().copied().map(char::from).collect();
            for (key, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
                let value = value.trim_matches(blank);
                let value = value
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'))
                    .unwrap_or(value);
                if key.trim_matches(blank) == name && !distinct.iter().any(|seen| seen == value) {
                    distinct.push(value.to_owned());
                }
            }
        }
        distinct
            .into_iter()
            .map(|value| value.chars().map(|c| u8::try_from(c).unwrap()).collect())
            .collect()
    }

    /// Any bytes that a header value can have, with those that mean something made frequent.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => Just(b"id=".to_vec()),
            6 => Just(b";".to_vec()),
            4 => proptest::sample::select(b"=\" \tid".to_vec()).prop_map(|byte| vec![byte]),
            4 => (b'a'..=b'h').prop_map(|byte| vec![byte]),
            2 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| {
            let mut bytes = pieces.concat();
            bytes.retain(|&byte| HeaderValue::from_bytes(&[byte]).is_ok());
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn agrees_with_the_model(fields in proptest::collection::vec(field(), 0..4)) {
            let slices: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            let headers = request(&slices);
            let found = candidates(&headers, "id");
            let expected = model(&fields, "id");

            prop_assert!(found.len() <= MAX_CANDIDATES);
            prop_assert_eq!(found.is_truncated(), expected.len() > MAX_CANDIDATES);
            prop_assert_eq!(found.is_empty(), expected.is_empty());
            let kept = expected.iter().take(MAX_CANDIDATES).map(Vec::as_slice);
            prop_assert!(found.iter().eq(kept), "{:?} gave {:?}", fields, found.as_slice());
        }
    }
}
