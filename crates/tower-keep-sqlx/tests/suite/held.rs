//! What a session that is held, or waited for, takes from the pool: nothing.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_keep::{DynStore, Error, Session, SessionLayer};
use tower_keep_testkit::{Gate, TestClient};

use crate::app::{COOKIE, Client};
use crate::place::{Engine, Place};
use crate::users::one_connection;

fn server(store: &DynStore, gate: &Gate) -> Client {
    let (add, hold) = (add, {
        let gate = gate.clone();
        move |session: Session| async move {
            gate.pass().await;
            add(session).await
        }
    });
    let routes = Router::new()
        .route("/add", get(add))
        .route("/hold", get(hold));
    TestClient::new(routes.layer(SessionLayer::new(store.clone())))
}

async fn add(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

/// With a single connection: whoever kept it would keep everybody out.
#[tokio::test(flavor = "multi_thread")]
async fn d7_a_session_that_is_held_and_waited_for_keeps_no_connection() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        let place = Place::new(engine);
        let (store, gate) = (one_connection(&place).await, Gate::default());
        let (one, two) = (server(&store, &gate), server(&store, &gate));
        assert_eq!(one.get("/add").await.text(), "1");
        two.set_cookie(COOKIE, &one.cookie(COOKIE).unwrap());
        let get = |client: &Client, path: &'static str| {
            let client = client.clone();
            tokio::spawn(async move { client.get(path).await.text() })
        };
        let holder = get(&one, "/hold");
        gate.arrived(1).await;
        // Of the same server and of another one.
        let waiters = [get(&one, "/add"), get(&one, "/add"), get(&two, "/add")];
        let stranger = server(&store, &gate);
        let others = async {
            for n in 1..=20 {
                assert_eq!(
                    stranger.get("/add").await.text(),
                    n.to_string(),
                    "{engine:?}"
                );
            }
        };
        // Far more than twenty commits take, far less than the wait for a connection and a lock.
        let others = tokio::time::timeout(Duration::from_mins(1), others);
        assert!(
            others.await.is_ok(),
            "{engine:?}: they wait for a connection"
        );
        assert!(
            waiters.iter().all(|waiter| !waiter.is_finished()),
            "{engine:?}"
        );
        gate.open();
        assert_eq!(holder.await.unwrap(), "2", "{engine:?}");
        let mut counts = Vec::new();
        for waiter in waiters {
            counts.push(waiter.await.unwrap());
        }
        counts.sort();
        assert_eq!(counts, ["3", "4", "5"], "{engine:?}");
    }
}
