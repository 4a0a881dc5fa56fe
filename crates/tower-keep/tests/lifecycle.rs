//! The life of a session (features A1 to A18): when it is opened, stored, saved and ended.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of};
use http::StatusCode;
use tower_keep::core::Sweep;
use tower_keep::{Clock, EagerLayer, Error, ReadSession, Session, SessionHandle, SessionStore};
use tower_keep_testkit::{TestClient, Verb};

fn verbs(backend: &Backend) -> Vec<Verb> {
    backend
        .faults
        .calls()
        .log()
        .iter()
        .map(|call| call.verb)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a1_load_run_commit_answer() {
    for backend in Backend::both() {
        let memory = backend.memory.clone();
        let late = async move |session: Session| -> Result<String, Error> {
            session.insert("n", &7)?;
            let stored = session.id().and_then(|id| memory.record(id)).unwrap();
            // Not before the handler has ended.
            Ok(format!(
                "{} {}",
                stored.head.version,
                stored.lease.is_some()
            ))
        };
        let client = backend.client(app(Gates::default()).route("/late", get(late)));
        client.get("/add").await;
        backend.faults.calls().clear();
        assert_eq!(client.get("/late").await.text(), "1 true");
        let stored = backend.record(&client);
        assert_eq!((stored.head.version, stored.lease), (2, None));
        if backend.name == "remote" {
            assert_eq!(verbs(&backend), [Verb::Open, Verb::Finish]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a2_lazy_and_opened_once_however_often() {
    let thrice = async |a: Session, b: Session, c: ReadSession| -> Result<String, Error> {
        a.increment("n", 1)?;
        b.increment("n", 1)?;
        // The reader sees what this request has not committed yet.
        c.get_or("n", 0).map(|n: u64| n.to_string())
    };
    let routes = || app(Gates::default()).route("/thrice", get(thrice));
    for backend in Backend::both() {
        let client = backend.client(routes());
        client.get("/add").await;
        backend.faults.calls().clear();
        client.get("/nothing").await;
        client.get("/missing").await;
        assert_eq!(verbs(&backend), []);
        assert_eq!(client.get("/thrice").await.text(), "3", "{}", backend.name);
        if backend.name == "remote" {
            assert_eq!(verbs(&backend), [Verb::Open, Verb::Finish]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a2_middleware_and_handler_share_the_session() {
    use axum::extract::Request;
    use axum::middleware::{Next, from_fn};
    use axum::response::Response;
    async fn guard(session: Session, request: Request, next: Next) -> Result<Response, Error> {
        session.increment("guarded", 1)?;
        let response = next.run(request).await;
        session.increment("after", 1)?;
        Ok(response)
    }
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()).layer(from_fn(guard)));
        client.get("/add").await;
        client.get("/add").await;
        let data = backend.data(id_of(&client));
        assert_eq!(
            data["data"],
            serde_json::json!({ "n": 2, "guarded": 2, "after": 2 })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a3_eager_opens_as_a_reader_and_locks_where_lock_for_says() {
    let backend = Backend::remote();
    let layer = backend.layer().lock_for(|head| head.uri.path() == "/add");
    let routes = app(Gates::default()).layer(EagerLayer::new());
    let client = backend.client_of(routes, layer);
    client.get("/add").await;
    backend.faults.calls().clear();
    let answer = client.get("/nothing").await;
    assert_eq!(verbs(&backend), [Verb::Open]);
    assert_eq!(
        (answer.text(), answer.header("vary")),
        ("nothing".into(), Some("Cookie"))
    );
    backend.faults.calls().clear();
    client.get("/add").await;
    assert_eq!(verbs(&backend), [Verb::Open, Verb::Finish]);
}

#[tokio::test(start_paused = true)]
async fn a4_option_resumes_and_never_creates() {
    let optional = async |session: Option<Session>| -> Result<String, Error> {
        match session {
            Some(session) => Ok(session.increment("n", 1)?.to_string()),
            None => Ok("none".into()),
        }
    };
    let reader = async |session: Option<ReadSession>| session.is_some().to_string();
    for backend in Backend::both() {
        let routes = app(Gates::default())
            .route("/optional", get(optional))
            .route("/reader", get(reader));
        let client = backend.client(routes);
        let first = client.get("/optional").await;
        assert_eq!((first.text(), first.set_cookies()), ("none".into(), vec![]));
        assert_eq!(client.get("/reader").await.text(), "false");
        // Without a cookie there is nothing to ask the store.
        assert_eq!(verbs(&backend), []);
        assert!(backend.memory.is_empty());
        client.get("/add").await;
        assert_eq!(
            client.get("/optional").await.text(),
            "2",
            "{}",
            backend.name
        );
        assert_eq!(client.get("/reader").await.text(), "true");
        backend.clock.advance(24 * 60 * MINUTE);
        assert_eq!(client.get("/optional").await.text(), "none");
    }
}

#[tokio::test(start_paused = true)]
async fn a5_is_loaded_and_is_new() {
    let states = async |handle: SessionHandle, session: Option<Session>| {
        format!("{} {:?}", handle.is_loaded(), session.map(|s| s.is_new()))
    };
    let new = async |session: Session| -> Result<String, Error> {
        session.insert("a", &1)?;
        Ok(format!("{} {:?}", session.is_new(), session.id()))
    };
    for backend in Backend::both() {
        let routes = Router::new()
            .route("/states", get(states))
            .route("/new", get(new));
        let client = backend.client(routes);
        assert_eq!(client.get("/states").await.text(), "true None");
        assert_eq!(client.get("/new").await.text(), "true None");
        let id = id_of(&client);
        assert_eq!(client.get("/states").await.text(), "true Some(false)");
        assert_eq!(client.get("/new").await.text(), format!("false Some({id})"));
    }
}

#[tokio::test(start_paused = true)]
async fn a6_stored_only_after_something_was_written() {
    let missing = async |session: Session| {
        let _: Option<u64> = session.get("n").unwrap();
        StatusCode::NOT_FOUND
    };
    let undone = async |session: Session| -> Result<(), Error> {
        session.insert("a", &1)?;
        session.remove::<u64>("a").map(drop)
    };
    let written = async |session: Session| {
        session.increment("failed", 1).unwrap();
        StatusCode::UNAUTHORIZED
    };
    for backend in Backend::both() {
        let routes = app(Gates::default())
            .route("/not-found", get(missing))
            .route("/undone", get(undone))
            .route("/extend", get(async |s: Session| s.extend(MINUTE)))
            .route("/clear", get(async |s: Session| s.clear()))
            .route("/empty", get(async |_: Session| ()))
            .route("/written", get(written));
        let client = backend.client(routes);
        for path in [
            "/n",
            "/not-found",
            "/undone",
            "/extend",
            "/clear",
            "/empty",
            "/rotate",
        ] {
            let answer = client.get(path).await;
            assert!(answer.set_cookies().is_empty(), "{} {path}", backend.name);
        }
        assert!(backend.memory.is_empty(), "{}", backend.name);
        // A failed login is counted.
        assert_eq!(client.get("/written").await.set_cookies().len(), 1);
        assert_eq!(backend.memory.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a7_commit_saves_and_unlocks_early() {
    for backend in Backend::both() {
        let memory = backend.memory.clone();
        let early = async move |session: Session| -> Result<StatusCode, Error> {
            session.increment("n", 1)?;
            session.commit().await?;
            let id = session.id().unwrap();
            let stored = memory.record(id).unwrap();
            assert_eq!(stored.lease, None);
            assert_eq!(session.get::<u64>("n")?, Some(1));
            assert!(matches!(session.increment("n", 1), Err(Error::Closed)));
            // Once is enough, and twice is no harm.
            session.commit().await?;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        };
        let client = backend.client(app(Gates::default()).route("/early", get(early)));
        let answer = client.get("/early").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        // It was created, so the cookie goes out whatever the status.
        assert_eq!(answer.set_cookies().len(), 1, "{}", backend.name);
        assert_eq!(client.get("/n").await.text(), "1");
    }
}

#[tokio::test(start_paused = true)]
async fn a8_destroy_and_close_are_two_calls() {
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()));
        // Of nothing: no error, and no removal where there is nothing to remove.
        let logout = client.get("/logout").await;
        assert_eq!(
            (logout.text(), logout.set_cookies()),
            ("false".into(), vec![])
        );
        client.get("/add").await;
        let id = id_of(&client);
        assert_eq!(client.get("/logout").await.text(), "true");
        let tombstone = backend.memory.record(id).unwrap();
        assert!(tombstone.gone_at.is_some() && tombstone.data.is_empty());
        assert_eq!(tombstone.head.user, None);
        // A cookie that opens nothing any more is removed too.
        for (wait, why) in [(MINUTE, "Absent"), (24 * 60 * MINUTE, "Expired")] {
            let thief = client.fork();
            thief.get("/add").await;
            let copy = thief.fork();
            // Without an end, unlike the one that was sent.
            copy.set_cookie(COOKIE, &thief.cookie(COOKIE).unwrap());
            if why == "Absent" {
                thief.get("/logout").await;
            }
            backend.clock.advance(wait);
            assert_eq!(copy.get("/who").await.text(), format!("nobody 0 {why}"));
            let logout = copy.get("/logout").await;
            assert_eq!(logout.text(), "false");
            assert!(
                logout.set_cookies()[0].contains("Max-Age=0"),
                "{why} {}",
                backend.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a8_writing_after_destroy_starts_a_new_session() {
    let restart = async |session: Session| -> Result<(), Error> {
        session.insert("old", &1)?;
        assert!(session.destroy()?);
        assert!(session.is_empty()?);
        session.insert("fresh", &1)
    };
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()).route("/restart", get(restart)));
        client.get("/add").await;
        client.get("/login/ann").await;
        let (id, old) = (id_of(&client), client.fork());
        assert_eq!(client.get("/restart").await.set_cookies().len(), 1);
        assert_ne!(id_of(&client), id);
        let data = backend.data(id_of(&client));
        assert_eq!(data["data"], serde_json::json!({ "fresh": 1 }));
        assert_eq!(client.get("/who").await.text(), "nobody 0");
        backend.clock.advance(MINUTE);
        assert_eq!(
            old.get("/who").await.text(),
            "nobody 0 Absent",
            "{}",
            backend.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a9_discard() {
    let discard = async |session: Session| -> Result<(), Error> {
        session.insert("n", &100)?;
        session.set_user("eve")?;
        session.discard()
    };
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()).route("/discard", get(discard)));
        assert!(client.get("/discard").await.set_cookies().is_empty());
        client.get("/add").await;
        assert!(client.get("/discard").await.set_cookies().is_empty());
        assert_eq!(
            client.get("/who").await.text(),
            "nobody 1",
            "{}",
            backend.name
        );
        assert_eq!(client.get("/add").await.text(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn a16_what_a_record_has() {
    use axum::body::Body;
    use http::Request;
    for backend in Backend::both() {
        let layer = backend
            .layer()
            .client_ip(|head| head.headers.get("x-test-ip")?.to_str().ok()?.parse().ok());
        // A guard that reads first must not make the client unknown.
        let guarded = async |_: ReadSession, session: Session| session.set_user("ann");
        let routes = app(Gates::default()).route("/guarded", get(guarded));
        let client: Client = backend.client_of(routes, layer);
        let send = async |path: &str, agent: &str| {
            let request = Request::get(path).header("user-agent", agent);
            let request = request.header("x-test-ip", "192.0.2.7");
            client.request(request.body(Body::empty()).unwrap()).await
        };
        let start = backend.clock.now();
        for (path, agent) in [("/login/ann", "browser/1"), ("/guarded", "browser/2")] {
            client.clear_cookies();
            send(path, agent).await;
            let head = backend.record(&client).head;
            let seen = head.client.unwrap();
            assert_eq!(
                seen.user_agent.as_deref(),
                Some(agent),
                "{} {path}",
                backend.name
            );
            assert_eq!(seen.ip, Some("192.0.2.7".parse().unwrap()));
            assert_eq!((head.created_at, head.last_seen), (start, start));
            assert_eq!(head.idle_deadline, start.plus(120 * MINUTE));
            assert_eq!(head.absolute_deadline, start.plus(24 * 60 * MINUTE));
            assert_eq!((head.user.as_deref(), head.version), (Some("ann"), 1));
        }
        // Noted again where authority changes, and only there; a long one is cut.
        send("/add", "browser/3").await;
        let agent = || {
            backend
                .record(&client)
                .head
                .client
                .clone()
                .unwrap()
                .user_agent
                .clone()
        };
        assert_eq!(agent().as_deref(), Some("browser/2"));
        send("/guarded", &"x".repeat(1_000)).await;
        assert_eq!(agent().unwrap().len(), 255, "{}", backend.name);
    }
}

/// Layers over one store see one another's sessions; only those that are over are swept.
#[tokio::test(start_paused = true)]
async fn sweep_removes_expired_sessions_and_old_tombstones_only() {
    for backend in Backend::both() {
        let layer = backend.layer().build().unwrap();
        let client =
            |_| -> Client { TestClient::with_body(app(Gates::default()).layer(layer.clone())) };
        let clients: Vec<_> = (0..3).map(client).collect();
        for client in &clients {
            client.get("/add").await;
        }
        clients[0].get("/logout").await;
        backend.clock.advance(119 * MINUTE);
        clients[2].get("/add").await;
        backend.clock.advance(MINUTE);
        let swept = backend.store.sweep(Sweep::default()).await.unwrap();
        assert_eq!(
            (swept.expired.len(), swept.tombstones),
            (1, 1),
            "{}",
            backend.name
        );
        assert_eq!(backend.memory.ids(), [id_of(&clients[2])]);
        assert_eq!(clients[2].get("/add").await.text(), "3");
    }
}
