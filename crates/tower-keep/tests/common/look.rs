//! Clients that look different, and an app that binds sessions to their looks.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use http::{HeaderName, Request};
use tower_keep::{
    Error, FingerprintConfig, ReadSession, Session, SessionHandle, SessionLayerBuilder,
};
use tower_keep_testkit::TestResponse;

use super::{Backend, Client, Gates, add, app};

/// What a client shows of itself.
#[derive(Clone, Copy, Default)]
pub struct Look {
    pub agent: Option<&'static str>,
    pub language: Option<&'static str>,
    pub ip: Option<&'static str>,
    pub more: Option<(&'static str, &'static str)>,
}

pub const OWNER: Look = agent("browser/1");
pub const OTHER: Look = agent("browser/2");
pub const NAKED: Look = Look {
    agent: None,
    language: None,
    ip: None,
    more: None,
};

pub const fn agent(agent: &'static str) -> Look {
    Look {
        agent: Some(agent),
        ..NAKED
    }
}

pub const fn ip(ip: &'static str) -> Look {
    Look {
        ip: Some(ip),
        ..OWNER
    }
}

pub const fn language(language: &'static str) -> Look {
    Look {
        language: Some(language),
        ..OWNER
    }
}

pub async fn send(client: &Client, look: Look, path: &str) -> TestResponse {
    let mut request = Request::get(path);
    let headers: [(HeaderName, _); 2] =
        [(USER_AGENT, look.agent), (ACCEPT_LANGUAGE, look.language)];
    for (name, value) in headers {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    if let Some((name, value)) = look.more {
        request = request.header(name, value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(ip) = look.ip {
        let peer = SocketAddr::new(ip.parse().unwrap(), 4711);
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    client.request(request).await
}

pub async fn text(client: &Client, look: Look, path: &str) -> String {
    send(client, look, path).await.text()
}

pub fn routes(gates: Gates) -> Router {
    let upgrade = async |_: ReadSession, s: Session| add(s).await;
    let optional = async |read: Option<ReadSession>, write: Option<Session>| {
        format!("{} {}", read.is_some(), write.is_some())
    };
    let handle_read = async |handle: SessionHandle| -> Result<String, Error> {
        let session = handle.read().await?;
        Ok(session.get_or("n", 0)?.to_string())
    };
    let handle_write = async |handle: SessionHandle| -> Result<String, Error> {
        let add = async |s: Session| s.increment("n", 1);
        handle.write(add).await.map(|n| n.to_string())
    };
    let all = async |s: Session| s.all().map(|all| serde_json::to_string(&all).unwrap());
    app(gates)
        .route("/upgrade", get(upgrade))
        .route("/optional", get(optional))
        .route("/handle/read", get(handle_read))
        .route("/handle/write", get(handle_write))
        .route("/all", get(all))
}

pub const UA: FingerprintConfig = FingerprintConfig::new();

pub fn layer(backend: &Backend, config: FingerprintConfig) -> SessionLayerBuilder {
    backend.layer().fingerprint(config)
}

pub fn client(backend: &Backend, config: FingerprintConfig) -> Client {
    backend.client_of(routes(Gates::default()), layer(backend, config))
}
