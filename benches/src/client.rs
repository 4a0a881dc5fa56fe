//! The least that can put a server of HTTP/1.1 under load: the client shares the machine with it.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bytes of a request with these cookies.
pub fn request(path: &str, cookies: &str) -> Vec<u8> {
    let cookies = if cookies.is_empty() {
        String::new()
    } else {
        format!("cookie: {cookies}\r\n")
    };
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{cookies}\r\n").into_bytes()
}

/// A connection that stays.
pub struct Connection {
    stream: TcpStream,
    /// What was read of the last answer.
    buffer: Vec<u8>,
}

/// An answer with a `content-length`.
pub struct Answer<'a> {
    pub status: u16,
    head: &'a str,
    pub body: &'a str,
}

impl Connection {
    /// To a port of this machine.
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        let stream = stream.expect("the server listens");
        stream.set_nodelay(true).expect("it is connected");
        let buffer = Vec::with_capacity(4_096);
        Self { stream, buffer }
    }

    /// Sends a request and waits for the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Answer<'_> {
        self.stream
            .write_all(request)
            .await
            .expect("the server reads");
        self.buffer.clear();
        let (head, length) = loop {
            self.receive().await;
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break (end, length(&self.buffer[..end]));
            }
        };
        let body = head + 4;
        while self.buffer.len() < body + length {
            self.receive().await;
        }
        let text = |bytes| std::str::from_utf8(bytes).expect("an answer of text");
        Answer {
            status: text(&self.buffer[9..12]).parse().expect("a status"),
            head: text(&self.buffer[..head]),
            body: text(&self.buffer[body..]),
        }
    }

    async fn receive(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await;
        assert_ne!(read.expect("the server answers"), 0, "the server hung up");
    }
}

impl Answer<'_> {
    /// What a browser that got this answer sends from then on; empty if no cookie was set.
    pub fn cookies(&self) -> String {
        let pairs = self.head.lines().filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let pair = value.split(';').next()?;
            (name.eq_ignore_ascii_case("set-cookie") && !pair.ends_with('=')).then_some(pair)
        });
        pairs.collect::<Vec<_>>().join("; ")
    }
}

fn length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    let mut lines = head.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
    });
    let value = value.expect("an answer that says how long it is");
    str::from_utf8(value)
        .ok()
        .and_then(|value| value.parse().ok())
        .expect("a length")
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
