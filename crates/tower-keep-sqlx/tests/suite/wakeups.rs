//! What PostgreSQL tells those who wait for another process.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use sqlx::postgres::PgListener;
use tower_keep::LockConfig;
use tower_keep_core::{
    DynStore, Finish, Finished, NewSession, Op, Open, Opened, Owner, SessionId, SessionStore, Token,
};
use tower_keep_sqlx::PostgresStore;
use tower_keep_testkit::Rng;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::app::{COOKIE, client, nanos};
use crate::place::{Engine, Place, soon, until};
use crate::processes::{given, heard, runtime, say, spawn, worker};
use crate::storage::{leasing, new_session, putting};

fn releasing(new: &NewSession, owner: Owner) -> Finish {
    Finish {
        op: Op::Release,
        ..putting(new, owner, 1)
    }
}

async fn granted(store: &impl SessionStore, open: &Open) {
    let opened = store.open(open).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
}

async fn busy(store: &impl SessionStore, new: &NewSession) {
    let opened = store.open(&leasing(new, Owner::unique())).await.unwrap();
    assert!(matches!(opened, Opened::Busy(_)), "{opened:?}");
}

/// Notifications come in the order of the commits, so that what comes first shows that nothing
/// came before.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_lease_is_told_if_somebody_waits_and_only_then() {
    let place = Place::new(Engine::Postgres);
    let store = place.postgres(2).await;
    let mut listener = PgListener::connect(&place.url).await.unwrap();
    let channel = format!("{}_released", place.table);
    listener.listen(&channel).await.unwrap();
    for way in ["release", "put", "destroy", "destroyed from outside"] {
        for waits in [false, true] {
            let (new, owner) = (new_session(), Owner::unique());
            store.create(&new).await.unwrap();
            granted(&store, &leasing(&new, owner)).await;
            if waits {
                busy(&store, &new).await;
            }
            // Handed on, it is not free.
            let mut finish = releasing(&new, owner);
            finish.next = Some((owner, Duration::from_mins(1)));
            store.finish(&finish).await.unwrap();
            let finish = match way {
                "release" => releasing(&new, owner),
                "put" => putting(&new, owner, 1),
                _ => Finish {
                    op: Op::Destroy,
                    ..putting(&new, owner, 1)
                },
            };
            if way == "destroyed from outside" {
                assert!(store.destroy(new.id).await.unwrap());
            } else {
                let finished = store.finish(&finish).await.unwrap();
                assert!(
                    matches!(finished, Finished::Done { waiting, .. } if waiting == waits),
                    "{way}: {finished:?}"
                );
            }
            if waits {
                let told = soon(listener.recv()).await.unwrap();
                assert_eq!(told.payload(), new.id.to_string(), "{way}");
            }
        }
    }
}

/// A store whose listening connection has a name of its own in the server's list.
async fn listening(place: &Place) -> PostgresStore {
    let builder = PostgresStore::builder().table(&place.table).unwrap();
    let url = format!("{}?application_name={}_l", place.url, place.table);
    let store = builder.listen_url(&url).unwrap().connect(&place.url).await;
    store.as_ref().unwrap().migrate().await.unwrap();
    store.unwrap()
}

/// A condition for the server's list.
fn listener(place: &Place) -> String {
    format!(
        "FROM pg_stat_activity WHERE application_name = '{}_l'",
        place.table
    )
}

async fn until_it_listens(place: &Place) {
    let sql = format!(
        "SELECT count(*) {} AND query LIKE 'LISTEN%' AND state = 'idle'",
        listener(place)
    );
    until(async || place.count(&sql).await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_is_there_from_the_first_who_waits_until_the_store_ends() {
    let place = Place::new(Engine::Postgres);
    let (store, other) = (listening(&place).await, place.postgres(1).await);
    let connections = format!("SELECT count(*) {}", listener(&place));
    let (new, owner) = (new_session(), Owner::unique());
    store.create(&new).await.unwrap();
    granted(&other, &leasing(&new, owner)).await;
    assert_eq!(place.count(&connections).await, 0);
    let wakeups = store.wakeups().unwrap();
    let woken = wakeups.released(new.id);
    until_it_listens(&place).await;
    other.finish(&releasing(&new, owner)).await.unwrap();
    soon(woken).await;
    drop(store);
    until(async || place.count(&connections).await == 0).await;
}

/// Whoever waits while the connection is lost is told to ask, and what is released once there is
/// another one is told again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_listener_wakes_who_waits_and_comes_back() {
    let place = Place::new(Engine::Postgres);
    let store = listening(&place).await;
    let wakeups = store.wakeups().unwrap();
    for _ in 0..3 {
        let (new, owner) = (new_session(), Owner::unique());
        store.create(&new).await.unwrap();
        granted(&store, &leasing(&new, owner)).await;
        let woken = wakeups.released(new.id);
        until_it_listens(&place).await;
        let kill = format!("SELECT pg_terminate_backend(pid) {}", listener(&place));
        place.run(&kill).await;
        soon(woken).await;
        let woken = wakeups.released(new.id);
        until_it_listens(&place).await;
        store.finish(&releasing(&new, owner)).await.unwrap();
        soon(woken).await;
    }
}

/// How often the store has warned, and told less loudly, that it cannot listen.
#[derive(Default, Clone)]
struct Complaints(Arc<[AtomicUsize; 2]>);

impl<S: Subscriber> Layer<S> for Complaints {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        if meta.target().starts_with("tower_keep_sqlx") {
            let quiet = usize::from(*meta.level() > Level::WARN);
            self.0[quiet].fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// On one thread, so that the test hears all that is logged.
#[tokio::test]
async fn without_a_listener_there_is_one_warning_and_waiters_poll() {
    let complaints = Complaints::default();
    let subscriber = tracing_subscriber::registry().with(complaints.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let place = Place::new(Engine::Postgres);
    let store = place.postgres(2).await;
    let builder = PostgresStore::builder().table(&place.table).unwrap();
    let nowhere = format!(
        "postgres://keep:p4ssword@{}/no_such_database",
        place.address()
    );
    let builder = builder.listen_url(&nowhere).unwrap();
    assert!(!format!("{builder:?}").contains("p4ssword"));
    let deaf = builder.connect(&place.url).await.unwrap();
    assert!(!format!("{deaf:?}").contains("p4ssword"));

    let app = client(&DynStore::new(deaf), LockConfig::default());
    assert_eq!(app.get("/add").await.text(), "1");
    let id = session_of(&app.cookie(COOKIE).unwrap());
    // As long as it takes to fail more than once.
    let [loud, quiet] = &*complaints.0;
    while loud.load(Ordering::SeqCst) + quiet.load(Ordering::SeqCst) < 3 {
        let owner = Owner::unique();
        lock_when_free(&store, id, owner).await;
        let waiting = tokio::spawn({
            let app = app.clone();
            async move { app.get("/when").await }
        });
        until_waited_for(&store, id).await;
        store.finish(&unlocking(id, owner)).await.unwrap();
        assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(loud.load(Ordering::SeqCst), 1);
}

fn session_of(cookie: &str) -> SessionId {
    Token::parse(cookie.as_bytes(), "").unwrap().id()
}

/// A request that changed nothing is answered before its lock is given up.
async fn lock_when_free(store: &impl SessionStore, id: SessionId, owner: Owner) {
    let open = Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_mins(1))),
    };
    until(async || matches!(store.open(&open).await.unwrap(), Opened::Granted(_))).await;
}

fn unlocking(id: SessionId, owner: Owner) -> Finish {
    let mut finish = releasing(&new_session(), owner);
    finish.id = id;
    finish
}

async fn until_waited_for(store: &impl SessionStore, id: SessionId) {
    until(async || {
        let looked = store.look(id).await.unwrap();
        let (record, _) = looked.record.unwrap();
        record.waiting_until.is_some_and(|until| until > looked.now)
    })
    .await;
}

/// Another process whose requests wait for the lock; it says when each got it.
async fn wait_and_tell(place: &Place, cookie: &str, wakeups: bool) {
    let mut builder = PostgresStore::builder().table(&place.table).unwrap();
    if !wakeups {
        builder = builder.without_wakeups();
    }
    let store = builder.connect(&place.url).await.unwrap();
    let client = client(&DynStore::new(store), LockConfig::default());
    client.set_cookie(COOKIE, cookie);
    for _ in std::io::stdin().lines() {
        let answer = client.get("/when").await;
        assert_eq!(answer.status(), StatusCode::OK);
        say(&answer.text());
    }
}

fn measured(name: &str, wakeups: bool) {
    if let Some(place) = worker() {
        return runtime().block_on(wait_and_tell(&place, &given("COOKIE"), wakeups));
    }
    let heavy = std::env::var_os("KEEP_HEAVY").is_some();
    let (rounds, mut rng) = (if heavy { 500 } else { 40 }, Rng::new(1));
    let (place, runtime) = (Place::new(Engine::Postgres), runtime());
    let store = runtime.block_on(place.postgres(2));
    let app = client(&DynStore::new(store.clone()), LockConfig::default());
    runtime.block_on(app.get("/own/worker"));
    let cookie = app.cookie(COOKIE).unwrap();
    let id = session_of(&cookie);
    let mut worker = spawn(&format!("wakeups::{name}"), &place, &[("COOKIE", &cookie)]);
    let mut stdin = worker.stdin.take().unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let mut latencies = Vec::new();
    for _ in 0..rounds {
        let owner = Owner::unique();
        runtime.block_on(lock_when_free(&store, id, owner));
        writeln!(stdin, "go").unwrap();
        let before = runtime.block_on(async {
            until_waited_for(&store, id).await;
            // Somewhere between two polls.
            tokio::time::sleep(Duration::from_millis(rng.below(60))).await;
            let now = nanos();
            store.finish(&unlocking(id, owner)).await.unwrap();
            now
        });
        let got = loop {
            let line = lines.next().expect("the worker goes on").unwrap();
            if let Some(said) = heard(&line) {
                break said.parse::<u128>().unwrap();
            }
        };
        latencies.push(got.saturating_sub(before) / 1_000);
    }
    drop(stdin);
    assert!(worker.wait().unwrap().success());
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "wake-ups {wakeups}: of {rounds} releases another process got the lock after {} µs \
         (median), {} (95 %), {} (99 %), {} (most)",
        at(50),
        at(95),
        at(99),
        at(100)
    );
}

#[test]
fn another_process_is_woken() {
    measured("another_process_is_woken", true);
}

#[test]
fn another_process_polls_without_wakeups() {
    measured("another_process_polls_without_wakeups", false);
}
