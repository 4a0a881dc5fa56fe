//! What outlives a request: clones of its session, openings still under way, handles.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common_sweep;

use std::convert::Infallible;
use std::future::Ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use common_sweep::app::{Mark, request};
use common_sweep::stored::{Stored, in_both};
use common_sweep::{PLANNED, hide_planned_panics};
use http::{Request, StatusCode};
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt};
use tower_keep::{Error, ReadSession, Session, SessionHandle};

fn explode<T>() -> T {
    panic!("{PLANNED}")
}

/// Takes whatever a handler leaves behind.
type Left<T> = Arc<Mutex<Option<T>>>;

#[test]
fn after_the_end_nothing_can_be_written() {
    for code in [200, 500] {
        in_both(async |stored| {
            let left: Left<Session> = Left::default();
            let leave = left.clone();
            let handler = async move |session: Session| {
                session.increment("n", 1).unwrap();
                *leave.lock().unwrap() = Some(session);
                StatusCode::from_u16(code).unwrap()
            };
            let app = Router::new().route("/", get(handler)).layer(stored.layer());
            stored.get(&app, "/").await;
            let after = stored.settled().await;
            let session = left.lock().unwrap().take().unwrap();
            assert!(matches!(session.insert("n", &9), Err(Error::Closed)));
            assert!(matches!(session.rotate(), Err(Error::Closed)));
            assert!(matches!(session.destroy(), Err(Error::Closed)));
            assert!(matches!(session.commit().await, Err(Error::Closed)));
            assert_eq!(stored.settled().await, after);
        });
    }
}

#[test]
fn after_a_drop_nothing_can_be_written_and_the_session_is_free() {
    in_both(async |stored| {
        let left: Left<Session> = Left::default();
        let leave = left.clone();
        let handler = async move |session: Session| {
            session.increment("n", 1).unwrap();
            *leave.lock().unwrap() = Some(session);
            std::future::pending::<()>().await;
        };
        let app = Router::new().route("/", get(handler)).layer(stored.layer());
        let before = stored.settled().await;
        let wait = Duration::from_millis(100);
        let dropped = tokio::time::timeout(wait, stored.get(&app, "/")).await;
        assert!(dropped.is_err());
        // Although somebody still has the session.
        assert_eq!(stored.settled().await, before);
        let session = left.lock().unwrap().take().unwrap();
        assert!(matches!(session.insert("n", &9), Err(Error::Closed)));
        assert!(matches!(session.commit().await, Err(Error::Closed)));
    });
}

#[test]
fn after_the_end_nothing_can_be_opened_for_writing() {
    for first in ["none", "read"] {
        in_both(async |stored| {
            let left: Left<http::request::Parts> = Left::default();
            let leave = left.clone();
            let service = tower::service_fn(move |request: Request<Body>| {
                let leave = leave.clone();
                async move {
                    let (parts, _) = request.into_parts();
                    if first == "read" {
                        ReadSession::from_request(&parts).await.unwrap();
                    }
                    *leave.lock().unwrap() = Some(parts);
                    Ok::<_, Infallible>(Response::new(Body::empty()))
                }
            });
            let service = stored.layer().layer(service);
            let request = request("/", Some(&stored.cookie), &Mark::default());
            service.oneshot(request).await.unwrap();
            let parts = left.lock().unwrap().take().unwrap();
            let opened = Session::from_request(&parts).await;
            assert!(matches!(opened, Err(Error::Closed)), "{first}: {opened:?}");
            stored.settled().await;
        });
    }
}

#[test]
fn a_panic_of_the_inner_service_itself_ends_the_request() {
    hide_planned_panics();
    in_both(async |stored| {
        let left: Left<http::request::Parts> = Left::default();
        let leave = left.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            *leave.lock().unwrap() = Some(request.into_parts().0);
            explode::<Ready<Result<Response, Infallible>>>()
        });
        let service = stored.layer().layer(service);
        let request = request("/", Some(&stored.cookie), &Mark::default());
        let panicked = tokio::spawn(service.oneshot(request)).await;
        assert!(panicked.unwrap_err().is_panic());
        let parts = left.lock().unwrap().take().unwrap();
        let opened = Session::from_request(&parts).await;
        assert!(matches!(opened, Err(Error::Closed)), "{opened:?}");
        stored.settled().await;
    });
}

#[test]
fn an_opening_that_outlives_its_request_gives_the_session_back() {
    for read_first in [false, true] {
        in_both(async |stored| late_opening(&stored, read_first).await);
    }
}

async fn late_opening(stored: &Stored, read_first: bool) {
    let left: Left<JoinHandle<Result<(), Error>>> = Left::default();
    let leave = left.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let leave = leave.clone();
        async move {
            let (parts, _) = request.into_parts();
            if read_first {
                ReadSession::from_request(&parts).await.unwrap();
            }
            let late = async move { Session::from_request(&parts).await.map(drop) };
            *leave.lock().unwrap() = Some(tokio::spawn(late));
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    // Somebody else has it meanwhile.
    let hold = tower::service_fn(async |request: Request<Body>| {
        let _session = Session::from_request(&request.into_parts().0)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let layer = stored.layer();
    let send = || request("/", Some(&stored.cookie), &Mark::default());
    let holder = tokio::spawn(layer.layer(hold).oneshot(send()));
    tokio::task::yield_now().await;
    layer.layer(service).oneshot(send()).await.unwrap();
    let late = left.lock().unwrap().take().unwrap();
    assert!(!late.is_finished());
    holder.await.unwrap().unwrap();
    let opened = late.await.unwrap();
    assert!(
        matches!(opened, Err(Error::Closed)),
        "{read_first}: {opened:?}"
    );
    stored.settled().await;
}

/// A handle made in a request whose handler does `before` with its session.
async fn handle_of(
    stored: &Stored,
    cookie: Option<&str>,
    before: impl Fn(Session) + Clone + Send + Sync + 'static,
) -> SessionHandle {
    let left: Left<SessionHandle> = Left::default();
    let leave = left.clone();
    let handler = async move |handle: SessionHandle, session: Session| {
        before(session);
        *leave.lock().unwrap() = Some(handle);
    };
    let app = Router::new().route("/", get(handler)).layer(stored.layer());
    let answer = app
        .oneshot(request("/", cookie, &Mark::default()))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    left.lock().unwrap().take().unwrap()
}

#[test]
fn a_handle_commits_on_ok_only() {
    hide_planned_panics();
    in_both(async |stored| {
        let handle = handle_of(&stored, Some(&stored.cookie), drop).await;
        let before = stored.settled().await;
        let written = handle.write(async |session| {
            session.increment("n", 1)?;
            Err::<(), _>(Error::InUse)
        });
        assert!(matches!(written.await, Err(Error::InUse)));
        assert_eq!(stored.settled().await, before, "an error discards");

        let panicking = handle.clone();
        let panicked = tokio::spawn(async move {
            let written = panicking.write(async |session| {
                session.increment("n", 1)?;
                explode::<Result<(), Error>>()
            });
            written.await
        });
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(stored.settled().await, before, "a panic discards");

        let kept: Left<Session> = Left::default();
        let written = handle.write(async |session| {
            *kept.lock().unwrap() = Some(session.clone());
            session.increment("n", 1)
        });
        assert_eq!(written.await.unwrap(), 2);
        assert_eq!(stored.settled().await.n, Some(2));
        let kept = kept.lock().unwrap().take().unwrap();
        assert!(matches!(kept.increment("n", 1), Err(Error::Closed)));
    });
}

#[test]
fn a_handle_never_makes_a_cookie_that_nobody_gets() {
    for early in [false, true] {
        in_both(async |stored| {
            let write = async |handle: SessionHandle, change: fn(&Session) -> Result<(), Error>| {
                handle
                    .write(async |session| {
                        change(&session)?;
                        if early {
                            session.commit().await?;
                        }
                        Ok::<_, Error>(())
                    })
                    .await
            };
            let handle = handle_of(&stored, Some(&stored.cookie), drop).await;
            let before = stored.settled().await;
            let rotated = write(handle, Session::rotate).await;
            assert!(matches!(rotated, Err(Error::NeedsResponse)), "{rotated:?}");
            assert_eq!(stored.settled().await, before);

            let handle = handle_of(&stored, None, drop).await;
            let created = write(handle, |session| session.insert("n", &1)).await;
            assert!(matches!(created, Err(Error::NeedsResponse)), "{created:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(stored.memory.len(), 1);
        });
    }
}

#[test]
fn a_handle_is_bound_to_the_session_that_its_request_made_or_rotated() {
    in_both(async |stored| {
        let increment = async |handle: SessionHandle| {
            handle
                .write(async |session| session.increment("n", 1))
                .await
        };
        let rotate = |session: Session| session.rotate().unwrap();
        let handle = handle_of(&stored, Some(&stored.cookie), rotate).await;
        assert_eq!(increment(handle).await.unwrap(), 2);

        let create = |session: Session| session.insert("n", &5).unwrap();
        let handle = handle_of(&stored, None, create).await;
        assert_eq!(increment(handle).await.unwrap(), 6);
    });
}
