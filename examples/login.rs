//! Login, logout, and pages for members.
//!
//! `cargo run --example login`, then open <http://127.0.0.1:3000> and log in as ann, whose password
//! is `open sesame`.

use std::sync::Arc;

use axum::extract::{Form, FromRequestParts};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Router, http::request::Parts, routing::get, routing::post};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{CsrfLayer, Error, MemoryStore, MergeSession, Session, SessionLayer};
use tower_keep::{ReadSession, SessionStore};

/// Whoever is logged in. Handlers that take it are for members; others see the login page.
struct User(Arc<str>);

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let session = ReadSession::from_request_parts(parts, state).await;
        // A store that fails is an error here, and not a visitor who is not logged in.
        let user = session.map_err(IntoResponse::into_response)?.user();
        user.map(Self)
            .ok_or_else(|| Redirect::to("/login").into_response())
    }
}

async fn members(User(name): User) -> Markup {
    html! {
        p { "Hello, " (name) "." }
        form method="post" action="/logout" { button { "Log out" } }
    }
}

/// Takes a `Session`, so that the message about a wrong password is shown once.
async fn form(session: Session) -> Result<Markup, Error> {
    let problem: Option<String> = session.get("problem")?;
    Ok(html! {
        @if let Some(problem) = problem { p { (problem) } }
        form method="post" action="/login" {
            label { "Name " input name="user" autocomplete="username"; }
            label { "Password " input name="password" type="password"; }
            button { "Log in" }
        }
    })
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

/// Takes a `MergeSession`, which locks nothing while the password is checked: that takes its time.
async fn login(session: MergeSession, Form(login): Form<Login>) -> Result<Redirect, Error> {
    if !is_right(&login).await {
        session.flash("problem", "Name or password is wrong.")?;
        return Ok(Redirect::to("/login"));
    }
    // Logging in needs the lock. It replaces the secret in the cookie, so whoever has planted or
    // seen the old one has nothing; what a visitor has collected, a cart say, stays.
    let session = session.upgrade().await?;
    if session.user().is_some_and(|other| *other != *login.user) {
        session.clear()?;
    }
    session.set_user(login.user)?;
    Ok(Redirect::to("/"))
}

/// Ends the session for every copy of its cookie, and removes the cookie.
async fn logout(session: Session) -> Result<Redirect, Error> {
    session.destroy()?;
    Ok(Redirect::to("/login"))
}

/// In an app: the hash of the user from the database, verified by argon2 in
/// `tokio::task::spawn_blocking`; as much work for a name that nobody has.
async fn is_right(login: &Login) -> bool {
    tokio::task::yield_now().await;
    login.user == "ann" && login.password == "open sesame"
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves both lines with `dev_http` out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    // No other site logs a visitor in or out. Browsers say where a form was sent from.
    let csrf = CsrfLayer::builder().dev_http().build()?;
    Ok(Router::new()
        .route("/", get(members))
        .route("/login", get(form).post(login))
        .route("/logout", post(logout))
        .layer(csrf)
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
