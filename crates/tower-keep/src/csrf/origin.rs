//! Where a page came from, as browsers say it.

use std::borrow::Cow;

use http::header::HOST;
use http::uri::Scheme;

use crate::request::RequestHead;

/// Scheme, host and port; RFC 6454.
#[derive(Debug, Clone)]
pub(super) struct Origin<'a> {
    scheme: Cow<'a, str>,
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Reads `https://shop.example:8443`; nothing may follow. `null` is no origin.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let of_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(of_scheme) {
            return None;
        }
        Self::of(scheme, authority)
    }

    /// The origin of this app's own pages, as the request names it.
    pub(super) fn own(scheme: &Scheme, request: &RequestHead<'a>) -> Option<Self> {
        // An HTTP/2 request, and one in absolute form, name it in the target.
        let authority = match request.uri.authority() {
            Some(authority) => authority.as_str(),
            None => only_host(request)?,
        };
        let scheme = if *scheme == Scheme::HTTP {
            "http"
        } else {
            "https"
        };
        Self::of(scheme, authority)
    }

    fn of(scheme: &'a str, authority: &'a str) -> Option<Self> {
        let end = authority.find(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[end..].find(':') {
            Some(at) => authority.split_at(end + at),
            None => (authority, ""),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None if scheme.eq_ignore_ascii_case("https") => 443,
            None if scheme.eq_ignore_ascii_case("http") => 80,
            None => return Self::portless(scheme, host),
        };
        let portless = Self::portless(scheme, host)?;
        Some(Self {
            port: Some(port),
            ..portless
        })
    }

    fn portless(scheme: &'a str, host: &'a str) -> Option<Self> {
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let of_host = |b: u8| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'.' | b'-' | b'_')
                || (inner.is_some() && b == b':')
        };
        let name = inner.unwrap_or(host);
        (!name.is_empty() && name.bytes().all(of_host)).then_some(Self {
            scheme: scheme.into(),
            host: host.into(),
            port: None,
        })
    }

    pub(super) fn is(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(&other.scheme)
            && self.host.eq_ignore_ascii_case(&other.host)
            && self.port == other.port
    }

    pub(super) fn into_owned(self) -> Origin<'static> {
        Origin {
            scheme: self.scheme.into_owned().into(),
            host: self.host.into_owned().into(),
            port: self.port,
        }
    }
}

/// Whoever sends two means to deceive somebody.
fn only_host<'a>(request: &RequestHead<'a>) -> Option<&'a str> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Origin::parse(a).unwrap().is(&Origin::parse(b).unwrap())
    }

    #[test]
    fn scheme_host_and_port_make_an_origin() {
        let shop = "https://shop.example";
        assert!(same(shop, "https://shop.example:443") && same(shop, "HTTPS://Shop.Example"));
        assert!(same("http://[::1]", "http://[::1]:80"));
        assert!(same(
            "chrome-extension://abcdef",
            "chrome-extension://abcdef"
        ));
        for other in [
            "http://shop.example",
            "https://shop.example:8443",
            "https://shop.example:80",
            "https://example",
            "https://shop.example.evil.test",
            "https://shop.example.",
            "https://xshop.example",
        ] {
            assert!(!same(shop, other), "{other}");
        }
    }

    #[test]
    fn what_is_no_origin_is_not_read_as_one() {
        for text in [
            "",
            "null",
            "shop.example",
            "://shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/path",
            "https://user@shop.example",
            "https://shop.example:",
            "https://shop.example:+443",
            "https://shop.example:65536",
            "https://shop.example:443:443",
            "https://shop.example https://evil.test",
            "https://a,https://b",
            "https://[::1",
            "https://::1",
            "https://[]",
            "ht tps://shop.example",
        ] {
            let origin = Origin::parse(text);
            assert!(origin.is_none(), "{text}: {origin:?}");
        }
    }
}
