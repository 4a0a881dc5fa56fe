//! A conversation with something that takes its time to answer. Two tabs talk at once, neither
//! waits for the other, and nothing that was said is lost.
//!
//! `cargo run --example conversation`, then open <http://127.0.0.1:3000> in two tabs.

use std::time::Duration;

use axum::extract::Form;
use axum::response::Redirect;
use axum::{Router, routing::get, routing::post};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    Error, LayerConfigError, MemoryStore, Session, SessionHandle, SessionLayer, SessionStore,
};

/// A session is for what is going on, not for archives: so many turns stay.
const TURNS: usize = 20;

/// How long an answer takes.
const THINKS: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize)]
struct Turn {
    asked: String,
    answered: String,
}

/// Starts the conversation, if there is none: a handle can only work with a session that is there.
async fn page(session: Session) -> Result<Markup, Error> {
    if !session.contains_key("turns")? {
        session.insert("turns", &[0_u8; 0])?;
    }
    let turns: Vec<Turn> = session.get_or_default("turns")?;
    Ok(html! {
        @for turn in turns {
            p { b { (turn.asked) } }
            p { (turn.answered) }
        }
        form method="post" action="/say" { input name="text" autofocus; button { "Say" } }
        form method="post" action="/forget" { button { "Forget all" } }
    })
}

#[derive(Deserialize)]
struct Say {
    text: String,
}

/// Holds the session only for the moment in which the turn is added. With a `Session` in the
/// signature it would be held for as long as the answer takes, and the other tab would wait.
async fn say(handle: SessionHandle, Form(Say { text }): Form<Say>) -> Result<Redirect, Error> {
    let history: Vec<Turn> = handle.read().await?.get_or_default("turns")?;
    let turn = Turn {
        answered: answer(&history, &text).await,
        asked: text,
    };
    // Saved when this returns. If the session has ended meanwhile it is `Error::Stale` (409).
    let add = async |session: Session| {
        let mut turns: Vec<Turn> = session.get_or_default("turns")?;
        turns.push(turn);
        let surplus = turns.len().saturating_sub(TURNS);
        session.insert("turns", &turns[surplus..])
    };
    handle.write(add).await?;
    Ok(Redirect::to("/"))
}

async fn forget(session: Session) -> Result<Redirect, Error> {
    session.remove_all("turns")?;
    Ok(Redirect::to("/"))
}

/// Stands for a language model, or whatever else is slow.
async fn answer(history: &[Turn], text: &str) -> String {
    sleep(THINKS).await;
    format!("{text}? After {} turns I still wonder.", history.len())
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, LayerConfigError> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new()
        .route("/", get(page))
        .route("/say", post(say))
        .route("/forget", post(forget))
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
