//! "Your devices": where you are logged in, and how to log out elsewhere.
//!
//! `cargo run --example devices`, then open <http://127.0.0.1:3000> in two browsers, log in to both
//! by the same name, and log one out from the other.

use std::net::SocketAddr;

use axum::extract::Form;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{BoxError, Router};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{CsrfLayer, Error, MemoryStore, Session, SessionLayer};
use tower_keep_devices::Devices;

pub(crate) fn app() -> Result<Router, BoxError> {
    // Without the two `dev_http`s where the site is served over HTTPS.
    let sessions = SessionLayer::builder(MemoryStore::new())
        .cookie(CookieConfig::dev_http())
        .build()?;
    let csrf = CsrfLayer::builder().dev_http().build()?;

    let devices = Devices::new(sessions.sessions())
        .login_path("/login")
        .csrf(csrf.clone());
    Ok(Router::new()
        .route("/", get(home))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .layer(csrf)
        .nest("/devices", devices.router())
        .layer(sessions))
}

async fn home(session: Session) -> Result<Markup, Error> {
    let Some(user) = session.user() else {
        return Ok(page(&html! { h1 { "Hello" } a href="/login" { "Log in" } }));
    };
    let token = session.csrf_token()?;
    Ok(page(&html! {
        h1 { "Hello, " (user) }
        p { a href="/devices" { "Your devices" } }
        form method="post" action="/logout" {
            input type="hidden" name="_token" value=(token);
            button { "Log out" }
        }
    }))
}

async fn login_page(session: Session) -> Result<Markup, Error> {
    let token = session.csrf_token()?;
    Ok(page(&html! {
        h1 { "Log in" }
        form method="post" action="/login" {
            input type="hidden" name="_token" value=(token);
            label { "Your name " input name="name" autocomplete="username" required; }
            " " button { "Log in" }
        }
    }))
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// Whoever gives a name is let in. A real app looks at a password first.
async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect, Error> {
    session.set_user(login.name)?;
    Ok(Redirect::to("/"))
}

async fn logout(session: Session) -> Result<Redirect, Error> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

fn page(main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Devices" }
            }
            body { main { (main) } }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    // The addresses that are shown come from here.
    let app = app()?.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
