//! A WebSocket and server-sent events: both go on for as long as their session does.
//!
//! `cargo run --example live`, then open <http://127.0.0.1:3000> in two tabs, write in one, and log
//! out in the other.

use std::convert::Infallible;
use std::pin::pin;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Router, http::StatusCode, routing::get, routing::post};
use futures_util::stream::{StreamExt, unfold};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Sender, error::RecvError};
use tower_keep::cookie::CookieConfig;
use tower_keep::{CsrfLayer, Error, MemoryStore, ReadSession, Session, SessionHandle};
use tower_keep::{SessionId, SessionLayer, SessionStore};

/// What is noted in any session of this process, for those who watch it.
#[derive(Clone)]
struct News(Sender<(SessionId, String)>);

async fn page(session: Session) -> Result<Html<&'static str>, Error> {
    session.insert("here", &true)?;
    Ok(Html(include_str!("live.html")))
}

/// Opens the socket for who has a session. The handle is bound to it as it is now.
async fn socket(
    session: ReadSession,
    handle: SessionHandle,
    State(news): State<News>,
    upgrade: WebSocketUpgrade,
) -> Response {
    match session.id() {
        Some(id) => upgrade.on_upgrade(move |socket| talk(socket, id, handle, news)),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Notes what comes in. The session is locked for the moment of each note and free in between.
async fn talk(mut socket: WebSocket, id: SessionId, handle: SessionHandle, News(news): News) {
    let mut ended = pin!(handle.ended());
    let reason = loop {
        let message = tokio::select! {
            () = &mut ended => break "The session is over.",
            message = socket.recv() => message,
        };
        match message {
            Some(Ok(Message::Text(text))) => {
                let note = async |session: Session| session.push("notes", text.as_str());
                // Whoever logged out or in since the socket was opened is another visitor.
                if handle.write(note).await.is_err() {
                    break "This could not be noted.";
                }
                // Nobody may be watching.
                let _ = news.send((id, text.to_string()));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            Some(Ok(_)) => {}
        }
    };
    let frame = CloseFrame {
        code: close_code::POLICY,
        reason: reason.into(),
    };
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// What is noted in this session, as it comes, to all its tabs.
async fn events(
    session: ReadSession,
    handle: SessionHandle,
    State(News(news)): State<News>,
) -> Response {
    let Some(id) = session.id() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let notes = unfold(news.subscribe(), move |mut news| async move {
        loop {
            match news.recv().await {
                Ok((of, note)) if of == id => {
                    return Some((Ok::<_, Infallible>(Event::default().data(note)), news));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let notes = notes.take_until(async move { handle.ended().await });
    Sse::new(notes)
        .keep_alive(KeepAlive::default())
        .into_response()
}

async fn logout(session: Session) -> Result<Redirect, Error> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, Box<dyn std::error::Error>> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves both lines with `dev_http` out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new()
        .route("/", get(page))
        .route("/socket", get(socket))
        .route("/events", get(events))
        .route("/logout", post(logout))
        .with_state(News(broadcast::channel(64).0))
        // Browsers let any site open a socket here with the visitor's cookies; this does not.
        .layer(CsrfLayer::builder().dev_http().build()?)
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
