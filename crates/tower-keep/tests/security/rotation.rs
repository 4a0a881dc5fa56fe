//! Rotation races: several requests with one cookie change its secret at once. One session must
//! not end up with two live cookies, none, or another user's.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tokio::task::JoinHandle;
use tower_keep::core::Token;
use tower_keep::{Error, Session};
use tower_keep_testkit::{NetworkStore, Rng, TestResponse, seed_or};

use crate::common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of};
use crate::turns;

fn start(client: &Client, path: String, seed: u64) -> JoinHandle<TestResponse> {
    let client = client.fork();
    tokio::spawn(async move {
        turns(&mut Rng::new(seed), 20).await;
        client.get(&path).await
    })
}

fn cookie_of(answer: &TestResponse) -> Option<String> {
    let field = answer.set_cookies().pop()?;
    Some(
        field[COOKIE.len() + 1..]
            .split(';')
            .next()
            .unwrap()
            .to_owned(),
    )
}

async fn who_is(client: &Client, cookie: &str) -> String {
    let visitor = client.fork();
    visitor.set_cookie(COOKIE, cookie);
    visitor.get("/who").await.text()
}

fn routes() -> Router {
    let enter = async |session: Session, Path(user): Path<String>| -> Result<(), Error> {
        session.insert("owner", &user)?;
        session.set_user(user)
    };
    let owner = async |s: Session| s.get_or("owner", String::new());
    app(Gates::default())
        .route("/enter/{user}", get(enter))
        .route("/owner", get(owner))
}

/// A store, and one app or two "processes" over it.
fn worlds(seed: u64) -> Vec<(&'static str, Backend, Vec<Client>)> {
    let mut worlds: Vec<_> = Backend::both()
        .into_iter()
        .map(|backend| {
            let clients = vec![backend.client(routes())];
            (backend.name, backend, clients)
        })
        .collect();
    let backend = Backend::local();
    let network = NetworkStore::new(backend.memory.clone(), seed).connections(3);
    let store = tower_keep::DynStore::new(network);
    let over = Backend { store, ..backend };
    let clients = (0..2).map(|_| over.client(routes())).collect();
    worlds.push(("two processes", over, clients));
    worlds
}

#[tokio::test(start_paused = true)]
async fn of_many_rotations_at_once_one_cookie_is_live() {
    let seed = seed_or(0x0a10);
    for round in 0..8 {
        for (name, backend, clients) in worlds(seed + round) {
            let what = format!("{name} seed {seed} round {round}");
            let client = &clients[0];
            client.get("/login/ann").await;
            client.get("/add").await;
            let first = client.cookie(COOKIE).unwrap();
            // So that it is known which requests came before a rotation and which after it.
            backend.clock.advance(MINUTE);
            let requests: Vec<_> = (0..16)
                .map(|n| {
                    let client = &clients[n % clients.len()];
                    client.set_cookie(COOKIE, &first);
                    start(client, "/rotate".into(), seed ^ round << 8 ^ n as u64)
                })
                .collect();
            let mut given = vec![first];
            for request in requests {
                let answer = request.await.unwrap();
                assert!(
                    matches!(answer.status().as_u16(), 200 | 409),
                    "{what}: {answer:?}"
                );
                given.extend(cookie_of(&answer));
            }
            assert_eq!(given.len(), 2, "{what}: one rotation comes through");
            assert_eq!(backend.live().len(), 1, "{what}");
            assert_eq!(who_is(client, &given[1]).await, "ann 1", "{what}");
            assert!(
                who_is(client, &given[0]).await.starts_with("nobody 0 "),
                "{what}"
            );
        }
    }
}

/// Two people at one browser, or an attacker's login beside the victim's: each is in a session of
/// their own, and nobody in both.
#[tokio::test(start_paused = true)]
async fn logins_at_once_with_one_cookie_never_share_a_session() {
    let seed = seed_or(0x0a11);
    for round in 0..8 {
        for (name, backend, clients) in worlds(seed + round) {
            let what = format!("{name} seed {seed} round {round}");
            let client = &clients[0];
            client.get("/add").await;
            let shared = client.cookie(COOKIE).unwrap();
            let id = id_of(client);
            let users = ["ann", "eve", "bob"];
            let requests: Vec<_> = users
                .iter()
                .enumerate()
                .map(|(n, user)| {
                    let client = &clients[n % clients.len()];
                    client.set_cookie(COOKIE, &shared);
                    start(
                        client,
                        format!("/enter/{user}"),
                        seed ^ round << 8 ^ n as u64,
                    )
                })
                .collect();
            let mut ids = Vec::new();
            for (user, request) in users.iter().zip(requests) {
                let answer = request.await.unwrap();
                assert_eq!(answer.status(), 200, "{what}: {answer:?}");
                let cookie = cookie_of(&answer).unwrap();
                assert!(
                    who_is(client, &cookie)
                        .await
                        .starts_with(&format!("{user} ")),
                    "{what}"
                );
                let visitor = client.fork();
                visitor.set_cookie(COOKIE, &cookie);
                assert_eq!(visitor.get("/owner").await.text(), *user, "{what}");
                ids.push(Token::parse(cookie.as_bytes(), "").unwrap().id());
            }
            // The one that came first went on with the session; the others have new ones.
            assert_eq!(ids.iter().filter(|it| **it == id).count(), 1, "{what}");
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), users.len(), "{what}");
            assert_eq!(backend.live().len(), users.len(), "{what}");
            assert!(
                who_is(client, &shared).await.starts_with("nobody 0 "),
                "{what}"
            );
        }
    }
}

/// A logout beside rotations: whatever comes first, nothing is left that anybody has the cookie of.
#[tokio::test(start_paused = true)]
async fn a_rotation_beside_the_logout_leaves_nobody_logged_in_unknowingly() {
    let seed = seed_or(0x0a12);
    for round in 0..12 {
        for (name, backend, clients) in worlds(seed + round) {
            let what = format!("{name} seed {seed} round {round}");
            let client = &clients[0];
            client.get("/login/ann").await;
            let cookie = client.cookie(COOKIE).unwrap();
            backend.clock.advance(MINUTE);
            let other = &clients[clients.len() - 1];
            other.set_cookie(COOKIE, &cookie);
            let rotate = start(other, "/rotate".into(), seed ^ round << 8);
            let logout = start(client, "/logout".into(), seed ^ round << 8 ^ 1);
            let (rotate, logout) = (rotate.await.unwrap(), logout.await.unwrap());
            if logout.text() == "true" {
                assert!(backend.live().is_empty(), "{what}: {rotate:?}");
            } else {
                // It was told so, and the browser has the other answer's cookie to try again.
                let cookie = cookie_of(&rotate).unwrap();
                assert_eq!(who_is(client, &cookie).await, "ann 0", "{what}");
                assert!(logout.set_cookies().is_empty(), "{what}");
            }
            assert!(
                who_is(client, &cookie).await.starts_with("nobody 0 "),
                "{what}"
            );
        }
    }
}
