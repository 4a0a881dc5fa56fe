//! The application: each route does one operation on the session, and answers the state before.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use tower_keep::{
    DynStore, Error, LockConfig, MergeSession, ReadSession, Session, SessionLayer,
    SessionLayerBuilder,
};
use tower_keep_testkit::history::State;

pub(crate) const COOKIE: &str = "__Host-id";

/// How long sessions of the brief layer live.
pub(crate) const BRIEF: Duration = Duration::from_millis(1_200);

/// Leases so short that those of killed processes run out within the campaign.
fn builder(store: &DynStore) -> SessionLayerBuilder {
    let locks = LockConfig {
        lease: Duration::from_millis(400),
        wait: Duration::from_secs(4),
        poll: Duration::from_millis(4),
        store_timeout: Duration::from_secs(2),
        ..LockConfig::default()
    };
    let builder = SessionLayer::builder(store.clone()).locks(locks);
    builder.touch_throttle(Duration::from_millis(50))
}

pub(crate) fn layer(store: &DynStore) -> SessionLayer {
    builder(store).build().unwrap()
}

/// The same, whose new sessions end soon.
pub(crate) fn brief(store: &DynStore) -> SessionLayer {
    let builder = builder(store).idle_timeout(BRIEF).absolute_timeout(BRIEF);
    builder.build().unwrap()
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/start/{id}", get(start))
        .route("/read", get(read))
        .route("/extend", get(extend))
        .route("/write/{kind}/{id}", get(write))
        .route("/merge/{id}", get(merge))
        .route("/discard/{id}", get(discard))
        .route("/destroy", get(destroy))
        .layer(layer)
}

/// What a reader sees of the session.
pub(crate) fn state(session: &ReadSession) -> Result<State, Error> {
    Ok(State {
        list: session.get_or_default("list")?,
        count: session.get_or_default("count")?,
        note: session.get("note")?,
        user: session.user().and_then(|user| user.parse().ok()),
    })
}

/// There is no session.
fn absent() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn saw(state: &State) -> Response {
    state.to_string().into_response()
}

async fn read(session: Option<ReadSession>) -> Result<Response, Error> {
    session.map_or_else(|| Ok(absent()), |session| Ok(saw(&state(&session)?)))
}

/// Does what `kind` says and tells the state before.
pub(crate) fn change(session: &Session, kind: &str, id: u64) -> Result<State, Error> {
    let before = state(session)?;
    session.push("list", &id)?;
    match kind {
        "add" => drop(session.increment("count", 1)?),
        "note" => session.insert("note", &id)?,
        "rotate" => session.rotate()?,
        "user" => session.set_user(id.to_string())?,
        _ => {}
    }
    Ok(before)
}

async fn start(session: Session, Path(id): Path<u64>) -> Result<Response, Error> {
    Ok(saw(&change(&session, "push", id)?))
}

async fn write(
    session: Option<Session>,
    Path((kind, id)): Path<(String, u64)>,
) -> Result<Response, Error> {
    let Some(session) = session else {
        return Ok(absent());
    };
    let before = change(&session, &kind, id)?;
    // Others come in between, if they can.
    tokio::task::yield_now().await;
    Ok(saw(&before))
}

async fn extend(session: Option<Session>) -> Result<Response, Error> {
    let Some(session) = session else {
        return Ok(absent());
    };
    session.extend(Duration::from_secs(30))?;
    Ok(saw(&state(&session)?))
}

async fn merge(session: Option<MergeSession>, Path(id): Path<u64>) -> Result<Response, Error> {
    let Some(session) = session else {
        return Ok(absent());
    };
    session.push("list", &id)?;
    session.increment("count", 1)?;
    tokio::task::yield_now().await;
    Ok(().into_response())
}

/// Changes everything, and fails.
async fn discard(session: Option<Session>, Path(id): Path<u64>) -> Result<Response, Error> {
    let Some(session) = session else {
        return Ok(absent());
    };
    for kind in ["add", "note", "user"] {
        change(&session, kind, id)?;
    }
    Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn destroy(session: Option<Session>) -> Result<Response, Error> {
    let Some(session) = session else {
        return Ok(absent());
    };
    let before = state(&session)?;
    session.destroy()?;
    Ok(saw(&before))
}
