//! What becomes of requests whose session belongs to another client.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use common::look::{Look, OTHER, OWNER, UA, client, layer, routes, send, text};
use common::{Backend, COOKIE, Gates, id_of, settle};
use tower_keep::{EagerLayer, OnMismatch};

#[tokio::test(start_paused = true)]
async fn d3_a_refused_client_sees_nothing_changes_nothing_and_carries_nothing_over() {
    for backend in Backend::both() {
        let owner = client(&backend, UA);
        send(&owner, OWNER, "/add").await;
        send(&owner, OWNER, "/login/ann").await;
        let before = backend.record(&owner);
        let thief = owner.fork();
        let who = text(&thief, OTHER, "/who").await;
        assert_eq!(who, "nobody 0 Mismatch { destroyed: false }");
        assert_eq!(text(&thief, OTHER, "/optional").await, "false false");
        assert_eq!(text(&thief, OTHER, "/all").await, "{}");
        let prefetch = Look {
            more: Some(("sec-purpose", "prefetch")),
            ..OTHER
        };
        assert!(text(&thief, prefetch, "/who").await.starts_with("nobody 0"));
        for path in ["/add", "/upgrade", "/handle/read", "/handle/write"] {
            let answer = send(&thief, OTHER, path).await;
            assert_eq!(answer.status(), 409, "{} {path}", backend.name);
            assert!(answer.set_cookies().is_empty());
            assert_eq!(answer.text(), "Please log in again.\n");
        }
        // To rotate what is not there is nothing.
        send(&thief, OTHER, "/rotate").await;
        let after = backend.record(&owner);
        assert_eq!(after.head.version, before.head.version);
        assert_eq!(after.data, before.data);
        assert_eq!(after.secret.as_bytes(), before.secret.as_bytes());
        assert!(after.lease.is_none_or(|_| backend.name == "remote"));
        assert_eq!(text(&owner, OWNER, "/add").await, "2", "{}", backend.name);
        assert_eq!(text(&owner, OWNER, "/who").await, "ann 2");
    }
}

#[tokio::test(start_paused = true)]
async fn d3_every_way_to_open_is_checked() {
    for backend in Backend::both() {
        for (name, layer) in [
            ("usual", layer(&backend, UA)),
            ("locking", layer(&backend, UA).lock_for(|_| true)),
        ] {
            let eager = routes(Gates::default()).layer(EagerLayer::new());
            let owner = backend.client_of(eager, layer);
            send(&owner, OWNER, "/add").await;
            for path in ["/n", "/upgrade", "/handle/read", "/handle/write"] {
                let (own, others) = (
                    text(&owner, OWNER, path).await,
                    send(&owner.fork(), OTHER, path).await,
                );
                // A handle cannot write while its own request holds the lease.
                let in_use = name == "locking" && path == "/handle/write";
                assert_ne!(own.parse::<u64>().is_ok(), in_use, "{name} {path}: {own}");
                let shown = others.text();
                assert!(
                    others.status() == 409 || shown == "0",
                    "{} {name} {path}: {shown}",
                    backend.name
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d3_who_was_refused_may_log_in_anew_or_give_the_cookie_up() {
    for backend in Backend::both() {
        let owner = client(&backend, UA);
        send(&owner, OWNER, "/add").await;
        send(&owner, OWNER, "/login/ann").await;

        let updated = owner.fork();
        assert_eq!(send(&updated, OTHER, "/login/ann").await.status(), 200);
        assert_ne!(id_of(&updated), id_of(&owner));
        assert_eq!(
            text(&updated, OTHER, "/who").await,
            "ann 0",
            "nothing carried over"
        );
        assert!(
            text(&updated, OWNER, "/who")
                .await
                .starts_with("nobody 0 Mismatch")
        );

        let leaving = owner.fork();
        assert_eq!(text(&leaving, OTHER, "/logout").await, "false");
        assert!(leaving.cookie(COOKIE).is_none(), "{}", backend.name);
        assert_eq!(text(&owner, OWNER, "/who").await, "ann 1", "left alone");
    }
}

#[tokio::test(start_paused = true)]
async fn d3_destroy_ends_the_session_and_lets_start_anew() {
    let config = UA.on_mismatch(OnMismatch::Destroy);
    for backend in Backend::both() {
        for path in ["/who", "/add", "/upgrade", "/handle/read", "/fail"] {
            let owner = client(&backend, config);
            send(&owner, OWNER, "/add").await;
            send(&owner, OWNER, "/login/ann").await;
            let (id, thief) = (id_of(&owner), owner.fork());
            let what = format!("{} {path}", backend.name);
            let answer = send(&thief, OTHER, path).await;
            match path {
                "/who" => assert_eq!(answer.text(), "nobody 0 Mismatch { destroyed: true }"),
                "/handle/read" => assert_eq!(answer.status(), 409),
                "/fail" => assert_eq!(answer.status(), 500),
                // Whoever asked has started a session of their own.
                _ => assert_eq!((answer.text().as_str(), id_of(&thief) == id), ("1", false)),
            }
            assert!(
                backend.memory.record(id).unwrap().gone_at.is_some(),
                "{what}"
            );
            backend.clock.advance(std::time::Duration::from_secs(1));
            assert_eq!(
                text(&owner, OWNER, "/who").await,
                "nobody 0 Absent",
                "{what}"
            );
            assert_eq!(text(&thief, OTHER, "/add").await.len(), 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d3_a_cookie_that_opens_nothing_destroys_nothing() {
    let config = UA.on_mismatch(OnMismatch::Destroy);
    for backend in Backend::both() {
        let owner = client(&backend, config);
        send(&owner, OWNER, "/add").await;
        let stale = owner.fork();
        send(&owner, OWNER, "/login/ann").await;
        assert!(
            text(&stale, OTHER, "/who")
                .await
                .starts_with("nobody 0 Stale")
        );
        backend.clock.advance(std::time::Duration::from_secs(11));
        let answer = text(&stale, OTHER, "/who").await;
        assert_eq!(answer, "nobody 0 Absent", "{}", backend.name);
        assert_eq!(text(&stale, OTHER, "/add").await, "1");
        assert_eq!(text(&owner, OWNER, "/who").await, "ann 1");
    }
}

#[tokio::test(start_paused = true)]
async fn d3_a_foreign_waiter_gives_the_lease_on() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client_of(routes(gates.clone()), layer(&backend, UA));
        send(&client, OWNER, "/add").await;
        let spawn = |look: Look, path: &'static str| {
            let client = client.clone();
            tokio::spawn(async move { send(&client, look, path).await })
        };
        let holder = spawn(OWNER, "/hold/a/add");
        gates.at("a").arrived(1).await;
        let thief = spawn(OTHER, "/add");
        settle().await;
        let next = spawn(OWNER, "/add");
        settle().await;
        gates.at("a").open();
        assert_eq!(holder.await.unwrap().text(), "2", "{}", backend.name);
        assert_eq!(thief.await.unwrap().status(), 409);
        assert_eq!(next.await.unwrap().text(), "3");
    }
}
