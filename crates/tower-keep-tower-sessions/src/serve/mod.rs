//! Our session as theirs.

mod desk;
mod ledger;
mod version;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value};
use tower_keep::RequestHead;
use tower_layer::Layer;
use tower_service::Service;

use crate::entry::their_id;
use desk::{Desk, UserOf};
use version::TheirSession;

/// Gives every request a `tower_sessions::Session` that is the session of tower-keep's layer, so that
/// what was written for tower-sessions runs on it unchanged.
///
/// Name it by the version: `TowerSessions14Layer`, `TowerSessions15Layer`. It comes *inside* of
/// the [`SessionLayer`](tower_keep::SessionLayer), and what uses it (axum-login's `AuthManager`,
/// axum-messages, handlers) inside of this one. Where that layer is missing or skips the request
/// there is no session here either.
///
/// The session is loaded when it is first looked at, without a lock. What is changed is handed over
/// after the handler and committed like any change of a
/// [`MergeSession`](tower_keep::MergeSession), every changed key counting as read; `cycle_id` and
/// `flush` become a rotation and a destruction. The [crate's documentation](crate) lists what is
/// different from tower-sessions.
pub struct TowerSessionsLayer<T> {
    user: Option<UserOf>,
    theirs: PhantomData<fn() -> T>,
}

impl<T: TheirSession> TowerSessionsLayer<T> {
    /// A layer that leaves the session's user alone.
    pub fn new() -> Self {
        Self {
            user: None,
            theirs: PhantomData,
        }
    }

    /// Tells from the session's values whose it is, as the library that logs in has left it there.
    /// When a request changes that, the session is made that user's
    /// ([`Session::set_user`](tower_keep::Session::set_user)): it can be found by them and ended
    /// with all of theirs, and the absolute timeout counts from the login. Default: sessions have no
    /// user.
    ///
    /// ```
    /// use tower_keep_tower_sessions::{TowerSessions14Layer, axum_login_user};
    ///
    /// let layer = TowerSessions14Layer::new().user(axum_login_user);
    /// let layer = TowerSessions14Layer::new()
    ///     .user(|values| Some(values.get("user")?.as_str()?.to_owned()));
    /// ```
    #[must_use]
    pub fn user(
        mut self,
        user: impl Fn(&Map<String, Value>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.user = Some(Arc::new(user));
        self
    }
}

impl<T: TheirSession> Default for TowerSessionsLayer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for TowerSessionsLayer<T> {
    fn clone(&self) -> Self {
        Self {
            user: self.user.clone(),
            theirs: PhantomData,
        }
    }
}

impl<T> fmt::Debug for TowerSessionsLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsLayer").finish_non_exhaustive()
    }
}

impl<S, T> Layer<S> for TowerSessionsLayer<T> {
    type Service = TowerSessionsService<S, T>;

    fn layer(&self, inner: S) -> TowerSessionsService<S, T> {
        TowerSessionsService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that a [`TowerSessionsLayer`] makes of another.
pub struct TowerSessionsService<S, T> {
    inner: S,
    layer: TowerSessionsLayer<T>,
}

impl<S, T, RequestBody, ResponseBody> Service<Request<RequestBody>> for TowerSessionsService<S, T>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
    S::Error: Send,
    T: TheirSession,
    RequestBody: Send,
    ResponseBody: From<Bytes> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TowerSessionsFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let claimed = match RequestHead::from(&request).claimed_id() {
            // A layer further out serves it already.
            Ok(_) if request.extensions().get::<T>().is_some() => None,
            Ok(claimed) => Some(claimed),
            Err(error) => {
                tracing::debug!(%error, "there is no session to be served");
                None
            }
        };
        let Some(claimed) = claimed else {
            return TowerSessionsFuture(Box::pin(self.inner.call(request)));
        };
        let (mut parts, body) = request.into_parts();
        let desk = Arc::new(Desk::new(parts.clone(), claimed, self.layer.user.clone()));
        let theirs = T::serve(claimed.map(their_id), desk.clone());
        parts.extensions.insert(theirs.clone());
        let open = Open(desk);
        let inner = self.inner.call(Request::from_parts(parts, body));
        TowerSessionsFuture(Box::pin(async move {
            let response = inner.await?;
            Ok(open.0.end(&theirs, response).await)
        }))
    }
}

/// The desk of a request that is under way.
struct Open(Arc<Desk>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<S: Clone, T> Clone for TowerSessionsService<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for TowerSessionsService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// The response of a [`TowerSessionsService`].
pub struct TowerSessionsFuture<R, E>(Pin<Box<dyn Future<Output = Result<R, E>> + Send>>);

impl<R, E> Future for TowerSessionsFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R, E> fmt::Debug for TowerSessionsFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsFuture")
            .finish_non_exhaustive()
    }
}

/// The layer for crates of tower-sessions 0.14: axum-login 0.18 and axum-messages 0.8 among them.
#[cfg(feature = "v14")]
pub type TowerSessions14Layer = TowerSessionsLayer<tower_sessions_core_014::Session>;

/// The layer for tower-sessions 0.15.
#[cfg(feature = "v15")]
pub type TowerSessions15Layer = TowerSessionsLayer<tower_sessions_core_015::Session>;
