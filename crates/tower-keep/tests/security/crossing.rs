//! Cross-session reads: one visitor gets what belongs to another, because both share a connection,
//! to the server or to the store, or because an answer was taken for another one's.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tower_keep::{Error, MemoryStore, ReadSession, Session, SessionLayer};
use tower_keep_testkit::{NetworkStore, Rng, TestClient, seed_or};

use crate::common::http::{Connection, serve};
use crate::common::{Backend, Client};

/// `/own/{name}` writes the visitor's name on the first visit and answers with what is there;
/// `/read` only reads it.
fn routes() -> Router {
    let own = async |session: Session, Path(name): Path<String>| -> Result<String, Error> {
        if session.get::<String>("name")?.is_none() {
            session.insert("name", &name)?;
        }
        session.increment("visits", 1)?;
        session.get_or("name", String::new())
    };
    let read = async |session: ReadSession| session.get_or("name", "nobody".to_owned());
    Router::new()
        .route("/own/{name}", get(own))
        .route("/read", get(read))
}

/// As behind a proxy that keeps few connections for many clients.
#[tokio::test]
async fn visitors_on_one_connection_do_not_see_each_other() {
    let layer = SessionLayer::new(MemoryStore::new());
    let address = serve(routes().layer(layer)).await;
    let mut proxy = Connection::to(address).await;
    let mut cookies = Vec::new();
    for n in 0..20 {
        let answer = proxy.get(&format!("/own/visitor-{n}"), "").await;
        assert_eq!(answer.text(), format!("visitor-{n}"));
        let field = answer.header("set-cookie").unwrap();
        cookies.push(field.split(';').next().unwrap().to_owned());
    }
    let mut rng = Rng::new(seed_or(0xc0));
    for _ in 0..200 {
        let n = usize::try_from(rng.below(20)).unwrap();
        let path = *rng.pick(&["/read", "/own/stranger"]).unwrap();
        let answer = proxy.get(path, &cookies[n]).await;
        assert_eq!(answer.text(), format!("visitor-{n}"));
        assert_eq!(answer.header("set-cookie"), None);
        if rng.percent(20) {
            // Who comes without a cookie gets nothing of who came before.
            let stranger = proxy.get("/read", "").await;
            assert_eq!(stranger.text(), "nobody");
            assert_eq!(stranger.header("set-cookie"), None);
        }
    }
}

/// Polls at most so often, then drops.
async fn dropped_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Eight visitors whose requests are dropped at any poll, over two connections to a store whose
/// answers come late, in another order, or not at all. The real engines have the same test in their
/// crates (`data_never_cross_under_cancelled_requests`).
#[tokio::test(start_paused = true)]
async fn a_cancelled_request_leaves_nothing_behind_for_the_next_visitor() {
    const WANTED: u64 = 300;
    let seed = seed_or(0xc1);
    let backend = Backend::local();
    let store = NetworkStore::new(backend.memory.clone(), seed)
        .connections(2)
        .lost_replies(2);
    // Two processes on one store.
    let apps: Vec<Client> = (0..2)
        .map(|_| {
            let layer = SessionLayer::builder(tower_keep::DynStore::new(store.clone()))
                .clock(Arc::new(backend.clock.clone()));
            TestClient::with_body(routes().layer(layer.build().unwrap()))
        })
        .collect();
    let (cancelled, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let visitors: Vec<_> = (0..8)
        .map(|number| {
            let client = apps[number % 2].fork();
            client.clear_cookies();
            let mut rng = Rng::new(seed ^ (number as u64) << 32);
            let (cancelled, answered) = (cancelled.clone(), answered.clone());
            tokio::spawn(async move {
                let (name, path) = (
                    format!("visitor-{number}"),
                    format!("/own/visitor-{number}"),
                );
                while client.cookie(crate::common::COOKIE).is_none() {
                    client.get(&path).await;
                }
                while cancelled.load(Ordering::Relaxed) < WANTED {
                    let path = *rng.pick(&[path.as_str(), "/read"]).unwrap();
                    let polls = 1 + rng.below(6);
                    match dropped_after(polls, client.get(path)).await {
                        None => drop(cancelled.fetch_add(1, Ordering::Relaxed)),
                        Some(answer) if answer.status() == 200 => {
                            assert_eq!(answer.text(), name, "seed {seed}");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(answer) => assert_eq!(answer.status(), 503, "seed {seed}: {answer:?}"),
                    }
                    tokio::task::yield_now().await;
                    if rng.percent(10) {
                        let answer = client.get("/read").await;
                        if answer.status() == 200 {
                            assert_eq!(answer.text(), name, "seed {seed}");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 20, "seed {seed}: only {answered} were answered");
}
