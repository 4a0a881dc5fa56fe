//! What a URL and its options make.

use tower_keep::StoreErrorKind;
#[cfg(all(feature = "file", unix))]
use tower_keep_connect::ConnectError;
use tower_keep_connect::{StoreConfig, connect};

use crate::session::{create, is_shared, new_session, opens};

#[tokio::test]
async fn memory_is_another_store_at_each_call() {
    for url in ["memory:", "memory://", "MEMORY:"] {
        let config = StoreConfig::new(url);
        assert!(!is_shared(&config, &config).await, "{url}");
    }
}

#[tokio::test]
async fn capacity_bounds_memory() {
    let store = StoreConfig::new("memory:").capacity(1).connect().await;
    let store = store.unwrap();
    create(&store, &new_session(1)).await.unwrap();
    let full = create(&store, &new_session(1)).await.unwrap_err();
    assert_eq!(full.kind(), StoreErrorKind::Full);
}

/// A size above the option is refused, one below it is not.
#[cfg(any(
    feature = "file",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "redis"
))]
async fn bounds_data(config: StoreConfig) {
    let store = config.max_data(500).connect().await.unwrap();
    create(&store, &new_session(100)).await.unwrap();
    let error = create(&store, &new_session(1_000)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
}

#[cfg(all(feature = "file", unix))]
#[tokio::test]
async fn file_keeps_sessions_in_a_directory_that_it_makes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b c");
    let path = path.to_str().unwrap();
    let [plain, slashes] =
        ["file:", "file://"].map(|scheme| StoreConfig::new(format!("{scheme}{path}")));
    assert!(is_shared(&plain, &slashes).await);
    assert!(std::fs::exists(path).unwrap());
    bounds_data(plain.clone()).await;
    assert_eq!(plain.upgrade().await.unwrap(), None);
    let only = plain.existing(true);
    assert!(is_shared(&only, &slashes).await);
    let elsewhere = dir.path().join("a");
    let only = StoreConfig::new(format!("file:{}", elsewhere.display())).existing(true);
    let error = only.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::NotThere { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 1);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use tower_keep_connect::Upgrade;

    use super::*;

    #[tokio::test]
    async fn sqlite_keeps_sessions_in_a_file_that_it_makes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keep.db");
        let path = path.to_str().unwrap();
        let [plain, slashes] =
            ["sqlite:", "sqlite://"].map(|scheme| StoreConfig::new(format!("{scheme}{path}")));
        assert!(is_shared(&plain, &slashes).await);
        assert!(std::fs::exists(path).unwrap());
        let table = plain.clone().table("shop").max_connections(1);
        assert!(is_shared(&table, &table).await);
        assert!(!is_shared(&table, &plain).await);
        bounds_data(plain).await;
    }

    #[tokio::test]
    async fn only_what_is_there_is_opened_if_so_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keep.db");
        let config = StoreConfig::new(format!("sqlite:{}?mode=rwc", path.display()));
        let only = config.clone().existing(true);
        let error = only.connect().await.unwrap_err();
        let text = format!("there is no `sqlite:` store at {}", path.display());
        assert_eq!(error.to_string(), text);
        assert!(!path.exists());
        // It has no table either until somebody makes it.
        config.clone().migrate(false).connect().await.unwrap();
        let error = create(&only.connect().await.unwrap(), &new_session(1)).await;
        assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Unavailable);
        let upgrade = Upgrade { from: 0, to: 1 };
        assert_eq!(config.upgrade().await.unwrap(), Some(upgrade));
        create(&only.connect().await.unwrap(), &new_session(1))
            .await
            .unwrap();
        let upgrade = Upgrade { from: 1, to: 1 };
        assert_eq!(config.upgrade().await.unwrap(), Some(upgrade));
    }

    #[tokio::test]
    async fn sqlite_in_memory_is_another_store_at_each_call() {
        let config = StoreConfig::new("sqlite::memory:");
        assert!(!is_shared(&config, &config).await);
    }

    #[tokio::test]
    async fn no_table_is_made_when_migration_is_off() {
        let config = StoreConfig::new("sqlite::memory:").migrate(false);
        let store = config.connect().await.unwrap();
        let error = create(&store, &new_session(1)).await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("no such table"), "{why}");
    }
}

#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
pub(crate) fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no server: ./test.sh starts one, or set it to one of yours")
    })
}

/// What no other test uses.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
pub(crate) fn own() -> String {
    format!("t_{:?}", tower_keep::core::CommitId::unique())
}

/// The URL with another scheme.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
fn with_scheme(scheme: &str, url: &str) -> String {
    format!("{scheme}:{}", url.split_once(':').unwrap().1)
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn serves_sql(scheme: &str, alias: &str, url: &str) {
    let table = own();
    let with_table = |scheme| StoreConfig::new(with_scheme(scheme, url)).table(&table);
    let (config, alias) = (with_table(scheme), with_table(alias).max_connections(1));
    assert!(is_shared(&config, &alias).await);
    assert!(!is_shared(&config, &alias.table(own())).await);
    bounds_data(config).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_keeps_sessions() {
    let url = server("KEEP_POSTGRES_URL");
    serves_sql("postgres", "postgresql", &url).await;
    // A host may be named behind the question mark.
    let elsewhere = url::Url::parse(&url).unwrap();
    let url = format!(
        "postgres:///{}?host={}&port={}&user={}",
        elsewhere.path().trim_matches('/'),
        elsewhere.host_str().unwrap(),
        elsewhere.port().unwrap_or(5432),
        elsewhere.username(),
    );
    let config = StoreConfig::new(url).schema("public").table(own());
    assert!(is_shared(&config, &config).await);
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn mysql_keeps_sessions() {
    let url = server("KEEP_MARIADB_URL");
    serves_sql("mysql", "mariadb", &url).await;
    // The schema may stand in for the database.
    let (server, database) = url.rsplit_once('/').unwrap();
    let config = StoreConfig::new(server).schema(database).table(own());
    assert!(is_shared(&config, &config).await);
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn redis_keeps_sessions() {
    let url = server("KEEP_REDIS_URL");
    let config = StoreConfig::new(&url).prefix(own());
    let valkey = StoreConfig::new(with_scheme("valkey", &url)).prefix(own());
    assert!(is_shared(&config, &config).await);
    assert!(is_shared(&valkey, &valkey).await);
    assert!(!is_shared(&config, &valkey).await);
    bounds_data(config).await;
}

#[tokio::test]
async fn a_url_alone_is_enough() {
    let (store, session) = (connect("memory:").await.unwrap(), new_session(1));
    create(&store, &session).await.unwrap();
    assert!(opens(&store, &session).await);
}
