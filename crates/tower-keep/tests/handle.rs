//! `SessionHandle`: what outlives a request is bound to the session and to the authority that it
//! had then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, app, id_of, settle};
use http::StatusCode;
use tower_keep::{Error, Session, SessionHandle, SessionStore};
use tower_keep_testkit::Gate;

/// Handles that handlers leave behind, as a WebSocket's task has one.
type Kept = Arc<Mutex<Vec<SessionHandle>>>;

fn keeps(kept: &Kept) -> Router {
    async fn socket(State(kept): State<Kept>, handle: SessionHandle) {
        kept.lock().unwrap().push(handle);
    }
    async fn used(State(kept): State<Kept>, handle: SessionHandle) -> Result<(), Error> {
        handle.read().await?;
        kept.lock().unwrap().push(handle);
        Ok(())
    }
    async fn with_session(
        State(kept): State<Kept>,
        session: Session,
        handle: SessionHandle,
    ) -> Result<(), Error> {
        kept.lock().unwrap().push(handle);
        session.set_user("ann")
    }
    Router::new()
        .route("/socket", get(socket))
        .route("/used", get(used))
        .route("/login-socket", get(with_session))
        .with_state(kept.clone())
        .merge(app(Gates::default()))
}

/// A visitor who counts 1 and has opened a socket there.
async fn visitor(backend: &Backend, path: &str) -> (Client, SessionHandle) {
    let kept = Kept::default();
    let client = backend.client(keeps(&kept));
    client.get("/add").await;
    assert_eq!(client.get(path).await.status(), StatusCode::OK);
    let handle = kept.lock().unwrap().pop().unwrap();
    (client, handle)
}

async fn add(handle: &SessionHandle) -> Result<i64, Error> {
    handle
        .write(async |session| session.increment("n", 1))
        .await
}

#[tokio::test(start_paused = true)]
async fn handle_reads_and_writes_after_its_request() {
    for backend in Backend::both() {
        for path in ["/socket", "/used"] {
            let (client, handle) = visitor(&backend, path).await;
            assert_eq!(add(&handle).await.unwrap(), 2);
            assert_eq!(client.get("/add").await.text(), "3");
            let read = handle.read().await.unwrap();
            assert_eq!(read.get("n").unwrap(), Some(3));
            assert_eq!(read.id(), Some(id_of(&client)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn handle_commits_on_ok_and_discards_on_error_panic_and_drop() {
    for backend in Backend::both() {
        let (client, handle) = visitor(&backend, "/socket").await;
        let failed = handle
            .write(async |session| {
                session.insert("n", &100)?;
                Err::<(), _>(Error::Closed)
            })
            .await;
        assert!(failed.is_err());

        let task = tokio::spawn({
            let handle = handle.clone();
            async move {
                let write = async |session: Session| -> Result<(), Error> {
                    session.insert("n", &100)?;
                    std::panic::resume_unwind(Box::new("injected"))
                };
                handle.write(write).await
            }
        });
        assert!(task.await.unwrap_err().is_panic());

        let gate = Gate::new();
        let task = tokio::spawn({
            let (handle, gate) = (handle.clone(), gate.clone());
            async move {
                let write = async |session: Session| -> Result<(), Error> {
                    session.insert("n", &100)?;
                    gate.pass().await;
                    Ok(())
                };
                handle.write(write).await
            }
        });
        gate.arrived(1).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(client.get("/add").await.text(), "2", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a26_handle_made_before_the_login_is_stale_after_it() {
    for backend in Backend::both() {
        for path in ["/socket", "/used"] {
            for change in ["/login/ann", "/rotate", "/logout"] {
                let what = format!("{} {path} {change}", backend.name);
                let (client, handle) = visitor(&backend, path).await;
                assert_eq!(add(&handle).await.unwrap(), 2);
                client.get(change).await;
                let (read, written) = (handle.read().await, add(&handle).await);
                assert!(matches!(read, Err(Error::Stale)), "{what}: {read:?}");
                assert!(matches!(written, Err(Error::Stale)), "{what}: {written:?}");
                // Long after it too.
                backend.clock.advance(30 * common::MINUTE);
                let written = add(&handle).await;
                assert!(matches!(written, Err(Error::Stale)), "{what}: {written:?}");
                if change != "/logout" {
                    assert_eq!(client.get("/n").await.text(), "2", "{what}");
                }
            }
        }
    }
}

/// One that had not met its session before: it has only the old cookie.
#[tokio::test(start_paused = true)]
async fn a26_handle_first_used_after_the_login_is_stale() {
    for backend in Backend::both() {
        for later in [common::MINUTE, 30 * common::MINUTE] {
            let (client, handle) = visitor(&backend, "/socket").await;
            client.get("/login/ann").await;
            backend.clock.advance(later);
            assert!(matches!(handle.read().await, Err(Error::Stale)));
            assert!(
                matches!(add(&handle).await, Err(Error::Stale)),
                "{}",
                backend.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a26_handle_made_by_the_login_request_goes_on() {
    for backend in Backend::both() {
        let (client, handle) = visitor(&backend, "/login-socket").await;
        assert_eq!(client.get("/who").await.text(), "ann 1");
        assert_eq!(add(&handle).await.unwrap(), 2, "{}", backend.name);
        let read = handle.read().await.unwrap();
        assert_eq!(read.user().as_deref(), Some("ann"));
        client.get("/logout").await;
        assert!(matches!(add(&handle).await, Err(Error::Stale)));
    }
}

/// The same where the login is what makes the session.
#[tokio::test(start_paused = true)]
async fn a26_handle_made_by_the_request_that_creates_the_session_goes_on() {
    for backend in Backend::both() {
        let kept = Kept::default();
        let client = backend.client(keeps(&kept));
        client.get("/login-socket").await;
        let handle = kept.lock().unwrap().pop().unwrap();
        assert_eq!(add(&handle).await.unwrap(), 1, "{}", backend.name);
        assert_eq!(client.get("/who").await.text(), "ann 1", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn handle_is_stale_after_a_revocation_and_after_expiry() {
    for backend in Backend::both() {
        let (client, handle) = visitor(&backend, "/used").await;
        backend.store.destroy(id_of(&client)).await.unwrap();
        assert!(matches!(add(&handle).await, Err(Error::Stale)));

        let (_, handle) = visitor(&backend, "/used").await;
        backend.clock.advance(24 * 60 * common::MINUTE);
        assert!(matches!(add(&handle).await, Err(Error::Stale)));
    }
}

/// Inside of the request that holds the session.
#[tokio::test(start_paused = true)]
async fn handle_write_is_in_use_while_its_own_request_holds_the_session() {
    let inside = async |session: Session, handle: SessionHandle| -> Result<String, Error> {
        assert!(handle.is_loaded());
        session.increment("n", 1)?;
        let own = add(&handle).await;
        assert!(matches!(own, Err(Error::InUse)), "{own:?}");
        // After the commit it is free.
        session.commit().await?;
        Ok(add(&handle).await?.to_string())
    };
    for backend in Backend::both() {
        let client = backend.client(app(Gates::default()).route("/inside", get(inside)));
        client.get("/add").await;
        assert_eq!(client.get("/inside").await.text(), "3", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn handle_detached_queues_like_a_stranger() {
    for backend in Backend::both() {
        let (tasks, gate) = (Arc::<Mutex<Vec<_>>>::default(), Gate::new());
        let (keep, stop) = (tasks.clone(), gate.clone());
        let spawns = async move |session: Session, handle: SessionHandle| -> Result<(), Error> {
            let handle = handle.detached();
            let task = tokio::spawn(async move { add(&handle).await });
            keep.lock().unwrap().push(task);
            stop.pass().await;
            session.increment("n", 10).map(drop)
        };
        let client = backend.client(app(Gates::default()).route("/spawns", get(spawns)));
        client.get("/add").await;
        let request = common::start(&client, "/spawns");
        gate.arrived(1).await;
        settle().await;
        let task = tasks.lock().unwrap().pop().unwrap();
        assert!(!task.is_finished());
        gate.open();
        assert_eq!(request.await.unwrap().status(), StatusCode::OK);
        assert_eq!(task.await.unwrap().unwrap(), 12, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn handle_needs_a_response_to_start_or_rotate_a_session() {
    for backend in Backend::both() {
        let kept = Kept::default();
        let client = backend.client(keeps(&kept));
        client.get("/socket").await;
        let handle = kept.lock().unwrap().pop().unwrap();
        assert!(handle.read().await.unwrap().is_new());
        let started = add(&handle).await;
        assert!(matches!(started, Err(Error::NeedsResponse)), "{started:?}");
        assert!(backend.memory.is_empty());

        let (client, handle) = visitor(&backend, "/socket").await;
        let rotated = handle.write(async |session| session.rotate()).await;
        assert!(matches!(rotated, Err(Error::NeedsResponse)), "{rotated:?}");
        let login = handle.write(async |session| session.set_user("eve")).await;
        assert!(matches!(login, Err(Error::NeedsResponse)), "{login:?}");
        // The lock was given back and nothing was changed.
        assert_eq!(add(&handle).await.unwrap(), 2);
        assert_eq!(
            client.get("/who").await.text(),
            "nobody 2",
            "{}",
            backend.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn handle_can_end_the_session() {
    for backend in Backend::both() {
        let (client, handle) = visitor(&backend, "/socket").await;
        assert!(
            handle
                .write(async |session| session.destroy())
                .await
                .unwrap()
        );
        backend.clock.advance(common::MINUTE);
        assert_eq!(
            client.get("/who").await.text(),
            "nobody 0 Absent",
            "{}",
            backend.name
        );
        assert!(matches!(add(&handle).await, Err(Error::Stale)));
        assert!(client.cookie(COOKIE).is_some());
    }
}

/// Extracting one opens nothing, so an upload does not hold the session while it arrives.
#[tokio::test(start_paused = true)]
async fn a5_handle_costs_nothing_until_it_is_asked() {
    for backend in Backend::both() {
        let loaded = async |handle: SessionHandle| handle.is_loaded().to_string();
        let client = backend.client(app(Gates::default()).route("/loaded", get(loaded)));
        client.get("/add").await;
        backend.faults.calls().clear();
        let answer = client.get("/loaded").await;
        assert_eq!(
            (answer.text(), answer.header("vary")),
            ("false".into(), None)
        );
        assert_eq!(backend.faults.calls().total(), 0);
    }
}
