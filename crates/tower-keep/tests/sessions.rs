//! Sessions without a request, and a user's own.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, start};
use http::StatusCode;
use tower_keep::{Clock, Conflict, Error, Session, SessionId, Sessions, StoredSession, UserPage};

const HOUR: Duration = Duration::from_secs(3_600);

/// A client of the app, and its sessions.
fn both(backend: &Backend) -> (Client, Sessions) {
    let layer = backend.layer().build().unwrap();
    let sessions = layer.sessions();
    let routes: Router =
        app(Gates::default()).route("/flash", get(async |s: Session| s.flash("note", "hello")));
    let client = tower_keep_testkit::TestClient::with_body(routes.layer(layer))
        .with_clock(backend.clock.clone());
    (client, sessions)
}

fn nobody() -> [(&'static str, u64); 0] {
    []
}

#[tokio::test(start_paused = true)]
async fn c1_a_session_is_created_and_read_without_a_request() {
    for backend in Backend::both() {
        let (client, sessions) = both(&backend);
        let started = sessions.create(Some("ann"), [("n", 7)]).await.unwrap();
        assert_eq!(backend.memory.ids(), [started.id], "stored at once");
        let session = sessions.get(started.id).await.unwrap().unwrap();
        assert_eq!(session.get::<u64>("n").unwrap(), Some(7));
        assert_eq!(session.head().user.as_deref(), Some("ann"));
        assert_eq!(session.head().authenticated_at, Some(backend.clock.now()));
        assert_eq!(session.expires_in(), 2 * HOUR);
        assert_eq!(session.all().unwrap().len(), 1);
        // Its token is what a browser may be given.
        client.set_cookie(COOKIE, &started.token);
        assert_eq!(client.get("/who").await.text(), "ann 7", "{}", backend.name);
        let shown = format!("{started:?} {session:?} {sessions:?}");
        assert!(!shown.contains(&started.token[..20]), "{shown}");
        assert!(!shown.contains("ann"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn c1_what_is_not_there_is_none_and_never_an_error() {
    for backend in Backend::both() {
        let (_, sessions) = both(&backend);
        let started = sessions.create(None, nobody()).await.unwrap();
        let unknown = SessionId::new(backend.clock.now()).to_string();
        for id in [&*unknown, "", "x", "../../etc/passwd", "\0", "%00"] {
            assert!(sessions.get(id).await.unwrap().is_none(), "{id:?}");
            assert!(!sessions.destroy(id).await.unwrap(), "{id:?}");
        }
        assert!(
            sessions
                .get(&*started.id.to_string())
                .await
                .unwrap()
                .is_some()
        );
        // Reading neither touches nor locks.
        backend.clock.advance(HOUR);
        assert!(sessions.get(started.id).await.unwrap().is_some());
        backend.clock.advance(HOUR);
        assert!(sessions.get(started.id).await.unwrap().is_none(), "expired");
    }
}

#[tokio::test(start_paused = true)]
async fn c2_an_update_merges_under_the_lock() {
    for backend in Backend::both() {
        let (client, sessions) = both(&backend);
        client.get("/add").await;
        let id = id_of(&client);
        sessions.update(id, [("m", 1), ("k", 2)]).await.unwrap();
        sessions.update(&*id.to_string(), [("k", 3)]).await.unwrap();
        let all = sessions.get(id).await.unwrap().unwrap().all().unwrap();
        let expected = serde_json::json!({"n": 1, "m": 1, "k": 3});
        assert_eq!(serde_json::Value::Object(all), expected);
        // It waits for a request that holds the session, and its changes are not lost.
        let gates = Gates::default();
        let slow = backend.client(app(gates.clone()));
        slow.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
        let request = start(&slow, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        let update = tokio::spawn({
            let sessions = sessions.clone();
            async move { sessions.update(id, [("late", 1)]).await }
        });
        common::settle().await;
        assert!(!update.is_finished(), "{}", backend.name);
        gates.at("gate").open();
        assert_eq!(request.await.unwrap().text(), "2");
        update.await.unwrap().unwrap();
        assert_eq!(backend.data(id)["data"]["late"], 1);
        assert_eq!(backend.data(id)["data"]["n"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn c2_an_update_of_nothing_is_not_found() {
    for backend in Backend::both() {
        let (_, sessions) = both(&backend);
        let expired = sessions.create(None, [("n", 1)]).await.unwrap().id;
        let destroyed = sessions.create(None, [("n", 1)]).await.unwrap().id;
        sessions.destroy(destroyed).await.unwrap();
        backend.clock.advance(3 * HOUR);
        let unknown = SessionId::new(backend.clock.now());
        for id in [expired, destroyed, unknown] {
            for result in [
                sessions.update(id, [("n", 2)]).await,
                sessions.extend(id, HOUR).await,
            ] {
                assert!(matches!(result, Err(Error::NotFound)), "{result:?}");
            }
        }
        let malformed = sessions.update("x", [("n", 2)]).await;
        assert!(matches!(malformed, Err(Error::NotFound)));
        assert_eq!(Error::NotFound.status(), StatusCode::NOT_FOUND);
        assert!(backend.live().is_empty(), "nothing came back");
    }
}

#[tokio::test(start_paused = true)]
async fn c3_extend_destroy_and_sweep() {
    for backend in Backend::both() {
        let (_, sessions) = both(&backend);
        let [long, short, gone] = [(); 3].map(|()| sessions.create(None, [("n", 1)]));
        let (long, short) = (long.await.unwrap().id, short.await.unwrap().id);
        let gone = gone.await.unwrap().id;
        sessions.extend(long, 5 * HOUR).await.unwrap();
        assert!(sessions.destroy(gone).await.unwrap());
        assert!(!sessions.destroy(gone).await.unwrap());
        backend.clock.advance(4 * HOUR);
        assert!(sessions.get(long).await.unwrap().is_some());
        assert!(sessions.get(short).await.unwrap().is_none());
        let swept = sessions.sweep().await.unwrap();
        assert_eq!((swept.expired.len(), swept.tombstones), (1, 1));
        assert_eq!(backend.memory.ids(), [long]);
    }
}

#[tokio::test(start_paused = true)]
async fn c4_a_users_sessions_are_listed_with_the_current_one_marked() {
    for backend in Backend::both() {
        let (first, sessions) = both(&backend);
        let (second, third) = (first.fork(), first.fork());
        for client in [&first, &second, &third] {
            client.get("/login/ann").await;
            backend.clock.advance(MINUTE);
        }
        let other = first.fork();
        other.clear_cookies();
        other.get("/login/bob").await;
        let own = sessions.of("ann").current(Some(id_of(&second)));
        let list = own.list(UserPage::default()).await.unwrap();
        let expected = [&third, &second, &first].map(id_of);
        assert!(list.iter().map(StoredSession::id).eq(expected));
        let current: Vec<_> = list.iter().map(StoredSession::is_current).collect();
        assert_eq!(current, [false, true, false]);
        assert!(list[0].all().unwrap().is_empty(), "no data unless asked");
        assert!(list[0].head().created_at > list[1].head().created_at);
        let page = UserPage {
            before: Some(list[0].id()),
            limit: 1,
            data: true,
        };
        let page = own.list(page).await.unwrap();
        assert!(page.iter().map(StoredSession::id).eq([list[1].id()]));
    }
}

#[tokio::test(start_paused = true)]
async fn c5_a_user_is_logged_out_everywhere_or_everywhere_else() {
    for backend in Backend::both() {
        let (first, sessions) = both(&backend);
        let (second, third) = (first.fork(), first.fork());
        for client in [&first, &second, &third] {
            client.get("/login/ann").await;
        }
        let ended = sessions.destroy_others("ann", id_of(&first)).await.unwrap();
        assert_eq!(ended.len(), 2);
        assert_eq!(first.get("/who").await.text(), "ann 0");
        assert!(second.get("/who").await.text().starts_with("nobody"));
        let ended = sessions.destroy_user("ann").await.unwrap();
        assert_eq!(ended, [id_of(&first)], "{}", backend.name);
        assert!(first.get("/who").await.text().starts_with("nobody"));
        assert!(backend.live().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn c7_a_cart_is_found_by_its_key_and_all_are_folded() {
    for backend in Backend::both() {
        let (_, sessions) = both(&backend);
        // More than a page.
        for number in 0..250 {
            sessions
                .create(Some("ann"), [("cart", number)])
                .await
                .unwrap();
        }
        sessions.create(Some("bob"), [("cart", 7)]).await.unwrap();
        let own = sessions.of("ann");
        let has = |session: &StoredSession| session.get("cart").unwrap() == Some(7_u64);
        let found = own.find(has).await.unwrap().unwrap();
        assert_eq!(found.head().user.as_deref(), Some("ann"));
        assert!(own.find(|_| false).await.unwrap().is_none());
        let sum = own.fold(0, |sum, session| {
            Ok::<_, Error>(sum + session.get::<u64>("cart")?.unwrap_or_default())
        });
        assert_eq!(sum.await.unwrap(), (0..250).sum::<u64>());
    }
}

#[tokio::test(start_paused = true)]
async fn c8_a_user_ends_their_own_sessions_and_no_others() {
    for backend in Backend::both() {
        let (_, sessions) = both(&backend);
        let ann = sessions.create(Some("ann"), nobody()).await.unwrap().id;
        let bob = sessions.create(Some("bob"), nobody()).await.unwrap().id;
        let nobodys = sessions.create(None, [("n", 1)]).await.unwrap().id;
        let own = sessions.of("ann");
        for id in [bob, nobodys, SessionId::new(backend.clock.now())] {
            let refused = own.destroy(id).await;
            assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        }
        assert!(matches!(own.destroy("x").await, Err(Error::NotFound)));
        assert_eq!(backend.live().len(), 3);
        own.destroy(&*ann.to_string()).await.unwrap();
        let again = own.destroy(ann).await;
        assert!(matches!(again, Err(Error::NotFound)));
        assert_eq!(backend.live().len(), 2, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a14_a_token_opens_its_session_outside_a_request() {
    for backend in Backend::both() {
        let (client, sessions) = both(&backend);
        client.get("/add").await;
        let handle = sessions.open(&client.cookie(COOKIE).unwrap());
        let add = handle.write(async |session| session.increment("n", 1));
        let n: Result<i64, Error> = add.await;
        assert_eq!(n.unwrap(), 2);
        assert_eq!(client.get("/n").await.text(), "2");
        // Bound to what it opened: after a login it is nobody's key.
        client.get("/login/ann").await;
        assert!(matches!(handle.read().await, Err(Error::Stale)));
        // Neither a wrong token nor none starts a session.
        for token in ["", "nonsense", &client.cookie(COOKIE).unwrap()[..60]] {
            let handle = sessions.open(token);
            assert!(handle.read().await.unwrap().is_new());
            let write: Result<(), Error> =
                handle.write(async |session| session.insert("n", &1)).await;
            assert!(matches!(write, Err(Error::NeedsResponse)), "{write:?}");
        }
        assert_eq!(backend.live().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_administrators_write_leaves_flash_messages_for_the_page() {
    for backend in Backend::both() {
        let (client, sessions) = both(&backend);
        client.get("/flash").await;
        let id = id_of(&client);
        for n in 0..3 {
            sessions.update(id, [("k", n)]).await.unwrap();
        }
        let note = sessions.get(id).await.unwrap().unwrap();
        assert_eq!(
            note.get::<String>("note").unwrap().as_deref(),
            Some("hello")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_administrator_cannot_commit_over_a_destruction() {
    for backend in Backend::both() {
        let (_, sessions) = both(&backend);
        let id = sessions.create(None, [("n", 1)]).await.unwrap().id;
        let written: Result<(), Error> = sessions
            .write(id, async |session| {
                assert!(sessions.destroy(id).await?);
                session.insert("n", &2)
            })
            .await;
        let gone = matches!(written, Err(Error::Conflict(Conflict::Gone)));
        assert!(gone, "{} {written:?}", backend.name);
        assert!(sessions.get(id).await.unwrap().is_none());
    }
}
