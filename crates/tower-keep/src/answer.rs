//! The answers that the library gives in the place of a handler.

use std::any::TypeId;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
};
use http::{Response, response};
use tracing::{debug, error};

use crate::cookie::overrides_cache_control;
use crate::error::{Conflict, Error};
use crate::extract::{MainKey, shared_of};
use crate::request::{RequestHead, RequestInfo};
use crate::shared::Shared;

/// The answer to an error: shaped by the app if it wants to, else a line of text.
pub(crate) fn answer(
    error: &Error,
    shared: Option<&Shared>,
    info: Option<&RequestInfo>,
) -> Response<Bytes> {
    if let (Some(on_error), Some(info)) = (shared.and_then(|s| s.on_error.as_ref()), info) {
        return on_error(error, info);
    }
    let status = error.status();
    // The status' own words for whoever sees it; the error's are for the log.
    let text = match status.as_u16() {
        403 => "Please prove again who you are.\n",
        404 => "There is no such session.\n",
        409 if matches!(error, Error::TooManySessions) => {
            "There are too many sessions already. Please end one of them first.\n"
        }
        409 if matches!(error, Error::Conflict(Conflict::Mismatch)) => "Please log in again.\n",
        409 => "The session changed while the request was under way. Please try again.\n",
        503 => "The session is not available right now. Please try again.\n",
        _ => "The session could not be used.\n",
    };
    if status.is_server_error() {
        error!(error = %error, "a session failed");
    } else {
        debug!(error = %error, "a session conflict");
    }
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(after) = error.retry_after() {
        headers.insert(RETRY_AFTER, after.as_secs().max(1).into());
    }
    response
}

impl Error {
    /// Puts the layer's answer to this error in the place of a response, for middleware that meets
    /// one after the handler: status and body are replaced, and of the header fields those stay that
    /// are not about the content (CORS). The layer's
    /// [`on_error`](crate::SessionLayerBuilder::on_error) shapes it.
    ///
    /// Nothing is discarded by it: see [`Session::discard`](crate::Session::discard).
    pub fn replace<'a, B: From<Bytes>>(
        &self,
        response: Response<B>,
        request: impl Into<RequestHead<'a>>,
    ) -> Response<B> {
        let head = request.into();
        match shared_of(head.extensions, TypeId::of::<MainKey>()) {
            Some(shared) => {
                let info = shared.on_error.is_some().then(|| RequestInfo::from(&head));
                replace(response, self, shared, info.as_ref())
            }
            None => answer(self, None, None).map(B::from),
        }
    }
}

/// Puts the answer to `error` in the place of the handler's response. Its header fields stay, as
/// far as they are not about its content or its session: a browser needs those of CORS to see the
/// answer at all.
pub(crate) fn replace<B: From<Bytes>>(
    response: Response<B>,
    error: &Error,
    shared: &Shared,
    info: Option<&RequestInfo>,
) -> Response<B> {
    let (mut parts, _) = response.into_parts();
    forget_content(&mut parts, shared);
    let (answer, body) = answer(error, Some(shared), info).into_parts();
    parts.status = answer.status;
    let mut last = None;
    for (name, value) in answer.headers {
        // A field of several lines names itself with the first only.
        if let Some(name) = name {
            parts.headers.insert(name.clone(), value);
            last = Some(name);
        } else if let Some(name) = &last {
            parts.headers.append(name.clone(), value);
        }
    }
    Response::from_parts(parts, B::from(body))
}

fn forget_content(parts: &mut response::Parts, shared: &Shared) {
    let headers = &mut parts.headers;
    shared.carrier.forget(headers);
    let about_content = |name: &&HeaderName| {
        let name = name.as_str();
        let is_content = name.starts_with("content-") && !name.starts_with("content-security-");
        is_content || overrides_cache_control(name)
    };
    let names: Vec<HeaderName> = headers.keys().filter(about_content).cloned().collect();
    for name in names.iter().chain([&ETAG, &LAST_MODIFIED, &CACHE_CONTROL]) {
        headers.remove(name);
    }
}
