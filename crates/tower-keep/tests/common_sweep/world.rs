//! A store with one session in it, layers over it, and what can be seen of it from outside.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::header::SET_COOKIE;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_keep::core::data::{Data, DataLimits, Edit};
use tower_keep::core::{CommitId, Created, Limits, NewSession, Record, Secret, Timestamp, Token};
use tower_keep::{Clock, DynStore, MemoryStore, SessionId, SessionLayer, SessionStore};
use tower_keep_testkit::{NetworkStore, TestClock};

use super::app::{App, Mark, request, with_axum, with_tower};

/// Where the store is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the process: every step is immediate.
    Local,
    /// Behind four connections, each way a few turns of the scheduler.
    Near,
    /// Behind four connections, each way up to three milliseconds.
    Far,
    /// As `Near`, and one in ten requests and replies gets lost.
    Lossy,
    /// A store of the test's own, by the time of the world: what is under way there goes on while
    /// the request is dropped.
    Given(DynStore),
}

impl Place {
    /// Whether a free session opens at once, by the clock of the test.
    pub(crate) const fn is_prompt(&self) -> bool {
        matches!(self, Self::Local | Self::Near | Self::Far)
    }
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
    /// The store, seen past whatever is in front of it.
    store: DynStore,
    memory: Option<MemoryStore>,
    pub(crate) app: App,
    layers: [SessionLayer; 2],
    flavour: Flavour,
    /// Sessions that were there before.
    earlier: HashSet<SessionId>,
    /// One session whose `n` is 1, and the cookie that opens it.
    pub(crate) id: SessionId,
    pub(crate) cookie: String,
}

impl World {
    pub(crate) async fn new(place: &Place, flavour: Flavour, seed: u64) -> Self {
        let ours = TestClock::following_tokio();
        // A server's clock is its own.
        let clock = ours.skewed(-3_000);
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock));
        let network = NetworkStore::new(memory.clone(), seed);
        let far = match place {
            Place::Given(store) => return Self::given(store, flavour).await,
            Place::Local => DynStore::new(memory.clone()),
            Place::Near => DynStore::new(network),
            Place::Far => DynStore::new(network.yields(2).latency(Duration::from_millis(3))),
            Place::Lossy => DynStore::new(network.lost_requests(10).lost_replies(10)),
        };
        let layer = || {
            let builder = SessionLayer::builder(far.clone()).clock(Arc::new(ours.clone()));
            builder.build().unwrap()
        };
        let layers = [layer(), layer()];
        let store = DynStore::new(memory.clone());
        Self {
            memory: Some(memory),
            ..Self::over(store, layers, flavour).await
        }
    }

    async fn given(store: &DynStore, flavour: Flavour) -> Self {
        let earlier = live(store).await;
        Self {
            earlier,
            ..Self::over(store.clone(), layers(store), flavour).await
        }
    }

    async fn over(store: DynStore, layers: [SessionLayer; 2], flavour: Flavour) -> Self {
        let (id, cookie) = session(&store).await;
        Self {
            store,
            memory: None,
            app: flavour.app(&layers[0]),
            layers,
            flavour,
            earlier: HashSet::new(),
            id,
            cookie,
        }
    }

    /// The same app in another process; with a local store, over another layer.
    pub(crate) fn elsewhere(&self) -> App {
        self.flavour.app(&self.layers[1])
    }

    /// Waits until all that was under way has come to its end.
    pub(crate) async fn settle(&mut self, place: &Place) {
        let time = match place {
            Place::Given(store) => {
                for layer in &self.layers {
                    let drained = tokio::time::timeout(Duration::from_secs(60), layer.shutdown());
                    drained.await.expect("all that is under way has an end");
                }
                self.layers = layers(store);
                self.app = self.flavour.app(&self.layers[0]);
                return;
            }
            // What should free the session may get lost itself.
            Place::Lossy => Duration::from_secs(12),
            // Far less than a lease.
            _ => Duration::from_millis(100),
        };
        tokio::time::sleep(time).await;
    }

    /// What is stored under `id`.
    pub(crate) async fn seen(&self, id: SessionId) -> Seen {
        stored(&self.store, id).await
    }

    /// Sessions that were neither there before nor made for the world.
    pub(crate) async fn others(&self) -> Vec<SessionId> {
        let ids = match &self.memory {
            Some(memory) => memory.ids().into_iter().collect(),
            None => live(&self.store).await,
        };
        let new = |id: &SessionId| *id != self.id && !self.earlier.contains(id);
        ids.into_iter().filter(new).collect()
    }

    /// How many requests wait for the session in a store in memory.
    pub(crate) fn waiting(&self) -> usize {
        let memory = self.memory.as_ref();
        memory.map_or(0, |memory| memory.waiting(self.id))
    }

    /// Sends a request with this cookie to the first process.
    pub(crate) async fn get(&self, path: &str, cookie: Option<&str>) -> Response {
        send(&self.app, path, cookie, &Mark::default()).await
    }
}

/// Two processes on a store.
fn layers(store: &DynStore) -> [SessionLayer; 2] {
    let layer = || SessionLayer::new(store.clone());
    [layer(), layer()]
}

/// The sessions that are alive.
async fn live(store: &DynStore) -> HashSet<SessionId> {
    let scan = store.scan().unwrap();
    let (mut ids, mut from) = (HashSet::new(), None);
    loop {
        let page = scan.page(from.as_ref(), 1_000).await.unwrap();
        ids.extend(page.views.iter().map(|view| view.head.id));
        from = page.next;
        if from.is_none() {
            return ids;
        }
    }
}

/// Puts a session into the store whose `n` is 1.
pub(crate) async fn session(store: &impl SessionStore) -> (SessionId, String) {
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
    Seen::of(&store.record(id).unwrap(), Timestamp::from_millis(0))
}

/// The same of any store, by its time: where all that should free a session got lost, its lease has
/// run out.
pub(crate) async fn stored(store: &DynStore, id: SessionId) -> Seen {
    let looked = store.look(id).await.unwrap();
    let (record, _) = looked.record.unwrap();
    Seen::of(&record, looked.now)
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
    fn of(record: &Record, now: Timestamp) -> Self {
        let n = record.data.get("n");
        Self {
            n: n.map(|n| std::str::from_utf8(n).unwrap().parse().unwrap()),
            version: record.head.version,
            generation: record.head.generation,
            user: record.head.user.clone(),
            secret: *record.secret.as_bytes(),
            gone: record.gone_at.is_some(),
            leased: record.lease.is_some_and(|lease| lease.until > now),
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
