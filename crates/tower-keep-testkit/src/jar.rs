//! The cookies of one browser.

use std::collections::BTreeMap;

use tower_keep_core::Timestamp;

/// What a browser keeps of the cookies of one `https` site.
#[derive(Clone, Default)]
pub(crate) struct Jar {
    /// By path and name.
    cookies: BTreeMap<(String, String), Cookie>,
}

#[derive(Clone)]
struct Cookie {
    value: String,
    /// Kept until the browser closes if there is none.
    expires: Option<Timestamp>,
}

impl Jar {
    /// Follows one `Set-Cookie` header of an answer to a request for `uri_path`, as a browser
    /// does.
    pub(crate) fn follow(&mut self, set_cookie: &str, uri_path: &str, now: Timestamp) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
            .collect();
        // Of a repeated attribute the last one counts.
        let attribute = |wanted| attributes.iter().rev().find(|(name, _)| name == wanted);
        let value_of = |wanted| attribute(wanted).map(|(_, value)| *value);

        let path = value_of("path").filter(|path| path.starts_with('/'));
        let host_only = path == Some("/") && attribute("domain").is_none();
        let secure = attribute("secure").is_some();
        let name = name.trim();
        if starts_with(name, "__Host-") && !(secure && host_only)
            || starts_with(name, "__Secure-") && !secure
        {
            return;
        }
        let path = path.unwrap_or_else(|| default_path(uri_path));
        let key = (path.to_owned(), name.to_owned());
        let max_age = value_of("max-age").and_then(|age| age.parse::<i64>().ok());
        if max_age.is_some_and(|seconds| seconds <= 0) {
            self.cookies.remove(&key);
            return;
        }
        let seconds = max_age.map(i64::unsigned_abs);
        let cookie = Cookie {
            value: value.trim().to_owned(),
            expires: seconds.map(|s| now.plus(std::time::Duration::from_secs(s))),
        };
        self.cookies.insert(key, cookie);
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let cookie = Cookie {
            value: value.to_owned(),
            expires: None,
        };
        self.cookies.insert(("/".into(), name.into()), cookie);
    }

    pub(crate) fn clear(&mut self) {
        self.cookies.clear();
    }

    /// The value that a request for `path` would carry under this name.
    pub(crate) fn get(&self, name: &str, path: &str, now: Timestamp) -> Option<&str> {
        self.sent(path, now)
            .find_map(|(sent, value)| (sent == name).then_some(value))
    }

    /// The `Cookie` header of a request for `path`, if there is one.
    pub(crate) fn header(&self, path: &str, now: Timestamp) -> Option<String> {
        let pairs: Vec<_> = self
            .sent(path, now)
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Names and values for `path`, those of longer paths first.
    fn sent<'a>(&'a self, path: &str, now: Timestamp) -> impl Iterator<Item = (&'a str, &'a str)> {
        let cookies = self.cookies.iter().rev();
        cookies
            .filter(move |((of, _), cookie)| {
                path_matches(path, of) && cookie.expires.is_none_or(|at| now < at)
            })
            .map(|((_, name), cookie)| (name.as_str(), cookie.value.as_str()))
    }
}

fn starts_with(name: &str, prefix: &str) -> bool {
    let start = name.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// RFC 6265, section 5.1.4.
fn default_path(uri_path: &str) -> &str {
    match uri_path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => uri_path.get(..end).unwrap_or("/"),
    }
}

/// RFC 6265, section 5.1.4.
fn path_matches(path: &str, of: &str) -> bool {
    path.strip_prefix(of)
        .is_some_and(|rest| rest.is_empty() || of.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(5_000);

    fn jar(set_cookies: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for set_cookie in set_cookies {
            jar.follow(set_cookie, "/shop/cart", NOW);
        }
        jar
    }

    #[test]
    fn paths_select_and_order_cookies() {
        let jar = jar(&[
            "a=root; Path=/",
            "a=deep; Path=/shop",
            "b=default",
            "c=x; Path=/other",
        ]);
        assert_eq!(
            jar.header("/shop/cart", NOW).unwrap(),
            "b=default; a=deep; a=root"
        );
        assert_eq!(jar.header("/shopping", NOW).unwrap(), "a=root");
        assert_eq!(jar.get("a", "/shop", NOW), Some("deep"));
        assert_eq!(jar.get("c", "/", NOW), None);
    }

    #[test]
    fn max_age_ends_a_cookie() {
        let mut jar = jar(&["a=1; Path=/; max-age=2", "b=2; Path=/"]);
        let later = Timestamp::from_millis(6_999);
        assert_eq!(jar.header("/", later).unwrap(), "b=2; a=1");
        let end = Timestamp::from_millis(7_000);
        assert_eq!(jar.header("/", end).unwrap(), "b=2");
        jar.follow("b=; Path=/; Max-Age=0", "/", end);
        assert_eq!(jar.header("/", end), None);
    }

    #[test]
    fn a_removal_with_another_path_removes_nothing() {
        let mut jar = jar(&["a=1; Path=/"]);
        jar.follow("a=; Path=/shop; Max-Age=0", "/", NOW);
        assert_eq!(jar.get("a", "/shop", NOW), Some("1"));
    }

    #[test]
    fn prefixed_names_keep_their_promises() {
        for refused in [
            "__Host-id=x; Path=/",
            "__Host-id=x; Secure",
            "__Host-id=x; Secure; Path=/shop",
            "__host-id=x; Secure; Path=/; Domain=example.org",
            "__Secure-id=x; Path=/",
            "no pair",
        ] {
            assert_eq!(jar(&[refused]).header("/shop/cart", NOW), None, "{refused}");
        }
        let jar = jar(&["__Host-id=x; Secure; Path=/; HttpOnly; SameSite=Lax"]);
        assert_eq!(jar.get("__Host-id", "/", NOW), Some("x"));
    }
}
