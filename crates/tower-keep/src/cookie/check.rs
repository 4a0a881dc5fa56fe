//! Which options are well-formed and go together.

use super::{CookieConfig, CookieConfigError, SameSite};

impl CookieConfig {
    pub(super) fn check(&self) -> Result<(), CookieConfigError> {
        self.check_name()?;
        self.check_path()?;
        self.check_domain()?;
        self.check_prefix()?;
        if self.same_site == SameSite::None && !self.secure {
            return Err(CookieConfigError::SameSiteNoneNeedsSecure);
        }
        if self.partitioned && !self.secure {
            return Err(CookieConfigError::PartitionedNeedsSecure);
        }
        Ok(())
    }

    /// A name is a token (§4.1.1, RFC 9110 §5.6.2).
    fn check_name(&self) -> Result<(), CookieConfigError> {
        if !self.name.is_empty() && self.name.bytes().all(is_token_byte) {
            return Ok(());
        }
        Err(CookieConfigError::InvalidName {
            name: self.name.clone(),
        })
    }

    /// §4.1.1 allows spaces in a path, but no request's path has one, so such a cookie would never
    /// come back.
    fn check_path(&self) -> Result<(), CookieConfigError> {
        let legal = |byte: u8| byte.is_ascii_graphic() && byte != b';';
        if self.path.starts_with('/')
            && self.path.len() <= MAX_ATTRIBUTE
            && self.path.bytes().all(legal)
        {
            return Ok(());
        }
        Err(self.invalid_path())
    }

    pub(super) fn invalid_path(&self) -> CookieConfigError {
        CookieConfigError::InvalidPath {
            path: self.path.clone(),
        }
    }

    /// A domain is a host name (§4.1.1, RFC 1034 §3.5).
    fn check_domain(&self) -> Result<(), CookieConfigError> {
        let Some(domain) = &self.domain else {
            return Ok(());
        };
        if domain.starts_with('.') {
            return Err(CookieConfigError::LeadingDot {
                domain: domain.clone(),
            });
        }
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(legal)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if domain.len() <= 253 && domain.split('.').all(is_label) {
            return Ok(());
        }
        Err(CookieConfigError::InvalidDomain {
            domain: domain.clone(),
        })
    }

    /// What browsers demand of a cookie because of how its name begins (§5.7).
    fn check_prefix(&self) -> Result<(), CookieConfigError> {
        let Some(&Prefix {
            text: prefix,
            host,
            http,
        }) = PREFIXES.iter().find(|prefix| prefix.begins(&self.name))
        else {
            return Ok(());
        };
        let name = self.name.clone();
        if !self.secure {
            return Err(CookieConfigError::PrefixNeedsSecure { name, prefix });
        }
        if host && self.path != "/" {
            let path = self.path.clone();
            return Err(CookieConfigError::PrefixNeedsRootPath { name, prefix, path });
        }
        if host && let Some(domain) = self.domain.clone() {
            return Err(CookieConfigError::PrefixForbidsDomain {
                name,
                prefix,
                domain,
            });
        }
        if http && !self.http_only {
            return Err(CookieConfigError::PrefixNeedsHttpOnly { name, prefix });
        }
        Ok(())
    }
}

/// Browsers ignore an attribute with a longer value (§5.6).
pub(super) const MAX_ATTRIBUTE: usize = 1024;

/// The beginning of a name and what it asks for besides `Secure`, which all of them do.
struct Prefix {
    text: &'static str,
    /// Path `/` and no domain.
    host: bool,
    http: bool,
}

/// The longer one of two that both match comes first.
const PREFIXES: [Prefix; 4] = [
    Prefix::new("__Host-Http-", true, true),
    Prefix::new("__Host-", true, false),
    Prefix::new("__Http-", false, true),
    Prefix::new("__Secure-", false, false),
];

impl Prefix {
    const fn new(text: &'static str, host: bool, http: bool) -> Self {
        Self { text, host, http }
    }

    fn begins(&self, name: &str) -> bool {
        name.get(..self.text.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(self.text))
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    use CookieConfigError as E;

    fn base() -> CookieConfig {
        CookieConfig::new()
    }

    #[test]
    fn names_are_tokens() {
        for name in [
            "", "a b", "a=b", "a;b", "a,b", "a\"", "a\n", "é", "a/b", "[a]",
        ] {
            let expected = E::InvalidName { name: name.into() };
            assert_eq!(base().name(name).build(), Err(expected));
        }
        for name in ["a", "A.b-c_d", "!#$%&'*+-.^_`|~0"] {
            assert!(base().name(name).build().is_ok(), "{name}");
        }
    }

    #[test]
    fn paths_begin_with_a_slash_and_stay_in_the_field() {
        let long = format!("/{}", "a".repeat(MAX_ATTRIBUTE));
        for path in [
            "", "app", "/a;b", "/a\r\nb", "/a\tb", "/a b", "/é", "/\x7f", &long,
        ] {
            let expected = E::InvalidPath { path: path.into() };
            assert_eq!(base().name("id").path(path).build(), Err(expected));
        }
        for path in ["/", "/app/", "/a%20b,c=d", &long[..MAX_ATTRIBUTE]] {
            assert!(base().name("id").path(path).build().is_ok(), "{path}");
        }
    }

    #[test]
    fn domains_are_host_names() {
        let label = "a".repeat(64);
        let long = ["abc."; 63].concat() + "abc";
        for domain in [
            "",
            "a..b",
            "a.",
            "-a.com",
            "a-.com",
            "a;b",
            "a b",
            "a\n",
            "é.com",
            "a_b.com",
            "a.com:80",
            "https://a.com",
            "a.com/",
            &label,
            &long,
        ] {
            let expected = E::InvalidDomain {
                domain: domain.into(),
            };
            assert_eq!(base().name("id").domain(domain).build(), Err(expected));
        }
        let expected = E::LeadingDot {
            domain: ".a.com".into(),
        };
        assert_eq!(base().name("id").domain(".a.com").build(), Err(expected));
        for domain in ["localhost", "Example.com", "a-b.1.xn--p1ai", "127.0.0.1"] {
            assert!(base().name("id").domain(domain).build().is_ok(), "{domain}");
        }
    }

    #[test]
    fn prefixes_demand_their_options() {
        // Each prefix, in the specified case and another: (path "/", no domain), HTTP only.
        for (name, host, http) in [
            ("__Secure-id", false, false),
            ("__SECURE-id", false, false),
            ("__Host-id", true, false),
            ("__host-id", true, false),
            ("__Http-id", false, true),
            ("__hTTP-id", false, true),
            ("__Host-Http-id", true, true),
            ("__HOST-HTTP-id", true, true),
        ] {
            let config = base().name(name);
            assert!(config.clone().build().is_ok(), "{name}");

            let insecure = config.clone().secure(false).build();
            assert!(
                matches!(insecure, Err(E::PrefixNeedsSecure { .. })),
                "{name}"
            );

            let path = config.clone().path("/app").build();
            assert_eq!(
                matches!(path, Err(E::PrefixNeedsRootPath { .. })),
                host,
                "{name}"
            );
            assert_eq!(path.is_err(), host, "{name}");

            let domain = config.clone().domain("a.com").build();
            assert_eq!(
                matches!(domain, Err(E::PrefixForbidsDomain { .. })),
                host,
                "{name}"
            );
            assert_eq!(domain.is_err(), host, "{name}");

            let scripted = config.clone().http_only(false).build();
            assert_eq!(
                matches!(scripted, Err(E::PrefixNeedsHttpOnly { .. })),
                http,
                "{name}"
            );
            assert_eq!(scripted.is_err(), http, "{name}");
        }
    }

    #[test]
    fn other_names_demand_nothing() {
        for name in [
            "id",
            "__Hos",
            "__Hostid",
            "_Host-id",
            "x__Host-id",
            "__Secure",
            "Host-id",
        ] {
            let config = CookieConfig::dev_http().path("/app").domain("a.com");
            let built = config.name(name).http_only(false).build();
            assert!(built.is_ok(), "{name}");
        }
    }

    #[test]
    fn same_site_none_and_partitioned_need_secure() {
        let plain = CookieConfig::dev_http();
        assert_eq!(
            plain.clone().same_site(SameSite::None).build(),
            Err(E::SameSiteNoneNeedsSecure)
        );
        assert_eq!(
            plain.clone().partitioned(true).build(),
            Err(E::PartitionedNeedsSecure)
        );
        assert!(plain.same_site(SameSite::Strict).build().is_ok());
        let embedded = base().same_site(SameSite::None).partitioned(true);
        assert!(embedded.build().is_ok());
    }

    #[test]
    fn errors_say_what_and_what_to_do() {
        for (config, words) in [
            (base().name("a b"), &["\"a b\"", "token"][..]),
            (base().path("app"), &["\"app\"", "begin with '/'"]),
            (
                base().domain(".a.com"),
                &["\".a.com\"", "leave the dot out"],
            ),
            (
                base().domain("a b"),
                &["\"a b\"", "letters, digits and hyphens"],
            ),
            (
                base().secure(false),
                &["__Host-", "secure(true)", "dev_http()"],
            ),
            (base().path("/app"), &["__Host-", "\"/app\"", "path(\"/\")"]),
            (
                base().domain("a.com"),
                &["__Host-", "\"a.com\"", "no domain"],
            ),
            (
                base().name("__Http-a").http_only(false),
                &["__Http-", "http_only(true)"],
            ),
            (
                CookieConfig::dev_http().same_site(SameSite::None),
                &["SameSite=None", "secure(true)", "SameSite::Lax"],
            ),
            (
                CookieConfig::dev_http().partitioned(true),
                &["partitioned", "secure(true)", "partitioned(false)"],
            ),
        ] {
            let message = config.build().unwrap_err().to_string();
            for word in words {
                assert!(message.contains(word), "{word:?} not in {message:?}");
            }
        }
    }
}
