//! The chat: a WebSocket that goes on for as long as its session does.

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use maud::Markup;
use tower_keep::{ReadSession, SessionHandle};

use super::error::AppError;
use super::pages;
use super::room::{Guest, Heard, LONGEST_TEXT, Room, Said};
use super::visitor::Visitor;

/// In bytes; a character takes four at most.
const LONGEST_MESSAGE: usize = 4 * LONGEST_TEXT;

pub(crate) fn routes(room: Room) -> Router {
    Router::new()
        .route("/chat", get(page))
        .route("/chat/socket", get(socket))
        .with_state(room)
}

async fn page(session: ReadSession) -> Result<Markup, AppError> {
    Ok(pages::chat(&Visitor::of(&session)?))
}

/// Opens the socket for who is logged in. Its handle is bound to the session as it is now. A page of
/// another site cannot get here: the CSRF check takes a WebSocket for what it is.
async fn socket(
    session: ReadSession,
    handle: SessionHandle,
    State(room): State<Room>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(user) = session.user() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // Before the answer: who has the socket open misses nothing.
    let guest = room.enter();
    upgrade
        .max_message_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| talk(socket, user, handle, room, guest))
}

/// Why a socket is closed, and what its page shows.
type Farewell = (u16, &'static str);

const ENDED: Farewell = (close_code::POLICY, "Your session has ended.");
const CLOSING: Farewell = (close_code::AWAY, "The shop is closing.");
const FAILED: Farewell = (close_code::ERROR, "Your session cannot be reached.");

async fn talk(
    mut socket: WebSocket,
    user: Arc<str>,
    handle: SessionHandle,
    room: Room,
    mut guest: Guest,
) {
    let mut ended = pin!(handle.ended());
    let (code, reason) = loop {
        // The end comes first, whatever else has come.
        tokio::select! {
            biased;
            () = &mut ended => break ENDED,
            heard = guest.hears() => match heard {
                Heard::Closing => break CLOSING,
                Heard::Said(said) => {
                    let Ok(text) = serde_json::to_string(&said) else { continue };
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => match may_speak(&handle).await {
                    Ok(()) => say(&room, &user, &text),
                    Err(farewell) => break farewell,
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    };
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// Looks at the session as it is now, which keeps it alive too: whoever talks is there. What was
/// ended on another node a moment ago says nothing any more.
async fn may_speak(handle: &SessionHandle) -> Result<(), Farewell> {
    match handle.read().await {
        Ok(session) if session.is_new() => Err(ENDED),
        Ok(_) => Ok(()),
        Err(tower_keep::Error::Store(_)) => Err(FAILED),
        Err(_) => Err(ENDED),
    }
}

fn say(room: &Room, user: &str, text: &str) {
    let text: String = text.trim().chars().take(LONGEST_TEXT).collect();
    if !text.is_empty() {
        room.say(Said {
            who: user.to_owned(),
            text,
        });
    }
}
