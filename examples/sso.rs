//! Single sign-on: an identity provider logs users in, and when they log out there, it logs them
//! out here, on all their devices.
//!
//! `cargo run --example sso`; the provider that it sends browsers to is made up, so this one is to be
//! read rather than clicked through. `examples/tests/worked/sso.rs` plays the provider.

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Router, routing::get, routing::post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    Error, LayerConfigError, MemoryStore, ReadSession, Session, SessionLayer, SessionStore,
    Sessions,
};

/// Stands for the provider, as a crate for OIDC talks to it.
mod provider {
    /// Where users log in. `state` comes back with them.
    pub(super) fn login_url(state: &str) -> String {
        format!("https://id.example.com/authorize?client_id=shop&state={state}")
    }

    /// Whom a code stands for. A real one is exchanged at the provider, and works once.
    pub(super) fn exchange(code: &str) -> Option<String> {
        ["ann", "bob"].contains(&code).then(|| code.to_owned())
    }

    /// Whom a logout token is about. A real one is a JWT, whose signature, issuer, audience and
    /// age are verified (OIDC Back-Channel Logout 1.0, section 2.6).
    pub(super) fn verify(logout_token: &str) -> Option<&str> {
        logout_token.strip_prefix("signed:")
    }
}

async fn home(session: ReadSession) -> String {
    session.user().as_deref().unwrap_or("nobody").to_owned()
}

/// Sends the browser to the provider, with a token that is good for one login of this browser.
async fn login(session: Session) -> Result<Redirect, Error> {
    let state = session.csrf_token_for("sso")?;
    Ok(Redirect::to(&provider::login_url(&state)))
}

#[derive(Deserialize)]
struct Callback {
    code: String,
    #[serde(default)]
    state: String,
}

/// Where the provider sends the browser back to. Without the token of its own session it is not
/// the browser that wanted to log in.
async fn callback(session: Session, Query(callback): Query<Callback>) -> Result<Response, Error> {
    if !session.consume_csrf_token("sso", &callback.state)? {
        return Ok((StatusCode::BAD_REQUEST, "Please log in again.").into_response());
    }
    let Some(user) = provider::exchange(&callback.code) else {
        return Ok((StatusCode::UNAUTHORIZED, "This code is worth nothing.").into_response());
    };
    session.set_user(user)?;
    Ok(Redirect::to("/").into_response())
}

#[derive(Deserialize)]
struct Logout {
    logout_token: String,
}

/// What the provider calls, server to server: no browser and no cookie. Once it is answered, no
/// session of the user opens any more, on any node, whatever was in flight.
async fn backchannel_logout(
    State(sessions): State<Sessions>,
    Form(logout): Form<Logout>,
) -> Result<StatusCode, Error> {
    let Some(user) = provider::verify(&logout.logout_token) else {
        return Ok(StatusCode::BAD_REQUEST);
    };
    sessions.destroy_user(user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, LayerConfigError> {
    let layer = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route("/callback", get(callback))
        .route("/backchannel-logout", post(backchannel_logout))
        .with_state(layer.sessions())
        .layer(layer))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
