//! Sessions that are opened before anybody asks.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::answer;
use crate::extract::{FromHead, MainKey, shared_of};
use crate::read::ReadSession;
use crate::request::{RequestHead, RequestInfo};

/// Loads the session of every request before the handler, as a [`ReadSession`]; locked where
/// [`lock_for`](crate::SessionLayerBuilder::lock_for) says so.
///
/// For routes all of whose handlers need it: a store that fails is then answered here, and every
/// request slides the idle timeout. Put it *inside* of the [`SessionLayer`](crate::SessionLayer).
/// Elsewhere leave sessions to be opened by those who use them.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_keep::{EagerLayer, MemoryStore, SessionLayer};
///
/// let app: Router = Router::new()
///     .route("/account", get(async || "yours"))
///     .layer(EagerLayer::new())
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EagerLayer {
    key: TypeId,
}

impl Default for EagerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl EagerLayer {
    /// For the layer without a key.
    pub fn new() -> Self {
        Self::keyed::<MainKey>()
    }

    /// For the layer with the key `K`.
    pub fn keyed<K: 'static>() -> Self {
        Self {
            key: TypeId::of::<K>(),
        }
    }
}

impl<S> Layer<S> for EagerLayer {
    type Service = EagerService<S>;

    fn layer(&self, inner: S) -> EagerService<S> {
        EagerService {
            inner,
            key: self.key,
        }
    }
}

/// The service that an [`EagerLayer`] makes of another.
#[derive(Debug, Clone)]
pub struct EagerService<S> {
    inner: S,
    key: TypeId,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for EagerService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Send + 'static,
    ResponseBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = EagerFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // The one that was polled ready serves this request, its clone the next.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let key = self.key;
        EagerFuture(Box::pin(async move {
            let (parts, body) = request.into_parts();
            let head = RequestHead::from(&parts);
            if let Err(error) = ReadSession::from_head(&head, key).await {
                let shared = shared_of(&parts.extensions, key);
                let info = RequestInfo::from(&head);
                return Ok(answer(&error, shared, Some(&info)).map(ResponseBody::from));
            }
            inner.call(Request::from_parts(parts, body)).await
        }))
    }
}

/// The response of an [`EagerService`].
pub struct EagerFuture<R, E>(Pin<Box<dyn Future<Output = Result<R, E>> + Send>>);

impl<R, E> Future for EagerFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R, E> fmt::Debug for EagerFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EagerFuture").finish_non_exhaustive()
    }
}
