//! Tokens in header fields.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};

use super::{HeaderTransport, TransportError};
use crate::cookie::{Candidates, CookiePolicy, CookieValueError, trim};

/// Those whose loss or abuse would change what a message is.
const RESERVED: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    COOKIE,
    HOST,
    LOCATION,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    VARY,
];

const SCHEME: &[u8] = b"Bearer";

/// A [`HeaderTransport`] whose names are checked.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(super) request: HeaderName,
    pub(super) response: HeaderName,
    pub(super) bearer: bool,
    pub(super) policy: CookiePolicy,
}

impl Header {
    pub(super) fn compile(
        config: &HeaderTransport,
        policy: CookiePolicy,
    ) -> Result<Self, TransportError> {
        let request = if config.bearer {
            AUTHORIZATION
        } else {
            field_name(&config.request)?
        };
        Ok(Self {
            request,
            response: field_name(&config.response)?,
            bearer: config.bearer,
            policy,
        })
    }

    /// The distinct values that a request has.
    pub(super) fn candidates<'h>(&self, headers: &'h HeaderMap) -> Candidates<'h> {
        let mut found = Candidates::default();
        for field in headers.get_all(&self.request) {
            // What proxies join to one field they join with commas (RFC 9110, section 5.3).
            for element in field.as_bytes().split(|&byte| byte == b',') {
                let element = trim(element);
                let value = if self.bearer {
                    without_scheme(element).unwrap_or_default()
                } else {
                    element
                };
                if value.is_empty() {
                    continue;
                }
                found.add(value);
                if found.is_truncated() {
                    return found;
                }
            }
        }
        found
    }

    /// The response field's value.
    pub(super) fn set(token: &str) -> Result<HeaderValue, CookieValueError> {
        let mut value = HeaderValue::try_from(token).map_err(|_| CookieValueError)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn field_name(name: &str) -> Result<HeaderName, TransportError> {
    let invalid = |_| TransportError::InvalidHeader { name: name.into() };
    let field = HeaderName::try_from(name).map_err(invalid)?;
    if RESERVED.contains(&field) || field.as_str().starts_with("content-") {
        return Err(TransportError::ReservedHeader { name: name.into() });
    }
    Ok(field)
}

/// What follows the scheme's name, in whatever case (RFC 9110, section 11.1), and a space.
fn without_scheme(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = credentials.split_at_checked(SCHEME.len())?;
    let is_ours = scheme.eq_ignore_ascii_case(SCHEME) && rest.first() == Some(&b' ');
    is_ours.then(|| trim(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Transport;

    fn compiled(config: &HeaderTransport) -> Header {
        Header::compile(config, CookiePolicy::OnChange).unwrap()
    }

    #[track_caller]
    fn check(config: &HeaderTransport, name: &'static str, fields: &[&[u8]], expected: &[&[u8]]) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(name, HeaderValue::from_bytes(field).unwrap());
        }
        let found = compiled(config);
        let found = found.candidates(&headers);
        assert_eq!(found.as_slice(), expected);
    }

    #[test]
    fn values_of_a_field_of_its_own() {
        let header = Transport::header("X-Auth-Token");
        let check = |fields: &[&[u8]], expected: &[&[u8]]| {
            check(&header, "x-auth-token", fields, expected);
        };
        check(&[], &[]);
        check(&[b"", b" , ,,\t"], &[]);
        check(&[b"abc"], &[b"abc"]);
        check(&[b" abc , def", b"abc", b"ghi"], &[b"abc", b"def", b"ghi"]);
        check(
            &[b"a b", b"\xff\"", b"Bearer x"],
            &[b"a b", b"\xff\"", b"Bearer x"],
        );
        check(&[b"1,2,1,3", b"4,5,6"], &[b"1", b"2", b"3", b"4"]);
    }

    #[test]
    fn bearer_tokens_among_other_credentials() {
        let check = |fields: &[&[u8]], expected: &[&[u8]]| {
            check(&Transport::bearer(), "authorization", fields, expected);
        };
        check(&[b"Bearer abc"], &[b"abc"]);
        check(&[b"bEARER   abc "], &[b"abc"]);
        check(
            &[
                b"Basic abc",
                b"Bearerabc",
                b"Bearer",
                b"Bearer ",
                b"abc",
                b"Be",
            ],
            &[],
        );
        check(
            &[b"Basic abc, Bearer def", b"Bearer def,Bearer x"],
            &[b"def", b"x"],
        );
        check(&[b"Bearer a b"], &[b"a b"]);
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "x token", "x:token", "é", "x\n"] {
            let expected = TransportError::InvalidHeader { name: name.into() };
            let refused = Header::compile(&Transport::header(name), CookiePolicy::OnChange);
            assert_eq!(refused.unwrap_err(), expected);
        }
        for name in ["Cookie", "authorization", "Content-Type", "set-cookie"] {
            let expected = TransportError::ReservedHeader { name: name.into() };
            let config = Transport::bearer().response_header(name);
            let refused = Header::compile(&config, CookiePolicy::OnChange);
            assert_eq!(refused.unwrap_err(), expected);
        }
    }
}
