//! Ending all sessions of a user while others of theirs are just coming in, on three nodes.

use axum::http::StatusCode;
use tokio::task::JoinHandle;
use tower_keep::{DynStore, SessionLayer, Sessions, UserPage};

use crate::app::{COOKIE, Client, client, locks};
use crate::place::{ENGINES, Place};

const USER: &str = "ada-lovelace";
const ROUNDS: usize = 5;
const BROWSERS: usize = 6;

/// Three nodes, each with connections of its own.
struct Nodes {
    clients: Vec<Client>,
    sessions: Sessions,
}

impl Nodes {
    fn of(stores: &[DynStore]) -> Self {
        let clients = stores.iter().map(|store| client(store, locks()));
        let last = stores.last().unwrap().clone();
        let layer = SessionLayer::builder(last).locks(locks()).build();
        Self {
            clients: clients.collect(),
            sessions: layer.unwrap().sessions(),
        }
    }

    /// A browser whose requests this node answers.
    fn browser(&self, number: usize) -> Client {
        self.clients[number % self.clients.len()].fork()
    }

    /// Visitors with a session each, that is nobody's yet.
    async fn visitors(&self) -> Vec<Client> {
        let mut visitors = Vec::new();
        for number in 0..BROWSERS {
            let browser = self.browser(number);
            browser.clear_cookies();
            assert_eq!(browser.get("/add").await.text(), "1");
            visitors.push(browser);
        }
        visitors
    }

    /// What this cookie opens, on every node.
    async fn opened_by(&self, cookie: &str) -> Vec<String> {
        let mut opened = Vec::new();
        for node in &self.clients {
            let browser = node.fork();
            browser.clear_cookies();
            browser.set_cookie(COOKIE, cookie);
            opened.push(browser.get("/read").await.text());
        }
        opened
    }
}

fn send(browser: &Client, path: &'static str) -> JoinHandle<StatusCode> {
    let browser = browser.clone();
    tokio::spawn(async move { browser.get(path).await.status() })
}

/// Whatever was acknowledged as this user's before the call does not open when it has returned,
/// whichever node is asked and whatever was in flight; what came later goes with the next call.
async fn nothing_survives_a_revocation(nodes: &Nodes) {
    for _ in 0..ROUNDS {
        let early = nodes.visitors().await;
        let late = nodes.visitors().await;
        for browser in &early {
            assert_eq!(browser.get("/login").await.status(), 200);
        }
        let cookies: Vec<_> = early.iter().map(|b| b.cookie(COOKIE).unwrap()).collect();
        let logins: Vec<_> = late.iter().map(|browser| send(browser, "/login")).collect();
        let others: Vec<_> = early.iter().map(|browser| send(browser, "/add")).collect();

        let revoked = nodes.sessions.destroy_user(USER).await.unwrap();
        assert!(revoked.len() >= BROWSERS, "{revoked:?}");
        for cookie in &cookies {
            assert_eq!(nodes.opened_by(cookie).await, ["0", "0", "0"]);
        }
        let mut logged_in = Vec::new();
        for (browser, login) in late.iter().zip(logins) {
            match login.await.unwrap() {
                StatusCode::OK => logged_in.push(browser.cookie(COOKIE).unwrap()),
                status => assert_eq!(status, 409),
            }
        }
        for other in others {
            assert!([200, 409].contains(&other.await.unwrap().as_u16()));
        }
        for cookie in &cookies {
            assert_eq!(nodes.opened_by(cookie).await, ["0", "0", "0"]);
        }
        nodes.sessions.destroy_user(USER).await.unwrap();
        for cookie in &logged_in {
            assert_eq!(nodes.opened_by(cookie).await, ["0", "0", "0"]);
        }
        let left = nodes.sessions.of(USER).list(UserPage::default()).await;
        assert!(left.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_nothing_survives_a_revocation_on_three_nodes() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let stores = [
            place.store().await,
            place.store().await,
            place.store().await,
        ];
        nothing_survives_a_revocation(&Nodes::of(&stores)).await;
    }
}
