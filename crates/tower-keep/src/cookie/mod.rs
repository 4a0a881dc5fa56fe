//! The session cookie: its options, reading it from requests, writing it to responses.
//!
//! [`CookieConfig`] holds the options; [`CookieConfig::build`] refuses combinations that browsers
//! would drop without a word and compiles the rest into an immutable [`Cookie`]. [`candidates`]
//! finds the cookie's values in a request; [`Cookie::set`] and [`Cookie::removal`] make the
//! `Set-Cookie` field, and [`apply`] puts it on a response, which then is never stored by a cache.
//!
//! The rules are those of RFC 6265bis (draft-ietf-httpbis-rfc6265bis); where a section sign (§)
//! stands alone in this module's comments, it means that document.
//!
//! ```
//! use std::time::Duration;
//! # use http::{HeaderMap, HeaderValue, header};
//! use tower_keep::cookie::{CookieConfig, SameSite, apply, candidates};
//!
//! let cookie = CookieConfig::new().same_site(SameSite::Strict).build()?;
//!
//! let mut request = HeaderMap::new();
//! request.insert(header::COOKIE, HeaderValue::from_static("theme=dark; __Host-id=abc"));
//! let found = candidates(&request, cookie.name());
//! assert_eq!(found.as_slice(), [b"abc"]);
//!
//! let mut response = HeaderMap::new();
//! apply(&mut response, cookie.set("def", Some(Duration::from_secs(3600)))?);
//! assert_eq!(
//!     response[header::SET_COOKIE],
//!     "__Host-id=def; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=3600",
//! );
//! assert_eq!(response[header::CACHE_CONTROL], "no-store");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod config;
mod error;
mod fields;
mod parse;
mod write;

pub use config::{CookieConfig, CookiePolicy, SameSite};
pub use error::{CookieConfigError, CookieValueError};
pub use fields::{apply, remove_set_cookie, vary_cookie};
pub(crate) use fields::{forbid_store, overrides_cache_control, vary};
pub use parse::{Candidates, MAX_CANDIDATES, candidates};
pub use write::Cookie;

/// Without the white space (space and tab) at both ends that §5.6 and RFC 9110 §5.6.3 ignore.
///
/// Nothing else is trimmed: a name with other blanks around it is another name, and taking it for
/// ours would let a cookie slip past the checks that browsers tie to a prefix such as `__Host-`.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Name and value of a `name=value` pair, `None` without an equals sign.
fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', pair)?;
    let (name, value) = pair.split_at_checked(equals)?;
    Some((trim(name), trim(value.get(1..)?)))
}
