//! The cookie's options, and which of them go together.

use super::{Cookie, CookieConfigError};

/// When a browser sends the cookie along with requests that other sites start (§5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "snake_case"))]
pub enum SameSite {
    /// Never. Following a link from another site arrives without a session.
    Strict,
    /// Only when the user navigates to the page with a safe method, as by a link. The default.
    #[default]
    Lax,
    /// Always. Needs `Secure`, and protection against CSRF by other means.
    None,
}

impl SameSite {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// On which responses the cookie is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "snake_case"))]
pub enum CookiePolicy {
    /// When it says something new: a new session, a rotated one, another lifetime. The default.
    #[default]
    OnChange,
    /// On every response whose own commit succeeded, as PHP's session systems do.
    Always,
}

/// The options of the session cookie.
///
/// | option | default |
/// |---|---|
/// | [`name`](Self::name) | `__Host-id` |
/// | [`path`](Self::path) | `/` |
/// | [`domain`](Self::domain) | none: the host that set the cookie, without its subdomains |
/// | [`secure`](Self::secure) | `true` |
/// | [`http_only`](Self::http_only) | `true` |
/// | [`same_site`](Self::same_site) | [`SameSite::Lax`] |
/// | [`partitioned`](Self::partitioned) | `false` |
/// | [`expire_on_close`](Self::expire_on_close) | `false` |
/// | [`policy`](Self::policy) | [`CookiePolicy::OnChange`] |
///
/// ```
/// use tower_keep::cookie::CookieConfig;
///
/// // One session for all subdomains; `__Host-` rules a domain out, `__Secure-` does not.
/// let shared = CookieConfig::new().domain("example.com");
/// assert!(shared.clone().build().is_err());
/// assert!(shared.name("__Secure-id").build().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of its own"
)]
pub struct CookieConfig {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
    pub(super) partitioned: bool,
    pub(super) expire_on_close: bool,
    pub(super) policy: CookiePolicy,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: "__Host-id".to_owned(),
            path: "/".to_owned(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::default(),
            partitioned: false,
            expire_on_close: false,
            policy: CookiePolicy::default(),
        }
    }
}

impl CookieConfig {
    /// The defaults, which suit a site served over HTTPS.
    pub fn new() -> Self {
        Self::default()
    }

    /// For development over plain HTTP, where some browsers drop `Secure` cookies even on
    /// localhost: the name is `id` and `Secure` is off. Do not use it in production.
    pub fn dev_http() -> Self {
        Self::default().name("id").secure(false)
    }

    /// The cookie's name, `__Host-id` by default. Browsers tie these beginnings, whatever
    /// their case (§5.4), to other options, and [`build`](Self::build) insists on them:
    ///
    /// | beginning | needs |
    /// |---|---|
    /// | `__Secure-` | secure |
    /// | `__Host-` | secure, path `/`, no domain |
    /// | `__Http-` | secure, HTTP only |
    /// | `__Host-Http-` | secure, path `/`, no domain, HTTP only |
    ///
    /// The first two are defined by RFC 6265bis §4.1.3, the last two by its successor
    /// (draft-ietf-httpbis-layered-cookies §4.1.3).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The path under which the browser sends the cookie, `/` by default. It is no protection:
    /// scripts under other paths of the host can reach the cookie all the same (§8.5).
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The domain that gets the cookie together with all its subdomains. By default there is none,
    /// and only the host that set the cookie gets it.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Whether the browser keeps the cookie to HTTPS, `true` by default.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether the cookie is hidden from scripts, `true` by default.
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Whether requests started by other sites carry the cookie, [`SameSite::Lax`] by default.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Whether a page embedded in other sites has a cookie of its own in each of them (CHIPS),
    /// `false` by default.
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Whether the browser forgets the cookie when it is closed (no `Max-Age`), `false` by default.
    /// Browsers that restore their tabs restore such cookies too; the server's own deadlines hold
    /// in either case.
    #[must_use]
    pub fn expire_on_close(mut self, expire_on_close: bool) -> Self {
        self.expire_on_close = expire_on_close;
        self
    }

    /// On which responses the cookie is sent, [`CookiePolicy::OnChange`] by default.
    #[must_use]
    pub fn policy(mut self, policy: CookiePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Checks the options and compiles them.
    ///
    /// # Errors
    /// [`CookieConfigError`] for options that are malformed or that no browser accepts together;
    /// it says which and what to do.
    pub fn build(self) -> Result<Cookie, CookieConfigError> {
        self.check()?;
        Cookie::compile(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_build() {
        let cookie = CookieConfig::new().build().unwrap();
        assert_eq!(cookie.name(), "__Host-id");
        assert_eq!(cookie.policy(), CookiePolicy::OnChange);
        let always = CookieConfig::new()
            .policy(CookiePolicy::Always)
            .build()
            .unwrap();
        assert_eq!(always.policy(), CookiePolicy::Always);
    }

    #[test]
    fn dev_http_works_without_https() {
        let field = CookieConfig::dev_http().build().unwrap().set("x", None);
        assert_eq!(field.unwrap(), "id=x; Path=/; HttpOnly; SameSite=Lax");
    }
}
