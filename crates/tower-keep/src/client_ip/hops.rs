//! What proxies write down about whom they were called by.

use std::iter::successors;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

/// The entries of the header, from the last one, which the nearest proxy has written, to the
/// first; `None` for one that is no address.
pub(super) fn from_the_nearest(
    headers: &HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Option<IpAddr>> {
    let read = if *name == FORWARDED {
        forwarded_for
    } else {
        node
    };
    let lines = headers
        .get_all(name)
        .iter()
        .rev()
        .map(HeaderValue::as_bytes);
    lines
        .flat_map(entries_from_the_right)
        .map(move |entry| read(std::str::from_utf8(entry).ok()?))
}

fn entries_from_the_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = rsplit_unquoted(line, b',');
    successors(Some(first), |(_, rest)| {
        rest.map(|rest| rsplit_unquoted(rest, b','))
    })
    .map(|(entry, _)| entry)
}

/// What follows the last `separator` outside of quotes, and what precedes it.
///
/// Quotes are counted from the right: an unpaired one that a client has sent cannot swallow what a
/// proxy has appended to it.
fn rsplit_unquoted(line: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate().rev() {
        if *byte == b'"' {
            let escapes = line[..at].iter().rev().take_while(|b| **b == b'\\');
            quoted ^= !quoted || escapes.count() % 2 == 0;
        } else if *byte == separator && !quoted {
            return (&line[at + 1..], Some(&line[..at]));
        }
    }
    (line, None)
}

/// The `for` of one element of `Forwarded`; RFC 7239, section 4.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = successors(
        Some(rsplit_unquoted(element.as_bytes(), b';')),
        |(_, rest)| rest.map(|rest| rsplit_unquoted(rest, b';')),
    );
    let mut nodes = pairs.filter_map(|(pair, _)| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    let ip = node(nodes.next()?);
    // Each name may occur once only.
    ip.filter(|_| nodes.next().is_none())
}

/// An address, with or without a port, quotes and brackets; RFC 7239, section 6.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let text = quoted.unwrap_or(text);
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip = match bracketed {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    };
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    Some(ip.or_else(with_port)?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_every_form() {
        let v6 = Some("2001:db8::1".parse().unwrap());
        let v4 = Some("192.0.2.7".parse().unwrap());
        for (text, ip) in [
            ("192.0.2.7", v4),
            (" 192.0.2.7\t", v4),
            ("192.0.2.7:47011", v4),
            (r#""192.0.2.7:47011""#, v4),
            ("::ffff:192.0.2.7", v4),
            ("[::ffff:192.0.2.7]:80", v4),
            ("2001:db8::1", v6),
            ("[2001:db8::1]", v6),
            (r#""[2001:db8::1]""#, v6),
            (r#""[2001:DB8::1]:47011""#, v6),
            ("", None),
            ("unknown", None),
            ("_hidden", None),
            ("192.0.2.7:_port", None),
            ("192.0.2", None),
            ("[192.0.2.7]", None),
            ("[2001:db8::1", None),
            (r#""192.0.2.7"#, None),
            ("192.0.2.7 192.0.2.8", None),
            ("010.0.0.1", None),
        ] {
            assert_eq!(node(text), ip, "{text}");
        }
    }

    #[test]
    fn elements_of_forwarded() {
        let v4 = Some("192.0.2.7".parse().unwrap());
        for (text, ip) in [
            ("for=192.0.2.7", v4),
            ("For=192.0.2.7;proto=http;by=203.0.113.43", v4),
            (r#"by="a;for=1.1.1.1";for="192.0.2.7:1""#, v4),
            ("for=192.0.2.7;for=192.0.2.8", None),
            ("by=192.0.2.7", None),
            ("192.0.2.7", None),
            ("for=", None),
        ] {
            assert_eq!(forwarded_for(text), ip, "{text}");
        }
    }

    #[test]
    fn entries_end_where_a_proxy_has_appended() {
        let split = |line: &'static str| -> Vec<_> {
            entries_from_the_right(line.as_bytes())
                .map(|entry| std::str::from_utf8(entry).unwrap())
                .collect()
        };
        assert_eq!(split("a,b, c"), [" c", "b", "a"]);
        assert_eq!(split(r#"x="a,b",c"#), ["c", r#"x="a,b""#]);
        assert_eq!(split(r#"x="a\",b",c"#), ["c", r#"x="a\",b""#]);
        // An unpaired quote of the client's, with what a proxy has appended.
        assert_eq!(split(r#"for="1.1.1.1, for=2.2.2.2"#)[0], " for=2.2.2.2");
        assert_eq!(split(r#"a", for="[::1]""#)[0], r#" for="[::1]""#);
        assert_eq!(split(""), [""]);
    }
}
