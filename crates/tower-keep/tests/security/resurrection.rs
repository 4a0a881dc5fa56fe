//! Resurrection: a session that was ended while another of its requests was under way comes back
//! with that request's save. CVE-2025-46336 and CVE-2025-32441 are of this class, and so is every
//! library that loads a session, changes a copy and writes the copy back.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::Request;
use tokio::task::JoinHandle;
use tower_keep::core::{Sweep, Token, UserCap};
use tower_keep::{
    DynStore, Error, MergeSession, PreviousUrlLayer, ReadSession, Session, SessionHandle,
    SessionLayer, SessionStore, Sessions,
};
use tower_keep_file::{Durability, FileStore};
use tower_keep_testkit::{TestClient, TestClock, TestResponse};

use crate::common::{Backend, COOKIE, Client, Gates, MINUTE, Stop, app, id_of, settle};

/// A kind of store, and the time in it.
#[derive(Clone)]
struct Place {
    name: &'static str,
    store: DynStore,
    clock: TestClock,
    _dir: Option<Arc<tempfile::TempDir>>,
}

/// In this process, behind I/O, in files, encrypted.
fn places() -> Vec<Place> {
    let of = |backend: Backend| Place {
        name: backend.name,
        store: backend.store,
        clock: backend.clock,
        _dir: None,
    };
    let mut places: Vec<_> = Backend::both().into_iter().map(of).collect();
    let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::following_tokio());
    let store = FileStore::builder(dir.path().join("sessions"))
        .durability(Durability::NoSync)
        .clock(Arc::new(clock.clone()))
        .open()
        .unwrap();
    places.push(Place {
        name: "file",
        store: DynStore::new(store),
        clock,
        _dir: Some(Arc::new(dir)),
    });
    #[cfg(feature = "encryption")]
    places.push({
        use tower_keep::keys::{KeyRing, SecretKey};
        let backend = Backend::local();
        let ring = KeyRing::new(SecretKey::from_bytes([7; 32]).unwrap());
        Place {
            name: "encrypted",
            store: DynStore::new(tower_keep::EncryptedStore::new(backend.memory, &ring)),
            clock: backend.clock,
            _dir: None,
        }
    });
    places
}

/// The ways to be under way: each stops at its gate with what it has.
const SLOW: [&str; 8] = [
    "/hold/gate/add",
    "/late/gate/add",
    "/seen/gate/add",
    "/late/gate/logout",
    "/gate/merge",
    "/gate/handle",
    "/gate/handle-merge",
    "/gate/page",
];

fn routes(gates: &Gates) -> Router {
    async fn handle(State(gates): State<Gates>, handle: SessionHandle) -> Result<(), Error> {
        let write = async |session: Session| -> Result<i64, Error> {
            let n = session.increment("n", 1)?;
            gates.at("gate").pass().await;
            Ok(n)
        };
        handle.write(write).await.map(drop)
    }
    async fn handle_merge(State(gates): State<Gates>, handle: SessionHandle) -> Result<(), Error> {
        let merge = async |session: MergeSession| -> Result<(), Error> {
            session.increment("n", 1)?;
            gates.at("gate").pass().await;
            session.push("list", &1)
        };
        handle.merge(merge).await
    }
    let merge = async |session: MergeSession, _: Stop| session.increment("n", 1);
    let page = async |session: ReadSession, _: Stop| session.get_or("n", 0).map(|n| n.to_string());
    let slow = Router::new()
        .route("/{gate}/merge", get(merge))
        .route("/{gate}/handle", get(handle))
        .route("/{gate}/handle-merge", get(handle_merge))
        .route("/{gate}/page", get(page))
        .with_state(gates.clone());
    app(gates.clone())
        .route("/invalidate", get(async |s: Session| s.invalidate()))
        .merge(slow)
        .layer(PreviousUrlLayer::new())
}

/// The ways to end it meanwhile.
const ENDS: [&str; 6] = [
    "logout",
    "by id",
    "by user",
    "everywhere",
    "elsewhere",
    "by cap",
];

fn page_load(client: &Client, path: &str) -> JoinHandle<TestResponse> {
    let (client, path) = (client.clone(), path.to_owned());
    let request = Request::get(path)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("accept", "text/html");
    tokio::spawn(async move { client.request(request.body(Body::empty()).unwrap()).await })
}

struct Scene {
    place: Place,
    gates: Gates,
    client: Client,
    sessions: Sessions,
}

impl Scene {
    fn new(place: Place) -> Self {
        let gates = Gates::default();
        let layer = SessionLayer::builder(place.store.clone())
            .clock(Arc::new(place.clock.clone()))
            .user_cap(UserCap::evict_oldest(2))
            .build()
            .unwrap();
        let sessions = layer.sessions();
        let client = TestClient::with_body(routes(&gates).layer(layer));
        Self {
            client: client.with_clock(place.clock.clone()),
            place,
            gates,
            sessions,
        }
    }

    /// A visitor who has logged in and counts 1.
    async fn visitor(&self) -> Client {
        let client = self.client.fork();
        client.clear_cookies();
        client.get("/login/ann").await;
        assert_eq!(client.get("/add").await.text(), "1");
        client
    }

    /// Ends the session in this way; gives what is still to be waited for.
    async fn end(&self, client: &Client, how: &str) -> Option<JoinHandle<TestResponse>> {
        let id = id_of(client);
        match how {
            // It may have to wait for the holder.
            "logout" | "invalidate" => return Some(page_load(client, &format!("/{how}"))),
            "by id" => assert!(self.sessions.destroy(id).await.unwrap()),
            "by user" => self.sessions.of("ann").destroy(id).await.unwrap(),
            "everywhere" => drop(self.sessions.destroy_user("ann").await.unwrap()),
            "elsewhere" => {
                let other = self.visitor().await;
                let ended = self.sessions.destroy_others("ann", id_of(&other)).await;
                assert_eq!(ended.unwrap(), [id]);
                other.get("/logout").await;
            }
            _ => {
                for _ in 0..2 {
                    self.place.clock.advance(MINUTE);
                    self.visitor().await;
                }
            }
        }
        None
    }

    /// Ends the session in this way while such a request is under way.
    async fn play(&self, slow: &str, how: &str) -> (Client, String, TestResponse) {
        let client = self.visitor().await;
        let cookie = client.cookie(COOKIE).unwrap();
        let slow = page_load(&client.fork(), slow);
        self.gates.at("gate").arrived(1).await;
        let ending = self.end(&client, how).await;
        settle().await;
        self.gates.at("gate").open();
        let slow = slow.await.unwrap();
        if let Some(ending) = ending {
            let ending = ending.await.unwrap();
            assert_eq!(ending.status(), 200, "{how}: {ending:?}");
        }
        settle().await;
        (client, cookie, slow)
    }

    async fn who_is(&self, cookie: &str) -> String {
        let thief = self.client.fork();
        thief.clear_cookies();
        thief.set_cookie(COOKIE, cookie);
        thief.get("/who").await.text()
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2025_46336_what_ends_while_a_request_is_under_way_stays_dead() {
    for place in places() {
        let mut ended = Vec::new();
        for how in ENDS {
            for slow in SLOW {
                let what = format!("{} {slow} {how}", place.name);
                let scene = Scene::new(place.clone());
                let (client, cookie, answer) = scene.play(slow, how).await;
                let sets = |cookie: &String| !cookie.contains("Max-Age=0");
                assert!(!answer.set_cookies().iter().any(sets), "{what}: {answer:?}");
                let id = Token::parse(cookie.as_bytes(), "").unwrap().id();
                // Nothing but a tombstone, which has nothing of it.
                if let Some((record, _)) = place.store.look(id).await.unwrap().record {
                    assert!(record.gone_at.is_some(), "{what}");
                    assert!(
                        record.data.is_empty() && record.head.user.is_none(),
                        "{what}"
                    );
                }
                for cookie in [Some(cookie), client.cookie(COOKIE)].into_iter().flatten() {
                    let seen = scene.who_is(&cookie).await;
                    assert!(seen.starts_with("nobody 0 "), "{what}: {seen}");
                }
                assert!(scene.sessions.get(id).await.unwrap().is_none(), "{what}");
                scene.sessions.destroy_user("ann").await.unwrap();
                ended.push(id);
            }
        }
        // Nor when even the tombstones are gone.
        place.clock.advance(20 * MINUTE);
        place.store.sweep(Sweep::default()).await.unwrap();
        for id in ended {
            assert!(place.store.look(id).await.unwrap().record.is_none());
        }
    }
}

/// The same where the session goes on without its content: what was flushed stays flushed.
#[tokio::test(start_paused = true)]
async fn cve_2025_32441_what_was_flushed_while_a_request_is_under_way_does_not_come_back() {
    for place in places() {
        for slow in SLOW {
            let what = format!("{} {slow}", place.name);
            let scene = Scene::new(place.clone());
            let (client, cookie, _) = scene.play(slow, "invalidate").await;
            let id = id_of(&client);
            let record = scene.place.store.look(id).await.unwrap().record;
            let Some((record, _)) = record.filter(|(record, _)| record.gone_at.is_none()) else {
                // The other request has ended it before, which is as good.
                assert_eq!(slow, "/late/gate/logout", "{what}");
                continue;
            };
            assert!(record.data.get("n").is_none(), "{what}");
            assert_eq!(record.head.user, None, "{what}");
            let seen = scene.who_is(&cookie).await;
            assert!(seen.starts_with("nobody 0 "), "{what}: {seen}");
            let seen = scene.who_is(&client.cookie(COOKIE).unwrap()).await;
            assert_eq!(seen, "nobody 0", "{what}");
        }
    }
}
