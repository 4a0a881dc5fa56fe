//! G2: no resurrection. After a destroy or expiry no later commit brings the session back: no
//! record, no cookie that works, no other session that nobody asked for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Gates, MINUTE, app, id_of, settle, start};
use http::StatusCode;
use tower_keep::core::Sweep;
use tower_keep::{Error, Session, SessionStore};
use tower_keep_testkit::{Rng, seed_or};

/// Nothing of the session is left that can be opened, and nothing else has come up.
async fn assert_gone(backend: &Backend, cookie: &str, clients: &[&common::Client], what: &str) {
    assert_eq!(backend.live(), [], "{what}");
    let thief = clients[0].fork();
    thief.clear_cookies();
    thief.set_cookie(COOKIE, cookie);
    let seen = thief.get("/who").await;
    assert!(seen.text().starts_with("nobody 0 "), "{what}: {seen:?}");
    for client in clients {
        let seen = client.get("/who").await;
        assert!(seen.text().starts_with("nobody 0 "), "{what}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn g2_slow_request_in_flight_logout_answers_slow_request_ends() {
    for backend in Backend::both() {
        for (slow_path, status) in [
            // Arrived before the logout and opens after it: stale, and it changes something.
            ("/late/gate/add", StatusCode::CONFLICT),
            ("/late/gate/who", StatusCode::OK),
            ("/late/gate/login/eve", StatusCode::OK),
            // Has read before the logout and writes after it.
            ("/seen/gate/add", StatusCode::CONFLICT),
            ("/seen/gate/n", StatusCode::OK),
        ] {
            let what = format!("{} {slow_path}", backend.name);
            let gates = Gates::default();
            let client = backend.client(app(gates.clone()));
            client.get("/add").await;
            let cookie = client.cookie(COOKIE).unwrap();
            let id = id_of(&client);
            let slow_client = client.fork();
            let slow = start(&slow_client, slow_path);
            gates.at("gate").arrived(1).await;
            assert_eq!(client.get("/logout").await.text(), "true");
            gates.at("gate").open();
            let slow = slow.await.unwrap();
            assert_eq!(slow.status(), status, "{what}");
            if slow_path.contains("login") {
                // A login is asked for by name; it makes a session of its own.
                assert_ne!(id_of(&slow_client), id, "{what}");
                assert_eq!(backend.live(), [id_of(&slow_client)], "{what}");
                slow_client.get("/logout").await;
            } else {
                assert!(slow.set_cookies().is_empty(), "{what}: {slow:?}");
            }
            assert_gone(&backend, &cookie, &[&client, &slow_client], &what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g2_destroy_by_id_from_outside_does_not_wait_and_beats_the_holder() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(app(gates.clone()));
        client.get("/add").await;
        let (cookie, id) = (client.cookie(COOKIE).unwrap(), id_of(&client));
        let holder = start(&client, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        let waiter = start(&client, "/add");
        settle().await;
        assert!(backend.store.destroy(id).await.unwrap());
        gates.at("gate").open();
        let (holder, waiter) = (holder.await.unwrap(), waiter.await.unwrap());
        for answer in [holder, waiter] {
            assert_eq!(answer.status(), StatusCode::CONFLICT, "{}", backend.name);
            assert!(answer.set_cookies().is_empty(), "{}", backend.name);
        }
        assert_gone(&backend, &cookie, &[&client], backend.name).await;
        assert!(!backend.store.destroy(id).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn g2_expiry_in_flight() {
    for backend in Backend::both() {
        for sweeps in [false, true] {
            let gates = Gates::default();
            let layer = backend.layer().idle_timeout(10 * MINUTE);
            let client = backend.client_of(app(gates.clone()), layer);
            client.get("/add").await;
            let (cookie, id) = (client.cookie(COOKIE).unwrap(), id_of(&client));
            let holder = start(&client, "/hold/gate/add");
            gates.at("gate").arrived(1).await;
            backend.clock.advance(10 * MINUTE);
            if sweeps {
                backend.store.sweep(Sweep::default()).await.unwrap();
                assert!(backend.memory.record(id).is_none());
            }
            gates.at("gate").open();
            let holder = holder.await.unwrap();
            assert_eq!(holder.status(), StatusCode::CONFLICT, "{}", backend.name);
            assert!(holder.set_cookies().is_empty());
            assert_gone(&backend, &cookie, &[&client], backend.name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g2_a_touch_does_not_revive() {
    for backend in Backend::both() {
        let layer = backend.layer().idle_timeout(10 * MINUTE);
        let client = backend.client_of(app(Gates::default()), layer.touch_throttle(Duration::ZERO));
        client.get("/add").await;
        let cookie = client.cookie(COOKIE).unwrap();
        backend.clock.advance(10 * MINUTE);
        assert_eq!(client.get("/n").await.text(), "0");
        assert_gone(&backend, &cookie, &[&client], backend.name).await;
    }
}

/// What a slow request does, with a few turns of the scheduler between its steps.
fn slow_routes() -> Router {
    async fn turns(mut count: u64) {
        while count > 0 {
            tokio::task::yield_now().await;
            count -= 1;
        }
    }
    async fn act(what: u64, session: &Session) -> Result<(), Error> {
        match what {
            0 => session.increment("n", 1).map(drop),
            1 => session.rotate(),
            2 => session.insert_all([("a", 1), ("b", 2)]),
            3 => session.extend(24 * 60 * MINUTE),
            4 => {
                session.insert("early", &true)?;
                session.commit().await
            }
            _ => session.invalidate(),
        }
    }
    use axum::extract::Path;
    let slow = async |Path((before, what, within)): Path<(u64, u64, u64)>,
                      request: axum::extract::Request|
           -> Result<(), Error> {
        turns(before).await;
        let (parts, _) = request.into_parts();
        let session = Session::from_request(&parts).await?;
        turns(within).await;
        act(what, &session).await?;
        turns(within / 2).await;
        Ok(())
    };
    app(Gates::default()).route("/slow/{before}/{what}/{within}", get(slow))
}

/// One slow request arrives, then the session ends in one of several ways while it is under way,
/// at any turn of the scheduler.
async fn interleave(backend: &Backend, client: &common::Client, rng: &mut Rng, what: &str) {
    client.clear_cookies();
    client.get("/add").await;
    let (cookie, id) = (client.cookie(COOKIE).unwrap(), id_of(client));
    let path = format!("/slow/{}/{}/{}", rng.below(12), rng.below(6), rng.below(12));
    let (way, turns, sweeps) = (rng.below(10), rng.below(30), rng.percent(30));
    // Both start with the same cookie, as two tabs do.
    let (slow_client, second) = (client.fork(), client.fork());
    let slow = slow_client.get(&path);
    let end = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        match way {
            0..4 => {
                let logout = second.get("/logout").await;
                // Unless the slow one rotated before: then this one was stale and ended nothing.
                logout.text() == "true" && logout.status() == StatusCode::OK
            }
            4..8 => backend.store.destroy(id).await.unwrap(),
            _ => {
                backend.clock.advance(24 * 60 * MINUTE);
                true
            }
        }
    };
    let sweep = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        if sweeps {
            backend.store.sweep(Sweep::default()).await.unwrap();
        }
    };
    let (slow, over, ()) = tokio::join!(biased; slow, end, sweep);
    let what = format!("{what} {path} way {way} turns {turns}: {slow:?}");
    if !over {
        assert!(backend.store.destroy(id).await.unwrap(), "{what}");
    }
    assert!(matches!(slow.status().as_u16(), 200 | 409), "{what}");
    if way >= 8 && !backend.live().is_empty() {
        // It opened after the expiry, and what it wrote then started another session, of which it
        // was told. There was only one before, so there is only one now.
        assert_eq!(backend.live(), [id_of(&slow_client)], "{what}");
        assert_ne!(id_of(&slow_client), id, "{what}");
        slow_client.get("/logout").await;
    }
    assert_gone(backend, &cookie, &[&slow_client], &what).await;
    backend.clock.advance(Duration::from_secs(601));
    backend.store.sweep(Sweep::default()).await.unwrap();
    assert!(backend.memory.is_empty(), "{what}");
}

async fn interleavings(backend: Backend, count: u64) {
    let seed = seed_or(0x62);
    println!("{}: seed {seed}", backend.name);
    let client = backend.client(slow_routes());
    for round in 0..count {
        let mut rng = Rng::new(seed ^ (round << 20));
        interleave(
            &backend,
            &client,
            &mut rng,
            &format!("{} seed {seed} round {round}", backend.name),
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn g2_5000_interleavings_on_a_store_in_memory() {
    interleavings(Backend::local(), 5_000).await;
}

#[tokio::test(start_paused = true)]
async fn g2_5000_interleavings_on_a_store_with_io() {
    interleavings(Backend::remote(), 5_000).await;
}
