//! Files whose data are encrypted.

use axum::Router;
use axum::routing::get;
use tower_keep::core::{SessionStore, SystemClock};
use tower_keep::keys::{KeyRing, SecretKey};
use tower_keep::{DataLimits, EncryptedStore, Error, Session, SessionLayer};
use tower_keep_file::{Durability, FileStore};
use tower_keep_testkit::conformance::Harness;
use tower_keep_testkit::{TestClient, TestClock};

use crate::common::{files, store, store_in_memory};

fn encrypted(store: FileStore) -> EncryptedStore<FileStore> {
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    EncryptedStore::new(store, &KeyRing::new(key))
}

async fn harness() -> Harness {
    let clock = TestClock::new();
    let store = store_in_memory(clock.clone(), Durability::NoSync);
    Harness::new(encrypted(store)).with_clock(move |span| clock.advance(span))
}

tower_keep_testkit::conformance_tests!(harness);

/// What the layer lets through by default fits into what the store takes by default, and no file has
/// any of it.
#[tokio::test]
async fn d5_the_largest_session_fits_and_no_file_shows_it() {
    async fn fill(session: Session) -> Result<(), Error> {
        let frame = r#"{"data":{"text":""}}"#.len();
        let most = DataLimits::default().max_size;
        session.insert("text", &"card-4111".repeat(most)[..most - frame])
    }
    async fn length(session: Session) -> Result<String, Error> {
        let text: String = session.get_or_default("text")?;
        Ok(text.len().to_string())
    }
    let store = encrypted(store(SystemClock::default(), Durability::NoSync));
    let routes = Router::new()
        .route("/fill", get(fill))
        .route("/length", get(length));
    let client = TestClient::new(routes.layer(SessionLayer::new(store.clone())));
    assert_eq!(client.get("/fill").await.status(), 200);
    let length: usize = client.get("/length").await.text().parse().unwrap();
    assert_eq!(length + 20, 64 * 1024);
    store.ping().await.unwrap();
    let files = files(store.inner().dir());
    assert!(!files.is_empty());
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"card-4111"));
    }
}
