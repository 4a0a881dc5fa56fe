//! What the suites of the session layer share: stores to run over, a small app, requests that stop
//! in their middle.

#![allow(dead_code, unreachable_pub, reason = "each suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

pub mod csrf;
pub mod frames;
pub mod http;
pub mod look;
pub mod steps;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::StatusCode;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawPathParams};
use axum::routing::get;
use tokio::task::JoinHandle;
use tower_keep::core::{Record, Token};
use tower_keep::{
    DynStore, Error, MemoryStore, ReadSession, Session, SessionId, SessionLayer,
    SessionLayerBuilder,
};
use tower_keep_testkit::{FaultStore, Gate, TestClient, TestClock, TestResponse};

pub type Client = TestClient<Router, Body>;

pub const COOKIE: &str = "__Host-id";
pub const MINUTE: Duration = Duration::from_secs(60);

/// A store, and the ways around it: behind the `FaultStore` requests take the way of stores that
/// do I/O, otherwise that of stores in this process.
#[derive(Clone)]
pub struct Backend {
    pub name: &'static str,
    pub store: DynStore,
    pub memory: MemoryStore,
    pub faults: FaultStore<MemoryStore>,
    pub clock: TestClock,
}

impl Backend {
    fn new(name: &'static str) -> Self {
        let clock = TestClock::following_tokio();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let faults = FaultStore::new(memory.clone());
        Self {
            name,
            store: DynStore::new(memory.clone()),
            memory,
            faults,
            clock,
        }
    }

    /// Steps at once, without I/O.
    pub fn local() -> Self {
        Self::new("local")
    }

    /// As a store that does I/O; its calls are counted and can be made to fail.
    pub fn remote() -> Self {
        let new = Self::new("remote");
        Self {
            store: DynStore::new(new.faults.clone()),
            ..new
        }
    }

    pub fn both() -> [Self; 2] {
        [Self::local(), Self::remote()]
    }

    /// A layer over the store by the test's clock.
    pub fn layer(&self) -> SessionLayerBuilder {
        SessionLayer::builder(self.store.clone()).clock(Arc::new(self.clock.clone()))
    }

    pub fn client(&self, routes: Router) -> Client {
        self.client_of(routes, self.layer())
    }

    pub fn client_of(&self, routes: Router, layer: SessionLayerBuilder) -> Client {
        TestClient::with_body(routes.layer(layer.build().unwrap())).with_clock(self.clock.clone())
    }

    /// The record of the session whose cookie the client has.
    pub fn record(&self, client: &Client) -> Record {
        self.memory.record(id_of(client)).unwrap()
    }

    /// The ids of the sessions that are neither destroyed nor expired.
    pub fn live(&self) -> Vec<SessionId> {
        use tower_keep::Clock;
        let now = self.clock.now();
        let is_live = |id: &SessionId| {
            let record = self.memory.record(*id);
            record.is_some_and(|r| r.gone_at.is_none() && !r.head.is_expired(now))
        };
        self.memory.ids().into_iter().filter(is_live).collect()
    }

    /// The stored data in JSON.
    pub fn data(&self, id: SessionId) -> serde_json::Value {
        let json = self.memory.record(id).unwrap().data.to_json();
        serde_json::from_slice(&json).unwrap()
    }
}

/// The id in the client's cookie.
pub fn id_of(client: &Client) -> SessionId {
    let cookie = client.cookie(COOKIE).unwrap();
    Token::parse(cookie.as_bytes(), "").unwrap().id()
}

/// Runs everything that can run without time passing. Only for paused time, which moves when
/// nothing else can.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Sends a request in the background.
pub fn start(client: &Client, path: &str) -> JoinHandle<TestResponse> {
    let (client, path) = (client.clone(), path.to_owned());
    tokio::spawn(async move { client.get(&path).await })
}

/// Gates by name, at which the requests of [`app`] stop.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<HashMap<String, Gate>>>);

impl Gates {
    pub fn at(&self, name: &str) -> Gate {
        self.0
            .lock()
            .unwrap()
            .entry(name.into())
            .or_default()
            .clone()
    }
}

/// Stops at the gate that the path names as `{gate}`: before the extractors that follow.
pub struct Stop;

impl FromRequestParts<Gates> for Stop {
    type Rejection = StatusCode;

    async fn from_request_parts(
        parts: &mut ::http::request::Parts,
        gates: &Gates,
    ) -> Result<Self, StatusCode> {
        let params = RawPathParams::from_request_parts(parts, gates).await;
        let params = params.map_err(|_| StatusCode::BAD_REQUEST)?;
        let name = params.iter().find(|(name, _)| *name == "gate");
        let name = name.map(|(_, gate)| gate.to_owned());
        gates.at(&name.ok_or(StatusCode::BAD_REQUEST)?).pass().await;
        Ok(Self)
    }
}

/// `/add`, `/n`, `/login/{user}`, `/logout`, `/rotate`, `/who`, `/fail` and some that stop:
/// `/hold/{gate}/…` with the session held, `/late/{gate}/…` before it is asked for,
/// `/seen/{gate}/…` with what a `ReadSession` saw.
pub fn app(gates: Gates) -> Router {
    Router::new()
        .route("/add", get(add))
        .route("/n", get(n))
        .route("/who", get(async |s: ReadSession| who(&s)))
        .route("/login/{user}", get(login))
        .route("/logout", get(logout))
        .route("/rotate", get(async |s: Session| s.rotate()))
        .route("/fail", get(fail))
        .route("/nothing", get(async || "nothing"))
        .route("/hold/{gate}/add", get(hold_add))
        .route(
            "/late/{gate}/add",
            get(async |_: Stop, s: Session| add(s).await),
        )
        .route("/late/{gate}/who", get(async |_: Stop, s: Session| who(&s)))
        .route(
            "/late/{gate}/logout",
            get(async |_: Stop, s: Session| logout(s).await),
        )
        .route("/late/{gate}/login/{user}", get(late_login))
        .route(
            "/seen/{gate}/n",
            get(async |s: ReadSession, _: Stop| n(s).await),
        )
        .route(
            "/seen/{gate}/add",
            get(async |_: ReadSession, _: Stop, s: Session| add(s).await),
        )
        .with_state(gates)
}

pub async fn add(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

async fn n(session: ReadSession) -> Result<String, Error> {
    Ok(session.get_or("n", 0)?.to_string())
}

/// The user or `nobody`, the count, and why there is no session.
fn who(session: &ReadSession) -> Result<String, Error> {
    let user = session.user();
    let user = user.as_deref().unwrap_or("nobody");
    let n: i64 = session.get_or("n", 0)?;
    Ok(match session.absence() {
        None => format!("{user} {n}"),
        Some(absence) => format!("{user} {n} {absence:?}"),
    })
}

async fn login(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.set_user(user)
}

async fn late_login(
    _: Stop,
    session: Session,
    Path((_, user)): Path<(String, String)>,
) -> Result<(), Error> {
    session.set_user(user)
}

async fn logout(session: Session) -> Result<String, Error> {
    Ok(session.destroy()?.to_string())
}

async fn fail(session: Session) -> Result<StatusCode, Error> {
    session.increment("n", 1)?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn hold_add(session: Session, _: Stop) -> Result<String, Error> {
    add(session).await
}
