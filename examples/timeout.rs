//! What happens after the timeout: the next click leads to the login page, which says why.
//!
//! `cargo run --example timeout`, then open <http://127.0.0.1:3000>, log in, and wait a minute.

use std::time::Duration;

use axum::extract::{Query, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Router, routing::get};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    Absence, Error, LayerConfigError, MemoryStore, ReadSession, Session, SessionLayer, SessionStore,
};

/// A minute, to be seen. Two hours are the default.
const IDLE: Duration = Duration::from_mins(1);

/// In front of everything that is for members. It only reads the session, so it makes nobody wait.
async fn members_only(session: ReadSession, request: Request, next: Next) -> Response {
    if session.user().is_some() {
        return next.run(request).await;
    }
    // A script cannot make use of a login page.
    let mode = request.headers().get("sec-fetch-mode");
    if mode.is_some_and(|mode| mode != "navigate") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match session.absence() {
        Some(Absence::Expired) => Redirect::to("/login?reason=timeout").into_response(),
        _ => Redirect::to("/login").into_response(),
    }
}

async fn members(session: ReadSession) -> String {
    let left = session.expires_in().unwrap_or_default();
    format!("For members. Without a click it is over in {left:?}.")
}

#[derive(Deserialize)]
struct Why {
    reason: Option<String>,
}

async fn form(Query(why): Query<Why>) -> Markup {
    html! {
        @if why.reason.as_deref() == Some("timeout") {
            p { "You were away for too long. Please log in again." }
        }
        form method="post" { button { "Log in" } }
    }
}

/// Who this is would be asked here; see the example `login`.
async fn login(session: Session) -> Result<Redirect, Error> {
    session.set_user("ann")?;
    Ok(Redirect::to("/"))
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, LayerConfigError> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .idle_timeout(IDLE)
        .build()?;
    Ok(Router::new()
        .route("/", get(members))
        .layer(from_fn(members_only))
        .route("/login", get(form).post(login))
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
