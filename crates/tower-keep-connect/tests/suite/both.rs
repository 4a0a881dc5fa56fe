//! The store and the layer over it from one configuration.

use std::collections::BTreeMap;

use tower_keep::{ConfigError, SessionLayer};
use tower_keep_connect::{Config, ConnectError};

const KEY: &str = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";

async fn layer(config: &Config) -> SessionLayer {
    let store = config.store.connect().await.unwrap();
    config.layer.builder(store).unwrap().build().unwrap()
}

async fn shown(config: &Config) -> String {
    let layer = layer(config).await;
    let sessions = layer.sessions();
    let started = sessions.create(None, [("n", 1)]).await.unwrap();
    assert!(sessions.get(started.id).await.unwrap().is_some());
    assert!(started.token.starts_with("shop_"));
    format!("{layer:?}")
}

#[tokio::test]
async fn e6_a_section_or_the_environment_is_a_store_and_its_layer() {
    let toml = r#"
        [session.store]
        url = "memory:"
        capacity = 100

        [session.layer]
        cookie_name = "__Host-shop"
        idle_timeout = "30m"
        token_prefix = "shop_"
    "#;
    let file: BTreeMap<String, Config> = toml::from_str(toml).unwrap();
    let by_file = shown(&file["session"]).await;
    let by_vars = Config::from_vars([
        ("SESSION_STORE", "memory:"),
        ("SESSION_STORE_CAPACITY", "100"),
        ("SESSION_COOKIE_NAME", "__Host-shop"),
        ("SESSION_IDLE_TIMEOUT", "30m"),
        ("SESSION_TOKEN_PREFIX", "shop_"),
        ("HOME", "/home/ann"),
    ]);
    assert_eq!(by_file, shown(&by_vars.unwrap()).await);
    assert!(
        by_file.contains("__Host-shop") && by_file.contains("1800s"),
        "{by_file}"
    );
}

#[test]
fn e6_a_mistake_in_either_part_is_an_error_that_names_it() {
    let store = ("SESSION_STORE", "memory:");
    let mistyped = Config::from_vars([store, ("SESSION_COOKIE_NAEM", "id")]);
    let Err(ConnectError::Layer(ConfigError::UnknownVariable { variable, .. })) = mistyped else {
        panic!("{mistyped:?}");
    };
    assert_eq!(variable, "SESSION_COOKIE_NAEM");
    let mistyped = Config::from_vars([store, ("SESSION_STORE_TABEL", "t")]);
    assert!(matches!(
        mistyped,
        Err(ConnectError::UnknownVariable { .. })
    ));
    let none = Config::from_vars([("SESSION_IDLE_TIMEOUT", "30m")]);
    assert!(matches!(none, Err(ConnectError::NotSet { .. })));
    for toml in [
        "[layer]\n",
        "[store]\nurl = 'memory:'\n[layre]\n",
        "[store]\nurl = 'memory:'\n[layer]\nidle = '1m'\n",
    ] {
        assert!(toml::from_str::<Config>(toml).is_err(), "{toml}");
    }
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn e6_a_store_of_any_url_is_encrypted() {
    let vars = [
        ("SESSION_STORE", "memory:"),
        ("SESSION_ENCRYPTION_KEYS", KEY),
    ];
    let config = Config::from_vars(vars).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains(&KEY[..8]), "{shown}");
    // Two layers over one store, one of which has no key.
    let store = config.store.connect().await.unwrap();
    let sealing = config
        .layer
        .builder(store.clone())
        .unwrap()
        .build()
        .unwrap();
    let started = sealing.sessions().create(None, [("n", 1)]).await.unwrap();
    assert!(sealing.sessions().get(started.id).await.unwrap().is_some());
    let bare = SessionLayer::new(store).sessions();
    let stored = bare.get(started.id).await.unwrap().unwrap();
    assert!(stored.all().unwrap().is_empty());
}

#[cfg(feature = "temp")]
#[test]
fn e6_sessions_in_a_store_of_any_url_have_temporary_files() {
    let vars = [("SESSION_STORE", "memory:"), ("SESSION_TEMP_DIR", "tmp")];
    let config = Config::from_vars(vars).unwrap();
    let builder = config
        .layer
        .builder(tower_keep::MemoryStore::new())
        .unwrap();
    assert!(format!("{builder:?}").contains("TempStorage"));
    builder.build().unwrap();
}

#[cfg(not(feature = "encryption"))]
#[test]
fn e6_encryption_that_was_not_built_in_is_an_error() {
    let vars = [
        ("SESSION_STORE", "memory:"),
        ("SESSION_ENCRYPTION_KEYS", KEY),
    ];
    let config = Config::from_vars(vars).unwrap();
    let error = config
        .layer
        .builder(tower_keep::MemoryStore::new())
        .unwrap_err();
    assert!(matches!(error, ConfigError::NotInThisBuild { .. }));
}
