//! Where an application of tower-sessions notices on purpose that it runs on tower-keep. The list is
//! in the crate's README.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::Barrier;
use tower_keep::{DynStore, MemoryStore, ReadSession, SessionLayer, StoreErrorKind};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, TestClient, TestClock};
use tower_keep_tower_sessions::TowerSessions14Layer;
use tower_sessions::{Expiry, Session};

use crate::life::{COOKIE, Client, clock, id_of};
use crate::served::{clocked, served, stores};

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn add(session: &Session) -> u64 {
    let n = session.get("n").await.unwrap().unwrap_or(0) + 1;
    session.insert("n", n).await.unwrap();
    n
}

async fn count(session: Session) -> String {
    add(&session).await.to_string()
}

async fn show(session: Session) -> String {
    let n: Option<u64> = session.get("n").await.unwrap();
    n.map_or("none".to_owned(), |n| n.to_string())
}

fn counter() -> Router {
    Router::new()
        .route("/count", get(count))
        .route("/show", get(show))
        .route("/flush", get(async |s: Session| s.flush().await.unwrap()))
        .route(
            "/cycle",
            get(async |s: Session| s.cycle_id().await.unwrap()),
        )
}

/// All of them have read before the first of them writes.
async fn at_once(client: &Client, path: &str, requests: usize) -> Vec<StatusCode> {
    let tasks: Vec<_> = (0..requests)
        .map(|n| {
            let (tab, path) = (client.clone(), path.replace("{n}", &n.to_string()));
            tokio::spawn(async move { tab.get(&path).await.status() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

fn all_together(requests: usize) -> Router {
    let (one, each) = (
        Arc::new(Barrier::new(requests)),
        Arc::new(Barrier::new(requests)),
    );
    let same = async move |session: Session| {
        session.get::<u64>("n").await.unwrap();
        one.wait().await;
        add(&session).await;
    };
    let others = async move |session: Session, Path(key): Path<String>| {
        session.get::<u64>("n").await.unwrap();
        each.wait().await;
        session.insert(&key, 1).await.unwrap();
    };
    let all = async |session: ReadSession| session.len().unwrap().to_string();
    counter()
        .route("/same", get(same))
        .route("/others/{key}", get(others))
        .route("/len", get(all))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_a_lost_update_is_a_conflict() {
    for store in stores().await {
        let client = served(all_together(8), SessionLayer::builder(store));
        client.get("/count").await;
        let answers = at_once(&client, "/same", 8).await;
        let done = answers.iter().filter(|status| **status == 200).count();
        let conflicts = answers.iter().filter(|status| **status == 409).count();
        assert_eq!((done, conflicts), (1, 7), "tower-sessions: all done, and 2");
        assert_eq!(client.get("/show").await.text(), "2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_different_keys_go_together() {
    for store in stores().await {
        let client = served(all_together(8), SessionLayer::builder(store));
        client.get("/count").await;
        let answers = at_once(&client, "/others/{n}", 8).await;
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
        assert_eq!(client.get("/len").await.text(), "9", "tower-sessions: 2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_lock_for_has_them_wait() {
    for store in stores().await {
        let layer = SessionLayer::builder(store).lock_for(|r| r.uri.path() == "/count");
        let client = served(counter(), layer);
        client.get("/count").await;
        let answers = at_once(&client, "/count", 20).await;
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
        assert_eq!(client.get("/show").await.text(), "21");
    }
}

#[tokio::test]
async fn f2_cycle_id_keeps_the_id_and_replaces_the_secret() {
    for store in stores().await {
        let client = served(counter(), SessionLayer::builder(store));
        client.get("/count").await;
        let (id, thief) = (id_of(&client), client.fork());
        client.get("/cycle").await;
        assert_eq!(id_of(&client), id);
        assert_ne!(client.cookie(COOKIE), thief.cookie(COOKIE));
        assert_eq!(thief.get("/show").await.text(), "none");
        assert_eq!(client.get("/show").await.text(), "1");
    }
}

#[tokio::test]
async fn f2_nothing_is_saved_before_the_response() {
    let fail = async |session: Session, Path(how): Path<String>| {
        add(&session).await;
        match how.as_str() {
            "flush" => session.flush().await.unwrap(),
            "cycle" => session.cycle_id().await.unwrap(),
            _ => session.save().await.unwrap(),
        }
        StatusCode::INTERNAL_SERVER_ERROR
    };
    for store in stores().await {
        let routes = counter().route("/fail/{how}", get(fail));
        let client = served(routes, SessionLayer::builder(store));
        client.get("/count").await;
        let cookie = client.cookie(COOKIE);
        for how in ["save", "flush", "cycle"] {
            let answer = client.get(&format!("/fail/{how}")).await;
            assert!(answer.set_cookies().is_empty(), "{how}");
            assert_eq!(client.get("/show").await.text(), "1", "{how}");
        }
        assert_eq!(client.cookie(COOKIE), cookie);
    }
}

/// Within the request `save`, `load` and `delete` are as they were.
#[tokio::test]
async fn f2_a_session_sees_what_it_has_saved() {
    let walk = async |session: Session| {
        add(&session).await;
        session.save().await.unwrap();
        session.insert("n", 70).await.unwrap();
        session.load().await.unwrap();
        let saved: u64 = session.get("n").await.unwrap().unwrap();
        session.delete().await.unwrap();
        session.load().await.unwrap();
        // What is written from here on is another session's.
        session.insert("m", 1).await.unwrap();
        format!("{saved} {:?}", session.get::<u64>("n").await.unwrap())
    };
    for store in stores().await {
        let routes = counter().route("/walk", get(walk));
        let client = served(routes, SessionLayer::builder(store));
        client.get("/count").await;
        let id = id_of(&client);
        assert_eq!(client.get("/walk").await.text(), "2 None");
        assert_ne!(id_of(&client), id);
        assert_eq!(client.get("/show").await.text(), "none");
    }
}

#[tokio::test]
async fn f2_flush_ends_the_session_and_removes_the_cookie() {
    let leave = async |session: Session| {
        session.flush().await.unwrap();
        session.insert("n", 9).await.unwrap();
    };
    for store in stores().await {
        let routes = counter().route("/leave", get(leave));
        let client = served(routes, SessionLayer::builder(store));
        client.get("/count").await;
        let (id, copy) = (id_of(&client), client.fork());
        client.get("/leave").await;
        assert_eq!(client.get("/show").await.text(), "9");
        assert_ne!(id_of(&client), id, "another session");
        assert_eq!(copy.get("/show").await.text(), "none");
        client.get("/flush").await;
        assert_eq!(client.cookie(COOKIE), None);
    }
}

/// With tower-sessions the slow request's save brings it back.
#[tokio::test]
async fn f2_what_was_flushed_stays_flushed() {
    for store in stores().await {
        let gate = Gate::new();
        let slow = {
            let gate = gate.clone();
            async move |session: Session| {
                add(&session).await;
                gate.pass().await;
            }
        };
        let routes = counter().route("/slow", get(slow));
        let client = served(routes, SessionLayer::builder(store));
        client.get("/count").await;
        let (tab, thief) = (client.clone(), client.fork());
        let slow = tokio::spawn(async move { tab.get("/slow").await });
        gate.arrived(1).await;
        client.get("/flush").await;
        gate.open();
        let answer = slow.await.unwrap();
        assert_eq!(answer.status(), 409);
        assert!(answer.set_cookies().is_empty());
        assert_eq!(thief.get("/show").await.text(), "none");
    }
}

fn expiring(clock: &TestClock) -> (Client, MemoryStore) {
    let set = async |session: Session, Path(seconds): Path<i64>| {
        let span = time::Duration::seconds(seconds);
        session.set_expiry(Some(Expiry::OnInactivity(span)));
    };
    let until = async |session: Session, Path(seconds): Path<i64>| {
        let at = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        session.set_expiry(Some(Expiry::AtDateTime(at)));
    };
    let closed = async |session: Session| session.set_expiry(Some(Expiry::OnSessionEnd));
    let routes = counter()
        .route("/set/{seconds}", get(set))
        .route("/until/{seconds}", get(until))
        .route("/closed", get(closed));
    clocked(routes, clock)
}

#[tokio::test]
async fn f2_set_expiry_is_an_idle_timeout_that_slides() {
    let clock = clock();
    let (client, _) = expiring(&clock);
    // The layer's are 2 hours of idle and 24 of absolute timeout.
    for (path, idle) in [("/set/3600", 1), ("/set/18000", 5), ("/until/10800", 3)] {
        client.get("/count").await;
        client.get(path).await;
        for _ in 0..2 {
            // Touches are throttled, and `now` in the handler is the system's.
            clock.advance(idle * HOUR * 9 / 10);
            assert_ne!(client.get("/show").await.text(), "none", "{path}");
        }
        clock.advance(idle * HOUR);
        assert_eq!(client.get("/show").await.text(), "none", "{path}");
    }
}

#[tokio::test]
async fn f2_set_expiry_does_not_go_beyond_the_absolute_timeout() {
    let clock = clock();
    let (client, memory) = expiring(&clock);
    client.get("/count").await;
    let before = memory.record(id_of(&client).unwrap()).unwrap().head;
    client.get("/set/8640000").await;
    client.get("/closed").await;
    let head = memory.record(id_of(&client).unwrap()).unwrap().head;
    assert_eq!(head.limits.idle, Duration::from_secs(8_640_000));
    assert_eq!(head.absolute_deadline, before.absolute_deadline);
    clock.advance(24 * HOUR);
    assert_eq!(client.get("/show").await.text(), "none");
}

#[tokio::test]
async fn f2_an_expiry_that_is_over_ends_the_session() {
    for path in ["/set/0", "/set/-1", "/until/-1"] {
        let clock = clock();
        let (client, memory) = expiring(&clock);
        client.get("/count").await;
        let id = id_of(&client).unwrap();
        client.get(path).await;
        assert_eq!(client.cookie(COOKIE), None, "{path}");
        assert!(memory.record(id).unwrap().gone_at.is_some(), "{path}");
    }
}

#[tokio::test]
async fn f2_the_id_is_public_and_the_cookie_is_not_in_the_session() {
    let look = async |session: Session| {
        session.get::<u64>("n").await.unwrap();
        let id = session.id().map(|id| id.0.to_be_bytes());
        format!("{id:?} {session:?} {:?}", session.expiry())
    };
    for store in stores().await {
        let routes = counter().route("/look", get(look));
        let client = served(routes, SessionLayer::builder(store));
        assert!(client.get("/look").await.text().starts_with("None"));
        client.get("/count").await;
        let shown = client.get("/look").await.text();
        let id = *id_of(&client).unwrap().as_bytes();
        assert!(shown.starts_with(&format!("Some({id:?})")), "{shown}");
        let cookie = client.cookie(COOKIE).unwrap();
        assert_eq!(cookie.len(), 64);
        // The first character of the secret's half also has bits of the id.
        assert!(!shown.contains(&cookie[22..]), "{shown}");
    }
}

/// `save` gives a new session an id in tower-sessions. Here it has one with the commit.
#[tokio::test]
async fn f2_a_new_session_gets_its_id_with_the_response() {
    let save = async |session: Session| {
        add(&session).await;
        session.save().await.unwrap();
        let id = session.id().unwrap().0.to_be_bytes();
        format!("{id:?}")
    };
    for store in stores().await {
        let routes = counter().route("/save", get(save));
        let client = served(routes, SessionLayer::builder(store));
        let seen = client.get("/save").await.text();
        assert_ne!(seen, format!("{:?}", id_of(&client).unwrap().as_bytes()));
        let seen = client.get("/save").await.text();
        assert_eq!(seen, format!("{:?}", id_of(&client).unwrap().as_bytes()));
    }
}

#[tokio::test]
async fn f2_after_the_response_nothing_is_saved_and_nothing_loaded() {
    let kept = Arc::new(Mutex::new(None::<Session>));
    let keep = {
        let kept = kept.clone();
        async move |session: Session, Path(how): Path<String>| {
            if how != "unread" {
                add(&session).await;
            }
            *kept.lock().unwrap() = Some(session);
            if how == "stop" {
                std::future::pending::<()>().await;
            }
        }
    };
    for store in stores().await {
        let routes = counter().route("/keep/{how}", get(keep.clone()));
        let client = served(routes, SessionLayer::builder(store));
        client.get("/count").await;
        for how in ["unread", "read", "stop"] {
            let path = format!("/keep/{how}");
            let mut request = Box::pin(client.get(&path));
            // The last one's client leaves.
            while kept.lock().unwrap().is_none() || how != "stop" {
                tokio::select! {
                    biased;
                    _ = &mut request => break,
                    () = tokio::task::yield_now() => {}
                }
            }
            drop(request);
            let session = kept.lock().unwrap().take().unwrap();
            let error = if how == "unread" {
                session.insert("n", 9).await.unwrap_err()
            } else {
                session.insert("n", 9).await.unwrap();
                session.flush().await.unwrap_err();
                session.save().await.unwrap_err()
            };
            let error = error.to_string();
            assert!(error.contains("already committed or discarded"), "{error}");
        }
        assert_eq!(client.get("/show").await.text(), "2");
    }
}

/// The next call fails.
fn outage() -> Script {
    Script::new().nth(1, Fault::Fail(StoreErrorKind::Unavailable))
}

#[tokio::test]
async fn f2_an_outage_is_503_and_no_cookie() {
    let store = FaultStore::new(MemoryStore::new());
    let refuse = async |session: Session| match session.get::<u64>("n").await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let routes = counter().route("/try", get(refuse));
    let client = served(routes, SessionLayer::builder(store.clone()));
    client.get("/count").await;
    let cookie = client.cookie(COOKIE);
    store.set_script(outage());
    let answer = client.get("/try").await;
    assert_eq!(answer.status(), 503, "tower-sessions: the handler's 500");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(client.cookie(COOKIE), cookie);
    assert_eq!(client.get("/try").await.status(), 200);
    // Not when the handler has made something else of it.
    let soft = Router::new().route(
        "/",
        get(async |session: Session| session.get::<u64>("n").await.is_ok().to_string()),
    );
    let client = served(soft, SessionLayer::builder(store.clone()));
    client.set_cookie(COOKIE, &cookie.unwrap());
    store.set_script(outage());
    assert_eq!(client.get("/").await.text(), "false");
}

#[tokio::test]
async fn f2_keys_and_size_have_limits() {
    let long = async |session: Session| session.insert(&"k".repeat(256), 1).await.unwrap();
    let large = async |session: Session| {
        session.insert("n", "x".repeat(70_000)).await.unwrap();
    };
    for store in stores().await {
        let routes = counter()
            .route("/long", get(long))
            .route("/large", get(large));
        let client = served(routes, SessionLayer::builder(store));
        client.get("/count").await;
        for path in ["/long", "/large"] {
            assert_eq!(client.get(path).await.status(), 500, "{path}");
            assert_eq!(client.get("/show").await.text(), "1", "{path}");
        }
    }
}

#[tokio::test]
async fn f2_a_dead_cookie_is_left_alone_until_there_is_another() {
    for store in stores().await {
        let client = served(counter(), SessionLayer::builder(store));
        client.get("/count").await;
        let dead = client.fork();
        client.get("/flush").await;
        assert!(dead.get("/show").await.set_cookies().is_empty());
        assert!(dead.cookie(COOKIE).is_some());
    }
}

/// Ours and theirs are one session; what they change is seen from the next request on.
#[tokio::test]
async fn f2_both_sessions_are_one() {
    let both = async |theirs: Session, ours: ReadSession| {
        add(&theirs).await;
        ours.get::<u64>("n").unwrap().map_or(0, |n| n).to_string()
    };
    for store in stores().await {
        let routes = counter().route("/both", get(both));
        let client = served(routes, SessionLayer::builder(store));
        for seen in ["0", "1", "2"] {
            assert_eq!(client.get("/both").await.text(), seen);
        }
        assert_eq!(client.get("/show").await.text(), "3");
    }
}

#[tokio::test]
async fn f2_without_our_layer_there_is_no_session() {
    let bare = counter().layer(TowerSessions14Layer::new());
    assert_eq!(TestClient::new(bare).get("/show").await.status(), 500);
    let store = DynStore::new(MemoryStore::new());
    let layer = SessionLayer::builder(store).skip(|request| request.uri.path() == "/show");
    let client = served(counter(), layer);
    assert_eq!(client.get("/show").await.status(), 500);
    assert_eq!(client.get("/count").await.text(), "1");
}
