//! Giving a session its files over HTTP.

use std::any::TypeId;
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode, request};
use http_body::{Body, Frame, SizeHint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};
use tower_service::Service;

use super::name::Name;
use super::{TempError, TempFile};
use crate::answer::answer;
use crate::error::Error;
use crate::extract::{FromHead, MainKey, shared_of};
use crate::read::ReadSession;
use crate::request::{RequestHead, RequestInfo};

/// A file is read and sent in pieces of this size.
const PIECE: usize = 64 * 1024;

/// What may stand in `filename*` as it is (RFC 8187, section 3.2.1).
const ATTR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A service that gives a session its own temporary files, and nobody anything else (feature `temp`).
///
/// The request's path, decoded segment by segment, is the file's name; nest the service below a path
/// of its own, inside of the [`SessionLayer`](crate::SessionLayer). It answers GET and HEAD. What is
/// not a file of the request's own session is 404, without a hint of what it is. Files come as
/// downloads: `Content-Disposition: attachment` with the file's name (RFC 6266),
/// `application/octet-stream`, `X-Content-Type-Options: nosniff` and `Cache-Control: private,
/// no-store`. There are no listings.
///
/// ```
/// use axum::Router;
/// use tower_keep::{MemoryStore, SessionLayer, TempFiles, TempStorage};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .temp_storage(TempStorage::new("/var/lib/shop/tmp"))
///     .build()?;
/// let app: Router = Router::new()
///     .nest_service("/files", TempFiles::new())
///     .layer(layer);
/// # Ok::<(), tower_keep::LayerConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TempFiles {
    key: TypeId,
}

impl Default for TempFiles {
    fn default() -> Self {
        Self::new()
    }
}

impl TempFiles {
    /// The files of the session of the layer that was given no key.
    pub fn new() -> Self {
        Self {
            key: TypeId::of::<MainKey>(),
        }
    }

    /// Of the layer with this [key](crate::SessionLayerBuilder::key) instead.
    #[must_use]
    pub fn key<K: 'static>(self) -> Self {
        Self {
            key: TypeId::of::<K>(),
        }
    }
}

impl<B> Service<Request<B>> for TempFiles {
    type Response = Response<TempBody>;
    type Error = Infallible;
    type Future = TempFilesFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> TempFilesFuture {
        let (parts, _) = request.into_parts();
        let key = self.key;
        TempFilesFuture(Box::pin(async move { respond(&parts, key).await }))
    }
}

/// The response of [`TempFiles`].
#[must_use = "futures do nothing unless polled"]
pub struct TempFilesFuture(Pin<Box<dyn Future<Output = Response<TempBody>> + Send>>);

impl Future for TempFilesFuture {
    type Output = Result<Response<TempBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for TempFilesFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TempFilesFuture").finish_non_exhaustive()
    }
}

async fn respond(parts: &request::Parts, key: TypeId) -> Response<TempBody> {
    let head = RequestHead::from(parts);
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    // Before anybody is asked for a session.
    let Ok(name) = name_of(parts.uri.path()) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let file_name = name.file().to_owned();
    match find(&head, key, name).await {
        Ok(file) => download(file, &file_name, parts.method == Method::HEAD),
        Err(Error::Temp(TempError::NotFound | TempError::Gone)) => plain(StatusCode::NOT_FOUND),
        Err(error) => {
            let shared = shared_of(head.extensions, key);
            answer(&error, shared, Some(&RequestInfo::from(&head))).map(TempBody::from)
        }
    }
}

/// The path's segments are split first and decoded then, so that an encoded `/` is none.
fn name_of(path: &str) -> Result<Name, TempError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let decoded = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8();
        decoded.map(Cow::into_owned)
    };
    let segments: Result<Vec<_>, _> = path.split('/').map(decoded).collect();
    let segments = segments.map_err(|_| TempError::Name("it is not UTF-8"))?;
    Name::of_segments(&segments)
}

async fn find(head: &RequestHead<'_>, key: TypeId, name: Name) -> Result<TempFile, Error> {
    let session = ReadSession::from_head(head, key).await?;
    let dir = session.temp_files()?.ok_or(TempError::NotFound)?;
    Ok(dir.open_named(name).await?)
}

fn download(file: TempFile, name: &str, head_only: bool) -> Response<TempBody> {
    let TempFile { file, bytes } = file;
    let mut response = if head_only {
        Response::new(TempBody(Kind::Whole(None)))
    } else {
        Response::new(TempBody(Kind::File {
            file,
            left: bytes,
            piece: BytesMut::new(),
        }))
    };
    common_headers(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, bytes.into());
    let binary = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, binary);
    if let Ok(disposition) = disposition(name).try_into() {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

/// As an attachment; the name for old clients has only what is safe in quotes (RFC 6266, appendix D).
fn disposition(name: &str) -> String {
    let safe = |c: char| match c {
        ' '..='~' if !matches!(c, '"' | '\\' | '%') => c,
        _ => '_',
    };
    let ascii: String = name.chars().map(safe).collect();
    let encoded = utf8_percent_encode(name, ATTR);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

fn plain(status: StatusCode) -> Response<TempBody> {
    let text = match status {
        StatusCode::NOT_FOUND => "There is no such file.\n",
        _ => "Files can only be fetched.\n",
    };
    let mut response = Response::new(TempBody::from(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    common_headers(&mut response);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn common_headers(response: &mut Response<TempBody>) {
    const HEADERS: [(HeaderName, &str); 2] = [
        (CACHE_CONTROL, "private, no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
}

/// The body of a response of [`TempFiles`]: a file that is read while it is sent.
pub struct TempBody(Kind);

enum Kind {
    Whole(Option<Bytes>),
    File {
        file: File,
        left: u64,
        piece: BytesMut,
    },
}

impl From<Bytes> for TempBody {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes)))
    }
}

impl Body for TempBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let (file, left, piece) = match &mut self.0 {
            Kind::Whole(bytes) => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                return Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))));
            }
            Kind::File { left: 0, .. } => return Poll::Ready(None),
            Kind::File { file, left, piece } => (file, left, piece),
        };
        let most = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
        piece.resize(most, 0);
        let mut read = ReadBuf::new(piece);
        if let Err(error) = ready!(Pin::new(file).poll_read(cx, &mut read)) {
            *left = 0;
            return Poll::Ready(Some(Err(error)));
        }
        let filled = read.filled().len();
        if filled == 0 {
            // It was cut short by somebody who writes to it directly.
            *left = 0;
            let short = std::io::ErrorKind::UnexpectedEof.into();
            return Poll::Ready(Some(Err(short)));
        }
        *left -= filled as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.split_to(filled).freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(None) | Kind::File { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Kind::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Kind::File { left, .. } => *left,
        })
    }
}

impl fmt::Debug for TempBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TempBody").finish_non_exhaustive()
    }
}
