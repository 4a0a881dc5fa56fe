//! The middleware: from the cookie to the session and back.

mod build;
mod builder;
mod completion;
mod eager;
mod future;
mod service;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tower_keep_core::{DynStore, SessionStore};
use tower_layer::Layer;

use crate::sessions::Sessions;
use crate::shared::Shared;

pub use build::LayerConfigError;
pub use builder::SessionLayerBuilder;
pub use completion::{CompletionFuture, CompletionLayer, CompletionService};
pub use eager::{EagerFuture, EagerLayer, EagerService};
pub use future::ResponseFuture;
pub use service::SessionService;

/// Gives every request its session, opened only if the request asks for it.
///
/// A request that does not use its session costs no store call, no cookie and no header. Cloning
/// the layer is cheap, and clones are the same layer.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_keep::{Error, MemoryStore, Session, SessionLayer};
///
/// async fn count(session: Session) -> Result<String, Error> {
///     Ok(format!("visit {}", session.increment("visits", 1)?))
/// }
///
/// let app: Router = Router::new()
///     .route("/", get(count))
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
#[derive(Clone)]
pub struct SessionLayer {
    pub(crate) shared: Arc<Shared>,
}

impl SessionLayer {
    /// A layer over `store` with safe defaults: cookie `__Host-id` (`Secure`, `HttpOnly`,
    /// `SameSite=Lax`), 2 hours of idle and 24 hours of absolute timeout. Browsers send the cookie
    /// over HTTPS, and most of them to `localhost`; see
    /// [`CookieConfig::dev_http`](crate::cookie::CookieConfig::dev_http) for plain HTTP.
    pub fn new(store: impl SessionStore) -> Self {
        Self::builder(store).build_unchecked()
    }

    /// A layer to be configured.
    pub fn builder(store: impl SessionStore) -> SessionLayerBuilder {
        SessionLayerBuilder::new(as_dyn(store))
    }

    /// A layer to put around this one, under which handlers run to their end and commit even when
    /// the client leaves. Without it a request that is dropped saves nothing.
    ///
    /// It is a layer of its own, because only services whose futures are `Send + 'static` can be
    /// run in a task.
    pub fn run_to_completion(&self) -> CompletionLayer {
        CompletionLayer::new(self.shared.tasks.clone())
    }

    /// The layer's sessions, to be used without any request.
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.shared.clone())
    }

    /// Ends what requests have left to do: no session is opened for writing any more, and when
    /// this completes, every commit and every unlock that had been started is done. Call it after
    /// the server has drained.
    pub async fn shutdown(&self) {
        self.shared.tasks.close();
        self.shared.tasks.drained().await;
    }
}

/// A store that is erased already is not erased twice.
pub(crate) fn as_dyn<S: SessionStore>(store: S) -> DynStore {
    let any: &dyn Any = &store;
    match any.downcast_ref::<DynStore>() {
        Some(erased) => erased.clone(),
        None => DynStore::new(store),
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, self.shared.clone())
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
