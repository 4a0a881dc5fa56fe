//! Asking for the password once more before something that matters.
//!
//! `cargo run --example step_up`, then open <http://127.0.0.1:3000>; the password is `open sesame`.

use std::time::Duration;

use axum::extract::Form;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Router, routing::get, routing::post};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{CsrfLayer, Error, MemoryStore, ReadSession, Session};
use tower_keep::{SessionLayer, SessionStore};

/// How long a proof of who somebody is counts for what matters.
const FRESH: Duration = Duration::from_mins(5);

async fn account(session: ReadSession) -> Result<Markup, Error> {
    let email: String = session.get_or("email", "ann@example.com".into())?;
    Ok(html! {
        p { "Messages go to " (email) }
        form method="post" action="/email" { input name="email" value=(email); button { "Change" } }
    })
}

#[derive(Deserialize)]
struct Email {
    email: String,
}

/// Whoever sits down at somebody's open browser must not get their messages.
async fn change(session: Session, Form(form): Form<Email>) -> Result<Response, Error> {
    if session.user().is_none() {
        return Ok(Redirect::to("/login").into_response());
    }
    if !session.is_fresh(FRESH) {
        // Kept until the password was given; in ten minutes it is forgotten.
        session.insert_for("wanted", &form.email, Duration::from_mins(10))?;
        return Ok(Redirect::to("/confirm").into_response());
    }
    session.insert("email", &form.email)?;
    Ok(Redirect::to("/").into_response())
}

async fn ask() -> Markup {
    html! {
        p { "Your password, please." }
        form method="post" { input name="password" type="password"; button { "Confirm" } }
    }
}

#[derive(Deserialize)]
struct Proof {
    password: String,
}

/// The session gets a new secret and a fresh date, and what was wanted is done.
async fn confirm(session: Session, Form(proof): Form<Proof>) -> Result<Redirect, Error> {
    if session.user().is_none() || proof.password != "open sesame" {
        return Ok(Redirect::to("/confirm"));
    }
    session.reauthenticate()?;
    if let Some(email) = session.remove::<String>("wanted")? {
        session.insert("email", &email)?;
    }
    Ok(Redirect::to("/"))
}

/// Who this is would be asked here; see the example `login`.
async fn login(session: Session) -> Result<Redirect, Error> {
    session.set_user("ann")?;
    Ok(Redirect::to("/"))
}

async fn login_form() -> Markup {
    html! { form method="post" { button { "Log in as ann" } } }
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves both lines with `dev_http` out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new()
        .route("/", get(account))
        .route("/email", post(change))
        .route("/confirm", get(ask).post(confirm))
        .route("/login", get(login_form).post(login))
        .layer(CsrfLayer::builder().dev_http().build()?)
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
