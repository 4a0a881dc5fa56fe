//! What is decided about a request by its head alone.

use std::any::TypeId;

use bytes::Bytes;
use http::header::{ORIGIN, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::uri::Scheme;
use http::{HeaderMap, Method, Response, StatusCode};

use super::origin::Origin;
use super::paths::Pattern;
use super::refusal::CsrfRefusal;
use crate::request::RequestHead;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

pub(super) type OnRefusal =
    Box<dyn Fn(CsrfRefusal, &RequestHead<'_>) -> Response<Bytes> + Send + Sync>;

/// See [`CsrfLayerBuilder`](super::CsrfLayerBuilder).
pub(super) struct Rules {
    pub(super) scheme: Scheme,
    pub(super) trusted: Vec<Origin<'static>>,
    pub(super) except: Vec<Pattern>,
    pub(super) require_token: bool,
    pub(super) websockets: bool,
    pub(super) max_body: usize,
    pub(super) status: StatusCode,
    pub(super) on_refusal: Option<OnRefusal>,
    pub(super) key: TypeId,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// The token decides.
    AskToken,
    Refuse(CsrfRefusal),
}

impl Rules {
    pub(super) fn judge(&self, request: &RequestHead<'_>) -> Verdict {
        let websocket = is_websocket(request.method, request.headers);
        let unchecked = if websocket {
            !self.websockets
        } else {
            is_safe(request.method)
        };
        let path = request.uri.path();
        if unchecked || self.except.iter().any(|pattern| pattern.matches(path)) {
            return Verdict::Pass;
        }
        match self.by_source(request) {
            // A browser cannot send a token along when it opens a socket.
            Verdict::Pass if self.require_token && !websocket => Verdict::AskToken,
            verdict => verdict,
        }
    }

    /// By what the browser says of the page that has made the request.
    fn by_source(&self, request: &RequestHead<'_>) -> Verdict {
        let headers = request.headers;
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        if let Some(site) = sites.next() {
            let own = matches!(site.as_bytes(), b"same-origin" | b"none");
            return if (own && sites.next().is_none()) || self.trusts(origin(headers).as_ref()) {
                Verdict::Pass
            } else {
                Verdict::Refuse(CsrfRefusal::CrossSite)
            };
        }
        let Some(named) = headers.get(ORIGIN) else {
            return Verdict::AskToken;
        };
        let origin = origin(headers);
        let is_own = || {
            let own = Origin::own(&self.scheme, request);
            own.zip(origin.as_ref()).is_some_and(|(own, it)| own.is(it))
        };
        if self.trusts(origin.as_ref()) || is_own() {
            Verdict::Pass
        } else if named == "null" {
            Verdict::Refuse(CsrfRefusal::NullOrigin)
        } else {
            Verdict::Refuse(CsrfRefusal::ForeignOrigin)
        }
    }

    fn trusts(&self, origin: Option<&Origin<'_>>) -> bool {
        origin.is_some_and(|origin| self.trusted.iter().any(|trusted| trusted.is(origin)))
    }

    /// The answer to a request that is refused.
    pub(super) fn answer(
        &self,
        refusal: CsrfRefusal,
        request: &RequestHead<'_>,
    ) -> Response<Bytes> {
        tracing::debug!(reason = %refusal, "a request was refused");
        match &self.on_refusal {
            Some(answer) => answer(refusal, request),
            None => refusal.answer(self.status),
        }
    }
}

/// The one origin that the request names.
fn origin(headers: &HeaderMap) -> Option<Origin<'_>> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = Origin::parse(origins.next()?.to_str().ok()?)?;
    origins.next().is_none().then_some(origin)
}

/// RFC 9110, section 9.2.1: methods that ask for nothing but an answer.
fn is_safe(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// Whether it opens a WebSocket: RFC 6455 over HTTP/1.1, RFC 8441 over HTTP/2 and 3.
fn is_websocket(method: &Method, headers: &HeaderMap) -> bool {
    match *method {
        Method::GET => {
            let mut lines = headers.get_all(UPGRADE).iter();
            lines.any(|line| {
                let mut protocols = line.as_bytes().split(|b| *b == b',');
                protocols.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"websocket"))
            })
        }
        Method::CONNECT => headers.contains_key(SEC_WEBSOCKET_VERSION),
        _ => false,
    }
}
