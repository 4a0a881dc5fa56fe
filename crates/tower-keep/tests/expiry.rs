//! Idle and absolute expiry, touching and extending (A17, A18, A21), at their exact boundaries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, settle};
use tower_keep::{Clock, Error, LayerConfigError, LockConfig, Session};
use tower_keep_testkit::{Rng, Verb, seed_or};

const MILLI: Duration = Duration::from_millis(1);

/// Idle 60 minutes, absolute 100, touched if that moves the deadline by a minute.
async fn visitor(backend: &Backend) -> Client {
    let extend = async |session: Session, path: axum::extract::Path<u64>| -> Result<(), Error> {
        session.extend(Duration::from_secs(60) * u32::try_from(path.0).unwrap())
    };
    let left = async |session: Session| format!("{:?}", session.expires_in());
    let routes: Router = app(Gates::default())
        .route("/extend/{minutes}", get(extend))
        .route("/left", get(left));
    let layer = backend
        .layer()
        .idle_timeout(60 * MINUTE)
        .absolute_timeout(100 * MINUTE);
    let client = backend.client_of(routes, layer);
    client.get("/add").await;
    // The server decides: this browser keeps the cookie whatever its `Max-Age` says.
    client.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
    client
}

async fn is_alive(client: &Client) -> bool {
    let seen = client.get("/who").await.text();
    assert!(["nobody 1", "nobody 0 Expired"].contains(&&*seen), "{seen}");
    seen == "nobody 1"
}

#[tokio::test(start_paused = true)]
async fn a17_idle_expiry_at_its_exact_instant() {
    for backend in Backend::both() {
        for (passed, alive) in [(60 * MINUTE - MILLI, true), (60 * MINUTE, false)] {
            let client = visitor(&backend).await;
            backend.clock.advance(passed);
            assert_eq!(
                is_alive(&client).await,
                alive,
                "{} {passed:?}",
                backend.name
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a17_absolute_expiry_at_its_exact_instant_however_busy() {
    for backend in Backend::both() {
        for (last, alive) in [(MINUTE - MILLI, true), (MINUTE, false)] {
            let client = visitor(&backend).await;
            for _ in 0..99 {
                backend.clock.advance(MINUTE);
                assert!(is_alive(&client).await);
            }
            backend.clock.advance(last);
            assert_eq!(is_alive(&client).await, alive, "{} {last:?}", backend.name);
        }
    }
}

/// What was written to an expired session is not found again, whatever opens it.
#[tokio::test(start_paused = true)]
async fn a17_an_expired_session_is_replaced_and_not_revived() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        let id = id_of(&client);
        backend.clock.advance(60 * MINUTE);
        assert_eq!(client.get("/add").await.text(), "1", "{}", backend.name);
        assert_ne!(id_of(&client), id);
        assert!(
            backend
                .memory
                .record(id)
                .unwrap()
                .head
                .is_expired(backend.clock.now())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a17_the_idle_deadline_slides_with_readers_and_writers() {
    for backend in Backend::both() {
        for path in ["/n", "/add"] {
            let client = visitor(&backend).await;
            backend.clock.advance(30 * MINUTE);
            client.get(path).await;
            let head = backend.record(&client).head;
            assert_eq!(head.idle_deadline, backend.clock.now().plus(60 * MINUTE));
            assert_eq!(
                head.last_seen,
                backend.clock.now(),
                "{} {path}",
                backend.name
            );
        }
    }
}

/// The throttle is a sixtieth of the idle timeout, here a minute.
#[tokio::test(start_paused = true)]
async fn a18_touches_are_throttled_and_write_no_data() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        let (start, before) = (backend.clock.now(), backend.record(&client));
        backend.clock.advance(MINUTE - MILLI);
        client.get("/n").await;
        assert_eq!(
            backend.record(&client).head.idle_deadline,
            before.head.idle_deadline
        );
        backend.clock.advance(MILLI);
        client.get("/n").await;
        let after = backend.record(&client);
        assert_eq!(
            after.head.idle_deadline,
            start.plus(61 * MINUTE),
            "{}",
            backend.name
        );
        assert_eq!(after.head.version, before.head.version);
        assert_eq!(after.head.absolute_deadline, before.head.absolute_deadline);
        // Riding on the opening, it costs no call of its own.
        if backend.name == "remote" {
            assert_eq!(backend.faults.calls().of(Verb::Open), 2);
            assert_eq!(backend.faults.calls().total(), 3);
        }
    }
}

/// deadline − last request ∈ (idle − throttle, idle], whatever the pace of requests.
#[tokio::test(start_paused = true)]
async fn a18_the_deadline_is_never_further_off_than_the_throttle() {
    for backend in Backend::both() {
        let seed = seed_or(18);
        let mut rng = Rng::new(seed);
        let client = visitor(&backend).await;
        let end = backend.record(&client).head.absolute_deadline;
        let mut before = backend.record(&client).head.idle_deadline;
        while backend.clock.now().plus(3 * MINUTE) < end {
            settle().await;
            backend.clock.advance(rng.up_to(3 * MINUTE));
            client
                .get(rng.pick(&["/n", "/add", "/fail"]).unwrap())
                .await;
            let deadline = backend.record(&client).head.idle_deadline;
            let ahead = deadline.since(backend.clock.now());
            let what = format!("{} seed {seed}: {ahead:?}", backend.name);
            assert!(ahead > 59 * MINUTE && ahead <= 60 * MINUTE, "{what}");
            assert!(deadline >= before, "{what}");
            before = deadline;
        }
    }
}

/// A session that is handed from request to request without a pause is in use all the same.
#[tokio::test(start_paused = true)]
async fn a18_a_session_that_is_handed_over_is_touched_too() {
    for backend in Backend::both() {
        let busy = async |session: Session| -> Result<(), Error> {
            tokio::time::sleep(Duration::from_secs(10)).await;
            session.increment("n", 1).map(drop)
        };
        let locks = LockConfig {
            wait: 30 * MINUTE,
            ..LockConfig::default()
        };
        let layer = backend.layer().idle_timeout(2 * MINUTE).locks(locks);
        let client = backend.client_of(app(Gates::default()).route("/busy", get(busy)), layer);
        client.get("/add").await;
        // Two tabs that never pause, for ten minutes: somebody always waits.
        let tabs: Vec<_> = (0..2)
            .map(|_| {
                let (client, name) = (client.clone(), backend.name);
                tokio::spawn(async move {
                    for _ in 0..30 {
                        let answer = client.get("/busy").await;
                        assert_eq!(answer.status(), http::StatusCode::OK, "{name}");
                    }
                })
            })
            .collect();
        for tab in tabs {
            tab.await.unwrap();
        }
        assert_eq!(client.get("/n").await.text(), "61", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a18_touch_throttle_can_be_chosen() {
    for backend in Backend::both() {
        let layer = backend.layer().touch_throttle(10 * MINUTE);
        let client = backend.client_of(app(Gates::default()), layer);
        client.get("/add").await;
        let before = backend.record(&client).head.idle_deadline;
        backend.clock.advance(10 * MINUTE - MILLI);
        client.get("/n").await;
        assert_eq!(backend.record(&client).head.idle_deadline, before);
        backend.clock.advance(MILLI);
        client.get("/n").await;
        assert_eq!(
            backend.record(&client).head.idle_deadline,
            before.plus(10 * MINUTE)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a21_extend_moves_the_idle_deadline_and_never_back() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        let start = backend.clock.now();
        let deadline = || backend.record(&client).head.idle_deadline;
        client.get("/extend/10").await;
        assert_eq!(deadline(), start.plus(60 * MINUTE));
        client.get("/extend/80").await;
        assert_eq!(deadline(), start.plus(80 * MINUTE), "{}", backend.name);
        // A touch does not take it back either.
        backend.clock.advance(10 * MINUTE);
        client.get("/n").await;
        assert_eq!(deadline(), start.plus(80 * MINUTE));
        // It outlives the idle timeout.
        backend.clock.advance(69 * MINUTE);
        assert!(is_alive(&client).await, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a21_extend_is_capped_by_the_absolute_deadline() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        let before = backend.record(&client).head;
        let answer = client.get("/extend/1000").await;
        // It is no other lifetime of the cookie, so none is sent.
        assert!(answer.set_cookies().is_empty());
        let head = backend.record(&client).head;
        assert_eq!(head.absolute_deadline, before.absolute_deadline);
        assert_eq!(head.deadline(), head.absolute_deadline, "{}", backend.name);
        assert_eq!(client.get("/left").await.text(), "Some(6000s)");
        backend.clock.advance(100 * MINUTE - MILLI);
        assert!(is_alive(&client).await);
        backend.clock.advance(MILLI);
        assert!(!is_alive(&client).await, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a21_extend_does_not_revive() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        backend.clock.advance(60 * MINUTE);
        assert!(client.get("/extend/90").await.set_cookies().is_empty());
        assert!(!is_alive(&client).await);
        assert_eq!(backend.live(), [], "{}", backend.name);
    }
}

/// The store's clock judges, whatever time the server in front of it has.
#[tokio::test(start_paused = true)]
async fn a17_expiry_is_by_the_stores_clock() {
    for ahead in [-3_600_000, 3_600_000] {
        let backend = Backend::remote();
        let layer = backend
            .layer()
            .clock(std::sync::Arc::new(backend.clock.skewed(ahead)));
        let client = backend.client_of(app(Gates::default()), layer.idle_timeout(10 * MINUTE));
        let first = client.get("/add").await;
        assert!(
            first.set_cookies()[0].contains("Max-Age=86400"),
            "{first:?}"
        );
        backend.clock.advance(10 * MINUTE - MILLI);
        assert!(is_alive(&client).await);
        backend.clock.advance(10 * MINUTE);
        assert!(!is_alive(&client).await);
    }
}

#[test]
fn a17_timeouts_that_cannot_be_met_are_refused() {
    let build = |idle: Duration, absolute: Duration| {
        let layer = tower_keep::SessionLayer::builder(tower_keep::MemoryStore::new());
        layer.idle_timeout(idle).absolute_timeout(absolute).build()
    };
    for (idle, absolute) in [(Duration::ZERO, MINUTE), (MINUTE, Duration::ZERO)] {
        let refused = build(idle, absolute);
        assert!(matches!(refused, Err(LayerConfigError::Lifetime(_))));
    }
    assert!(build(MINUTE, MINUTE).is_ok());
}
