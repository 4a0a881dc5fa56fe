#[path = "../../live.rs"]
#[expect(dead_code, reason = "its `main`")]
mod example;

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tower_keep::MemoryStore;

use crate::{Browser, COOKIE, browser};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The same app, over HTTP for what only works there, and without for the rest.
async fn served() -> (SocketAddr, Browser) {
    let app = example::app(MemoryStore::new()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.clone()).into_future());
    (address, browser(app))
}

/// Opens a socket as the browser does from a page of this origin.
async fn open(at: SocketAddr, from: &str, browser: &Browser) -> Result<Socket, u16> {
    let mut request = format!("ws://{at}/socket").into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", format!("http://{from}").parse().unwrap());
    if let Some(cookie) = browser.cookie(COOKIE) {
        let cookie = format!("{COOKIE}={cookie}");
        headers.insert("cookie", cookie.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => unreachable!("{error}"),
    }
}

/// Whoever waits for longer waits in vain.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a socket is told when it is closed.
async fn farewell(socket: &mut Socket) -> String {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(frame)) = message {
            return frame.reason.to_string();
        }
    }
    String::new()
}

#[tokio::test]
async fn f5_a_socket_and_events_end_with_their_session() {
    let (at, ann) = served().await;
    let own = at.to_string();
    assert_eq!(open(at, &own, &ann).await.err(), Some(401));
    assert_eq!(ann.get("/events").await.status(), 401);
    ann.get("/").await;

    let watching = Request::get("/events").body(Body::empty()).unwrap();
    let mut events = ann.send(watching).await.unwrap().into_body();
    let mut socket = open(at, &own, &ann).await.unwrap();
    for note in ["tea", "cups"] {
        socket.send(Message::text(note)).await.unwrap();
        let event = events.frame().await.unwrap().unwrap();
        let event = event.into_data().unwrap();
        assert_eq!(event, format!("data: {note}\n\n"));
    }

    ann.post("/logout", "").await;
    let told = timeout(PATIENCE, farewell(&mut socket)).await;
    assert_eq!(told.unwrap(), "The session is over.");
    let event = timeout(PATIENCE, events.frame()).await;
    assert!(event.unwrap().is_none());
}

#[tokio::test]
async fn another_site_opens_no_socket() {
    let (at, ann) = served().await;
    ann.get("/").await;
    assert_eq!(open(at, "evil.test", &ann).await.err(), Some(403));
    assert!(open(at, &at.to_string(), &ann).await.is_ok());
}
