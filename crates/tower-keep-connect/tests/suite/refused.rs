//! What is refused, and how it is told.

use std::error::Error;

use tower_keep_connect::{ConnectError, StoreConfig, connect};

async fn refusal(config: &StoreConfig) -> ConnectError {
    config.connect().await.unwrap_err()
}

/// Everything that a log could show of it.
fn shown(error: &ConnectError) -> String {
    let chain = std::iter::successors(Some(error as &dyn Error), |&error| error.source());
    let shown: Vec<_> = chain.map(|error| format!("{error:?} {error}")).collect();
    shown.join("; ")
}

#[tokio::test]
async fn an_unknown_scheme_is_told_with_those_there_are() {
    let error = refusal(&StoreConfig::new("sqllite:keep.db")).await;
    assert!(
        matches!(&error, ConnectError::UnknownScheme { scheme } if scheme == "sqllite"),
        "{error:?}"
    );
    let text = error.to_string();
    for known in [
        "memory",
        "file",
        "sqlite",
        "postgres",
        "mysql",
        "redis+cluster",
    ] {
        assert!(text.contains(known), "{text}");
    }
    for url in ["", "keep.db", "/var/lib/keep", ":", "//host", "pass word:x"] {
        let error = refusal(&StoreConfig::new(url)).await;
        assert!(matches!(error, ConnectError::NoScheme), "{url}: {error:?}");
    }
}

/// With every feature and with none.
#[tokio::test]
async fn a_store_that_was_not_compiled_in_names_its_feature() {
    for (url, is_in, feature) in [
        ("file:sessions", cfg!(feature = "file"), "file"),
        ("sqlite:keep.db", cfg!(feature = "sqlite"), "sqlite"),
        ("postgres://h/d", cfg!(feature = "postgres"), "postgres"),
        ("postgresql://h/d", cfg!(feature = "postgres"), "postgres"),
        ("mysql://h/d", cfg!(feature = "mysql"), "mysql"),
        ("mariadb://h/d", cfg!(feature = "mysql"), "mysql"),
        ("redis://h", cfg!(feature = "redis"), "redis"),
        ("valkey://h", cfg!(feature = "redis"), "redis"),
        ("redis+unix:///s", cfg!(feature = "redis"), "redis"),
        (
            "redis+cluster://h",
            cfg!(feature = "redis-cluster"),
            "redis-cluster",
        ),
        (
            "redis+sentinel://h/s",
            cfg!(feature = "redis-sentinel"),
            "redis-sentinel",
        ),
        ("rediss://h", cfg!(feature = "redis-tls"), "redis-tls"),
    ] {
        if is_in {
            continue;
        }
        let error = connect(url).await.unwrap_err();
        let text = error.to_string();
        let ConnectError::NotInThisBuild {
            scheme,
            feature: named,
        } = error
        else {
            panic!("{url}: {error:?}");
        };
        assert!(url.starts_with(scheme), "{url}: {scheme}");
        assert_eq!(named, Some(feature), "{url}");
        assert!(text.contains(&format!("feature `{feature}`")), "{text}");
    }
}

#[tokio::test]
async fn what_a_url_lacks_is_named() {
    for (url, is_in, lacks) in [
        ("file:", cfg!(feature = "file"), "a path"),
        ("file://", cfg!(feature = "file"), "a path"),
        ("sqlite:", cfg!(feature = "sqlite"), "a path"),
        ("sqlite://", cfg!(feature = "sqlite"), "a path"),
        ("sqlite:?mode=ro", cfg!(feature = "sqlite"), "a path"),
        ("postgres:", cfg!(feature = "postgres"), "a host"),
        ("postgres:///shop", cfg!(feature = "postgres"), "a host"),
        ("postgres://u:p@/shop", cfg!(feature = "postgres"), "a host"),
        (
            "postgres://:5432/shop",
            cfg!(feature = "postgres"),
            "a host",
        ),
        ("mysql:///shop", cfg!(feature = "mysql"), "a host"),
        ("mysql://host", cfg!(feature = "mysql"), "a database"),
        ("mysql://host/", cfg!(feature = "mysql"), "a database"),
        ("redis:", cfg!(feature = "redis"), "a host"),
        ("redis:///1", cfg!(feature = "redis"), "a host"),
        ("redis+unix://", cfg!(feature = "redis"), "a path"),
    ] {
        if !is_in {
            continue;
        }
        let error = connect(url).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Missing { what, .. } if what.starts_with(lacks)),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_not_tried() {
    for (url, is_in) in [
        ("memory:keep", true),
        ("file://sessions", cfg!(feature = "file")),
        ("postgres://host:port/shop", cfg!(feature = "postgres")),
        ("mysql://host:99999/shop", cfg!(feature = "mysql")),
        ("redis://ho st", cfg!(feature = "redis")),
    ] {
        if !is_in {
            continue;
        }
        let error = connect(url).await.unwrap_err();
        let invalid = matches!(error, ConnectError::InvalidUrl { .. });
        assert!(invalid, "{url}: {error:?}");
    }
}

#[tokio::test]
async fn an_option_that_the_store_does_not_have_is_named() {
    let memory = || StoreConfig::new("memory:");
    for (config, expected) in [
        (memory().table("t"), "table"),
        (memory().schema("s"), "schema"),
        (memory().migrate(true), "migrate"),
        (memory().max_connections(1), "max_connections"),
        (memory().prefix("p"), "prefix"),
        (
            memory().timeout(std::time::Duration::from_secs(1)),
            "timeout",
        ),
        (memory().max_data(1), "max_data"),
        (StoreConfig::new("sqlite:keep.db").schema("s"), "schema"),
        (StoreConfig::new("sqlite:keep.db").capacity(1), "capacity"),
        (
            StoreConfig::new("sqlite:keep.db").codec(tower_keep::Codec::Json),
            "codec",
        ),
        (StoreConfig::new("redis://h").table("t"), "table"),
        (StoreConfig::new("postgres://h/d").prefix("p"), "prefix"),
    ] {
        let error = refusal(&config).await;
        assert!(
            matches!(error, ConnectError::UnsupportedOption { option, .. } if option == expected),
            "{config:?}: {error:?}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[cfg(any(feature = "sqlite", feature = "redis"))]
#[tokio::test]
async fn a_name_that_cannot_be_used_names_its_option() {
    for (config, expected, is_in) in [
        (
            StoreConfig::new("sqlite::memory:").table("a b"),
            "table",
            cfg!(feature = "sqlite"),
        ),
        (
            StoreConfig::new("redis://h").prefix("{p}"),
            "prefix",
            cfg!(feature = "redis"),
        ),
    ] {
        if !is_in {
            continue;
        }
        let error = refusal(&config).await;
        assert!(
            matches!(&error, ConnectError::InvalidOption { option, .. } if option == expected),
            "{error:?}"
        );
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_store_that_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/none/keep.db", dir.path().display());
    let error = connect(&url).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Store {
                scheme: "sqlite",
                ..
            }
        ),
        "{error:?}"
    );
    let text = shown(&error);
    assert!(text.contains("unable to open database file"), "{text}");
}

/// By tokio's clock, which goes on only when nothing else does.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_waited_for_no_longer_than_asked() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for (scheme, is_in) in [
        ("postgres", cfg!(feature = "postgres")),
        ("mysql", cfg!(feature = "mysql")),
        ("redis", cfg!(feature = "redis")),
        ("redis+cluster", cfg!(feature = "redis-cluster")),
        ("rediss", cfg!(feature = "redis-tls")),
    ] {
        if !is_in {
            continue;
        }
        let timeout = std::time::Duration::from_millis(200);
        let path = if scheme == "mysql" { "/shop" } else { "" };
        let config = StoreConfig::new(format!("{scheme}://{address}{path}"));
        let begun = tokio::time::Instant::now();
        let error = refusal(&config.timeout(timeout)).await;
        let waited = begun.elapsed();
        assert!(matches!(error, ConnectError::Store { .. }), "{error:?}");
        assert!(
            (timeout..2 * timeout).contains(&waited),
            "{scheme}: {waited:?}"
        );
    }
}

/// Wherever in the URL the password stands, however it fails: port 1 answers nobody.
#[tokio::test]
async fn nothing_shows_a_password() {
    let mut urls = vec![
        "redis:pass-123".to_owned(),
        "user:pass-123@host/shop".to_owned(),
        "pass-123".to_owned(),
        "pass-123@host:1".to_owned(),
        "rediss://user:pass-123@host".to_owned(),
    ];
    for scheme in ["postgres", "mysql", "redis", "redis+cluster", "unknown"] {
        for rest in [
            "u:pass-123@127.0.0.1:1/0",
            ":pass-123@127.0.0.1:1/0",
            "u:pass-123@127.0.0.1:port/0",
            "u:pass-123@/0",
            "u:pass-123",
            "u:x?pass-123@127.0.0.1:1",
            "u:x#pass-123@127.0.0.1:1",
            "u:x/pass-123@127.0.0.1:1",
            "127.0.0.1:1/0?password=pass-123",
        ] {
            urls.push(format!("{scheme}://{rest}"));
        }
    }
    for url in urls {
        let timeout = std::time::Duration::from_millis(50);
        let config = StoreConfig::new(&url).timeout(timeout);
        let text = format!(
            "{} {config:?} {}",
            shown(&refusal(&config).await),
            config.shown_url()
        );
        assert!(!text.contains("pass-123"), "{url}: {text}");
    }
}
