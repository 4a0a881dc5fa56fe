//! The token that a request brings along.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Body;
use percent_encoding::percent_decode;

use super::refusal::CsrfRefusal;

/// The first of them that is not empty counts.
const HEADERS: [&str; 2] = ["x-csrf-token", "x-xsrf-token"];

/// The first of them that is not empty counts.
const FIELDS: [&str; 4] = ["_token", "_csrf", "_csrf_token", "csrf"];

pub(super) fn in_headers(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let all = HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let mut given = all.filter(|value| !value.is_empty());
    // What is not even text is not the token, and still is what was given.
    Some(String::from_utf8_lossy(given.next()?.as_bytes()))
}

pub(super) fn in_form(form: &[u8]) -> Option<String> {
    let given = |name: &&str| {
        let mut fields = form.split(|byte| *byte == b'&').map(|field| {
            let end = field.iter().position(|byte| *byte == b'=');
            let (field, value) = field.split_at(end.unwrap_or(field.len()));
            (field, value.get(1..).unwrap_or_default())
        });
        let found = fields.find(|(field, value)| !value.is_empty() && decoded(field) == *name);
        found.map(|(_, value)| decoded(value))
    };
    FIELDS.iter().find_map(given)
}

/// As the URL standard has it; a plus that is meant as one is encoded.
fn decoded(part: &[u8]) -> String {
    let space = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    let spaced: Vec<_> = part.iter().map(space).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// Whether the body has fields in the form in which browsers send them.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = kind.and_then(|kind| kind.split(|b| *b == b';').next());
    essence.is_some_and(|essence| {
        let essence = essence.trim_ascii();
        essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

/// The whole body, if it has no more than `max` bytes.
pub(super) async fn whole<B: Body>(body: B, max: usize) -> Result<Bytes, CsrfRefusal> {
    if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > max) {
        return Err(CsrfRefusal::FormTooLarge);
    }
    let mut body = pin!(body);
    let mut whole = Vec::new();
    poll_fn(|cx| {
        loop {
            let Some(frame) = std::task::ready!(body.as_mut().poll_frame(cx)) else {
                return Poll::Ready(Ok(()));
            };
            let Ok(frame) = frame else {
                return Poll::Ready(Err(CsrfRefusal::FormBroken));
            };
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            if data.remaining() > max - whole.len() {
                return Poll::Ready(Err(CsrfRefusal::FormTooLarge));
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                whole.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
        }
    })
    .await?;
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_by_name_in_a_fixed_order() {
        for (form, token) in [
            ("_token=a", Some("a")),
            ("x=1&csrf=a&y=2", Some("a")),
            ("csrf=b&_token=a", Some("a")),
            ("_token=&_csrf=a", Some("a")),
            ("_token=&_token=a", Some("a")),
            ("%5Ftoken=a%2Bb", Some("a+b")),
            ("_token=a+b=c%", Some("a b=c%")),
            ("_token=%ff", Some("\u{fffd}")),
            ("_token=", None),
            ("_token", None),
            ("token=a&_Token=a&x_token=a", None),
            ("", None),
            ("&&&==&", None),
        ] {
            assert_eq!(in_form(form.as_bytes()).as_deref(), token, "{form}");
        }
    }

    #[test]
    fn only_a_form_is_read() {
        for (kind, is) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded ; charset=utf-8", true),
            ("application/x-www-form-urlencoded2", false),
            ("multipart/form-data; boundary=x", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_form(&headers), is, "{kind}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }
}
