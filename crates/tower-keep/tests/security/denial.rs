//! Denial by forgery: who knows the id of a session, which is no secret, must not be able to keep
//! its owner out, nor to make the server work or write.

use axum::body::Body;
use http::Request;
use tower::{Layer, Service, service_fn};
use tower_keep::{DynStore, Session, SessionLayer, SessionStore};
use tower_keep_testkit::Verb;

use crate::common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, start};
use crate::forged;

/// 10⁵, a tenth of it in the short run.
fn many() -> usize {
    let heavy = std::env::var_os("KEEP_HEAVY").is_some();
    if heavy { 100_000 } else { 10_000 }
}

/// A victim whose session is a minute old.
async fn victim(backend: &Backend, gates: &Gates) -> Client {
    let client = backend.client(app(gates.clone()));
    client.get("/login/ann").await;
    client.get("/add").await;
    backend.clock.advance(MINUTE);
    // Known as a visitor of this minute, so that nothing is due.
    client.get("/add").await;
    client
}

/// One service for all requests: a handler that wants to write, with no router in between.
async fn flood(backend: &Backend, id: tower_keep::SessionId, requests: usize) {
    let handler = async |request: Request<()>| {
        let (parts, ()) = request.into_parts();
        let session = Session::from_request(&parts).await.unwrap();
        assert!(session.is_new() && session.user().is_none(), "opened");
        Ok::<_, std::convert::Infallible>(http::Response::new(
            http_body_util::Full::<bytes::Bytes>::default(),
        ))
    };
    let layer = backend.layer().build().unwrap();
    let mut service = layer.layer(service_fn(handler));
    for _ in 0..requests {
        let cookie = format!("{COOKIE}={}", forged(id));
        let request = Request::builder()
            .header("cookie", cookie)
            .body(())
            .unwrap();
        let response = service.call(request).await.unwrap();
        assert!(response.headers().get("set-cookie").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn forged_cookies_take_no_lock_no_place_in_the_queue_and_no_write() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = victim(&backend, &gates).await;
        let id = id_of(&client);
        crate::common::settle().await;
        let before = backend.record(&client);
        backend.faults.calls().clear();
        flood(&backend, id, many()).await;
        // Exactly one question each, and not one step that could change anything.
        let calls = backend.faults.calls();
        if backend.name == "remote" {
            assert_eq!(calls.of(Verb::Open), many());
            assert_eq!(calls.total(), many());
        }
        let after = backend.record(&client);
        assert_eq!(after.to_bytes(), before.to_bytes(), "{}", backend.name);
        assert!(after.lease.is_none() && after.waiting_until.is_none());
        assert_eq!(backend.memory.len(), 1);
        assert_eq!(backend.memory.waiting(id), 0);
        // The owner's next request is what it always was.
        backend.faults.calls().clear();
        assert_eq!(client.get("/add").await.text(), "3");
        if backend.name == "remote" {
            let verbs: Vec<_> = calls.log().iter().map(|call| call.verb).collect();
            assert_eq!(verbs, [Verb::Open, Verb::Finish]);
        }
    }
}

/// The same while the owner has the session open and others of theirs wait for it: whoever forges
/// is answered at once, and the queue is the owner's.
#[tokio::test(start_paused = true)]
async fn forged_cookies_do_not_wait_beside_the_owner() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = victim(&backend, &gates).await;
        let id = id_of(&client);
        let holder = start(&client, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        let waiters: Vec<_> = (0..60).map(|_| start(&client, "/add")).collect();
        crate::common::settle().await;
        // No forged one waits: all of them are through although the holder is not.
        flood(&backend, id, 500).await;
        let own = |handle: &tokio::task::JoinHandle<_>| !handle.is_finished();
        assert!(own(&holder) && waiters.iter().all(own), "{}", backend.name);
        gates.at("gate").open();
        assert_eq!(holder.await.unwrap().status(), 200);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().status(), 200, "{}", backend.name);
        }
        assert_eq!(client.get("/n").await.text(), "63");
    }
}

/// Over the file store and an encrypted one the same holds: not a byte changes.
#[tokio::test]
async fn forged_cookies_change_no_byte_of_a_stored_session() {
    let dir = tempfile::tempdir().unwrap();
    let files = tower_keep_file::FileStore::builder(dir.path().join("s"))
        .durability(tower_keep_file::Durability::NoSync)
        .open()
        .unwrap();
    let store = DynStore::new(files);
    let routes = app(Gates::default()).layer(SessionLayer::new(store.clone()));
    let client: Client = tower_keep_testkit::TestClient::with_body(routes);
    client.get("/login/ann").await;
    let id = id_of(&client);
    let stored = async || store.look(id).await.unwrap().record.unwrap();
    let (before, revision) = stored().await;
    for _ in 0..200 {
        for path in ["/add", "/rotate", "/logout", "/who"] {
            let request = Request::get(path).header("cookie", format!("{COOKIE}={}", forged(id)));
            let attacker = client.fork();
            attacker.clear_cookies();
            let answer = attacker.request(request.body(Body::empty()).unwrap()).await;
            assert!(!answer.text().contains("ann"), "{path}");
        }
    }
    let (after, same) = stored().await;
    assert_eq!((after.to_bytes(), same), (before.to_bytes(), revision));
}
