//! The service that the layer makes of another.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::future::{Open, ResponseFuture};
use crate::extract::Entry;
use crate::request::RequestHead;
use crate::shared::Shared;
use crate::slot::Slot;

/// A service whose requests have sessions; made by [`SessionLayer`](super::SessionLayer).
#[derive(Debug, Clone)]
pub struct SessionService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> SessionService<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The slot for this request; `None` if it is to have none.
    fn slot<B>(&self, request: &Request<B>) -> Option<Arc<Slot>> {
        let shared = &self.shared;
        if let Some(skip) = &shared.skip
            && skip(&RequestHead::of(request))
        {
            return None;
        }
        let outer = request.extensions().get().map(|Entry(outer)| outer);
        let same = |slot: &Arc<Slot>| {
            slot.shared.key == shared.key && slot.shared.carrier.name() == shared.carrier.name()
        };
        if outer.is_some_and(|outer| outer.chain().any(same)) {
            // The same session is looked after by a layer further out.
            return None;
        }
        Some(Arc::new(Slot::new(shared.clone(), outer.cloned())))
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        // From here on every way out ends the session, a panic of the inner service included.
        let open = self.slot(&request).map(Open);
        if let Some(Open(slot)) = &open {
            request.extensions_mut().insert(Entry(slot.clone()));
        }
        ResponseFuture::new(self.inner.call(request), open)
    }
}
