//! What can be wrong with a cookie's options or value.

use super::check::MAX_ATTRIBUTE;

/// Why the options of a cookie cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieConfigError {
    /// The name is empty or has a character that cookie names cannot have.
    #[error(
        "cookie name {name:?} is not a token: use letters, digits and any of !#$%&'*+-.^_`|~, \
         without spaces"
    )]
    InvalidName {
        /// The name as configured.
        name: String,
    },
    /// The path is not one that a browser can match.
    #[error(
        "cookie path {path:?} is not usable: begin with '/', percent-encode spaces, control and \
         non-ASCII characters and ';', and stay within {} bytes",
        MAX_ATTRIBUTE
    )]
    InvalidPath {
        /// The path as configured.
        path: String,
    },
    /// The domain begins with a dot.
    #[error(
        "cookie domain {domain:?} begins with a dot, which means nothing today: a domain always \
         covers its subdomains; leave the dot out, or set no domain to keep the cookie to one host"
    )]
    LeadingDot {
        /// The domain as configured.
        domain: String,
    },
    /// The domain is not a host name.
    #[error(
        "cookie domain {domain:?} is not a host name: use letters, digits and hyphens in parts \
         joined by single dots, in punycode if need be, without scheme, port or path"
    )]
    InvalidDomain {
        /// The domain as configured.
        domain: String,
    },
    /// The name begins with a prefix that only `Secure` cookies may have.
    #[error(
        "browsers drop the cookie {name:?} unless it is secure, because its name begins with \
         {prefix}: use secure(true), or for plain HTTP another name, as dev_http() does"
    )]
    PrefixNeedsSecure {
        /// The name as configured.
        name: String,
        /// The prefix that the name begins with.
        prefix: &'static str,
    },
    /// The name begins with a prefix that only cookies for the whole host may have.
    #[error(
        "browsers drop the cookie {name:?} with the path {path:?}, because its name begins with \
         {prefix}: use path(\"/\"), or a name that begins with __Secure-"
    )]
    PrefixNeedsRootPath {
        /// The name as configured.
        name: String,
        /// The prefix that the name begins with.
        prefix: &'static str,
        /// The path as configured.
        path: String,
    },
    /// The name begins with a prefix that only cookies of a single host may have.
    #[error(
        "browsers drop the cookie {name:?} with the domain {domain:?}, because its name begins \
         with {prefix}: set no domain, or use a name that begins with __Secure-"
    )]
    PrefixForbidsDomain {
        /// The name as configured.
        name: String,
        /// The prefix that the name begins with.
        prefix: &'static str,
        /// The domain as configured.
        domain: String,
    },
    /// The name begins with a prefix that only `HttpOnly` cookies may have.
    #[error(
        "browsers drop the cookie {name:?} unless it is HTTP only, because its name begins with \
         {prefix}: use http_only(true), or a name that begins with __Host- or __Secure-"
    )]
    PrefixNeedsHttpOnly {
        /// The name as configured.
        name: String,
        /// The prefix that the name begins with.
        prefix: &'static str,
    },
    /// `SameSite=None` without `Secure` (§5.7).
    #[error(
        "browsers drop a cookie with SameSite=None that is not secure: use secure(true), or \
         SameSite::Lax or SameSite::Strict"
    )]
    SameSiteNoneNeedsSecure,
    /// `Partitioned` without `Secure` (draft-cutler-httpbis-partitioned-cookies).
    #[error(
        "browsers drop a partitioned cookie that is not secure: use secure(true), or \
         partitioned(false)"
    )]
    PartitionedNeedsSecure,
}

/// A cookie's value has a character that is not allowed there (§4.1.1).
///
/// It does not say which: values are secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cookie's value has a character that cookies cannot carry (control or non-ASCII \
     character, space, '\"', ',', ';' or '\\'): encode it, for example as base64url"
)]
pub struct CookieValueError;
