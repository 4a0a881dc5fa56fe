//! The chat's sockets, and their ends.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::PATIENCE;
use crate::program::Shop;

/// What a page has open.
pub(crate) struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    /// Opens it as a browser with this cookie does from a page at `from`; otherwise the status.
    pub(crate) async fn open(
        at: SocketAddr,
        from: &str,
        cookie: Option<String>,
    ) -> Result<Self, u16> {
        let url = format!("ws://{at}/chat/socket");
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", from.parse().unwrap());
        if let Some(cookie) = cookie {
            headers.insert("cookie", format!("id={cookie}").parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn says(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next thing that is said, or why the line is closed.
    pub(crate) async fn hears(&mut self) -> String {
        let next = timeout(PATIENCE, self.0.next()).await.unwrap();
        match next.unwrap().unwrap() {
            Message::Text(text) => text.to_string(),
            Message::Close(Some(frame)) => frame.reason.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn page(at: SocketAddr) -> String {
    format!("http://{at}")
}

#[tokio::test]
async fn all_who_are_logged_in_hear_one_another() {
    let shop = Shop::open().await;
    let (ann, bob) = (shop.visitor(), shop.visitor());
    assert!(ann.sees("/chat").await.contains("Log in</a> to chat"));
    let at = shop.addresses[0];
    let own = page(at);
    let stranger = Line::open(at, &own, None).await;
    assert_eq!(stranger.err(), Some(401));

    ann.sends("/login", "name=Ann").await;
    bob.sends("/login", "name=Bob").await;
    assert!(ann.sees("/chat").await.contains("/assets/chat.js"));
    let foreign = Line::open(at, "http://evil.test", ann.cookie()).await;
    assert_eq!(foreign.err(), Some(403), "no other site");
    let mut ann = Line::open(at, &own, ann.cookie()).await.ok().unwrap();
    let mut bob = Line::open(at, &own, bob.cookie()).await.ok().unwrap();
    ann.says("  <b>Hello</b> ").await;
    for line in [&mut ann, &mut bob] {
        let said = line.hears().await;
        assert_eq!(said, r#"{"who":"Ann","text":"<b>Hello</b>"}"#);
    }
    bob.says(" ").await;
    bob.says(&"é".repeat(600)).await;
    let said = ann.hears().await;
    assert_eq!(said.matches('é').count(), 500, "no longer than may be");
}

#[tokio::test]
async fn a_logout_closes_the_line() {
    let shop = Shop::open().await;
    let at = shop.addresses[0];
    let ann = shop.visitor();
    ann.sends("/login", "name=Ann").await;
    let open = async || Line::open(at, &page(at), ann.cookie()).await.ok().unwrap();
    let (mut one, mut other) = (open().await, open().await);
    ann.sends("/logout", "").await;
    for line in [&mut one, &mut other] {
        assert_eq!(line.hears().await, "Your session has ended.");
    }
}

#[tokio::test]
async fn ending_a_device_closes_its_line_and_no_other() {
    let shop = Shop::open().await;
    let at = shop.addresses[0];
    let (desk, phone) = (shop.visitor(), shop.visitor());
    for visitor in [&desk, &phone] {
        visitor.sends("/login", "name=Ann").await;
    }
    let mut own = Line::open(at, &page(at), desk.cookie()).await.ok().unwrap();
    let mut theirs = Line::open(at, &page(at), phone.cookie())
        .await
        .ok()
        .unwrap();
    desk.sees("/devices").await;
    desk.sends("/devices/others", "").await;
    assert_eq!(theirs.hears().await, "Your session has ended.");
    own.says("still here").await;
    assert!(own.hears().await.contains("still here"));
}
