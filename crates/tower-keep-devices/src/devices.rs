//! How the router is configured.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::request::Parts;
use tower_keep::{CsrfLayer, Sessions};

use crate::answer;
use crate::page::{self, Page};
use crate::routes;
use crate::texts::{English, Texts};
use crate::visit::Open;

type TextsOf = dyn Fn(&Parts) -> Arc<dyn Texts> + Send + Sync;
type Layout = dyn Fn(&Page<'_>, &Parts) -> String + Send + Sync;

/// The "your devices" router, to be configured; see the [crate's documentation](crate).
///
/// ```
/// use axum::Router;
/// use tower_keep::{CsrfLayer, MemoryStore, SessionLayer};
/// use tower_keep_devices::Devices;
///
/// let sessions = SessionLayer::new(MemoryStore::new());
/// let csrf = CsrfLayer::builder().trusted_origin("https://admin.example.com").build()?;
/// let devices = Devices::new(sessions.sessions())
///     .login_path("/login")
///     .csrf(csrf)
///     .layout(|page, _request| format!(
///         r#"<!DOCTYPE html><html lang="{}"><head><title>{} – My app</title>
///            <link rel="stylesheet" href="{}"></head><body><main>{}</main></body></html>"#,
///         page.lang, page.title, page.stylesheet, page.content,
///     ));
/// let app: Router = Router::new()
///     .nest("/account/devices", devices.router())
///     .layer(sessions);
/// # Ok::<(), tower_keep::CsrfConfigError>(())
/// ```
#[must_use]
pub struct Devices {
    config: Config,
    csrf: Option<CsrfLayer>,
}

/// What the handlers know.
pub(crate) struct Config {
    pub(crate) sessions: Sessions,
    pub(crate) open: Open,
    pub(crate) login_path: String,
    pub(crate) public_path: Option<String>,
    /// How fresh a login must be to end others, and where it is made so.
    pub(crate) fresh: Option<(Duration, String)>,
    pub(crate) texts: Box<TextsOf>,
    pub(crate) layout: Option<Box<Layout>>,
}

impl Devices {
    /// A router over the sessions of a layer ([`SessionLayer::sessions`]), which must be around it.
    /// Its store must be able to find the sessions of a user, as all of tower-keep's own can.
    ///
    /// [`SessionLayer::sessions`]: tower_keep::SessionLayer::sessions
    pub fn new(sessions: Sessions) -> Self {
        Self {
            config: Config {
                sessions,
                open: Open::of::<()>(),
                login_path: "/login".to_owned(),
                public_path: None,
                fresh: None,
                texts: Box::new(|_| Arc::new(English)),
                layout: None,
            },
            csrf: None,
        }
    }

    /// Where visitors are sent who are not logged in, and who have just logged out on this device.
    /// Default: `/login`.
    pub fn login_path(mut self, path: impl Into<String>) -> Self {
        self.config.login_path = path.into();
        self
    }

    /// Where the router is, as the browser sees it. Default: found by itself, also where routers are
    /// nested in one another; it is to be said only where a proxy takes off a part of the path
    /// before the app gets it.
    pub fn public_path(mut self, path: impl Into<String>) -> Self {
        self.config.public_path = Some(path.into());
        self
    }

    /// Lets only those end other devices who have proved within this span who they are; others are
    /// sent to `path`, where the app asks for the password and calls
    /// [`reauthenticate`](tower_keep::Session::reauthenticate), or told so with 403. Looking, and
    /// logging out on this device, take no proof. Default: it takes none. OWASP ASVS 5.0, 7.5.2,
    /// asks for one.
    pub fn require_fresh(mut self, within: Duration, path: impl Into<String>) -> Self {
        self.config.fresh = Some((within, path.into()));
        self
    }

    /// The words of the pages. Default: [`English`].
    pub fn texts(self, texts: impl Texts + 'static) -> Self {
        let texts: Arc<dyn Texts> = Arc::new(texts);
        self.texts_for(move |_| texts.clone())
    }

    /// The words of the pages for a request: by its `Accept-Language`, say, or by what an outer
    /// layer knows of its user.
    pub fn texts_for(
        mut self,
        texts: impl Fn(&Parts) -> Arc<dyn Texts> + Send + Sync + 'static,
    ) -> Self {
        self.config.texts = Box::new(texts);
        self
    }

    /// Puts the page's content into the app's own layout; the request may say who the user is, for
    /// the navigation. Default: a page with nothing else on it, and with the
    /// `Content-Security-Policy` that it needs, which an own layout has to bring itself.
    pub fn layout(
        mut self,
        layout: impl Fn(&Page<'_>, &Parts) -> String + Send + Sync + 'static,
    ) -> Self {
        self.config.layout = Some(Box::new(layout));
        self
    }

    /// The check of requests that change something. Default: [`CsrfLayer::new`], for an app that is
    /// served over HTTPS; over plain HTTP it takes
    /// [`dev_http`](tower_keep::CsrfLayerBuilder::dev_http). An app that has such a layer around
    /// everything may leave this as it is, then both must let a request pass.
    pub fn csrf(mut self, layer: CsrfLayer) -> Self {
        self.csrf = Some(layer);
        self
    }

    /// The [key](tower_keep::SessionLayerBuilder::key) of the session layer, in an app that has
    /// several. A layer given to [`csrf`](Self::csrf) needs it too.
    pub fn key<K: 'static>(mut self) -> Self {
        self.config.open = Open::of::<K>();
        self
    }

    /// The router, to be nested under any path, inside of the session layer.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let Self { config, csrf } = self;
        // Its defaults are no mistake, so `build` has nothing to find.
        let csrf = csrf.or_else(|| config.open.csrf().on_refusal(answer::refusal).build().ok());
        routes::router(Arc::new(config), csrf.unwrap_or_default())
    }
}

impl Config {
    /// The document around a page's content, and whether it is the app's own.
    pub(crate) fn document(&self, page: &Page<'_>, request: &Parts) -> (String, bool) {
        match &self.layout {
            Some(layout) => (layout(page, request), true),
            None => (page::document(page), false),
        }
    }
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices")
            .field("sessions", &self.config.sessions)
            .field("login_path", &self.config.login_path)
            .field("public_path", &self.config.public_path)
            .finish_non_exhaustive()
    }
}
