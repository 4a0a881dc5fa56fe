//! Sessions without axum: a plain `tower` service, served by `hyper`.
//!
//! `cargo run --example plain_tower`, then open <http://127.0.0.1:3000> and reload.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_keep::cookie::CookieConfig;
use tower_keep::{Error, LayerConfigError, MemoryStore, RequestHead};
use tower_keep::{ReadSession, Session, SessionLayer, SessionStore};

type Answer = Response<Full<Bytes>>;

/// Counts at `/`, and at `/count` only looks. An `Err` from here would drop the connection, so
/// errors become responses; either way nothing of the session is saved.
pub(crate) async fn serve<B>(request: Request<B>) -> Result<Answer, Error> {
    let head = RequestHead::from(&request);
    let visits = match (head.method, head.uri.path()) {
        (&Method::GET, "/") => count(head).await,
        (&Method::GET, "/count") => look(head).await,
        _ => return Ok(text(StatusCode::NOT_FOUND, "Not found")),
    };
    Ok(match visits {
        Ok(visits) => text(StatusCode::OK, format!("Visits: {visits}")),
        Err(error) => text(error.status(), "Please try again later"),
    })
}

async fn count(request: RequestHead<'_>) -> Result<i64, Error> {
    // Locks the session until the response is made.
    let session = Session::from_request(request).await?;
    session.increment("visits", 1)
}

async fn look(request: RequestHead<'_>) -> Result<i64, Error> {
    // Waits for nobody and holds up nobody.
    let session = ReadSession::from_request(request).await?;
    session.get_or_default("visits")
}

fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut response = Response::new(Full::from(text.into() + "\n"));
    *response.status_mut() = status;
    response
}

pub(crate) fn sessions(store: impl SessionStore) -> Result<SessionLayer, LayerConfigError> {
    SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = sessions(MemoryStore::new())?;
    let service = TowerToHyperService::new(sessions.layer(service_fn(serve)));

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(async move {
            // Fails if the client breaks off, which is its own affair.
            let _ = connection.await;
        });
    }
}
