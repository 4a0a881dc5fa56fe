//! Moving to another store while sessions live.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Backend, COOKIE, Client, Gates, app, id_of, start};
use http::StatusCode;
use tower_keep::core::{
    Created, Expect, Finish, Finished, LocalStore, Looked, NewSession, Open, Opened, Owner, Record,
    Scan, Scope, Sweep, Swept, UserPage, Users,
};
use tower_keep::{
    MemoryStore, MigratingStore, SessionId, SessionLayer, SessionStore, StoreError, StoreErrorKind,
};
use tower_keep_testkit::conformance::{self, Harness};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, TestClient, TestClock, Verb};

const HOUR: Duration = Duration::from_secs(3_600);

fn memory(clock: &TestClock) -> MemoryStore {
    MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()))
}

#[tokio::test]
async fn e10_a_migrating_store_keeps_the_contract() {
    conformance::run(async || {
        let clock = TestClock::new();
        let store = MigratingStore::new(memory(&clock), memory(&clock));
        Harness::new(store).with_clock(move |span| clock.advance(span))
    })
    .await;
}

/// Every session begins its life in the old store.
struct BornOld(MigratingStore<MemoryStore, MemoryStore>, MemoryStore);

impl SessionStore for BornOld {
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
        self.0.scope()
    }
    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        self.0.open(open).await
    }
    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        self.0.finish(finish).await
    }
    async fn renew(&self, id: SessionId, o: Owner, lease: Duration) -> Result<bool, StoreError> {
        self.0.renew(id, o, lease).await
    }
    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        LocalStore::create(self.1.local().unwrap(), new)
    }
    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }
    fn users(&self) -> Option<&dyn Users> {
        self.0.users()
    }
    fn scan(&self) -> Option<&dyn Scan> {
        self.0.scan()
    }
}

#[tokio::test]
async fn e10_sessions_that_have_to_move_first_keep_the_contract() {
    // Creating, and who joins, are affairs of sessions in the new store; tombstones are in both.
    let elsewhere = |name: &str| {
        let about_joining = ["makes_room", "refused", "count", "repeats", "cap_is_exact"];
        [
            "create::",
            "concurrency::one_create",
            "late::dropped_create",
            "differential::",
            "sweep::keeps_tombstones",
            "sweep::obeys_the_limit",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
            || (name.starts_with("users::") && about_joining.iter().any(|part| name.contains(part)))
    };
    let mut ran = 0;
    for (name, _) in conformance::cases().filter(|(name, _)| !elsewhere(name)) {
        let result = conformance::run_case(name, async || {
            let clock = TestClock::new();
            let old = memory(&clock);
            let store = BornOld(MigratingStore::new(memory(&clock), old.clone()), old);
            Harness::new(store).with_clock(move |span| clock.advance(span))
        });
        if let Err(violation) = result.await {
            panic!("{violation}");
        }
        ran += 1;
    }
    assert!(ran > 70, "only {ran} cases");
}

/// Two stores, and a client with a session in the old one.
struct Move {
    clock: TestClock,
    old: FaultStore<MemoryStore>,
    new: FaultStore<MemoryStore>,
    client: Client,
    gates: Gates,
}

impl Move {
    fn store(&self) -> MigratingStore<FaultStore<MemoryStore>, FaultStore<MemoryStore>> {
        MigratingStore::new(self.new.clone(), self.old.clone())
    }

    async fn begin() -> Self {
        let backend = Backend::remote();
        let (clock, gates) = (backend.clock.clone(), Gates::default());
        let (old, new) = (backend.faults.clone(), FaultStore::new(memory(&clock)));
        let before = backend.client(app(gates.clone()));
        before.get("/login/ann").await;
        before.get("/add").await;
        let store = MigratingStore::new(new.clone(), old.clone());
        let layer = SessionLayer::builder(store).clock(Arc::new(clock.clone()));
        let routes = app(gates.clone()).layer(layer.build().unwrap());
        let client = TestClient::with_body(routes).with_clock(clock.clone());
        client.set_cookie(COOKIE, &before.cookie(COOKIE).unwrap());
        Self {
            clock,
            old,
            new,
            client,
            gates,
        }
    }

    fn live(store: &FaultStore<MemoryStore>, id: SessionId) -> bool {
        let record = store.inner().record(id);
        record.is_some_and(|record| record.gone_at.is_none())
    }
}

#[tokio::test(start_paused = true)]
async fn e10_a_session_moves_when_it_is_first_opened() {
    let this = Move::begin().await;
    let id = id_of(&this.client);
    let before = this.old.inner().record(id).unwrap();
    assert_eq!(this.client.get("/who").await.text(), "ann 1");
    assert!(Move::live(&this.new, id) && !Move::live(&this.old, id));
    let after = this.new.inner().record(id).unwrap();
    assert_eq!(after.head.created_at, before.head.created_at);
    assert_eq!(after.head.version, before.head.version);
    assert_eq!(this.client.get("/add").await.text(), "2");
    // Its user finds it there.
    let listed = this.new.inner().list("ann", UserPage::default()).await;
    assert_eq!(listed.unwrap().len(), 1);
    // From then on the old store is not asked.
    let calls = this.old.calls().total();
    this.client.get("/add").await;
    assert_eq!(this.old.calls().total(), calls);
}

#[tokio::test(start_paused = true)]
async fn e10_what_ended_in_the_new_store_does_not_come_back_from_the_old() {
    for path in ["/logout", "/who"] {
        let this = Move::begin().await;
        let (id, thief) = (id_of(&this.client), this.client.fork());
        this.client.get(path).await;
        if path == "/who" {
            assert!(SessionStore::destroy(&this.store(), id).await.unwrap());
        }
        assert!(!Move::live(&this.old, id) && !Move::live(&this.new, id));
        this.clock.advance(HOUR);
        // The tombstones are forgotten.
        this.store().sweep(Sweep::default()).await.unwrap();
        assert!(this.new.inner().record(id).is_none());
        assert_eq!(thief.get("/who").await.text(), "nobody 0 Absent", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn e10_a_forged_cookie_moves_nothing() {
    let this = Move::begin().await;
    let id = id_of(&this.client);
    let mut cookie = this.client.cookie(COOKIE).unwrap();
    let last = if cookie.ends_with('A') { 'B' } else { 'A' };
    cookie.replace_range(cookie.len() - 10..cookie.len() - 9, &last.to_string());
    let thief = this.client.fork();
    thief.set_cookie(COOKIE, &cookie);
    assert_eq!(thief.get("/who").await.text(), "nobody 0 Absent");
    assert!(this.new.inner().record(id).is_none() && Move::live(&this.old, id));
}

#[tokio::test(start_paused = true)]
async fn e10_an_outage_of_either_store_is_an_error() {
    for old in [true, false] {
        let this = Move::begin().await;
        let down = Script::new().every(Fault::Fail(StoreErrorKind::Unavailable));
        let store = if old { &this.old } else { &this.new };
        store.set_script(down);
        for path in ["/who", "/add", "/logout"] {
            let answer = this.client.get(path).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.set_cookies().is_empty());
        }
        store.set_script(Script::new());
        assert_eq!(this.client.get("/add").await.text(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn e10_a_destruction_beside_a_move_is_final() {
    // The mover stops in front of each of its steps, and the session is destroyed meanwhile.
    for (at_new, verb) in [
        (false, Verb::Look),
        (true, Verb::Cas),
        (false, Verb::Destroy),
        (true, Verb::Open),
    ] {
        let this = Move::begin().await;
        let (id, gate) = (id_of(&this.client), Gate::new());
        let store = if at_new { &this.new } else { &this.old };
        let nth = if verb == Verb::Open { 2 } else { 1 };
        store.set_script(Script::new().nth_of(verb, nth, Fault::DelayBefore(gate.clone())));
        let moving = start(&this.client, "/add");
        gate.arrived(1).await;
        let ended = this.store().revoke_all("ann", None).await.unwrap();
        assert_eq!(ended, [id], "{verb:?}");
        let thief = this.client.fork();
        assert!(thief.get("/who").await.text().starts_with("nobody"));
        gate.open();
        let answer = moving.await.unwrap();
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{verb:?}");
        assert!(!Move::live(&this.old, id) && !Move::live(&this.new, id));
    }
}

#[tokio::test(start_paused = true)]
async fn e10_who_ends_a_session_that_moves_at_that_moment_is_told_so() {
    let this = Move::begin().await;
    let (id, gate) = (id_of(&this.client), Gate::new());
    // The destroyer has seen it in the old store, and then it moves.
    let waits = Fault::DelayBefore(gate.clone());
    this.new
        .set_script(Script::new().nth_of(Verb::Cas, 1, waits));
    let ending = tokio::spawn({
        let store = this.store();
        async move { SessionStore::destroy(&store, id).await }
    });
    gate.arrived(1).await;
    assert_eq!(this.client.get("/who").await.text(), "ann 1");
    assert!(!Move::live(&this.old, id), "it has moved");
    gate.open();
    assert!(ending.await.unwrap().unwrap(), "a live session was ended");
    assert!(!Move::live(&this.new, id));
}

#[tokio::test(start_paused = true)]
async fn e10_a_move_that_was_not_finished_is_finished_by_the_next() {
    let this = Move::begin().await;
    let id = id_of(&this.client);
    let fails = Fault::Fail(StoreErrorKind::Unavailable);
    this.old
        .set_script(Script::new().nth_of(Verb::Destroy, 1, fails));
    let answer = this.client.get("/add").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(Move::live(&this.old, id) && Move::live(&this.new, id));
    assert_eq!(this.client.get("/add").await.text(), "2");
    // Whoever ends it ends both.
    this.client.get("/logout").await;
    assert!(!Move::live(&this.old, id) && !Move::live(&this.new, id));
}

#[tokio::test(start_paused = true)]
async fn e10_a_users_sessions_are_those_in_both_stores() {
    let this = Move::begin().await;
    let store = this.store();
    let fresh = this.client.fork();
    fresh.clear_cookies();
    fresh.get("/login/ann").await;
    let list = || async { store.list("ann", UserPage::default()).await.unwrap() };
    let views = list().await;
    let ids: Vec<_> = views.iter().map(|view| view.head.id).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.is_sorted_by(|a, b| a > b));
    assert!(store.revoke("ann", id_of(&this.client)).await.unwrap());
    assert!(!store.revoke("bob", id_of(&fresh)).await.unwrap());
    assert_eq!(list().await.len(), 1);
    let ended = store.revoke_all("ann", Some(id_of(&fresh))).await.unwrap();
    assert!(ended.is_empty());
    let ended = store.revoke_all("ann", None).await.unwrap();
    assert_eq!(ended, [id_of(&fresh)]);
    assert!(list().await.is_empty());
    drop(this.gates);
}
