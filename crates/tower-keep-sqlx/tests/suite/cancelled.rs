//! Requests that end at any point.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use axum::http::StatusCode;
use tower_keep::LockConfig;
use tower_keep_core::{Opened, Owner, SessionStore};
use tower_keep_testkit::{Rng, seed_or};

use crate::app::client;
use crate::place::{ENGINES, Place};
use crate::storage::{leasing, new_session};

/// Polls at most so often, then drops.
pub(crate) async fn dropped_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
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

/// Eight visitors, whose requests are dropped in the middle on shared connections. What a dropped
/// request leaves behind on a connection must reach nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn data_never_cross_under_cancelled_requests() {
    const VISITORS: u64 = 8;
    let heavy = std::env::var_os("KEEP_HEAVY").is_some();
    let wanted = if heavy { 100_000 } else { 1_000 };
    let seed = seed_or(1);
    println!("KEEP_SEED={seed}");
    for engine in ENGINES {
        let cancelled = Arc::new(AtomicU64::new(0));
        let place = Place::new(engine);
        let store = place.store().await;
        let visitor = |number: u64| {
            let client = client(&store, LockConfig::default());
            let (cancelled, mut rng) = (cancelled.clone(), Rng::new(seed + number));
            async move {
                let (mut answered, path) = (0, format!("/own/visitor-{number}"));
                // So that the cookie is there whichever request is dropped.
                assert_eq!(client.get(&path).await.status(), StatusCode::OK);
                while cancelled.load(Ordering::Relaxed) < wanted {
                    let request = client.get(&path);
                    match dropped_after(1 + rng.below(5), request).await {
                        None => drop(cancelled.fetch_add(1, Ordering::Relaxed)),
                        Some(answer) => {
                            assert_eq!(answer.status(), StatusCode::OK, "visitor {number}");
                            assert_eq!(answer.text(), format!("visitor-{number}"));
                            answered += 1;
                        }
                    }
                }
                let last = client.get(&path).await;
                assert_eq!(last.text(), format!("visitor-{number}"));
                answered
            }
        };
        let visitors: Vec<_> = (0..VISITORS)
            .map(|number| tokio::spawn(visitor(number)))
            .collect();
        let mut answered = 0;
        for visitor in visitors {
            answered += visitor.await.unwrap();
        }
        println!("{engine:?}: {wanted} cancelled, {answered} answered");
    }
}

/// The verbs themselves, dropped after each number of polls on one connection: the next one on it
/// gets its own answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_verb_leaves_its_connection_clean() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let store = match engine {
            crate::place::Engine::Sqlite => place.store().await,
            crate::place::Engine::Postgres => {
                tower_keep_core::DynStore::new(place.postgres(1).await)
            }
            crate::place::Engine::MariaDb => tower_keep_core::DynStore::new(place.mariadb(1).await),
        };
        let (one, two) = (new_session(), new_session());
        store.create(&one).await.unwrap();
        store.create(&two).await.unwrap();
        let owner = Owner::unique();
        for round in 0..200 {
            dropped_after(1 + round % 8, store.open(&leasing(&one, owner))).await;
            let opened = store.open(&leasing(&two, owner)).await.unwrap();
            match opened {
                Opened::Granted(view) => assert_eq!(view.head.id, two.id),
                other => panic!("{engine:?}: {other:?}"),
            }
        }
    }
}
