//! D5: encryption at rest.

#![cfg(feature = "encryption")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, app, id_of, settle, start};
use http::StatusCode;
use http::header::SET_COOKIE;
use tower_keep::core::data::Data;
use tower_keep::core::{Expect, Looked, Record, UserPage};
use tower_keep::keys::{KeyRing, SecretKey};
use tower_keep::{
    EncryptedStore, Error, MemoryStore, ReadSession, Session, SessionId, SessionLayer,
    SessionStore, StoreErrorKind,
};
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::{self, Harness};

const CARD: &str = "card-4111111111111111";

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).unwrap()
}

fn ring(keys: &[u8]) -> KeyRing {
    let (first, others) = keys.split_first().unwrap();
    let start = KeyRing::new(key(*first));
    others.iter().fold(start, |ring, byte| ring.and(key(*byte)))
}

/// Servers with different rings over one database.
struct Database(Backend);

impl Database {
    fn new() -> Self {
        Self(Backend::local())
    }

    fn store(&self, keys: &[u8]) -> EncryptedStore<MemoryStore> {
        EncryptedStore::new(self.0.memory.clone(), &ring(keys))
    }

    fn layer(&self, store: impl SessionStore) -> SessionLayer {
        let layer = SessionLayer::builder(store).clock(Arc::new(self.0.clock.clone()));
        layer.build().unwrap()
    }

    fn client(&self, store: impl SessionStore) -> Client {
        let routes = app(Gates::default())
            .merge(cards())
            .layer(self.layer(store));
        Client::with_body(routes).with_clock(self.0.clock.clone())
    }

    /// Another server, visited by the same browser.
    fn elsewhere(&self, store: impl SessionStore, client: &Client) -> Client {
        let other = self.client(store);
        other.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
        other
    }

    fn record(&self, id: SessionId) -> Record {
        self.0.memory.record(id).unwrap()
    }

    /// Changes a record as somebody does who may write the database.
    async fn tamper(&self, id: SessionId, change: impl FnOnce(&mut Record)) {
        let Looked { record, .. } = self.0.memory.look(id).await.unwrap();
        let (mut record, revision) = record.unwrap();
        change(&mut record);
        let expect = Expect::Revision(revision);
        assert!(self.0.memory.cas(id, expect, &record).await.unwrap());
    }
}

fn cards() -> Router {
    Router::new()
        .route("/pay", get(async |s: Session| s.insert("card", CARD)))
        .route("/card", get(card))
        .route(
            "/peek",
            get(async |s: ReadSession| s.get_or("card", String::new())),
        )
}

async fn card(session: Session) -> Result<String, Error> {
    session.get_or("card", String::new())
}

/// The encrypted text in a record.
fn sealed(data: &Data) -> String {
    let entries: Vec<_> = data.iter().collect();
    let [(key, value)] = entries.as_slice() else {
        panic!("{} entries", entries.len());
    };
    assert_eq!(*key, "\u{1}sealed");
    serde_json::from_slice(value).unwrap()
}

fn with_sealed(text: &str) -> Data {
    let json = format!(r#"{{"data":{{}},"keep":{{"sealed":"{text}"}}}}"#);
    Data::from_json(json.as_bytes(), usize::MAX).unwrap()
}

#[tokio::test]
async fn d5_an_encrypted_store_keeps_the_contract() {
    conformance::run(async || {
        let clock = TestClock::new();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let store = EncryptedStore::new(memory, &ring(&[1]));
        Harness::new(store).with_clock(move |span| clock.advance(span))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn d5_the_store_never_holds_what_a_session_does() {
    let database = Database::new();
    let client = database.client(database.store(&[1]));
    client.get("/pay").await;
    assert_eq!(client.get("/card").await.text(), CARD);
    let record = database.record(id_of(&client));
    let stored = String::from_utf8_lossy(&record.to_bytes()).into_owned();
    assert!(
        !stored.contains("card") && !stored.contains("4111"),
        "{stored}"
    );
    assert!(!stored.contains(&String::from_utf8_lossy(&[1; 32]).into_owned()));
    // An empty one does not show that it is.
    let empty = client.fork();
    empty.clear_cookies();
    empty.get("/login/ann").await;
    assert!(sealed(&database.record(id_of(&empty)).data).len() > 60);
}

#[tokio::test(start_paused = true)]
async fn d5_the_same_data_never_look_the_same() {
    let database = Database::new();
    let (one, two) = (
        database.client(database.store(&[1])),
        database.client(database.store(&[1])),
    );
    one.get("/pay").await;
    two.get("/pay").await;
    let text = |client: &Client| sealed(&database.record(id_of(client)).data);
    let first = text(&one);
    // The key's name is the same; from the nonce on nothing is.
    assert_eq!(first[..12], text(&two)[..12]);
    assert_ne!(first[12..44], text(&two)[12..44]);
    // Away from it and back again.
    one.get("/add").await;
    let second = text(&one);
    assert_ne!(first[12..44], second[12..44]);
    assert_ne!(first[44..60], second[44..60]);
}

#[tokio::test(start_paused = true)]
async fn d5_data_of_another_session_are_refused() {
    let database = Database::new();
    let (victim, thief) = (
        database.client(database.store(&[1])),
        database.client(database.store(&[1])),
    );
    victim.get("/pay").await;
    thief.get("/add").await;
    let stolen = database.record(id_of(&victim)).data;
    let mine = id_of(&thief);
    database
        .tamper(mine, |record| record.data = stolen.clone())
        .await;

    assert_eq!(thief.get("/who").await.text(), "nobody 0 Corrupt");
    assert_eq!(thief.get("/peek").await.text(), "");
    // The record stays as it is, and is free: the visitor may start another session.
    assert_eq!(database.record(mine).data, stolen);
    assert_eq!(thief.get("/add").await.text(), "1");
    assert_ne!(id_of(&thief), mine);
    assert_eq!(database.record(mine).data, stolen);
    assert!(database.record(mine).lease.is_none());
    assert_eq!(victim.get("/card").await.text(), CARD);
}

#[tokio::test(start_paused = true)]
async fn d5_a_missing_key_loses_nothing_and_logs_nobody_in_or_out() {
    let database = Database::new();
    let client = database.client(database.store(&[1]));
    client.get("/login/ann").await;
    client.get("/pay").await;
    let before = database.record(id_of(&client));

    let forgetful = database.elsewhere(database.store(&[2]), &client);
    for path in ["/peek", "/card", "/add", "/pay", "/who", "/logout"] {
        let answer = forgetful.get(path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.header(SET_COOKIE), None, "{path}");
        settle().await;
        let after = database.record(id_of(&client));
        assert_eq!(after.data, before.data);
        assert_eq!(after.head.version, before.head.version);
        assert!(after.lease.is_none(), "{path}: nobody else waits for it");
    }
    assert_eq!(client.get("/card").await.text(), CARD);
    assert_eq!(client.get("/who").await.text(), "ann 0");
}

#[tokio::test(start_paused = true)]
async fn d5_replaced_keys_go_with_the_next_save() {
    let database = Database::new();
    let client = database.client(database.store(&[1]));
    client.get("/pay").await;
    let id = id_of(&client);

    let replaced = database.elsewhere(database.store(&[2, 1]), &client);
    let before = database.record(id).data;
    assert_eq!(replaced.get("/card").await.text(), CARD);
    assert_eq!(database.record(id).data, before, "nothing was saved");
    replaced.get("/add").await;

    let new = database.elsewhere(database.store(&[2]), &client);
    assert_eq!(new.get("/card").await.text(), CARD);
    let old = client.get("/card").await;
    assert_eq!(old.status(), StatusCode::SERVICE_UNAVAILABLE);
    // A server that has the keys in the other order reads it all the same.
    let behind = database.elsewhere(database.store(&[1, 2]), &client);
    assert_eq!(behind.get("/card").await.text(), CARD);
}

#[tokio::test(start_paused = true)]
async fn d5_whatever_is_changed_or_cut_off_is_refused() {
    let database = Database::new();
    let store = database.store(&[1]);
    let client = database.client(store.clone());
    client.get("/pay").await;
    let id = id_of(&client);
    let whole = sealed(&database.record(id).data);
    let verdict = async |text: &str| {
        database
            .tamper(id, |record| record.data = with_sealed(text))
            .await;
        store.look(id).await.unwrap_err().kind()
    };

    for len in 0..whole.len() {
        let kind = verdict(&whole[..len]).await;
        assert_eq!(kind, StoreErrorKind::Corrupt, "cut to {len}");
    }
    for at in 0..whole.len() {
        let mut text = whole.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'Q' } else { b'A' };
        let kind = verdict(std::str::from_utf8(&text).unwrap()).await;
        // Another format (from its first 8 bits on), another key's name: 72 bits, 12 characters.
        let expected = if at < 12 {
            StoreErrorKind::Unsupported
        } else {
            StoreErrorKind::Corrupt
        };
        if text != whole.as_bytes() {
            assert_eq!(kind, expected, "changed at {at}");
        }
    }
    for json in [
        r#"{"data":{},"keep":{"sealed":7}}"#.to_owned(),
        format!(r#"{{"data":{{"card":1}},"keep":{{"sealed":"{whole}"}}}}"#),
        format!(r#"{{"data":{{}},"keep":{{"csrf":1,"sealed":"{whole}"}}}}"#),
    ] {
        let data = Data::from_json(json.as_bytes(), usize::MAX).unwrap();
        database.tamper(id, |record| record.data = data).await;
        let kind = store.look(id).await.unwrap_err().kind();
        assert_eq!(kind, StoreErrorKind::Corrupt, "{json}");
    }
}

#[tokio::test(start_paused = true)]
async fn d5_plain_data_are_refused_unless_accepted() {
    let database = Database::new();
    let plain = database.client(database.0.memory.clone());
    plain.get("/pay").await;
    let id = id_of(&plain);

    let strict = database.elsewhere(database.store(&[1]), &plain);
    for path in ["/peek", "/add"] {
        let answer = strict.get(path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header(SET_COOKIE), None);
    }
    // Nor are none: a session cannot be emptied.
    database
        .tamper(id, |record| record.data = Data::default())
        .await;
    assert_eq!(
        strict.get("/peek").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    plain.get("/pay").await;

    let accepting = database.store(&[1]).accept_plaintext(true);
    let accepting = database.elsewhere(accepting, &plain);
    assert_eq!(accepting.get("/card").await.text(), CARD);
    assert_eq!(
        strict.get("/card").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    accepting.get("/add").await;
    assert_eq!(strict.get("/card").await.text(), CARD, "encrypted by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_layers_over_one_encrypted_store_exclude_each_other() {
    // Each has its own keeper: what they share is the lease in the record.
    let backend = Backend::local();
    let routes = || {
        let store = EncryptedStore::new(backend.memory.clone(), &ring(&[1]));
        app(Gates::default()).layer(SessionLayer::new(store))
    };
    let (one, two) = (Client::with_body(routes()), Client::with_body(routes()));
    one.get("/add").await;
    two.set_cookie(COOKIE, &one.cookie(COOKIE).unwrap());
    let requests: Vec<_> = (0..40)
        .map(|n| start(if n % 2 == 0 { &one } else { &two }, "/add"))
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(one.get("/n").await.text(), "41");
}

#[tokio::test]
async fn d5_users_are_found_and_their_data_decrypted() {
    let database = Database::new();
    let sessions = database.layer(database.store(&[1])).sessions();
    let started = sessions
        .create(Some("ann"), [("card", CARD)])
        .await
        .unwrap();
    let find = async |card: &str| {
        let is = |s: &tower_keep::StoredSession| s.get("card").unwrap() == Some(card.to_owned());
        sessions.of("ann").find(is).await.unwrap().map(|s| s.id())
    };
    assert_eq!(find(CARD).await, Some(started.id));
    assert_eq!(find("another").await, None);
    // Who only lists needs no key.
    let elsewhere = database.layer(database.store(&[2])).sessions();
    let page = UserPage::default();
    assert_eq!(elsewhere.of("ann").list(page).await.unwrap().len(), 1);
    let with_data = UserPage { data: true, ..page };
    let error = elsewhere.of("ann").list(with_data).await.unwrap_err();
    assert!(matches!(error, Error::Store(e) if e.kind() == StoreErrorKind::Unsupported));
    assert_eq!(elsewhere.destroy_user("ann").await.unwrap(), [started.id]);
}
