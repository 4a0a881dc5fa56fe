//! A store with one session in it, layers over it, and what can be seen of it from outside.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::header::SET_COOKIE;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_keep::core::data::{Data, DataLimits, Edit};
use tower_keep::core::{CommitId, Created, Limits, NewSession, Record, Secret, Token};
use tower_keep::{Clock, MemoryStore, SessionId, SessionLayer, SessionStore};
use tower_keep_testkit::{NetworkStore, TestClock};

use super::app::{App, Mark, request, with_axum, with_tower};

/// Where the store is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// In the process: every step is immediate.
    Local,
    /// Behind four connections, each way a few turns of the scheduler.
    Near,
    /// Behind four connections, each way up to three milliseconds.
    Far,
    /// As `Near`, and one in ten requests and replies gets lost.
    Lossy,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Flavour {
    Axum,
    Tower,
}

impl Flavour {
    fn app(self, layer: &SessionLayer) -> App {
        match self {
            Self::Axum => with_axum(layer),
            Self::Tower => with_tower(layer),
        }
    }
}

/// A paused runtime on one thread: what happens in it follows from the seeds, but for the jitter
/// of waits between processes.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

pub(crate) struct World {
    /// The records, seen past whatever is in front of them.
    pub(crate) memory: MemoryStore,
    /// The store's clock.
    pub(crate) clock: TestClock,
    pub(crate) app: App,
    layers: [SessionLayer; 2],
    flavour: Flavour,
    /// One session whose `n` is 1, and the cookie that opens it.
    pub(crate) id: SessionId,
    pub(crate) cookie: String,
}

impl World {
    pub(crate) async fn new(place: Place, flavour: Flavour, seed: u64) -> Self {
        let ours = TestClock::following_tokio();
        // A server's clock is its own.
        let clock = ours.skewed(-3_000);
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let network = NetworkStore::new(memory.clone(), seed);
        let layers = match place {
            Place::Local => [0, 1].map(|_| layer(memory.clone(), &ours)),
            Place::Near => [0, 1].map(|_| layer(network.clone(), &ours)),
            Place::Far => {
                let far = network.yields(2).latency(Duration::from_millis(3));
                [0, 1].map(|_| layer(far.clone(), &ours))
            }
            Place::Lossy => {
                let lossy = network.lost_requests(10).lost_replies(10);
                [0, 1].map(|_| layer(lossy.clone(), &ours))
            }
        };
        let (id, cookie) = session(&memory).await;
        Self {
            memory,
            clock,
            app: flavour.app(&layers[0]),
            layers,
            flavour,
            id,
            cookie,
        }
    }

    /// The same app in another process; with a local store, over another layer.
    pub(crate) fn elsewhere(&self) -> App {
        self.flavour.app(&self.layers[1])
    }

    /// What is stored under `id`.
    pub(crate) fn seen(&self, id: SessionId) -> Seen {
        seen(&self.memory, id)
    }

    /// Sends a request with this cookie to the first process.
    pub(crate) async fn get(&self, path: &str, cookie: Option<&str>) -> Response {
        send(&self.app, path, cookie, &Mark::default()).await
    }
}

fn layer(store: impl SessionStore, clock: &TestClock) -> SessionLayer {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    SessionLayer::builder(store).clock(clock).build().unwrap()
}

/// Puts a session into the store whose `n` is 1.
pub(crate) async fn session(store: &MemoryStore) -> (SessionId, String) {
    let secret = Secret::generate().unwrap();
    let mut edit = Edit::new(Data::default(), DataLimits::default());
    edit.insert("n", &1).unwrap();
    let new = NewSession {
        id: SessionId::new(TestClock::new().now()),
        secret: secret.hash(),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: edit.into_data().unwrap(),
    };
    let created = store.create(&new).await.unwrap();
    assert!(matches!(created, Created::Done(_)));
    let token = Token::new(new.id, secret).encode("");
    (new.id, format!("__Host-id={token}"))
}

pub(crate) fn send(
    app: &App,
    path: &str,
    cookie: Option<&str>,
    mark: &Mark,
) -> impl Future<Output = Response> + Send + 'static {
    let request = request(path, cookie, mark);
    let app = app.clone();
    async move { app.oneshot(request).await.unwrap() }
}

/// What is stored under `id`.
pub(crate) fn seen(store: &MemoryStore, id: SessionId) -> Seen {
    Seen::of(&store.record(id).unwrap())
}

/// What a record says, as far as the tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) n: Option<i64>,
    pub(crate) version: u64,
    pub(crate) generation: u64,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) secret: [u8; 32],
    pub(crate) gone: bool,
    pub(crate) leased: bool,
}

impl Seen {
    fn of(record: &Record) -> Self {
        let n = record.data.get("n");
        Self {
            n: n.map(|n| std::str::from_utf8(n).unwrap().parse().unwrap()),
            version: record.head.version,
            generation: record.head.generation,
            user: record.head.user.clone(),
            secret: *record.secret.as_bytes(),
            gone: record.gone_at.is_some(),
            leased: record.lease.is_some(),
        }
    }
}

/// The `Cookie` header that a browser sends after this response, if it sets one; an empty one is
/// a removal.
pub(crate) fn new_cookie(response: &Response) -> Option<String> {
    let mut set = response.headers().get_all(SET_COOKIE).iter();
    let cookie = set.next()?.to_str().unwrap();
    assert!(set.next().is_none(), "one session, one cookie");
    let pair = cookie.split(';').next().unwrap();
    Some(if cookie.contains("Max-Age=0;") {
        String::new()
    } else {
        pair.to_owned()
    })
}

pub(crate) async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}
