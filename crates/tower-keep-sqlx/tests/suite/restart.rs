//! Servers that end and come back under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use tower_keep_core::{DynStore, Open, Opened, Owner, SessionId, SessionStore, Token};

use crate::app::{COOKIE, Client, client, locks};
use crate::place::{Engine, until};
use crate::server::Server;

const VISITORS: usize = 6;

/// One visitor's requests, and what came of them.
struct Visitor {
    client: Client,
    tried: AtomicU64,
    /// The highest count that was acknowledged.
    acknowledged: AtomicU64,
    failed: AtomicU64,
}

impl Visitor {
    /// Counts on, one request after the other. No answer may come from an empty session.
    async fn count(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let tried = self.tried.fetch_add(1, Ordering::SeqCst) + 1;
            let answer = self.client.get("/add").await;
            if answer.status() == StatusCode::OK {
                let (n, last) = (
                    answer.text().parse().unwrap(),
                    self.acknowledged.load(Ordering::SeqCst),
                );
                assert!(last < n && n <= tried, "{n} after {last} of {tried}");
                self.acknowledged.store(n, Ordering::SeqCst);
            } else {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
            assert!(answer.set_cookies().is_empty() || tried == 1, "{answer:?}");
        }
    }

    fn id(&self) -> SessionId {
        let cookie = self.client.cookie(COOKIE).unwrap();
        Token::parse(cookie.as_bytes(), "").unwrap().id()
    }
}

/// What a lock that is left behind lasts at most.
async fn is_free_after_its_lease(store: &DynStore, id: SessionId) {
    let open = Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((Owner::unique(), Duration::from_millis(1))),
    };
    until(async || match store.open(&open).await.unwrap() {
        Opened::Granted(_) => true,
        Opened::Busy(left) => {
            assert!(left <= locks().lease, "{left:?}");
            false
        }
        other => panic!("{other:?}"),
    })
    .await;
}

async fn restarted(engine: Engine, signals: [&str; 2]) {
    let mut server = Server::start(engine, None).await;
    let place = server.place();
    // Makes the table.
    drop(place.store().await);
    let visitors: Vec<_> = (0..VISITORS)
        .map(|_| async {
            // Gives up soon where there is no server.
            let store = place.connected(4, Duration::from_millis(300));
            let client = client(&store.await.unwrap(), locks());
            let answer = client.get("/add").await;
            assert_eq!(answer.text(), "1", "{answer:?}");
            Arc::new(Visitor {
                client,
                tried: AtomicU64::new(1),
                acknowledged: AtomicU64::new(1),
                failed: AtomicU64::new(0),
            })
        })
        .collect();
    let mut all = Vec::new();
    for visitor in visitors {
        all.push(visitor.await);
    }
    let sums = |of: fn(&Visitor) -> &AtomicU64| -> Vec<u64> {
        let read = |visitor: &Arc<Visitor>| of(visitor).load(Ordering::SeqCst);
        all.iter().map(read).collect()
    };
    let moved = |before: &[u64], now: &[u64]| before.iter().zip(now).all(|(old, new)| new > old);
    for signal in signals {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = all
            .iter()
            .map(|visitor| {
                let (visitor, stop) = (visitor.clone(), stop.clone());
                tokio::spawn(async move { visitor.count(&stop).await })
            })
            .collect();
        let before = sums(|v| &v.acknowledged);
        until(async || moved(&before, &sums(|v| &v.acknowledged))).await;
        let before = sums(|v| &v.failed);
        server.end(signal);
        until(async || moved(&before, &sums(|v| &v.failed))).await;
        let before = sums(|v| &v.acknowledged);
        server.start_again().await;
        until(async || moved(&before, &sums(|v| &v.acknowledged))).await;
        // Once more, and nobody asks any more when it is back.
        server.end(signal);
        stop.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        server.start_again().await;
        let direct = place.store().await;
        for visitor in &all {
            is_free_after_its_lease(&direct, visitor.id()).await;
            let (record, _) = direct.look(visitor.id()).await.unwrap().record.unwrap();
            let n = record.head.version;
            let (acknowledged, tried) = (
                visitor.acknowledged.load(Ordering::SeqCst),
                visitor.tried.load(Ordering::SeqCst),
            );
            assert!(
                acknowledged <= n && n <= tried,
                "{acknowledged} <= {n} <= {tried}"
            );
            let answer = visitor.client.get("/read").await;
            assert_eq!(answer.text(), n.to_string(), "{signal}: {answer:?}");
        }
        println!(
            "{engine:?} {signal}: {:?} tried, {:?} acknowledged, {:?} failed",
            sums(|v| &v.tried),
            sums(|v| &v.acknowledged),
            sums(|v| &v.failed)
        );
    }
}

/// The second signal lets it recover from its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgres_loses_nothing_acknowledged() {
    restarted(Engine::Postgres, ["INT", "QUIT"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_mariadb_loses_nothing_acknowledged() {
    restarted(Engine::MariaDb, ["TERM", "KILL"]).await;
}
