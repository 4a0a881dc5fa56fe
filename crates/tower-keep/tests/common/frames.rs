//! A body that arrives in pieces.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

/// Frame by frame, each a poll later than it could be.
#[derive(Default)]
pub struct Frames {
    frames: VecDeque<io::Result<Frame<Bytes>>>,
    ready: bool,
}

impl Frames {
    pub fn of(pieces: &[&str]) -> Self {
        let frame = |piece: &&str| Ok(Frame::data(Bytes::copy_from_slice(piece.as_bytes())));
        Self {
            frames: pieces.iter().map(frame).collect(),
            ready: false,
        }
    }

    pub fn broken(mut self) -> Self {
        self.frames
            .push_back(Err(io::ErrorKind::ConnectionReset.into()));
        self
    }

    pub fn with_trailers(mut self) -> Self {
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
        self.frames.push_back(Ok(Frame::trailers(trailers)));
        self
    }

    pub fn body(self) -> Body {
        Body::new(self)
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front())
    }
}
