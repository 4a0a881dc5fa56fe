//! Making the `Set-Cookie` field.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;

use super::{CookieConfig, CookieConfigError, CookiePolicy, CookieValueError};

/// The longest lifetime that browsers grant a cookie (§5.5).
const MAX_AGE_LIMIT: Duration = Duration::from_secs(400 * 24 * 60 * 60);
const MAX_AGE: &str = "; Max-Age=";

/// Removal by an `Expires` in the past is what §3.1 shows, and the only one that user agents
/// without `Max-Age` understand; the others let `Max-Age` win (§4.1.2.2).
const REMOVED: &str = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";

/// The session cookie with checked options, made by [`CookieConfig::build`].
///
/// [`set`](Self::set) and [`removal`](Self::removal) carry the same attributes, so that a browser
/// takes one for the other's cookie and keeps its rules about prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    name: String,
    /// All attributes that do not depend on the value or the time, from `"; Path="` on.
    attributes: String,
    removal: HeaderValue,
    expire_on_close: bool,
    policy: CookiePolicy,
}

impl Default for Cookie {
    /// What [`CookieConfig::new`] builds, without anything left to check.
    fn default() -> Self {
        Self {
            name: "__Host-id".into(),
            attributes: "; Path=/; Secure; HttpOnly; SameSite=Lax".into(),
            removal: HeaderValue::from_static(
                "__Host-id=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0; \
                 Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            expire_on_close: false,
            policy: CookiePolicy::OnChange,
        }
    }
}

impl Cookie {
    pub(super) fn compile(config: CookieConfig) -> Result<Self, CookieConfigError> {
        let mut attributes = format!("; Path={}", config.path);
        if let Some(domain) = &config.domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        if config.secure {
            attributes.push_str("; Secure");
        }
        if config.http_only {
            attributes.push_str("; HttpOnly");
        }
        attributes.push_str("; SameSite=");
        attributes.push_str(config.same_site.as_str());
        if config.partitioned {
            attributes.push_str("; Partitioned");
        }
        let removal = HeaderValue::try_from(format!("{}={attributes}{REMOVED}", config.name))
            // The checks before leave nothing to refuse; the path is the freest part.
            .map_err(|_| config.invalid_path())?;
        Ok(Self {
            name: config.name,
            attributes,
            removal,
            expire_on_close: config.expire_on_close,
            policy: config.policy,
        })
    }

    /// The cookie's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// On which responses the cookie is to be sent.
    pub fn policy(&self) -> CookiePolicy {
        self.policy
    }

    /// The `Set-Cookie` field that gives the cookie this value.
    ///
    /// `max_age` is the time for which the browser keeps the cookie, rounded up to whole seconds
    /// and at most 400 days. The browser forgets the cookie when it is closed if `max_age` is
    /// `None` or the cookie was configured so. The field is marked sensitive: its `Debug` does not
    /// show it, and HTTP/2 does not put it into its compression table.
    ///
    /// # Errors
    /// [`CookieValueError`] if the value has a character that cookies cannot carry.
    pub fn set(
        &self,
        value: &str,
        max_age: Option<Duration>,
    ) -> Result<HeaderValue, CookieValueError> {
        self.field(value, max_age.filter(|_| !self.expire_on_close))
    }

    /// As [`set`](Self::set), for a cookie that outlives the browser even where the others are
    /// configured not to.
    ///
    /// # Errors
    /// As there.
    pub fn set_lasting(
        &self,
        value: &str,
        max_age: Duration,
    ) -> Result<HeaderValue, CookieValueError> {
        self.field(value, Some(max_age))
    }

    fn field(
        &self,
        value: &str,
        max_age: Option<Duration>,
    ) -> Result<HeaderValue, CookieValueError> {
        if !are_cookie_octets(value) {
            return Err(CookieValueError);
        }
        let max_age = max_age.map(whole_seconds);
        // The exact length, so that the header value takes the string over as it is.
        let max_age_len = max_age.map_or(0, |seconds| MAX_AGE.len() + digits(seconds));
        let len = self.name.len() + 1 + value.len() + self.attributes.len() + max_age_len;
        let mut field = String::with_capacity(len);
        for part in [&self.name, "=", value, &self.attributes] {
            field.push_str(part);
        }
        if let Some(seconds) = max_age {
            write!(field, "{MAX_AGE}{seconds}").map_err(|_| CookieValueError)?;
        }
        let mut field = HeaderValue::try_from(field).map_err(|_| CookieValueError)?;
        field.set_sensitive(true);
        Ok(field)
    }

    /// The `Set-Cookie` field that makes the browser forget the cookie: no value, a lifetime that
    /// is over, and otherwise the attributes of [`set`](Self::set).
    pub fn removal(&self) -> HeaderValue {
        self.removal.clone()
    }
}

/// Rounded up, so that the browser never drops a cookie that the server still takes.
fn whole_seconds(duration: Duration) -> u64 {
    let duration = duration.min(MAX_AGE_LIMIT);
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// How many decimal digits a number has.
fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Whether they all are `cookie-octet`s of §4.1.1.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each would be one that the processor cannot guess in a token"
)]
fn are_cookie_octets(value: &str) -> bool {
    value.bytes().fold(true, |all, byte| {
        let reserved = (byte == b'"') | (byte == b',') | (byte == b';') | (byte == b'\\');
        all & byte.is_ascii_graphic() & !reserved
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cookie::SameSite;

    fn default_cookie() -> Cookie {
        CookieConfig::new().build().unwrap()
    }

    #[track_caller]
    fn check_max_age(max_age: Duration, expected: &str) {
        let field = default_cookie().set("x", Some(max_age)).unwrap();
        let field = field.to_str().unwrap();
        assert_eq!(field.split("; Max-Age=").nth(1), Some(expected));
    }

    #[test]
    fn the_default_is_what_the_default_configuration_builds() {
        assert_eq!(Cookie::default(), CookieConfig::new().build().unwrap());
    }

    #[test]
    fn default_fields() {
        let cookie = default_cookie();
        assert_eq!(
            cookie
                .set("abc", Some(Duration::from_secs(86_400)))
                .unwrap(),
            "__Host-id=abc; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=86400",
        );
        assert_eq!(
            cookie.set("abc", None).unwrap(),
            "__Host-id=abc; Path=/; Secure; HttpOnly; SameSite=Lax",
        );
        assert_eq!(
            cookie.removal(),
            "__Host-id=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        );
    }

    #[test]
    fn max_age_is_in_whole_seconds_rounded_up() {
        check_max_age(Duration::ZERO, "0");
        check_max_age(Duration::from_nanos(1), "1");
        check_max_age(Duration::from_secs(9), "9");
        check_max_age(Duration::from_millis(9_999), "10");
        check_max_age(Duration::from_secs(10), "10");
        check_max_age(Duration::from_millis(10_001), "11");
    }

    #[test]
    fn max_age_is_at_most_400_days() {
        check_max_age(Duration::from_secs(34_559_999), "34559999");
        check_max_age(Duration::from_millis(34_559_999_001), "34560000");
        check_max_age(Duration::from_millis(34_560_000_001), "34560000");
        check_max_age(Duration::MAX, "34560000");
    }

    #[test]
    fn digits_are_counted() {
        for number in [0, 1, 9, 10, 99, 100, 34_560_000, u64::MAX] {
            assert_eq!(digits(number), number.to_string().len(), "{number}");
        }
    }

    #[test]
    fn expire_on_close_sends_no_lifetime() {
        let cookie = CookieConfig::new().expire_on_close(true).build().unwrap();
        let field = cookie.set("x", Some(Duration::from_secs(60))).unwrap();
        assert_eq!(field, "__Host-id=x; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(cookie.removal().to_str().unwrap().contains("; Max-Age=0;"));
    }

    #[test]
    fn bad_values_are_refused() {
        let cookie = default_cookie();
        for value in [
            "a b", "a;b", "a,b", "a\"b", "a\\b", "a\tb", "a\r\nb", "a\0b", "a\x7fb", "é",
        ] {
            assert_eq!(cookie.set(value, None), Err(CookieValueError), "{value:?}");
        }
        let fine: String = (b'!'..=b'~')
            .filter(|byte| !b"\",;\\".contains(byte))
            .map(char::from)
            .collect();
        assert!(cookie.set(&fine, None).is_ok());
    }

    #[test]
    fn debug_does_not_show_the_value() {
        let field = default_cookie().set("secret", None).unwrap();
        assert!(field.is_sensitive());
        assert!(!format!("{field:?}").contains("secret"));
        assert!(!CookieValueError.to_string().contains("secret"));
    }

    /// Name, value and attributes of a field.
    fn parts(field: &HeaderValue) -> (&str, &str, BTreeMap<&str, Option<&str>>) {
        let mut parts = field.to_str().unwrap().split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let mut attributes = BTreeMap::new();
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .map_or((part, None), |(key, value)| (key, Some(value)));
            let before = attributes.insert(key, value);
            assert_eq!(before, None, "{key} twice");
        }
        (name, value, attributes)
    }

    fn every_config() -> Vec<CookieConfig> {
        let mut configs = vec![CookieConfig::new()];
        let mut vary = |change: &dyn Fn(CookieConfig) -> Vec<CookieConfig>| {
            configs = configs.drain(..).flat_map(change).collect();
        };
        let flags = [false, true];
        vary(&|c| {
            let names = [
                "id",
                "__Secure-id",
                "__Host-id",
                "__Http-id",
                "__Host-Http-id",
            ];
            names.map(|name| c.clone().name(name)).to_vec()
        });
        vary(&|c| ["/", "/app"].map(|path| c.clone().path(path)).to_vec());
        vary(&|c| vec![c.clone(), c.domain("example.com")]);
        vary(&|c| flags.map(|on| c.clone().secure(on)).to_vec());
        vary(&|c| flags.map(|on| c.clone().http_only(on)).to_vec());
        vary(&|c| flags.map(|on| c.clone().partitioned(on)).to_vec());
        vary(&|c| flags.map(|on| c.clone().expire_on_close(on)).to_vec());
        vary(&|c| {
            let all = [SameSite::Strict, SameSite::Lax, SameSite::None];
            all.map(|same_site| c.clone().same_site(same_site)).to_vec()
        });
        configs
    }

    #[test]
    fn set_and_removal_agree_for_every_config() {
        let configs = every_config();
        assert_eq!(configs.len(), 5 * 2 * 2 * 2 * 2 * 2 * 2 * 3);
        let mut built = 0;
        for config in configs {
            let Ok(cookie) = config.clone().build() else {
                continue;
            };
            built += 1;
            let set = cookie.set("v", Some(Duration::from_secs(7))).unwrap();
            let (name, value, mut attributes) = parts(&set);
            assert_eq!((name, value), (cookie.name(), "v"));
            let max_age = attributes.remove("Max-Age");
            let expected = (!config.expire_on_close).then_some(Some("7"));
            assert_eq!(max_age, expected, "{config:?}");

            let removal = cookie.removal();
            let (name, value, mut removed) = parts(&removal);
            assert_eq!((name, value), (cookie.name(), ""));
            assert_eq!(removed.remove("Max-Age"), Some(Some("0")));
            assert_eq!(
                removed.remove("Expires"),
                Some(Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            );
            assert_eq!(removed, attributes, "{config:?}");

            let mut expected = BTreeMap::from([
                ("Path", Some(config.path.as_str())),
                ("SameSite", Some(config.same_site.as_str())),
            ]);
            expected.extend(
                config
                    .domain
                    .as_deref()
                    .map(|domain| ("Domain", Some(domain))),
            );
            expected.extend(config.secure.then_some(("Secure", None)));
            expected.extend(config.http_only.then_some(("HttpOnly", None)));
            expected.extend(config.partitioned.then_some(("Partitioned", None)));
            assert_eq!(attributes, expected, "{config:?}");
        }
        // "id": 2 paths, 2 domains, http only, closing: 16 times 6 secure (partitioned, same site)
        // and 2 others. The prefixes leave: __Secure- 16 * 6, __Host- 4 * 6, __Http- 8 * 6,
        // __Host-Http- 2 * 6.
        assert_eq!(built, 16 * 8 + 16 * 6 + 4 * 6 + 8 * 6 + 2 * 6);
    }
}
