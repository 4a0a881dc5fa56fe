//! What the layer asks of a transport, whichever it is.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::header::Header;
use super::{Transport, TransportError};
use crate::cookie::{
    Candidates, Cookie, CookieConfig, CookiePolicy, CookieValueError, apply, candidates,
    forbid_store, remove_set_cookie, vary, vary_cookie,
};
use crate::layer::LayerConfigError;

/// A transport with checked options. What it makes is a field's value, which only it puts on a
/// response.
#[derive(Debug, Clone)]
pub(crate) enum Carrier {
    Cookie(Cookie),
    Header(Header),
}

impl Carrier {
    pub(crate) fn compile(
        transport: &Transport,
        cookie: CookieConfig,
    ) -> Result<Self, LayerConfigError> {
        let Transport::Header(header) = transport else {
            return Ok(Self::Cookie(cookie.build()?));
        };
        let policy = cookie.clone().build()?.policy();
        if cookie != CookieConfig::new().policy(policy) {
            return Err(TransportError::CookieOptions.into());
        }
        Ok(Self::Header(Header::compile(header, policy)?))
    }

    /// On which responses the token is to be sent.
    pub(crate) fn policy(&self) -> CookiePolicy {
        match self {
            Self::Cookie(cookie) => cookie.policy(),
            Self::Header(header) => header.policy,
        }
    }

    /// What no other carrier is called that a client can send along with this one.
    pub(crate) fn name(&self) -> (&'static str, &str) {
        match self {
            Self::Cookie(cookie) => ("cookie", cookie.name()),
            Self::Header(header) if header.bearer => ("bearer", header.request.as_str()),
            Self::Header(header) => ("header", header.request.as_str()),
        }
    }

    /// The values that a request has, of which one may be a token.
    pub(crate) fn candidates<'h>(&self, headers: &'h HeaderMap) -> Candidates<'h> {
        match self {
            Self::Cookie(cookie) => candidates(headers, cookie.name()),
            Self::Header(header) => header.candidates(headers),
        }
    }

    /// The field that gives the client this token, for so long at most. It outlives the client's
    /// end if it is `lasting`.
    pub(crate) fn set(
        &self,
        token: &str,
        max_age: Duration,
        lasting: bool,
    ) -> Result<HeaderValue, CookieValueError> {
        match self {
            Self::Cookie(cookie) if lasting => cookie.set_lasting(token, max_age),
            Self::Cookie(cookie) => cookie.set(token, Some(max_age)),
            Self::Header(_) => Header::set(token),
        }
    }

    /// The field that makes the client forget its token.
    pub(crate) fn removal(&self) -> HeaderValue {
        match self {
            Self::Cookie(cookie) => cookie.removal(),
            Self::Header(_) => HeaderValue::from_static(""),
        }
    }

    /// Puts the field on a response, which no cache may store then.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, field: HeaderValue) {
        match self {
            Self::Cookie(_) => apply(headers, field),
            Self::Header(header) => {
                headers.insert(header.response.clone(), field);
                forbid_store(headers);
            }
        }
    }

    /// Takes what a handler set in the place of the session off a response.
    pub(crate) fn forget(&self, headers: &mut HeaderMap) {
        match self {
            Self::Cookie(cookie) => remove_set_cookie(headers, cookie.name()),
            Self::Header(header) => drop(headers.remove(&header.response)),
        }
    }

    /// Tells caches what the response depends on.
    pub(crate) fn vary(&self, headers: &mut HeaderMap) {
        match self {
            Self::Cookie(_) => vary_cookie(headers),
            Self::Header(header) => {
                vary(headers, &header.request, || header.request.clone().into());
            }
        }
    }
}
