//! A process, or what stands for one: tasks that send requests, leave some of them in the middle,
//! and write down what they do and hear.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{COOKIE as COOKIE_HEADER, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_keep::core::Token;
use tower_keep::{DynStore, Error, SessionId, SessionStore, Sessions};
use tower_keep_testkit::history::{Action, Call, Effect, Outcome, State};
use tower_keep_testkit::{NetworkStore, Rng};

use crate::app::{BRIEF, COOKIE, app, brief, change, layer};
use crate::board::Board;
use crate::log::{Log, now};
use crate::plan::Kind;

const PLACES: u64 = 40;
/// Half of the requests are for so many of them.
const CROWDED: u64 = 8;
const TASKS: u64 = 16;
/// How many writes a session gets before another one takes its place.
const LONGEST: usize = 40;

const DIR: &str = "KEEP_CAMPAIGN_DIR";
const SEED: &str = "KEEP_CAMPAIGN_SEED";
const NODE: &str = "KEEP_CAMPAIGN_NODE";
const UNTIL: &str = "KEEP_CAMPAIGN_UNTIL";

/// What a node is told.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) dir: PathBuf,
    pub(crate) seed: u64,
    pub(crate) node: u64,
    /// When to stop, by [`now`].
    pub(crate) until: u64,
}

impl Orders {
    pub(crate) fn variables(&self) -> [(&'static str, String); 4] {
        [
            (DIR, self.dir.display().to_string()),
            (SEED, self.seed.to_string()),
            (NODE, self.node.to_string()),
            (UNTIL, self.until.to_string()),
        ]
    }

    fn given() -> Self {
        let text = |name| std::env::var(name).unwrap();
        let number = |name| text(name).parse().unwrap();
        Self {
            dir: text(DIR).into(),
            seed: number(SEED),
            node: number(NODE),
            until: number(UNTIL),
        }
    }
}

/// Whether this process was started by a campaign.
pub fn is_worker() -> bool {
    std::env::var_os(DIR).is_some()
}

/// What a process of a campaign does; `lossy` also loses some of its calls and answers on their way
/// to a store that is in this process.
///
/// # Panics
/// If an answer is none that there can be.
pub async fn work(store: impl SessionStore, lossy: bool) {
    let orders = Orders::given();
    let store = if lossy {
        bad_network(store, orders.seed ^ orders.node)
    } else {
        DynStore::new(store)
    };
    obey(&orders, &store).await;
}

/// The store behind a network that now and then loses a call or its answer.
pub(crate) fn bad_network(store: impl SessionStore, seed: u64) -> DynStore {
    let network = NetworkStore::new(store, seed).connections(32).yields(2);
    DynStore::new(network.lost_requests(1).lost_replies(1))
}

/// Sends requests until it is time.
pub(crate) async fn obey(orders: &Orders, store: &DynStore) {
    let (usual, brief) = (layer(store), brief(store));
    let node = Arc::new(Node {
        board: Board::at(&orders.dir),
        log: Log::create(&orders.dir, orders.node),
        sessions: usual.sessions(),
        app: app(usual),
        brief: app(brief),
        next: AtomicU64::new(orders.node << 32),
        until: orders.until,
    });
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let seed = orders.seed ^ (orders.node << 40) ^ (task << 56);
            let client = Client {
                node: node.clone(),
                rng: Rng::new(seed),
                known: Vec::new(),
            };
            tokio::spawn(client.run())
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

struct Node {
    board: Board,
    log: Log,
    sessions: Sessions,
    app: Router,
    brief: Router,
    next: AtomicU64,
    until: u64,
}

/// Where in the middle a client leaves.
enum Leaving {
    Never,
    AfterPolls(u64),
    After(Duration),
}

struct Client {
    node: Arc<Node>,
    rng: Rng,
    /// Cookies that it had before.
    known: Vec<String>,
}

impl Client {
    async fn run(mut self) {
        while now() < self.node.until {
            let crowded = self.rng.percent(50);
            let place = self.rng.below(if crowded { CROWDED } else { PLACES });
            let on_board = self.node.board.get(place);
            let Some(cookie) = self.choose(on_board.as_deref()) else {
                self.start(place, None).await;
                continue;
            };
            let outcome = self.operate(place, &cookie).await;
            let over = match &outcome {
                Outcome::Absent => on_board.as_ref() == Some(&cookie) && self.rng.percent(40),
                Outcome::Done { saw: Some(saw), .. } => saw.list.len() >= LONGEST,
                _ => false,
            };
            if over {
                self.start(place, on_board.as_deref()).await;
            }
        }
    }

    /// Mostly the newest cookie, now and then an old one.
    fn choose(&mut self, on_board: Option<&str>) -> Option<String> {
        let newest = on_board?.to_owned();
        if self.rng.percent(6)
            && let Some(old) = self.rng.pick(&self.known)
        {
            return Some(old.clone());
        }
        self.known.retain(|known| *known != newest);
        self.known.push(newest.clone());
        if self.known.len() > 4 {
            self.known.remove(0);
        }
        Some(newest)
    }

    fn leaving(&mut self) -> Leaving {
        match self.rng.below(100) {
            0..6 => Leaving::AfterPolls(1 + self.rng.below(6)),
            6..10 => Leaving::After(Duration::from_micros(self.rng.below(10_000))),
            _ => Leaving::Never,
        }
    }

    /// Starts a session; nobody else knows of it before this one was answered.
    async fn start(&mut self, place: u64, instead_of: Option<&str>) {
        let node = self.node.clone();
        let id = node.next.fetch_add(1, Ordering::Relaxed);
        let brief = self.rng.percent(8);
        let app = if brief { &node.brief } else { &node.app };
        let called = now();
        let Some((outcome, Some(cookie))) = send(app, &format!("/start/{id}"), None).await else {
            return;
        };
        let (session, name) = read_cookie(&cookie);
        let effect = Effect {
            secret: true,
            ..Effect::default()
        };
        let call = Call {
            id,
            session,
            secret: None,
            action: Action::Write {
                effect,
                blind: false,
            },
        };
        node.log.called_at(called, call);
        let Outcome::Done { saw, .. } = outcome else {
            panic!("a cookie with {outcome:?}");
        };
        let secret = Some(name);
        node.log.returned(id, Outcome::Done { saw, secret });
        if brief {
            // No earlier than this, by whatever clock the store has.
            let until = called + nanos(BRIEF / 2);
            let end = Call {
                id: node.next.fetch_add(1, Ordering::Relaxed),
                session,
                secret: None,
                action: Action::End,
            };
            node.log.called_at(until, end);
        }
        node.board.replace(place, instead_of, &cookie, id);
    }

    /// One operation, from its call to what is known of it.
    async fn operate(&mut self, place: u64, cookie: &str) -> Outcome {
        let node = self.node.clone();
        let kind = Kind::any(&mut self.rng);
        let id = node.next.fetch_add(1, Ordering::Relaxed);
        let (session, name) = read_cookie(cookie);
        let call = Call {
            id,
            session,
            secret: (!kind.is_by_id()).then_some(name),
            action: kind.action(),
        };
        let leaving = self.leaving();
        node.log.called(call);
        let request = async {
            match kind {
                Kind::ReadById => (read_by_id(&node.sessions, session).await, None),
                Kind::AddById => (add_by_id(&node.sessions, session, id).await, None),
                Kind::Revoke => (revoke(&node.sessions, session).await, None),
                _ => send(&node.app, &kind.path(id), Some(cookie))
                    .await
                    .unwrap_or_default(),
            }
        };
        let (outcome, new) = unless_left(leaving, request).await.unwrap_or_default();
        let mut published = None;
        let outcome = match (kind, outcome) {
            // It is refused by itself, whatever becomes of its client.
            (Kind::Discard, Outcome::Done { .. }) => panic!("what failed was done"),
            (Kind::Discard, _) => Outcome::Refused,
            (Kind::Rotate | Kind::User, Outcome::Done { saw, .. }) => {
                let new = new.expect("a new secret comes in a cookie");
                let secret = Some(read_cookie(&new).1);
                published = Some(new);
                Outcome::Done { saw, secret }
            }
            (_, outcome) => outcome,
        };
        if outcome != Outcome::Unknown {
            node.log.returned(id, outcome.clone());
        }
        // On record before anybody uses it: this process may be killed in between.
        if let Some(new) = published {
            node.board.replace(place, Some(cookie), &new, id);
        }
        outcome
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap()
}

/// Polls it until it is time to leave; then it is dropped.
async fn unless_left<F: Future>(leaving: Leaving, request: F) -> Option<F::Output> {
    match leaving {
        Leaving::Never => Some(request.await),
        Leaving::After(span) => tokio::time::timeout(span, request).await.ok(),
        Leaving::AfterPolls(mut left) => {
            let mut request = pin!(request);
            std::future::poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                request.as_mut().poll(cx).map(Some)
            })
            .await
        }
    }
}

/// The session that a cookie is of, and a name for its secret.
fn read_cookie(cookie: &str) -> (SessionId, u64) {
    let token = Token::parse(cookie.as_bytes(), "").unwrap();
    let mut hasher = DefaultHasher::new();
    cookie.hash(&mut hasher);
    (token.id(), hasher.finish())
}

/// What came of a request, and the cookie that it set.
async fn send(app: &Router, path: &str, cookie: Option<&str>) -> Option<(Outcome, Option<String>)> {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE_HEADER, format!("{COOKIE}={cookie}"));
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let (status, new) = (answer.status(), new_cookie(answer.headers()));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let outcome = match status {
        StatusCode::OK => Outcome::Done {
            saw: (!text.is_empty()).then(|| text.parse::<State>().unwrap()),
            secret: None,
        },
        StatusCode::NO_CONTENT => Outcome::Absent,
        StatusCode::CONFLICT => Outcome::Refused,
        StatusCode::SERVICE_UNAVAILABLE => Outcome::Unknown,
        StatusCode::INTERNAL_SERVER_ERROR if path.starts_with("/discard") => Outcome::Refused,
        status => panic!("{path}: {status}, {text}"),
    };
    assert!(
        new.is_none() || status == StatusCode::OK,
        "{path}: {status} with a cookie"
    );
    Some((outcome, new))
}

fn new_cookie(headers: &HeaderMap) -> Option<String> {
    let set = headers.get(SET_COOKIE)?.to_str().unwrap();
    let value = set.strip_prefix(COOKIE)?.strip_prefix('=')?;
    let value = value.split(';').next().unwrap_or_default();
    // Without a value it is removed.
    (!value.is_empty()).then(|| value.to_owned())
}

/// Reads a session past its secret.
pub(crate) async fn read_by_id(sessions: &Sessions, session: SessionId) -> Outcome {
    match sessions.get(session).await {
        Ok(None) => Outcome::Absent,
        Ok(Some(stored)) => {
            let list = stored.get("list").unwrap();
            Outcome::saw(State {
                list: list.unwrap_or_default(),
                count: stored.get("count").unwrap().unwrap_or_default(),
                note: stored.get("note").unwrap(),
                user: stored
                    .head()
                    .user
                    .as_ref()
                    .and_then(|user| user.parse().ok()),
            })
        }
        Err(error) => failed(&error),
    }
}

async fn add_by_id(sessions: &Sessions, session: SessionId, id: u64) -> Outcome {
    let add = async |session| change(&session, Kind::AddById.name(), id);
    match sessions.write(session, add).await {
        Ok(before) => Outcome::saw(before),
        Err(error) => failed(&error),
    }
}

async fn revoke(sessions: &Sessions, session: SessionId) -> Outcome {
    match sessions.destroy(session).await {
        Ok(_) => Outcome::Done {
            saw: None,
            secret: None,
        },
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Outcome {
    match error {
        Error::NotFound => Outcome::Absent,
        error if error.status() == StatusCode::CONFLICT => Outcome::Refused,
        error if error.status() == StatusCode::SERVICE_UNAVAILABLE => Outcome::Unknown,
        error => panic!("{error}"),
    }
}
