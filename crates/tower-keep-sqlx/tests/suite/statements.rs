//! How many statements the verbs take: as the driver logs them, and for MariaDB, whose statements
//! must not be logged, as they pass on the network.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_keep_core::{
    DynStore, Finished, NewSession, Open, Opened, Owner, SessionStore, UserCap, UserPage,
};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::place::{ENGINES, Engine, Place};
use crate::server::Server;
use crate::storage::{commit, leasing, new_session, putting, reading};
use crate::users::login;

const PING: u8 = 0x0e;

/// By the table that the statement names.
static COUNTS: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);

struct Counter;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if matches!(field.name(), "summary" | "db.statement") {
            self.0 = format!("{}{value:?}", self.0);
        }
    }
}

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = Text(String::new());
            event.record(&mut text);
            let words = text
                .0
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let table = words.map(str::to_owned).find(|word| word.starts_with("t_"));
            *COUNTS
                .lock()
                .unwrap()
                .entry(table.unwrap_or_default())
                .or_default() += 1;
        }
    }
}

fn counted(table: &str) -> usize {
    COUNTS.lock().unwrap().remove(table).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_is_one_statement() {
    let subscriber = tracing_subscriber::registry().with(Counter);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for engine in ENGINES {
        let mut place = Place::new(engine);
        let packets = Arc::new(AtomicUsize::new(0));
        if engine == Engine::MariaDb {
            let server = place.address();
            let proxy = counting_proxy(server.clone(), packets.clone()).await;
            place.url = place.url.replace(&server, &proxy);
        }
        let (store, new) = match engine {
            // One connection, so that what it says when it begins is counted with `migrate`.
            Engine::MariaDb => (DynStore::new(place.mariadb(1).await), new_session()),
            _ => (place.store().await, new_session()),
        };
        let mut seen = Vec::new();
        let mut count = |what| {
            let (logged, sent) = (counted(&place.table), packets.swap(0, Ordering::SeqCst));
            assert!(logged == 0 || sent == 0, "{logged} logged on {engine:?}");
            seen.push((what, logged + sent));
        };
        count("migrate");
        store.create(&new).await.unwrap();
        count("create");
        store.open(&reading(&new)).await.unwrap();
        count("read");
        let due = Open {
            touch: Some(std::time::Duration::ZERO),
            ..reading(&new)
        };
        store.open(&due).await.unwrap();
        count("read and touch");
        let owner = Owner::unique();
        let opened = store.open(&leasing(&new, owner)).await.unwrap();
        assert!(
            matches!(opened, Opened::Granted(_)),
            "{engine:?}: {opened:?}"
        );
        count("lock");
        let opened = store.open(&leasing(&new, Owner::unique())).await.unwrap();
        assert!(matches!(opened, Opened::Busy(_)), "{engine:?}: {opened:?}");
        count("busy");
        store
            .renew(new.id, owner, std::time::Duration::from_mins(1))
            .await
            .unwrap();
        count("renew");
        store.finish(&putting(&new, owner, 1)).await.unwrap();
        count("save");
        let wrong = Open {
            secret: Some(new_session().secret),
            ..leasing(&new, owner)
        };
        let opened = store.open(&wrong).await.unwrap();
        assert!(matches!(opened, Opened::Absent), "{engine:?}: {opened:?}");
        count("refused");
        store.destroy(new.id).await.unwrap();
        count("destroy");
        let own = NewSession {
            user: Some("ada".into()),
            ..new_session()
        };
        store.create(&own).await.unwrap();
        count("create a user's");
        store.open(&leasing(&own, owner)).await.unwrap();
        count("lock a user's");
        let finished = store.finish(&login(&own, owner, None)).await.unwrap();
        assert!(matches!(finished, Finished::Done { .. }), "{finished:?}");
        count("login");
        let users = store.users().unwrap();
        let views = users.list("ada", UserPage::default()).await.unwrap();
        assert_eq!(views.len(), 1, "{engine:?}");
        count("list");
        assert!(users.revoke("ada", own.id).await.unwrap(), "{engine:?}");
        count("revoke");
        let capped = || NewSession {
            id: new_session().id,
            cap: Some(UserCap::evict_oldest(1)),
            ..own.clone()
        };
        store.create(&capped()).await.unwrap();
        count("under a cap");
        store.create(&capped()).await.unwrap();
        count("under a cap, evicting");
        let all = users.revoke_all("ada", None).await.unwrap();
        assert_eq!(all.len(), 1, "{engine:?}");
        count("revoke all");
        println!("{engine:?}: {seen:?}");
        for (what, count) in seen {
            let expected = match (what, engine) {
                // With the connection's own.
                ("migrate", _) => continue,
                ("read and touch", _) | ("refused", Engine::Sqlite | Engine::Postgres) => 2,
                // What begins and ends the transaction names no table and is not logged with it.
                ("under a cap" | "revoke all", engine) => 2 + ends(engine),
                ("under a cap, evicting", engine) => 3 + ends(engine),
                _ => 1,
            };
            assert_eq!(count, expected, "{what} on {engine:?}");
        }
    }
}

/// How many packets are counted that begin or end a transaction.
fn ends(engine: Engine) -> usize {
    if engine == Engine::MariaDb { 2 } else { 0 }
}

/// Passes connections on to `server` and counts the commands on them, apart from pings.
async fn counting_proxy(server: String, packets: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&server).await.unwrap();
            let ((mut near_in, mut near_out), packets) = (near.into_split(), packets.clone());
            let (mut far_in, mut far_out) = far.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut far_in, &mut near_out).await });
            tokio::spawn(async move {
                let mut header = [0; 4];
                // A length of three bytes and a number, which is zero where a command begins.
                while near_in.read_exact(&mut header).await.is_ok() {
                    let [a, b, c, number] = header;
                    let len = u32::from_le_bytes([a, b, c, 0]);
                    let mut packet = vec![0; usize::try_from(len).unwrap()];
                    near_in.read_exact(&mut packet).await.unwrap();
                    if number == 0 && packet.first() != Some(&PING) {
                        packets.fetch_add(1, Ordering::SeqCst);
                    }
                    far_out.write_all(&header).await.unwrap();
                    far_out.write_all(&packet).await.unwrap();
                }
            });
        }
    });
    own
}

/// Updates that stay within their page need no change of an index and no vacuum.
#[tokio::test(flavor = "multi_thread")]
async fn updates_on_postgres_stay_within_their_page() {
    const SESSIONS: usize = 50;
    const COMMITS: usize = 20;
    // On others, open transactions of other tests keep old versions of rows from being removed.
    let server = Server::start(Engine::Postgres, None).await;
    let place = server.place();
    let pool = sqlx::PgPool::connect(&place.url).await.unwrap();
    {
        let store = place.postgres(1).await;
        let all: Vec<_> = (0..SESSIONS).map(|_| new_session()).collect();
        for new in &all {
            store.create(new).await.unwrap();
        }
        for _ in 0..COMMITS {
            for new in &all {
                commit(&store, new).await;
            }
        }
    }
    let expected = i64::try_from(SESSIONS * COMMITS * 2).unwrap();
    let sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1";
    // The server's counters arrive when the connection that did the work has ended.
    let (updates, hot) = loop {
        let query = sqlx::query_as::<_, (i64, i64)>(sql).bind(&place.table);
        let (updates, hot) = query.fetch_one(&pool).await.unwrap();
        if updates >= expected {
            break (updates, hot);
        }
        tokio::task::yield_now().await;
    };
    println!("{hot} of {updates} updates are HOT");
    assert_eq!(updates, expected);
    assert!(hot * 100 >= updates * 90, "{hot} of {updates}");
}
