//! A plain application of tower-sessions, in each version.

use crate::served::stores;

macro_rules! plain {
    ($version:ident, $theirs:ident, $Layer:ident) => {
        mod $version {
            use super::*;
            use axum::Router;
            use axum::extract::Path;
            use axum::routing::get;
            use tower_keep::{DynStore, SessionLayer};
            use tower_keep_testkit::TestClient;
            use tower_keep_tower_sessions::$Layer;
            use $theirs::Session;

            use crate::life::{COOKIE, Client};

            type Answer = Result<String, axum::http::StatusCode>;

            fn failed(_: $theirs::session::Error) -> axum::http::StatusCode {
                axum::http::StatusCode::INTERNAL_SERVER_ERROR
            }

            async fn count(session: Session) -> Answer {
                let n: u64 = session.get("n").await.map_err(failed)?.unwrap_or(0) + 1;
                session.insert("n", n).await.map_err(failed)?;
                Ok(n.to_string())
            }

            async fn show(session: Session) -> Answer {
                let n: Option<u64> = session.get("n").await.map_err(failed)?;
                Ok(format!("{n:?} {}", session.is_empty().await))
            }

            async fn put(session: Session, Path((key, value)): Path<(String, String)>) -> Answer {
                let before = session.insert_value(&key, value.into()).await;
                Ok(format!("{:?}", before.map_err(failed)?))
            }

            async fn take(session: Session, Path(key): Path<String>) -> Answer {
                let value = session.remove_value(&key).await.map_err(failed)?;
                Ok(format!("{value:?}"))
            }

            fn client(store: DynStore) -> Client {
                let routes = Router::new()
                    .route("/", get(async |_: Session| "not used"))
                    .route("/count", get(count))
                    .route("/show", get(show))
                    .route("/put/{key}/{value}", get(put))
                    .route("/take/{key}", get(take))
                    .route(
                        "/clear",
                        get(async |session: Session| session.clear().await),
                    )
                    .route(
                        "/cycle",
                        get(async |s: Session| s.cycle_id().await.unwrap()),
                    )
                    .route("/flush", get(async |s: Session| s.flush().await.unwrap()));
                let layer = SessionLayer::new(store);
                TestClient::new(routes.layer($Layer::new()).layer(layer))
            }

            #[tokio::test]
            async fn f2_an_app_of_theirs_runs_unchanged() {
                for store in stores().await {
                    let client = client(store);
                    assert_eq!(client.get("/show").await.text(), "None true");
                    assert_eq!(client.cookie(COOKIE), None, "nothing was written");
                    for n in ["1", "2", "3"] {
                        assert_eq!(client.get("/count").await.text(), n);
                    }
                    assert_eq!(client.get("/show").await.text(), "Some(3) false");

                    // Keys are theirs: dots in them separate nothing.
                    client.get("/put/a.b/x").await;
                    let before = client.get("/put/a.b/y").await;
                    assert_eq!(before.text(), "Some(String(\"x\"))");
                    assert_eq!(client.get("/take/a.b").await.text(), "Some(String(\"y\"))");
                    assert_eq!(client.get("/take/a.b").await.text(), "None");

                    let before = client.cookie(COOKIE);
                    client.get("/cycle").await;
                    assert_ne!(client.cookie(COOKIE), before);
                    assert_eq!(client.get("/count").await.text(), "4");

                    // Without a look at what is there.
                    client.get("/clear").await;
                    assert_eq!(client.get("/show").await.text(), "None false");
                    assert_eq!(client.get("/count").await.text(), "1");

                    let copy = client.fork();
                    client.get("/flush").await;
                    assert_eq!(client.cookie(COOKIE), None);
                    assert_eq!(copy.get("/show").await.text(), "None true");
                    assert_eq!(client.get("/count").await.text(), "1");
                }
            }

            #[tokio::test]
            async fn f2_a_request_that_does_not_look_costs_nothing() {
                use tower_keep::MemoryStore;
                use tower_keep_testkit::FaultStore;

                let store = FaultStore::new(MemoryStore::new());
                let client = client(DynStore::new(store.clone()));
                client.get("/count").await;
                let calls = store.calls().total();
                let answer = client.get("/").await;
                assert_eq!(answer.text(), "not used");
                assert_eq!(store.calls().total(), calls);
                assert!(answer.set_cookies().is_empty() && answer.header("vary").is_none());
            }
        }
    };
}

plain!(v14, tower_sessions, TowerSessions14Layer);
#[cfg(feature = "v15")]
plain!(v15, tower_sessions_015, TowerSessions15Layer);
