//! The app under test: the same handlers behind axum and behind plain tower.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use http::{Extensions, Request, header};
use tower::Layer;
use tower::util::BoxCloneService;
use tower_keep::{Error, MergeSession, ReadSession, Session, SessionHandle, SessionLayer};

use super::PLANNED;

pub(crate) type App = BoxCloneService<Request<Body>, Response, Infallible>;

/// What a test and a handler tell each other through the request's extensions.
#[derive(Clone, Default)]
pub(crate) struct Mark(Arc<State>);

#[derive(Default)]
struct State {
    done: AtomicBool,
    steps: AtomicUsize,
    panic_at: Option<usize>,
    panicked: AtomicBool,
    handle: Mutex<Option<SessionHandle>>,
}

impl Mark {
    /// The handler panics after this many of its steps.
    pub(crate) fn panicking_at(step: usize) -> Self {
        Self(Arc::new(State {
            panic_at: Some(step),
            ..State::default()
        }))
    }

    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Lets others run; the handler can be dropped here, and panics here if it was told to.
    pub(crate) async fn step(&self) {
        tokio::task::yield_now().await;
        if self.0.panic_at == Some(self.0.steps.fetch_add(1, Ordering::Relaxed)) {
            self.0.panicked.store(true, Ordering::Relaxed);
            panic!("{PLANNED}");
        }
    }

    pub(crate) fn has_panicked(&self) -> bool {
        self.0.panicked.load(Ordering::Relaxed)
    }

    /// The handler has reached the point from which on its commit must happen: it is asked for
    /// before anything can be dropped again.
    pub(crate) fn done(&self) {
        self.0.done.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.done.load(Ordering::Relaxed)
    }

    /// The handle that the handler of `/handle` has left.
    pub(crate) fn handle(&self) -> Option<SessionHandle> {
        self.0.handle.lock().unwrap().take()
    }
}

impl<S: Sync> FromRequestParts<S> for Mark {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

pub(crate) fn request(path: &str, cookie: Option<&str>, mark: &Mark) -> Request<Body> {
    let mut request = Request::get(path).extension(mark.clone());
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn increment(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    let n = session.increment("n", 1)?;
    mark.step().await;
    mark.done();
    Ok(n.to_string())
}

async fn merge(session: MergeSession, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.increment("n", 1)?;
    mark.step().await;
    mark.done();
    Ok(String::new())
}

/// Holds the session for a while.
async fn hold(session: Session, mark: Mark) -> Result<String, Error> {
    let n = session.increment("n", 1)?;
    for _ in 0..12 {
        mark.step().await;
    }
    mark.done();
    Ok(n.to_string())
}

async fn login(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.increment("n", 1)?;
    mark.step().await;
    session.set_user("ada")?;
    mark.step().await;
    mark.done();
    Ok("hello".into())
}

async fn logout(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.destroy()?;
    mark.step().await;
    mark.done();
    Ok("bye".into())
}

/// Ends the session and starts another one.
async fn replace(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.destroy()?;
    mark.step().await;
    session.insert("n", &100)?;
    mark.step().await;
    mark.done();
    Ok("new".into())
}

async fn early(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.increment("n", 1)?;
    mark.step().await;
    mark.done();
    session.commit().await?;
    mark.step().await;
    assert!(matches!(session.increment("n", 1), Err(Error::Closed)));
    mark.step().await;
    Ok("early".into())
}

async fn early_login(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.increment("n", 1)?;
    session.set_user("ada")?;
    mark.step().await;
    mark.done();
    session.commit().await?;
    mark.step().await;
    Ok("early".into())
}

/// Gives up waiting for its commit as soon as that is under way, as a timeout might.
async fn hasty_login(session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    session.increment("n", 1)?;
    session.set_user("ada")?;
    mark.done();
    tokio::select! {
        biased;
        committed = session.commit() => committed?,
        () = std::future::ready(()) => {}
    }
    mark.step().await;
    Ok("hasty".into())
}

async fn upgrade(read: ReadSession, session: Session, mark: Mark) -> Result<String, Error> {
    mark.step().await;
    let n = session.increment("n", 1)?;
    assert_eq!(read.get::<i64>("n")?, Some(n), "one request, one session");
    mark.step().await;
    mark.done();
    Ok(n.to_string())
}

async fn read(session: ReadSession) -> Result<String, Error> {
    Ok(format!(
        "{:?} {:?}",
        session.get::<i64>("n")?,
        session.user()
    ))
}

async fn handle(handle: SessionHandle, mark: Mark) -> Result<String, Error> {
    handle.read().await?;
    *mark.0.handle.lock().unwrap() = Some(handle);
    Ok(String::new())
}

pub(crate) fn routes() -> Router {
    static ROUTES: LazyLock<Router> = LazyLock::new(new_routes);
    ROUTES.clone()
}

fn new_routes() -> Router {
    Router::new()
        .route("/increment", get(increment))
        .route("/merge", get(merge))
        .route("/hold", get(hold))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .route("/replace", get(replace))
        .route("/early", get(early))
        .route("/early-login", get(early_login))
        .route("/hasty-login", get(hasty_login))
        .route("/upgrade", get(upgrade))
        .route("/read", get(read))
        .route("/handle", get(handle))
}

pub(crate) fn with_axum(layer: &SessionLayer) -> App {
    BoxCloneService::new(routes().layer(layer.clone()))
}

pub(crate) fn with_tower(layer: &SessionLayer) -> App {
    let service = tower::service_fn(async |request: Request<Body>| {
        let (parts, _) = request.into_parts();
        Ok(dispatch(parts).await.into_response())
    });
    BoxCloneService::new(layer.layer(service))
}

async fn dispatch(parts: Parts) -> Result<String, Error> {
    let mark = Mark::of(&parts.extensions);
    let session = async || Session::from_request(&parts).await;
    match parts.uri.path() {
        "/increment" => increment(session().await?, mark).await,
        "/merge" => merge(MergeSession::from_request(&parts).await?, mark).await,
        "/hold" => hold(session().await?, mark).await,
        "/login" => login(session().await?, mark).await,
        "/logout" => logout(session().await?, mark).await,
        "/replace" => replace(session().await?, mark).await,
        "/early" => early(session().await?, mark).await,
        "/early-login" => early_login(session().await?, mark).await,
        "/hasty-login" => hasty_login(session().await?, mark).await,
        "/upgrade" => {
            let read = ReadSession::from_request(&parts).await?;
            upgrade(read, session().await?, mark).await
        }
        "/read" => read(ReadSession::from_request(&parts).await?).await,
        "/handle" => handle(SessionHandle::from_request(&parts).await?, mark).await,
        path => panic!("no such path: {path}"),
    }
}
