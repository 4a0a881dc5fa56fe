//! Encryption at rest, against whoever may write the store: ciphertexts in other places, older
//! ones, and none where there was one. CVE-2026-39324 is of the last class: what could not be
//! decrypted was read as plain text.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tower_keep::core::data::Data;
use tower_keep::core::{Expect, Record, SessionStore};
use tower_keep::keys::{KeyRing, SecretKey};
use tower_keep::{
    EncryptedStore, Error, MemoryStore, MergeSession, Session, SessionHandle, SessionId,
    SessionLayer, UserPage,
};
use tower_keep_testkit::TestClient;

use crate::common::{Backend, COOKIE, Client, Gates, app, id_of, settle};

const CARD: &str = "card-4111";

fn ring(byte: u8) -> KeyRing {
    KeyRing::new(SecretKey::from_bytes([byte; 32]).unwrap())
}

/// A server over this database, with a key.
struct Server {
    client: Client,
    layer: SessionLayer,
}

impl Server {
    fn over(store: &Backend, key: u8) -> Self {
        Self::of(store, EncryptedStore::new(store.memory.clone(), &ring(key)))
    }

    fn of(store: &Backend, encrypted: EncryptedStore<MemoryStore>) -> Self {
        let layer = SessionLayer::builder(encrypted)
            .clock(Arc::new(store.clock.clone()))
            .build()
            .unwrap();
        let card = async |s: Session| s.get_or("card", String::new());
        let merge = async |s: MergeSession| -> Result<String, Error> {
            s.insert("other", &1)?;
            s.get_or("card", String::new())
        };
        let handle = async |handle: SessionHandle| -> Result<String, Error> {
            handle.read().await?.get_or("card", String::new())
        };
        let routes = Router::new()
            .route("/pay", get(async |s: Session| s.insert("card", CARD)))
            .route("/card", get(card))
            .route("/merge", get(merge))
            .route("/handle", get(handle))
            .merge(app(Gates::default()));
        let client = TestClient::with_body(routes.layer(layer.clone()));
        Self {
            client: client.with_clock(store.clock.clone()),
            layer,
        }
    }

    /// A visitor who has logged in and paid.
    async fn visitor(&self, user: &str) -> Client {
        let client = self.client.fork();
        client.clear_cookies();
        client.get(&format!("/login/{user}")).await;
        client.get("/pay").await;
        assert_eq!(client.get("/card").await.text(), CARD);
        client
    }

    /// The same browser at this server.
    fn visited_by(&self, client: &Client) -> Client {
        let here = self.client.fork();
        here.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
        here
    }
}

/// Writes a record as somebody does who may write the database.
async fn overwrite(store: &MemoryStore, id: SessionId, change: impl FnOnce(&mut Record)) {
    // Until its lease is given back, a session is handed on without asking the store.
    settle().await;
    let (mut record, revision) = store.look(id).await.unwrap().record.unwrap();
    change(&mut record);
    assert!(
        store
            .cas(id, Expect::Revision(revision), &record)
            .await
            .unwrap()
    );
}

/// Nothing of it is shown, whichever way it is opened, and the record stays.
async fn assert_refused(server: &Server, client: &Client, status: StatusCode, what: &str) {
    for path in ["/card", "/merge", "/handle", "/who", "/n"] {
        // Where it is damaged, a write may start another session, which is not looked at here.
        let answer = client.fork().get(path).await;
        assert!(
            !answer.text().contains("card-"),
            "{what} {path}: {answer:?}"
        );
        assert!(!answer.text().contains("ann"), "{what} {path}: {answer:?}");
        if path != "/merge" {
            assert_eq!(answer.status(), status, "{what} {path}: {answer:?}");
            assert!(answer.set_cookies().is_empty(), "{what} {path}");
        }
    }
    let page = UserPage {
        data: true,
        ..UserPage::default()
    };
    let list = server.layer.sessions().of("ann").list(page).await;
    assert!(!format!("{list:?}").contains("card-"), "{what}");
    assert!(list.is_err(), "{what}");
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_ciphertext_in_the_place_of_another_is_refused() {
    let database = Backend::local();
    let server = Server::over(&database, 1);
    let (ann, eve) = (server.visitor("ann").await, server.visitor("eve").await);
    let [anns, eves] = [&ann, &eve].map(|client| database.record(client).data);
    for (client, data) in [(&ann, &eves), (&eve, &anns)] {
        overwrite(&database.memory, id_of(client), |record| {
            record.data = data.clone();
        })
        .await;
        let seen = client.get("/card").await;
        assert_eq!(seen.text(), "", "of the other one");
        assert!(
            client
                .get("/who")
                .await
                .text()
                .starts_with("nobody 0 Corrupt")
        );
        assert_eq!(database.record(client).data, *data, "it stays as it is");
    }
}

/// The same session in another store (a copy for tests, another tenant's, another region's) that
/// has another key.
#[tokio::test(start_paused = true)]
async fn a_ciphertext_of_another_store_is_refused() {
    let (here, there) = (Backend::local(), Backend::local());
    let (ours, theirs) = (Server::over(&here, 1), Server::over(&there, 2));
    let ann = ours.visitor("ann").await;
    let id = id_of(&ann);
    // Whoever may write the other store puts the whole record there, and has the cookie.
    let record = here.memory.record(id).unwrap();
    assert!(there.memory.cas(id, Expect::Absent, &record).await.unwrap());
    let guest = theirs.visited_by(&ann);
    assert_refused(
        &theirs,
        &guest,
        StatusCode::SERVICE_UNAVAILABLE,
        "copied there",
    )
    .await;
    // And back: a session that was filled there is none here.
    let eve = theirs.visitor("eve").await;
    let data = there.record(&eve).data;
    overwrite(&here.memory, id, |record| record.data = data.clone()).await;
    assert_refused(&ours, &ann, StatusCode::SERVICE_UNAVAILABLE, "filled there").await;
    overwrite(&here.memory, id, |old| old.data = record.data).await;
    assert_eq!(ann.get("/card").await.text(), CARD);
}

/// What cannot be decrypted is never read in another way.
#[tokio::test(start_paused = true)]
async fn plain_data_are_never_taken_for_what_was_encrypted() {
    let database = Backend::local();
    let server = Server::over(&database, 1);
    let ann = server.visitor("ann").await;
    let id = id_of(&ann);
    let sealed = database.record(&ann).data;
    let text = String::from_utf8(sealed.to_json()).unwrap();
    for (json, status) in [
        (
            r#"{"data":{"card":"card-evil"}}"#.to_owned(),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (r#"{"data":{}}"#.to_owned(), StatusCode::SERVICE_UNAVAILABLE),
        (
            r#"{"data":{"card":"card-evil"},"keep":{"flash":{}}}"#.to_owned(),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        // A name that looks like the library's own entry is an application's.
        (
            r#"{"data":{"sealed":"card-evil"}}"#.to_owned(),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            r#"{"data":{},"keep":{"sealed":""}}"#.to_owned(),
            StatusCode::OK,
        ),
        (
            r#"{"data":{},"keep":{"sealed":"e30"}}"#.to_owned(),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
        (
            r#"{"data":{},"keep":{"sealed":{"card":"card-evil"}}}"#.to_owned(),
            StatusCode::OK,
        ),
        (
            text.replacen(r#""data":{"#, r#""data":{"card":"card-evil""#, 1),
            StatusCode::OK,
        ),
    ] {
        let data = Data::from_json(json.as_bytes(), usize::MAX).unwrap();
        overwrite(&database.memory, id, |record| record.data = data.clone()).await;
        assert_refused(&server, &ann, status, &json).await;
        assert_eq!(database.memory.record(id).unwrap().data, data, "{json}");
    }
    overwrite(&database.memory, id, |record| record.data = sealed).await;
    assert_eq!(ann.get("/card").await.text(), CARD);
}

/// While plain data are accepted, so that a store can be encrypted, what is encrypted is still
/// checked: a ciphertext that was tampered with does not become plain text.
#[tokio::test(start_paused = true)]
async fn accepting_plain_data_does_not_accept_what_was_tampered_with() {
    let database = Backend::local();
    let encrypted = EncryptedStore::new(database.memory.clone(), &ring(1));
    let server = Server::of(&database, encrypted.accept_plaintext(true));
    let (ann, eve) = (server.visitor("ann").await, server.visitor("eve").await);
    let eves = database.record(&eve).data;
    overwrite(&database.memory, id_of(&ann), |record| record.data = eves).await;
    assert!(ann.get("/who").await.text().starts_with("nobody 0 Corrupt"));
    let other = Server::over(&database, 2);
    let elsewhere = other.visited_by(&eve);
    assert_eq!(
        elsewhere.get("/card").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}
