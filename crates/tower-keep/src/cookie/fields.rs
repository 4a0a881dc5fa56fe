//! Putting the cookie on a response, beside the fields of the application.

use http::header::{CACHE_CONTROL, COOKIE, Entry, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{split_pair, trim};

/// Adds a `Set-Cookie` field to a response and keeps caches from storing it.
///
/// Other cookies of the response stay. Unless a `Cache-Control` field already has the directive
/// `no-store`, all of them are replaced by `no-store`: a stored response would hand one visitor's
/// session to the next. Fields that speak to some caches alone (`CDN-Cache-Control` of RFC 9213
/// and those of single products) are taken off: such caches would go by them and not by
/// `Cache-Control`.
pub fn apply(headers: &mut HeaderMap, set_cookie: HeaderValue) {
    headers.append(SET_COOKIE, set_cookie);
    forbid_store(headers);
}

/// Keeps caches from storing a response.
pub(crate) fn forbid_store(headers: &mut HeaderMap) {
    let forbidden = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .any(|field| has_no_store(field.as_bytes()));
    if !forbidden {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let overriding = |name: &&HeaderName| overrides_cache_control(name.as_str());
    let overriding: Vec<_> = headers.keys().filter(overriding).cloned().collect();
    for name in overriding {
        headers.remove(name);
    }
}

/// Whether the caches to which this field speaks ignore `Cache-Control` where it is there:
/// RFC 9213 §2.2, with the target lists of the usual products.
pub(crate) fn overrides_cache_control(name: &str) -> bool {
    name.ends_with("cdn-cache-control")
        || matches!(
            name,
            "surrogate-control" | "edge-control" | "x-accel-expires"
        )
}

/// Tells caches that the response depends on the request's cookies.
///
/// Adds `Vary: Cookie` unless a `Vary` field lists `Cookie` or `*`. Other values stay.
pub fn vary_cookie(headers: &mut HeaderMap) {
    vary(headers, &COOKIE, || HeaderValue::from_static("Cookie"));
}

/// As [`vary_cookie`], for another field of the request.
pub(crate) fn vary(headers: &mut HeaderMap, on: &HeaderName, shown: impl FnOnce() -> HeaderValue) {
    let varies = |member: &[u8]| {
        let member = trim(member);
        member == b"*" || member.eq_ignore_ascii_case(on.as_str().as_bytes())
    };
    match headers.entry(VARY) {
        Entry::Vacant(vacant) => {
            vacant.insert(shown());
        }
        Entry::Occupied(mut fields) => {
            let mut listed = fields.iter();
            if !listed.any(|field| field.as_bytes().split(|&byte| byte == b',').any(varies)) {
                fields.append(shown());
            }
        }
    }
}

/// Takes the `Set-Cookie` fields of the cookie called exactly `name` off a response.
///
/// Those of other cookies stay, in their order.
pub fn remove_set_cookie(headers: &mut HeaderMap, name: &str) {
    let (ours, others): (Vec<_>, Vec<_>) = headers
        .get_all(SET_COOKIE)
        .iter()
        .cloned()
        .partition(|field| sets(field, name));
    if ours.is_empty() {
        return;
    }
    headers.remove(SET_COOKIE);
    for field in others {
        headers.append(SET_COOKIE, field);
    }
}

/// Whether a `Set-Cookie` field sets the cookie of this name, as browsers read it (§5.6).
fn sets(field: &HeaderValue, name: &str) -> bool {
    field
        .as_bytes()
        .split(|&byte| byte == b';')
        .next()
        .and_then(split_pair)
        .is_some_and(|(key, _)| key == name.as_bytes())
}

/// Whether a `Cache-Control` field has the directive `no-store` (RFC 9111 §5.2).
///
/// Where the field is malformed, the answer errs on the side of `false`: what follows an unclosed
/// quote, and `no-store` with an argument, do not count.
fn has_no_store(field: &[u8]) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    field
        .split(|&byte| {
            if escaped {
                escaped = false;
            } else {
                match byte {
                    b'\\' => escaped = quoted,
                    b'"' => quoted = !quoted,
                    _ => {}
                }
            }
            byte == b',' && !quoted
        })
        .any(|directive| trim(directive).eq_ignore_ascii_case(b"no-store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(name: &HeaderName, fields: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name, HeaderValue::from_static(field));
        }
        headers
    }

    fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
        let fields = headers.get_all(name);
        fields.iter().map(|field| field.to_str().unwrap()).collect()
    }

    #[test]
    fn apply_keeps_other_cookies_and_fields() {
        let mut headers = response(&SET_COOKIE, &["a=1", "b=2"]);
        headers.insert("x-app", HeaderValue::from_static("kept"));
        apply(&mut headers, HeaderValue::from_static("id=x"));
        assert_eq!(values(&headers, &SET_COOKIE), ["a=1", "b=2", "id=x"]);
        assert_eq!(headers["x-app"], "kept");
        assert_eq!(values(&headers, &CACHE_CONTROL), ["no-store"]);
    }

    #[test]
    fn cache_control_with_no_store_stays() {
        for fields in [
            &["no-store"][..],
            &["NO-Store"],
            &["private, no-store"],
            &["max-age=0 ,\tno-store , private"],
            &[",,no-store,"],
            &["private=\"x, y\",no-store"],
            &["ext=\"a \\\" b\", no-store"],
            &["public", "no-store"],
        ] {
            let mut headers = response(&CACHE_CONTROL, fields);
            apply(&mut headers, HeaderValue::from_static("id=x"));
            assert_eq!(values(&headers, &CACHE_CONTROL), fields);
        }
    }

    #[test]
    fn cache_control_without_no_store_is_replaced() {
        for fields in [
            &["public, max-age=600"][..],
            &["no-cache"],
            &[""],
            &["public", "max-age=600"],
            &["private=\"x, no-store\""],
            &["private=\"x, no-store, y\", max-age=1"],
            &["ext=\"a\\\", no-store, \""],
            &["ext=\"open, no-store"],
            &["no-store-please, xno-store, no store"],
            &["no-store=1"],
        ] {
            let mut headers = response(&CACHE_CONTROL, fields);
            apply(&mut headers, HeaderValue::from_static("id=x"));
            assert_eq!(values(&headers, &CACHE_CONTROL), ["no-store"], "{fields:?}");
        }
    }

    #[test]
    fn fields_for_some_caches_alone_are_taken_off() {
        let mut headers = response(&CACHE_CONTROL, &["private, no-store"]);
        for name in [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "surrogate-control",
            "edge-control",
            "x-accel-expires",
        ] {
            headers.append(name, HeaderValue::from_static("max-age=600"));
        }
        headers.insert("surrogate-key", HeaderValue::from_static("kept"));
        apply(&mut headers, HeaderValue::from_static("id=x"));
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["cache-control", "set-cookie", "surrogate-key"]);
        assert_eq!(values(&headers, &CACHE_CONTROL), ["private, no-store"]);
    }

    #[test]
    fn a_backslash_escapes_only_within_quotes() {
        let mut headers = response(&CACHE_CONTROL, &["ext=\\\"open, no-store"]);
        apply(&mut headers, HeaderValue::from_static("id=x"));
        assert_eq!(values(&headers, &CACHE_CONTROL), ["no-store"]);
    }

    #[test]
    fn vary_lists_cookie_once() {
        for (before, after) in [
            (&[][..], &["Cookie"][..]),
            (&["Accept"], &["Accept", "Cookie"]),
            (&["Accept, Origin"], &["Accept, Origin", "Cookie"]),
            (&["X-Cookie"], &["X-Cookie", "Cookie"]),
            (&["Set-Cookie, cookies"], &["Set-Cookie, cookies", "Cookie"]),
            (&["cookie"], &["cookie"]),
            (&["Accept ,\tCOOKIE"], &["Accept ,\tCOOKIE"]),
            (&["Accept", "Cookie"], &["Accept", "Cookie"]),
            (&["*"], &["*"]),
            (&["Accept, *"], &["Accept, *"]),
        ] {
            let mut headers = response(&VARY, before);
            vary_cookie(&mut headers);
            assert_eq!(values(&headers, &VARY), after);
            vary_cookie(&mut headers);
            assert_eq!(values(&headers, &VARY), after);
        }
    }

    #[test]
    fn only_the_named_cookie_is_removed() {
        let others = [
            "ID=1",
            "idd=2; Path=/",
            "x=id=3",
            "id",
            "=id=4",
            "y; id=5",
            "",
        ];
        let ours = ["id=6; Path=/", " id\t= 7", "id=", "id=8=9; Secure"];
        let mixed: Vec<_> = others.iter().chain(&ours).copied().collect();

        let mut headers = response(&SET_COOKIE, &mixed);
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        remove_set_cookie(&mut headers, "id");
        assert_eq!(values(&headers, &SET_COOKIE), others);
        assert_eq!(headers[VARY], "Accept");

        remove_set_cookie(&mut headers, "absent");
        assert_eq!(values(&headers, &SET_COOKIE), others);

        let mut headers = response(&SET_COOKIE, &ours);
        remove_set_cookie(&mut headers, "id");
        assert!(headers.is_empty());
    }

    #[test]
    fn kept_cookies_stay_sensitive() {
        let mut secret = HeaderValue::from_static("a=secret");
        secret.set_sensitive(true);
        let mut headers = response(&SET_COOKIE, &["id=x"]);
        headers.append(SET_COOKIE, secret);
        remove_set_cookie(&mut headers, "id");
        assert!(headers[SET_COOKIE].is_sensitive());
    }
}
