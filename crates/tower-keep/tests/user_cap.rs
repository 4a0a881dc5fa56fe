//! How many sessions a user may have.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, start};
use http::StatusCode;
use tower_keep::core::{
    Expect, Looked, Record, Scope, SessionStore, StoreError, Sweep, Swept, Users as _,
};
use tower_keep::{LayerConfigError, MemoryStore, Session, SessionId, SessionLayer, UserCap};

fn routes() -> Router {
    app(Gates::default()).route("/again", get(async |s: Session| s.reauthenticate()))
}

fn client(backend: &Backend, cap: UserCap) -> Client {
    backend.client_of(routes(), backend.layer().user_cap(cap))
}

async fn who(client: &Client) -> String {
    let text = client.get("/who").await.text().clone();
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn c6_the_oldest_login_makes_room() {
    for backend in Backend::both() {
        let first = client(&backend, UserCap::evict_oldest(2));
        let (second, third) = (first.fork(), first.fork());
        for client in [&first, &second] {
            client.get("/login/ann").await;
            backend.clock.advance(MINUTE);
        }
        // Proving again who one is counts as a login.
        assert_eq!(first.get("/again").await.status(), StatusCode::OK);
        backend.clock.advance(MINUTE);
        let login = third.get("/login/ann").await;
        assert_eq!(login.status(), StatusCode::OK, "{}", backend.name);
        assert_eq!(who(&first).await, "ann");
        assert_eq!(who(&second).await, "nobody");
        assert_eq!(who(&third).await, "ann");
        // Another user's are another matter.
        second.get("/login/bob").await;
        assert_eq!(backend.live().len(), 3, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn c6_one_too_many_is_refused_and_nothing_is_changed() {
    for backend in Backend::both() {
        let first = client(&backend, UserCap::refuse(1));
        let (second, third) = (first.fork(), first.fork());
        first.get("/login/ann").await;
        // With a session already, and without.
        second.get("/add").await;
        let cookie = second.cookie(COOKIE);
        for client in [&second, &third] {
            let login = client.get("/login/ann").await;
            assert_eq!(login.status(), StatusCode::CONFLICT, "{}", backend.name);
            assert!(login.set_cookies().is_empty(), "{}", backend.name);
        }
        assert_eq!(second.cookie(COOKIE), cookie);
        // Its lock is not left behind either.
        assert_eq!(second.get("/add").await.status(), StatusCode::OK);
        assert_eq!(who(&second).await, "nobody");
        assert_eq!(backend.memory.len(), 2, "{}", backend.name);
        // The one who is there may log in once more, and make room.
        assert_eq!(first.get("/login/ann").await.status(), StatusCode::OK);
        first.get("/logout").await;
        assert_eq!(second.get("/login/ann").await.status(), StatusCode::OK);
        assert_eq!(who(&second).await, "ann", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn c6_fifty_logins_at_once_end_in_as_many_sessions_as_may() {
    for backend in Backend::both() {
        for cap in [UserCap::evict_oldest(5), UserCap::refuse(5)] {
            let first = client(&backend, cap);
            let logins: Vec<_> = (0..50)
                .map(|_| {
                    let client = first.fork();
                    (start(&client, "/login/ann"), client)
                })
                .collect();
            let (mut done, mut live) = (0, 0);
            for (login, client) in logins {
                done += usize::from(login.await.unwrap().status() == StatusCode::OK);
                live += usize::from(who(&client).await == "ann");
            }
            assert_eq!(live, 5, "{} {cap:?}", backend.name);
            assert!(done == 5 || cap == UserCap::evict_oldest(5), "{done}");
            let ended = backend.memory.revoke_all("ann", None).await.unwrap();
            assert_eq!(ended.len(), 5);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c5_who_is_logged_in_while_all_are_destroyed_gets_a_conflict() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(app(gates.clone()));
        client.get("/login/ann").await;
        let id = id_of(&client);
        let slow = start(&client, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        let ended = backend.memory.revoke_all("ann", None).await.unwrap();
        assert_eq!(ended, [id]);
        gates.at("gate").open();
        let answer = slow.await.unwrap();
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{}", backend.name);
        assert_eq!(who(&client).await, "nobody");
        assert!(backend.live().is_empty());
    }
}

struct NoUsers(MemoryStore);

impl SessionStore for NoUsers {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.0.look(id).await
    }
    async fn cas(&self, id: SessionId, e: Expect, record: &Record) -> Result<bool, StoreError> {
        self.0.cas(id, e, record).await
    }
    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.0.sweep(sweep).await
    }
    fn scope(&self) -> Scope {
        Scope::Process
    }
}

#[test]
fn c6_a_store_that_finds_no_users_is_a_build_error() {
    let layer = SessionLayer::builder(NoUsers(MemoryStore::new())).user_cap(UserCap::refuse(1));
    let error = layer.build().unwrap_err();
    assert!(matches!(error, LayerConfigError::UserCap), "{error}");
}
