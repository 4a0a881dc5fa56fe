//! How the check is configured.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Response, StatusCode};
use tower_layer::Layer;

use super::origin::Origin;
use super::paths::Pattern;
use super::refusal::CsrfRefusal;
use super::rules::{OnRefusal, Rules};
use super::service::CsrfService;
use crate::extract::MainKey;
use crate::request::RequestHead;

/// Refuses requests that another site has made in the visitor's name.
///
/// `GET`, `HEAD`, `OPTIONS` and `TRACE` pass: nothing may be changed by them. Of any other request
/// the first of these that is there decides:
///
/// 1. `Sec-Fetch-Site`, which browsers send over HTTPS: `same-origin` and `none` pass. Others are
///    refused, unless `Origin` names a [trusted](CsrfLayerBuilder::trusted_origin) one.
/// 2. `Origin`: the app's own, by scheme, host and port, and trusted ones pass. Others are refused,
///    `null` too.
/// 3. The session's token: [`Session::csrf_token`](crate::Session::csrf_token), in the header
///    `X-CSRF-Token` or `X-XSRF-Token`, or in the field `_token`, `_csrf`, `_csrf_token` or `csrf`
///    of an `application/x-www-form-urlencoded` body. What is empty is not there. Without a live
///    session and its token the request is refused.
///
/// A GET that opens a WebSocket is checked in the same way, because browsers let every site open
/// one with the visitor's cookies.
///
/// Only where the token decides is the session opened, as a [`ReadSession`](crate::ReadSession).
/// The body is read only for a token that is in no header, and the handler gets the same bytes;
/// trailer fields of such a form are dropped. Put the layer *inside* of the
/// [`SessionLayer`](crate::SessionLayer); axum's body and every other that can be made of
/// [`Bytes`] will do. The rules are those of the [OWASP cheat sheet]; every case is in
/// `docs/csrf.md`.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_keep::{CsrfLayer, Error, MemoryStore, Session, SessionLayer};
///
/// async fn form(session: Session) -> Result<String, Error> {
///     let token = session.csrf_token()?;
///     Ok(format!(r#"<form method="post"><input type="hidden" name="_token" value="{token}">"#))
/// }
///
/// let app: Router = Router::new()
///     .route("/", get(form).post(async || "done"))
///     .layer(CsrfLayer::new())
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
///
/// [OWASP cheat sheet]: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
#[derive(Clone)]
pub struct CsrfLayer {
    rules: Arc<Rules>,
}

impl CsrfLayer {
    /// A layer with the defaults of [`CsrfLayerBuilder`].
    pub fn new() -> Self {
        Self::builder().assemble(Vec::new(), Vec::new())
    }

    /// A layer to be configured.
    pub fn builder() -> CsrfLayerBuilder {
        CsrfLayerBuilder {
            scheme: Scheme::HTTPS,
            trusted: Vec::new(),
            except: Vec::new(),
            require_token: false,
            websockets: true,
            max_body: 64 * 1024,
            status: StatusCode::FORBIDDEN,
            on_refusal: None,
            key: TypeId::of::<MainKey>(),
        }
    }
}

impl Default for CsrfLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for CsrfLayer {
    type Service = CsrfService<S>;

    fn layer(&self, inner: S) -> CsrfService<S> {
        CsrfService::new(inner, self.rules.clone())
    }
}

impl fmt::Debug for CsrfLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfLayer")
            .field("trusted", &self.rules.trusted)
            .field("except", &self.rules.except)
            .finish_non_exhaustive()
    }
}

/// A [`CsrfLayer`] to be configured.
///
/// ```
/// use tower_keep::CsrfLayer;
///
/// let layer = CsrfLayer::builder()
///     .trusted_origin("https://admin.example.com")
///     .except("/webhooks/*")
///     .build()?;
/// # Ok::<(), tower_keep::CsrfConfigError>(())
/// ```
#[must_use]
pub struct CsrfLayerBuilder {
    scheme: Scheme,
    trusted: Vec<String>,
    except: Vec<String>,
    require_token: bool,
    websockets: bool,
    max_body: usize,
    status: StatusCode,
    on_refusal: Option<OnRefusal>,
    key: TypeId,
}

impl CsrfLayerBuilder {
    /// Another origin whose pages may make requests here, as `https://admin.example.com` or with a
    /// port. Also the app's own, where a proxy does not pass the `Host` on that browsers see.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.trusted.push(origin.into());
        self
    }

    /// Expects the app's own pages at `http` instead of `https`: for plain HTTP, where browsers
    /// send no `Sec-Fetch-Site`. Default: `https`, whether it ends here or at a proxy.
    pub fn dev_http(mut self) -> Self {
        self.scheme = Scheme::HTTP;
        self
    }

    /// Wants the token of every request that is checked, also where the browser says that it comes
    /// from the app's own page. Opening a WebSocket takes none: browsers cannot send it along.
    /// Default: no.
    pub fn require_token(mut self, required: bool) -> Self {
        self.require_token = required;
        self
    }

    /// Paths that are not checked, for requests that prove in another way who they are from.
    ///
    /// `/hooks/pay` is this path and no other, `{name}` stands for one segment, and `*` at the end
    /// for one or more: `/webhooks/*`, `/api/{version}/callback`. Segments are compared exactly
    /// as they stand in the request. A path with `.` or `..`, an empty segment, or an encoded slash,
    /// backslash or dot is always checked. Where the layer is inside of a nested router, the
    /// path is what that router sees.
    pub fn except(mut self, pattern: impl Into<String>) -> Self {
        self.except.push(pattern.into());
        self
    }

    /// Whether requests that open a WebSocket are checked. Default: yes.
    pub fn check_websockets(mut self, check: bool) -> Self {
        self.websockets = check;
        self
    }

    /// The largest form that is looked into for a token, in bytes; a larger one is answered with
    /// 413. Default: 64 KiB. Forms whose token is in a header are not looked into.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The status of a refusal, from 400 to 499, such as the 419 of other frameworks. Default: 403.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Shapes the answer to a request that is refused. Default: the
    /// [status](Self::status) and the reason in a line of text.
    pub fn on_refusal(
        mut self,
        answer: impl Fn(CsrfRefusal, &RequestHead<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.on_refusal = Some(Box::new(answer));
        self
    }

    /// The [key](crate::SessionLayerBuilder::key) of the session layer whose sessions have the
    /// tokens, in an app that has several.
    pub fn key<K: 'static>(mut self) -> Self {
        self.key = TypeId::of::<K>();
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong with it, with the reason.
    pub fn build(mut self) -> Result<CsrfLayer, CsrfConfigError> {
        if !self.status.is_client_error() {
            return Err(CsrfConfigError::Status(self.status));
        }
        let origin = |text: String| match Origin::parse(&text).map(Origin::into_owned) {
            Some(origin) => Ok(origin),
            None => Err(CsrfConfigError::Origin(text)),
        };
        let pattern = |text: String| match Pattern::parse(&text) {
            Some(pattern) => Ok(pattern),
            None => Err(CsrfConfigError::Pattern(text)),
        };
        let trusted = std::mem::take(&mut self.trusted).into_iter().map(origin);
        let trusted = trusted.collect::<Result<_, _>>()?;
        let except = std::mem::take(&mut self.except).into_iter().map(pattern);
        let except = except.collect::<Result<_, _>>()?;
        Ok(self.assemble(trusted, except))
    }

    fn assemble(self, trusted: Vec<Origin<'static>>, except: Vec<Pattern>) -> CsrfLayer {
        let rules = Rules {
            scheme: self.scheme,
            trusted,
            except,
            require_token: self.require_token,
            websockets: self.websockets,
            max_body: self.max_body,
            status: self.status,
            on_refusal: self.on_refusal,
            key: self.key,
        };
        CsrfLayer {
            rules: Arc::new(rules),
        }
    }
}

impl fmt::Debug for CsrfLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfLayerBuilder")
            .field("trusted", &self.trusted)
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}

/// A [`CsrfLayer`] cannot be configured like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfConfigError {
    /// Not a scheme, a host and perhaps a port.
    #[error("`{0}` is no origin: write `https://admin.example.com`, without a path")]
    Origin(String),
    /// Not a pattern that can match anything.
    #[error(
        "`{0}` is no path pattern: begin with `/`, stand `{{name}}` for one segment and `*` at the end for one or more"
    )]
    Pattern(String),
    /// Not a status that says that the request is refused.
    #[error("a refusal cannot have the status {0}: take one from 400 to 499")]
    Status(StatusCode),
}
