//! Stale requests (A26): a request that was under way when another one logged in or out with the
//! same cookie. Every case, on both kinds of store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, Stop, app, id_of, settle, start};
use http::StatusCode;
use tower_keep::{Absence, Error, ReadSession, Session};
use tower_keep_testkit::{TestResponse, Verb};

/// A visitor with a session that counts 1.
async fn visitor(backend: &Backend) -> (Client, Gates) {
    let gates = Gates::default();
    let client = backend.client(app(gates.clone()));
    client.get("/add").await;
    (client, gates)
}

/// The same visitor in another process: another layer over the same store.
fn elsewhere(backend: &Backend, client: &Client, gates: &Gates) -> Client {
    let other = backend.client(app(gates.clone()));
    other.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
    other
}

fn assert_untouched(answer: &TestResponse, what: &str) {
    assert_eq!(answer.status(), StatusCode::OK, "{what}");
    assert!(answer.set_cookies().is_empty(), "{what}");
}

fn assert_conflict(answer: &TestResponse, what: &str) {
    assert_eq!(answer.status(), StatusCode::CONFLICT, "{what}");
    assert!(answer.set_cookies().is_empty(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a26_row_1_the_lock_holder_commits_and_the_login_opens_its_result() {
    for backend in Backend::both() {
        let (client, gates) = visitor(&backend).await;
        let holder = start(&client.fork(), "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        let login = start(&client, "/login/ann");
        settle().await;
        assert!(!login.is_finished(), "{}", backend.name);
        gates.at("gate").open();
        let holder = holder.await.unwrap();
        assert_untouched(&holder, backend.name);
        assert_eq!(holder.text(), "2");
        assert_eq!(login.await.unwrap().set_cookies().len(), 1);
        assert_eq!(client.get("/who").await.text(), "ann 2", "{}", backend.name);
    }
}

/// A login that has the lock and stops in its middle.
fn slow_login(gates: &Gates) -> Router {
    let slow = async |session: Session, _: Stop| session.set_user("ann");
    let slow = Router::new().route("/slow/{gate}/login", get(slow));
    app(gates.clone()).merge(slow.with_state(gates.clone()))
}

#[tokio::test(start_paused = true)]
async fn a26_row_2_who_waits_in_the_same_process_is_stale_without_a_store_call() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(slow_login(&gates));
        client.get("/add").await;
        let old = client.fork();
        let login = start(&client, "/slow/gate/login");
        gates.at("gate").arrived(1).await;
        gates.at("who").open();
        let (add, who) = (start(&old, "/add"), start(&old, "/late/who/who"));
        let again = start(&old.fork(), "/login/ann");
        settle().await;
        backend.faults.calls().clear();
        gates.at("gate").open();
        assert_eq!(login.await.unwrap().set_cookies().len(), 1);
        assert_conflict(&add.await.unwrap(), backend.name);
        let who = who.await.unwrap();
        assert_untouched(&who, backend.name);
        assert_eq!(who.text(), "nobody 0 Stale");
        assert_eq!(again.await.unwrap().status(), StatusCode::OK);
        // The login's commit, and the session of the one that logged in as well.
        let log = backend.faults.calls().log();
        let verbs: Vec<_> = log.iter().map(|call| call.verb).collect();
        let expected: &[_] = match backend.name {
            "remote" => &[Verb::Finish, Verb::Create],
            _ => &[],
        };
        assert_eq!(verbs, expected);
        assert_eq!(client.get("/who").await.text(), "ann 1");
    }
}

#[tokio::test(start_paused = true)]
async fn a26_row_3_who_waits_in_another_process_is_stale_at_its_next_open() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(slow_login(&gates));
        client.get("/add").await;
        let other = elsewhere(&backend, &client, &gates);
        let login = start(&client, "/slow/gate/login");
        gates.at("gate").arrived(1).await;
        gates.at("who").open();
        let (add, who) = (start(&other, "/add"), start(&other, "/late/who/who"));
        settle().await;
        gates.at("gate").open();
        assert_eq!(login.await.unwrap().set_cookies().len(), 1);
        assert_conflict(&add.await.unwrap(), backend.name);
        let who = who.await.unwrap();
        assert_untouched(&who, backend.name);
        assert_eq!(who.text(), "nobody 0 Stale");
        assert_eq!(client.get("/who").await.text(), "ann 1", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_row_4_a_read_session_keeps_its_snapshot_and_sends_no_cookie() {
    for backend in Backend::both() {
        let (client, gates) = visitor(&backend).await;
        let reader = start(&client.fork(), "/seen/gate/n");
        gates.at("gate").arrived(1).await;
        client.get("/login/ann").await;
        client.get("/add").await;
        gates.at("gate").open();
        let reader = reader.await.unwrap();
        assert_untouched(&reader, backend.name);
        assert_eq!(reader.text(), "1", "{}", backend.name);
    }
}

/// A guard reads, the login comes, the handler wants to write.
#[tokio::test(start_paused = true)]
async fn a26_row_4_an_upgrade_after_the_login_is_409_before_the_handler_runs() {
    for backend in Backend::both() {
        for change in ["/login/ann", "/rotate", "/logout"] {
            let what = format!("{} {change}", backend.name);
            let gates = Gates::default();
            let ran = Arc::new(AtomicU32::new(0));
            let counter = ran.clone();
            let guarded = async move |_: ReadSession, _: Stop, session: Session| {
                counter.fetch_add(1, Ordering::SeqCst);
                session.increment("n", 1).map(drop)
            };
            let routes = Router::new().route("/guarded/{gate}", get(guarded));
            let routes = app(gates.clone()).merge(routes.with_state(gates.clone()));
            let client = backend.client(routes);
            client.get("/add").await;

            gates.at("open").open();
            assert_eq!(client.get("/guarded/open").await.status(), StatusCode::OK);
            assert_eq!(ran.load(Ordering::SeqCst), 1, "{what}");

            let guarded = start(&client.fork(), "/guarded/gate");
            gates.at("gate").arrived(1).await;
            client.get(change).await;
            gates.at("gate").open();
            assert_conflict(&guarded.await.unwrap(), &what);
            assert_eq!(ran.load(Ordering::SeqCst), 1, "{what}: the handler ran");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a26_row_5_who_arrives_within_ten_seconds_is_stale_and_later_is_not() {
    for backend in Backend::both() {
        let (client, _) = visitor(&backend).await;
        let old = client.fork();
        client.get("/login/ann").await;
        let add = old.fork().get("/add").await;
        assert_conflict(&add, backend.name);
        backend.clock.advance(Duration::from_secs(9));
        let who = old.fork().get("/who").await;
        assert_untouched(&who, backend.name);
        assert_eq!(who.text(), "nobody 0 Stale", "{}", backend.name);
        assert_conflict(&old.fork().get("/add").await, backend.name);
        // Row 6: after that there is no session, and one may be started.
        backend.clock.advance(Duration::from_secs(2));
        let late = old.fork();
        assert_eq!(late.get("/who").await.text(), "nobody 0 Absent");
        assert_eq!(late.get("/add").await.text(), "1");
        assert_ne!(id_of(&late), id_of(&client));
        assert_eq!(client.get("/who").await.text(), "ann 1", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_row_5_who_opens_late_but_arrived_before_is_stale() {
    for backend in Backend::both() {
        let (client, gates) = visitor(&backend).await;
        let (add, who) = (
            start(&client.fork(), "/late/gate/add"),
            start(&client.fork(), "/late/gate/who"),
        );
        gates.at("gate").arrived(2).await;
        client.get("/login/ann").await;
        // A slow upload: far beyond the ten seconds.
        backend.clock.advance(5 * MINUTE);
        gates.at("gate").open();
        assert_conflict(&add.await.unwrap(), backend.name);
        let who = who.await.unwrap();
        assert_untouched(&who, backend.name);
        assert_eq!(who.text(), "nobody 0 Stale", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_option_is_none_for_a_stale_request() {
    for backend in Backend::both() {
        let optional = async |write: Option<Session>, read: Option<ReadSession>| {
            format!("{} {}", write.is_some(), read.is_some())
        };
        let routes = app(Gates::default()).route("/optional", get(optional));
        let client = backend.client(routes);
        client.get("/add").await;
        let old = client.fork();
        assert_eq!(client.get("/optional").await.text(), "true true");
        client.get("/rotate").await;
        assert_eq!(
            old.get("/optional").await.text(),
            "false false",
            "{}",
            backend.name
        );
        assert_eq!(client.get("/optional").await.text(), "true true");
    }
}

#[tokio::test(start_paused = true)]
async fn a26_a_double_clicked_login_works() {
    for backend in Backend::both() {
        let (client, _) = visitor(&backend).await;
        let (tab, other) = (client.fork(), client.fork());
        let (first, second) = tokio::join!(tab.get("/login/ann"), other.get("/login/ann"));
        for answer in [&first, &second] {
            assert_eq!(answer.status(), StatusCode::OK, "{}", backend.name);
            assert_eq!(answer.set_cookies().len(), 1, "{}", backend.name);
        }
        assert_ne!(id_of(&tab), id_of(&other), "{}", backend.name);
        // Whichever answer the browser saw last, it is logged in.
        assert_eq!(tab.get("/who").await.text(), "ann 1", "{}", backend.name);
        assert_eq!(other.get("/who").await.text(), "ann 0", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_a_stale_request_never_sends_a_removal() {
    for backend in Backend::both() {
        let (client, _) = visitor(&backend).await;
        let old = client.fork();
        client.get("/login/ann").await;
        let logout = old.get("/logout").await;
        assert_untouched(&logout, backend.name);
        assert_eq!(logout.text(), "false");
        assert_eq!(client.get("/who").await.text(), "ann 1", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_logout_then_login_with_a_slow_request_in_between() {
    for backend in Backend::both() {
        let (client, gates) = visitor(&backend).await;
        client.get("/login/ann").await;
        let slow: Vec<_> = ["add", "who", "logout", "login/ann"]
            .map(|path| start(&client.fork(), &format!("/late/gate/{path}")))
            .into();
        gates.at("gate").arrived(4).await;
        let first = id_of(&client);
        client.get("/logout").await;
        client.get("/login/bob").await;
        assert_ne!(id_of(&client), first);
        backend.clock.advance(Duration::from_secs(30));
        gates.at("gate").open();
        let mut answers = Vec::new();
        for request in slow {
            answers.push(request.await.unwrap());
        }
        let [add, who, logout, login] = &answers[..] else {
            unreachable!("there were four requests");
        };
        assert_conflict(add, backend.name);
        assert_untouched(who, backend.name);
        assert_eq!(who.text(), "nobody 0 Stale", "{}", backend.name);
        assert_untouched(logout, backend.name);
        assert_eq!(login.set_cookies().len(), 1, "{}", backend.name);
        assert_eq!(client.get("/who").await.text(), "bob 0", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_a_request_older_than_max_request_age_is_stale_whatever_it_meets() {
    for swept in [false, true] {
        for backend in Backend::both() {
            let gates = Gates::default();
            let layer = backend.layer().max_request_age(5 * MINUTE);
            let client = backend.client_of(app(gates.clone()), layer);
            client.get("/add").await;
            let (add, who) = (
                start(&client.fork(), "/late/gate/add"),
                start(&client.fork(), "/late/gate/who"),
            );
            gates.at("gate").arrived(2).await;
            client.get("/logout").await;
            backend.clock.advance(5 * MINUTE + Duration::from_millis(1));
            if swept {
                use tower_keep::{SessionStore, core::Sweep};
                let keep_tombstones = 5 * MINUTE;
                let sweep = Sweep {
                    keep_tombstones,
                    ..Sweep::default()
                };
                assert_eq!(backend.store.sweep(sweep).await.unwrap().tombstones, 1);
            }
            gates.at("gate").open();
            assert_conflict(&add.await.unwrap(), backend.name);
            let who = who.await.unwrap();
            assert_untouched(&who, backend.name);
            assert_eq!(who.text(), "nobody 0 Stale", "{} {swept}", backend.name);
        }
    }
}

/// Whatever a stale request changes, and however, it is a conflict.
#[tokio::test(start_paused = true)]
async fn a26_any_other_change_by_a_stale_request_is_409() {
    type Change = fn(&Session) -> Result<(), Error>;
    let changes: [(&str, Change); 7] = [
        ("insert", |s| s.insert("a", &1)),
        ("insert_all", |s| s.insert_all([("a", 1)])),
        ("push", |s| s.push("list", &1)),
        ("increment", |s| s.increment("n", 1).map(drop)),
        ("flash", |s| s.flash("note", "hello")),
        ("nested", |s| s.insert("a.b.c", &1)),
        ("destroy_then_write", |s| {
            s.destroy()?;
            s.insert("a", &1)
        }),
    ];
    for backend in Backend::both() {
        let mut routes = app(Gates::default());
        for (name, change) in changes {
            let handler = async move |session: Session| -> Result<(), Error> {
                assert_eq!(session.absence(), Some(Absence::Stale));
                change(&session)
            };
            routes = routes.route(&format!("/{name}"), get(handler));
        }
        let client = backend.client(routes);
        client.get("/add").await;
        let old = client.fork();
        client.get("/login/ann").await;
        for (name, _) in changes {
            let answer = old.get(&format!("/{name}")).await;
            assert_conflict(&answer, &format!("{} {name}", backend.name));
        }
        assert_eq!(backend.live(), [id_of(&client)], "{}", backend.name);
    }
}
