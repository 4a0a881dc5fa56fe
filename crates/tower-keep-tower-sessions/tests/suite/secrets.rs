//! G8: what their store holds opens nothing, and nothing shows what it holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_keep::core::Token;
use tower_keep_tower_sessions::Bridged14;

use crate::life::{COOKIE, client};
use crate::rows::{Rows, bridged};
use crate::spelling::{contains, spellings};

/// All that is in the store: as it prints itself, as JSON, and our records decoded.
fn dump(rows: &Rows) -> Vec<u8> {
    let mut dump = format!("{rows:?}").into_bytes();
    for row in rows.all() {
        dump.extend(serde_json::to_vec(&row).unwrap());
        let record = row.data["tower-keep"]["record"].as_str().unwrap();
        dump.extend(STANDARD.decode(record).unwrap());
    }
    dump
}

#[tokio::test]
async fn f1_no_secret_is_in_their_store() {
    let (rows, store, clock) = bridged();
    let client = client(store, &clock);
    for path in ["/add", "/login/ann", "/rotate", "/keep/hunter2", "/add"] {
        client.get(path).await;
        let cookie = client.cookie(COOKIE).unwrap();
        let dump = dump(&rows);
        for spelling in spellings(&cookie) {
            assert!(!contains(&dump, &spelling), "after {path}");
        }
        // The search finds what is there.
        let token = Token::parse(cookie.as_bytes(), "").unwrap();
        assert!(contains(&dump, token.secret().hash().as_bytes()));
        assert!(contains(&dump, b"\"n\":"));
    }
    let dump = dump(&rows);
    assert!(contains(&dump, b"hunter2") && contains(&dump, b"ann"));
}

#[tokio::test]
async fn f1_nothing_shows_what_their_store_holds() {
    let (rows, store, clock) = bridged();
    let client = client(store.clone(), &clock);
    client.get("/login/ann").await;
    let builder = Bridged14::builder(rows.clone()).sweep_expired();
    assert!(format!("{rows:?}").contains("everything"));
    for shown in [format!("{store:?} {builder:?}"), format!("{store:#?}")] {
        assert!(!shown.contains("everything"), "{shown}");
    }
}
