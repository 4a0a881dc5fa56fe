//! What the layer looks at in a request.

use std::any::TypeId;
use std::fmt;

use http::{Extensions, HeaderMap, Method, Request, Uri, request};
use tower_keep_core::SessionId;

use crate::error::Error;
use crate::extract::{MainKey, slot_of};

/// The head of a request, as the layer's predicates get it.
///
/// `Debug` shows the method and the path; among the header fields is the cookie.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target.
    pub uri: &'a Uri,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// What outer layers have attached, such as the peer's address.
    pub extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// The id that the session's token in this request names, without asking the store: there may
    /// be no such session, and whoever made the request may have no right to it. For logs and
    /// caches; never decide by it who somebody is. `None` if there is no well-formed token.
    ///
    /// # Errors
    /// [`Error::MissingLayer`] if the request did not come through a
    /// [`SessionLayer`](crate::SessionLayer).
    pub fn claimed_id(&self) -> Result<Option<SessionId>, Error> {
        let slot = slot_of(self.extensions, TypeId::of::<MainKey>());
        Ok(slot.ok_or(Error::MissingLayer)?.claimed_id(self))
    }

    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Whether it only looks at a page that the user has not asked for, or at its head: flash
    /// messages must not be used up by it.
    pub(crate) fn only_peeks(&self) -> bool {
        let says = |name: &str, what: &str| {
            self.headers.get(name).is_some_and(|value| {
                // `Sec-Purpose: prefetch;prerender` is one of its forms.
                let first = value.as_bytes().split(|b| matches!(b, b';' | b',')).next();
                first.is_some_and(|first| first.trim_ascii().eq_ignore_ascii_case(what.as_bytes()))
            })
        };
        self.method == Method::HEAD
            || says("sec-purpose", "prefetch")
            || says("purpose", "prefetch")
            || says("x-moz", "prefetch")
    }
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::of(request)
    }
}

impl<'a> From<&'a request::Parts> for RequestHead<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

/// What is left of a request when its response is made: for
/// [`on_error`](crate::SessionLayerBuilder::on_error).
///
/// `Debug` shows the method and the path; among the header fields is the cookie.
#[derive(Clone)]
#[non_exhaustive]
pub struct RequestInfo {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The header fields; the cookie is among them.
    pub headers: HeaderMap,
}

impl From<&RequestHead<'_>> for RequestInfo {
    fn from(head: &RequestHead<'_>) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
        }
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestInfo")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}
