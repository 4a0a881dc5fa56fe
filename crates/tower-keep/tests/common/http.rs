//! HTTP over a real connection, byte by byte.

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves `app` on a free port of this machine until the runtime ends.
pub async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// One keep-alive connection.
pub struct Connection(TcpStream);

/// An answer as it came over the wire.
pub struct Raw {
    pub head: String,
    pub body: Vec<u8>,
}

impl Raw {
    pub fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Everything but the date.
    pub fn bytes(&self) -> Vec<u8> {
        let lines = self.head.split_inclusive("\r\n");
        let head: String = lines.filter(|line| !line.starts_with("date:")).collect();
        [head.as_bytes(), &self.body].concat()
    }
}

impl Connection {
    pub async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends a `GET` with this cookie, if it is not empty, and reads the answer.
    pub async fn get(&mut self, path: &str, cookie: &str) -> Raw {
        let cookie = match cookie {
            "" => String::new(),
            cookie => format!("cookie: {cookie}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{cookie}\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let end = loop {
            assert_ne!(self.0.read_buf(&mut bytes).await.unwrap(), 0, "closed");
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap();
        let mut raw = Raw { head, body };
        let length = raw.header("content-length").unwrap().parse().unwrap();
        while raw.body.len() < length {
            assert_ne!(self.0.read_buf(&mut raw.body).await.unwrap(), 0, "closed");
        }
        raw
    }
}
