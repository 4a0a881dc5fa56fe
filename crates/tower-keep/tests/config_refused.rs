//! E6: what a configuration cannot say is an error that names it.

#![cfg(feature = "config")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use tower_keep::{ConfigError, LayerConfigError, MemoryStore, SessionConfig};

const HEX: &str = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";

/// A variable, its value, and what the error says.
const UNREADABLE: &[(&str, &str, &[&str])] = &[
    (
        "SESSION_IDLE_TIMEUOT",
        "30m",
        &["SESSION_IDLE_TIMEUOT", "IDLE_TIMEOUT"],
    ),
    ("SESSION_cookie_name", "id", &["SESSION_cookie_name"]),
    ("SESSION_", "", &["`SESSION_`"]),
    ("SESSION_STORED", "x", &["SESSION_STORED"]),
    (
        "SESSION_IDLE_TIMEOUT",
        "30",
        &["SESSION_IDLE_TIMEOUT", "a unit"],
    ),
    (
        "SESSION_IDLE_TIMEOUT",
        "soon",
        &["SESSION_IDLE_TIMEOUT", "a number"],
    ),
    (
        "SESSION_COOKIE_SECURE",
        "maybe",
        &["SESSION_COOKIE_SECURE", "yes"],
    ),
    (
        "SESSION_COOKIE_SAME_SITE",
        "Lax",
        &["SESSION_COOKIE_SAME_SITE", "`lax`"],
    ),
    (
        "SESSION_LOCK_COHORT",
        "-1",
        &["SESSION_LOCK_COHORT", "digit"],
    ),
    (
        "SESSION_LOCK_COHORT",
        "4294967296",
        &["SESSION_LOCK_COHORT", "large"],
    ),
    ("SESSION_USER_CAP", "0", &["SESSION_USER_CAP"]),
    ("SESSION_USER_CAP", "two", &["SESSION_USER_CAP", "digit"]),
    ("SESSION_LOTTERY", "2", &["SESSION_LOTTERY", "2/100"]),
    ("SESSION_LOTTERY", "3/2", &["SESSION_LOTTERY", "2/100"]),
    ("SESSION_LOTTERY", "0/0", &["SESSION_LOTTERY", "2/100"]),
    (
        "SESSION_TRUSTED_PROXIES",
        "10.0.0.0/8,proxy",
        &["SESSION_TRUSTED_PROXIES", "`proxy`"],
    ),
    (
        "SESSION_TRUSTED_PROXIES",
        "10.0.0.0/8,",
        &["SESSION_TRUSTED_PROXIES", "``"],
    ),
    (
        "SESSION_TRUSTED_PROXIES",
        "0.0.0.0/0",
        &["SESSION_TRUSTED_PROXIES", "everybody"],
    ),
    (
        "SESSION_TRUSTED_PROXIES_HEADER",
        "x-real-ip",
        &["SESSION_TRUSTED_PROXIES_HEADER", "`x-forwarded-for`"],
    ),
    (
        "SESSION_FINGERPRINT",
        "true",
        &["SESSION_FINGERPRINT", "`refuse`"],
    ),
    (
        "SESSION_FINGERPRINT_USER_AGENT",
        "strict",
        &["SESSION_FINGERPRINT_USER_AGENT", "yes"],
    ),
    (
        "SESSION_FINGERPRINT_IP",
        "24",
        &["SESSION_FINGERPRINT_IP", "24/64"],
    ),
    (
        "SESSION_FINGERPRINT_IP",
        "33/64",
        &["SESSION_FINGERPRINT_IP", "24/64"],
    ),
    (
        "SESSION_FINGERPRINT_IP",
        "24/129",
        &["SESSION_FINGERPRINT_IP", "24/64"],
    ),
    (
        "SESSION_EVENT_CAPACITY",
        "many",
        &["SESSION_EVENT_CAPACITY", "digit"],
    ),
    (
        "SESSION_CHECK_ENDED_EVERY",
        "30",
        &["SESSION_CHECK_ENDED_EVERY", "a unit"],
    ),
    (
        "SESSION_TEMP_MAX_BYTES",
        "1MB",
        &["SESSION_TEMP_MAX_BYTES", "digit"],
    ),
];

#[test]
fn e6_what_is_unknown_or_unreadable_is_an_error_that_names_it() {
    for (variable, value, words) in UNREADABLE {
        let error = SessionConfig::from_vars([(*variable, *value)])
            .unwrap_err()
            .to_string();
        for word in *words {
            assert!(error.contains(word), "{word:?} not in {error:?}");
        }
    }
    for (toml, word) in [
        ("idle_timeuot = '30m'", "idle_timeuot"),
        ("idle_timeout = 30", "a number and a unit"),
        ("cookie_secure = 'yes'", "boolean"),
        ("cookie_policy = 'never'", "never"),
        ("user_cap = 0", "nonzero"),
        ("token_keys = 7", "keys must be text"),
        ("token_keys = [true]", "keys must be text"),
        ("trusted_proxies = true", "a list"),
        ("trusted_proxies = ['10.0.0.0/8', '::/0']", "everybody"),
        ("trusted_proxies_header = 'X-Real-IP'", "X-Real-IP"),
        ("fingerprint = true", "string"),
        ("fingerprint_ip = 'loose'", "`relaxed`"),
        ("temp_max_files = -1", "-1"),
    ] {
        let error = toml::from_str::<SessionConfig>(toml).unwrap_err();
        assert!(error.message().contains(word), "{word:?} not in {error}");
    }
}

#[test]
fn e6_what_contradicts_is_an_error_that_names_it() {
    let keys = format!("token_keys = '{HEX}'");
    for (toml, option) in [
        ("dev_http = true\ncookie_secure = true", "cookie_secure"),
        ("transport = 'bearer'\ncookie_name = 'id'", "cookie_name"),
        (
            "transport = 'bearer'\ncookie_secure = true",
            "cookie_secure",
        ),
        ("transport = 'bearer'\ndev_http = false", "dev_http"),
        ("transport = 'header'", "transport"),
        ("transport_header = 'x-auth'", "transport_header"),
        (
            "transport = 'bearer'\ntransport_header = 'x-auth'",
            "transport_header",
        ),
        (
            "transport_response_header = 'x-auth'",
            "transport_response_header",
        ),
        ("accept_unsigned_tokens = true", "accept_unsigned_tokens"),
        ("accept_plaintext = true", "accept_plaintext"),
        ("user_cap_when_full = 'refuse'", "user_cap_when_full"),
        (
            "trusted_proxies_header = 'forwarded'",
            "trusted_proxies_header",
        ),
        ("fingerprint_user_agent = true", "fingerprint_user_agent"),
        (
            "fingerprint_accept_language = false",
            "fingerprint_accept_language",
        ),
        ("fingerprint_ip = 'strict'", "fingerprint_ip"),
        ("temp_max_bytes = 1000", "temp_max_bytes"),
        ("temp_max_files = 10", "temp_max_files"),
        (&format!("{keys}\ntoken_keys_file = 'keys'"), "token_keys"),
    ] {
        let config: SessionConfig = toml::from_str(toml).unwrap();
        let error = config.builder(MemoryStore::new()).unwrap_err();
        let ConfigError::Contradiction { option: named, .. } = error else {
            panic!("{toml}: {error}");
        };
        assert_eq!(named, option, "{toml}");
    }
    // What an option lacks is named too.
    for (toml, lacking) in [
        ("user_cap_when_full = 'refuse'", "`user_cap`"),
        ("trusted_proxies_header = 'forwarded'", "`trusted_proxies`"),
        ("fingerprint_user_agent = true", "`fingerprint`"),
        ("fingerprint_accept_language = false", "`fingerprint`"),
        ("fingerprint_ip = 'strict'", "`fingerprint`"),
        ("temp_max_bytes = 1000", "`temp_dir`"),
        ("temp_max_files = 10", "`temp_dir`"),
    ] {
        let config: SessionConfig = toml::from_str(toml).unwrap();
        let error = config.builder(MemoryStore::new()).unwrap_err().to_string();
        assert!(error.contains(lacking), "{lacking} not in {error}");
    }
    // What the builder finds by itself it says itself.
    for toml in [
        "lock_wait = '1s'",
        "idle_timeout = '0s'",
        "cookie_path = 'shop'",
    ] {
        let config: SessionConfig = toml::from_str(toml).unwrap();
        let built = config.builder(MemoryStore::new()).unwrap().build();
        assert!(built.is_err(), "{toml}");
    }
    let host: SessionConfig = toml::from_str("dev_http = true\ncookie_name = '__Host-id'").unwrap();
    let error = host
        .builder(MemoryStore::new())
        .unwrap()
        .build()
        .unwrap_err();
    assert!(matches!(error, LayerConfigError::Cookie(_)));
}

#[cfg(not(feature = "encryption"))]
#[test]
fn e6_encryption_that_was_not_built_in_is_an_error() {
    let config = SessionConfig::from_vars([("SESSION_ENCRYPTION_KEYS", HEX)]).unwrap();
    let error = config.builder(MemoryStore::new()).unwrap_err();
    assert!(matches!(error, ConfigError::NotInThisBuild { .. }));
}

#[cfg(not(feature = "temp"))]
#[test]
fn e6_temporary_files_that_were_not_built_in_are_an_error() {
    let config = SessionConfig::from_vars([("SESSION_TEMP_DIR", "/tmp/shop")]).unwrap();
    let error = config.builder(MemoryStore::new()).unwrap_err();
    let ConfigError::NotInThisBuild { option, feature } = error else {
        panic!("{error}");
    };
    assert_eq!((option, feature), ("temp_dir", "temp"));
}
