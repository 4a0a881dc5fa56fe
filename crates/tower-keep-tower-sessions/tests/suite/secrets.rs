//! G8: what their store holds opens nothing, and nothing shows what it holds.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_keep::core::Token;
use tower_keep_tower_sessions::Bridged14;

use crate::app::{COOKIE, client};
use crate::rows::{Rows, bridged};

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

fn contains(dump: &[u8], what: &[u8]) -> bool {
    dump.windows(what.len()).any(|part| part == what)
}

/// The cookie, its secret, and the secret's bytes in hexadecimal digits, in a list, and raw.
fn spellings(cookie: &str) -> Vec<Vec<u8>> {
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(cookie)
        .unwrap();
    let secret = &bytes[16..];
    let hex = secret.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let list = format!("{secret:?}");
    // The first character of the secret's half also has bits of the id.
    [cookie, &cookie[22..], &hex, list.trim_matches(['[', ']'])]
        .map(|text| text.as_bytes().to_vec())
        .into_iter()
        .chain([
            secret.to_vec(),
            STANDARD.encode(secret).into_bytes(),
            STANDARD.encode(&bytes).into_bytes(),
        ])
        .collect()
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
