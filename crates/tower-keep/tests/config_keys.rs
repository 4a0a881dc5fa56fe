//! E6: keys from text and files.

#![cfg(feature = "config")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use common::{Client, Gates, app};
use tower_keep::{MemoryStore, SessionConfig};

const HEX: &str = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";
const OLD: &str = "BASE64BASE64BASE64BASE64BASE64BASE64BASE64BASE64";

#[tokio::test]
async fn e6_keys_come_from_text_or_files_and_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    std::fs::write(&file, format!("{HEX}\n{OLD}\n")).unwrap();
    let by_text = SessionConfig::from_vars([("SESSION_TOKEN_KEYS", format!("{HEX},{OLD}"))]);
    let by_file = SessionConfig::from_vars([("SESSION_TOKEN_KEYS_FILE", &file)]);
    let (by_text, by_file) = (by_text.unwrap(), by_file.unwrap());
    let builder = by_text.builder(MemoryStore::new()).unwrap();
    let shown = format!("{by_text:?} {by_file:?} {builder:#?}");
    assert!(
        !shown.contains(&HEX[..8]) && !shown.contains("BASE64"),
        "{shown}"
    );

    // They are the same keys: what one layer signs the other takes.
    let store = MemoryStore::new();
    let layer = |config: &SessionConfig| config.builder(store.clone()).unwrap().build().unwrap();
    let started = layer(&by_text)
        .sessions()
        .create(Some("ann"), [("n", 1)])
        .await
        .unwrap();
    let client = Client::with_body(app(Gates::default()).layer(layer(&by_file)));
    client.set_cookie("__Host-id", &started.token);
    assert_eq!(client.get("/who").await.text(), "ann 1");

    for short in [&HEX[..60], "hunter2-hunter2", "!"] {
        let config = SessionConfig::from_vars([("SESSION_TOKEN_KEYS", short)]).unwrap();
        let error = config.builder(MemoryStore::new()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("token_keys") && !shown.contains(short),
            "{shown}"
        );
    }
    let missing = SessionConfig::from_vars([("SESSION_TOKEN_KEYS_FILE", "/no/such")]).unwrap();
    let error = missing.builder(MemoryStore::new()).unwrap_err().to_string();
    assert!(
        error.contains("token_keys_file") && error.contains("/no/such"),
        "{error}"
    );
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn e6_encryption_is_configured_around_the_store() {
    let memory = MemoryStore::new();
    let started = async |vars: &[(&str, &str)]| {
        let config = SessionConfig::from_vars(vars.iter().copied()).unwrap();
        let layer = config.builder(memory.clone()).unwrap().build().unwrap();
        let sessions = layer.sessions();
        let started = sessions
            .create(Some("ann"), [("card", "4111")])
            .await
            .unwrap();
        (sessions, started.id)
    };
    let stored = |id| memory.record(id).unwrap().data.to_json();
    let holds = |id| String::from_utf8(stored(id)).unwrap().contains("4111");

    let (plain, open) = started(&[]).await;
    assert!(holds(open));
    let (strict, sealed) = started(&[("SESSION_ENCRYPTION_KEYS", HEX)]).await;
    assert!(!holds(sealed));
    assert!(strict.get(sealed).await.unwrap().is_some());
    assert!(strict.get(open).await.is_err());
    let accepting = [
        ("SESSION_ENCRYPTION_KEYS", HEX),
        ("SESSION_ACCEPT_PLAINTEXT", "yes"),
    ];
    let (accepting, _) = started(&accepting).await;
    assert!(accepting.get(open).await.unwrap().is_some());
    drop(plain);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys");
    std::fs::write(&file, HEX).unwrap();
    let vars = [("SESSION_ENCRYPTION_KEYS_FILE", file.to_str().unwrap())];
    let (by_file, _) = started(&vars).await;
    assert!(by_file.get(sealed).await.unwrap().is_some());
}
