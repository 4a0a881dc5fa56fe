//! E6: the layer's options from files and from the environment.

#![cfg(feature = "config")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

#[cfg(feature = "temp")]
use tower_keep::TempStorage;
use tower_keep::cookie::{CookieConfig, CookiePolicy, SameSite};
use tower_keep::keys::KeyRing;
use tower_keep::{
    ConfigError, DataLimits, FingerprintConfig, IpBinding, LockConfig, Lottery, MemoryStore,
    OnMismatch, SessionConfig, SessionLayer, SessionLayerBuilder, Transport, TrustedProxies,
    UserCap,
};

const CODE: &[&str] = &[];
const COOKIE: &[&str] = &[
    "cookie_name",
    "cookie_path",
    "cookie_domain",
    "cookie_secure",
    "cookie_http_only",
    "cookie_same_site",
    "cookie_partitioned",
    "cookie_expire_on_close",
    "cookie_policy",
    "dev_http",
];
const PRINT: &[&str] = &[
    "fingerprint",
    "fingerprint_user_agent",
    "fingerprint_accept_language",
    "fingerprint_ip",
];
const TEMP: &[&str] = &["temp_dir", "temp_max_bytes", "temp_max_files"];
const LOCKS: &[&str] = &[
    "lock_lease",
    "lock_hold",
    "lock_wait",
    "lock_max_waiting",
    "lock_cohort",
    "lock_poll",
    "lock_store_timeout",
];

/// Every method of the builder with the options that stand for it, or `CODE` if none can.
const BUILDER: &[(&str, &[&str])] = &[
    ("cookie", COOKIE),
    (
        "transport",
        &["transport", "transport_header", "transport_response_header"],
    ),
    ("token_prefix", &["token_prefix"]),
    ("token_keys", &["token_keys", "token_keys_file"]),
    ("accept_unsigned_tokens", &["accept_unsigned_tokens"]),
    ("idle_timeout", &["idle_timeout"]),
    ("absolute_timeout", &["absolute_timeout"]),
    (
        "remember_timeouts",
        &["remember_idle_timeout", "remember_absolute_timeout"],
    ),
    (
        "anonymous_timeouts",
        &["anonymous_idle_timeout", "anonymous_absolute_timeout"],
    ),
    ("touch_throttle", &["touch_throttle"]),
    ("user_cap", &["user_cap", "user_cap_when_full"]),
    ("locks", LOCKS),
    ("data_limits", &["data_max_size", "data_max_key"]),
    ("max_request_age", &["max_request_age"]),
    ("clock", CODE),
    ("import", CODE),
    ("key", CODE),
    ("commit_when", CODE),
    ("skip", CODE),
    ("lock_for", CODE),
    ("client_ip", CODE),
    (
        "trusted_proxies",
        &["trusted_proxies", "trusted_proxies_header"],
    ),
    ("fingerprint", PRINT),
    ("on_error", CODE),
    ("on_event", CODE),
    ("event_capacity", &["event_capacity"]),
    ("check_ended_every", &["check_ended_every"]),
    ("temp_storage", TEMP),
    ("lottery", &["lottery"]),
    ("build", CODE),
];

/// Options of what is around the layer.
const AROUND: &[&str] = &[
    "encryption_keys",
    "encryption_keys_file",
    "accept_plaintext",
    "sweep_interval",
];

/// Every method of the cookie's options. Each is an option with `cookie_` in front.
const COOKIE_METHODS: &[&str] = &[
    "new",
    "dev_http",
    "name",
    "path",
    "domain",
    "secure",
    "http_only",
    "same_site",
    "partitioned",
    "expire_on_close",
    "policy",
    "build",
];

const HEX: &str = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";
const OLD: &str = "BASE64BASE64BASE64BASE64BASE64BASE64BASE64BASE64";

/// The source of the crate.
fn sources(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![std::fs::read_to_string(path).unwrap()]
            }
        })
        .collect()
}

/// The public methods of a type, wherever they are.
fn methods(of: &str) -> BTreeSet<String> {
    let block = format!("\nimpl {of} {{");
    let mut found = BTreeSet::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for body in source.split(&block).skip(1) {
            let body = body.split("\n}").next().unwrap();
            for part in body.split("\n    pub fn ").skip(1) {
                let end = part.find(['(', '<']).unwrap();
                found.insert(part[..end].to_owned());
            }
        }
    }
    found
}

/// Every option that there is, as the error of an unknown one lists them.
fn options() -> BTreeSet<String> {
    let error = SessionConfig::from_vars([("SESSION_X", "1")]).unwrap_err();
    let ConfigError::UnknownVariable { known, .. } = error else {
        panic!("{error}");
    };
    known.split(", ").map(str::to_ascii_lowercase).collect()
}

#[test]
fn e6_every_option_of_the_builder_has_a_name_in_files_or_is_code() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let table: Vec<_> = BUILDER.iter().map(|(method, _)| *method).collect();
    let table: BTreeSet<String> = set(&table);
    let found = methods("SessionLayerBuilder");
    assert_eq!(
        found, table,
        "a method without a line in `BUILDER`, or the other way round"
    );
    let table: BTreeSet<String> = set(COOKIE_METHODS);
    assert_eq!(methods("CookieConfig"), table, "the same for the cookie");

    let cookie = COOKIE_METHODS
        .iter()
        .filter(|m| !["new", "dev_http", "build"].contains(m));
    for method in cookie {
        assert!(
            COOKIE.contains(&format!("cookie_{method}").as_str()),
            "{method}"
        );
    }

    let named = BUILDER
        .iter()
        .flat_map(|(_, options)| *options)
        .chain(AROUND);
    let named: BTreeSet<_> = named.map(|option| (*option).to_owned()).collect();
    assert_eq!(
        options(),
        named,
        "an option of no method, or the other way round"
    );
}

/// All options of a layer with a cookie, in TOML, none of them as it is by default.
const FULL: &str = r#"
    cookie_name = "__Secure-shop"
    cookie_path = "/shop"
    cookie_domain = "example.com"
    cookie_secure = true
    cookie_http_only = false
    cookie_same_site = "none"
    cookie_partitioned = true
    cookie_expire_on_close = true
    cookie_policy = "always"
    dev_http = false
    transport = "cookie"
    token_prefix = "shop_sess_"
    token_keys = ["9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596", "BASE64BASE64BASE64BASE64BASE64BASE64BASE64BASE64"]
    accept_unsigned_tokens = true
    idle_timeout = "30m"
    absolute_timeout = "12h"
    remember_idle_timeout = "7days"
    remember_absolute_timeout = "30days"
    anonymous_idle_timeout = "5m"
    anonymous_absolute_timeout = "1h"
    touch_throttle = "10s"
    max_request_age = "2m"
    user_cap = 3
    user_cap_when_full = "refuse"
    lock_lease = "5s"
    lock_hold = "20s"
    lock_wait = "8s 500ms"
    lock_max_waiting = 7
    lock_cohort = 3
    lock_poll = "25ms"
    lock_store_timeout = "1s"
    data_max_size = 1000
    data_max_key = 100
    trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
    trusted_proxies_header = "forwarded"
    fingerprint = "destroy"
    fingerprint_user_agent = false
    fingerprint_accept_language = true
    fingerprint_ip = "24/64"
    event_capacity = 64
    check_ended_every = "5s"
    lottery = "1/50"
    sweep_interval = "1m"
"#;

/// Those that need a feature.
#[cfg(feature = "temp")]
const WITH_TEMP: &str = r#"
    temp_dir = "/var/lib/shop/tmp"
    temp_max_bytes = 1000000
    temp_max_files = 10
"#;
#[cfg(not(feature = "temp"))]
const WITH_TEMP: &str = "";

/// The same by the builder.
fn full() -> SessionLayerBuilder {
    let secs = Duration::from_secs;
    let (minute, hour, day) = (secs(60), secs(3_600), secs(86_400));
    let builder = SessionLayer::builder(MemoryStore::new())
        .cookie(
            CookieConfig::new()
                .name("__Secure-shop")
                .path("/shop")
                .domain("example.com")
                .http_only(false)
                .same_site(SameSite::None)
                .partitioned(true)
                .expire_on_close(true)
                .policy(CookiePolicy::Always),
        )
        .token_prefix("shop_sess_")
        .token_keys(KeyRing::new(HEX.parse().unwrap()).and(OLD.parse().unwrap()))
        .accept_unsigned_tokens(true)
        .idle_timeout(30 * minute)
        .absolute_timeout(12 * hour)
        .remember_timeouts(7 * day, 30 * day)
        .anonymous_timeouts(5 * minute, hour)
        .touch_throttle(secs(10))
        .max_request_age(2 * minute)
        .user_cap(UserCap::refuse(3))
        .locks(LockConfig {
            lease: secs(5),
            hold: secs(20),
            wait: Duration::from_millis(8_500),
            max_waiting: 7,
            cohort: 3,
            poll: Duration::from_millis(25),
            store_timeout: secs(1),
        })
        .data_limits(DataLimits {
            max_key: 100,
            max_size: 1_000,
        })
        .trusted_proxies(
            TrustedProxies::new(["10.0.0.0/8", "2001:db8::1"])
                .unwrap()
                .forwarded(),
        )
        .fingerprint(
            FingerprintConfig::new()
                .user_agent(false)
                .accept_language(true)
                .ip(IpBinding::Prefix { v4: 24, v6: 64 })
                .on_mismatch(OnMismatch::Destroy),
        )
        .event_capacity(64)
        .check_ended_every(secs(5))
        .lottery(Lottery::new(1, 50));
    #[cfg(feature = "temp")]
    let builder = builder.temp_storage(
        TempStorage::new("/var/lib/shop/tmp")
            .max_bytes(1_000_000)
            .max_files(10),
    );
    builder
}

fn built(config: &SessionConfig) -> String {
    let builder = config.builder(MemoryStore::new()).unwrap();
    let shown = format!("{builder:#?}");
    builder.build().unwrap();
    shown
}

/// The environment of a table.
fn vars(table: &toml::Table) -> Vec<(String, String)> {
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(keys) => {
            let keys = keys.iter().map(|key| key.as_str().unwrap());
            keys.collect::<Vec<_>>().join(",")
        }
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(yes) => yes.to_string(),
        other => panic!("{other:?}"),
    };
    let name = |name: &str| format!("SESSION_{}", name.to_ascii_uppercase());
    table
        .iter()
        .map(|(key, value)| (name(key), text(value)))
        .collect()
}

#[test]
fn e6_toml_json_and_the_environment_say_the_same_as_the_builder() {
    let full_toml = format!("{FULL}{WITH_TEMP}");
    let table: toml::Table = toml::from_str(&full_toml).unwrap();
    let expected = format!("{:#?}", full());
    let by_default = format!("{:#?}", SessionLayer::builder(MemoryStore::new()));
    assert_ne!(expected, by_default);

    let by_toml: SessionConfig = toml::from_str(&full_toml).unwrap();
    let json = serde_json::to_string(&table).unwrap();
    let by_json: SessionConfig = serde_json::from_str(&json).unwrap();
    let by_vars = SessionConfig::from_vars(vars(&table)).unwrap();
    for config in [&by_toml, &by_json, &by_vars] {
        assert_eq!(built(config), expected);
        assert_eq!(config.sweep_interval(), Some(Duration::from_secs(60)));
    }
    // Whatever is not set is as it is by default.
    assert_eq!(built(&SessionConfig::default()), by_default);
    assert_eq!(SessionConfig::default().sweep_interval(), None);
    // Each option alone makes a difference, so each was looked at.
    let more = "transport_header = 1\ntransport_response_header = 1\ntoken_keys_file = 1";
    let others: toml::Table = toml::from_str(more).unwrap();
    let mut all: BTreeSet<_> = table.keys().chain(others.keys()).cloned().collect();
    let elsewhere = AROUND.iter().chain(TEMP);
    all.extend(elsewhere.map(|option| (*option).to_owned()));
    assert_eq!(all, options(), "an option that is not tested here");
    for option in table.keys() {
        let same = ["dev_http", "transport", "cookie_secure", "sweep_interval"];
        let mut fewer = table.clone();
        fewer.remove(option);
        let config = SessionConfig::from_vars(vars(&fewer)).unwrap();
        let builder = config.builder(MemoryStore::new());
        let differs = builder.map_or(true, |builder| format!("{builder:#?}") != expected);
        assert_eq!(differs, !same.contains(&option.as_str()), "{option}");
    }
}

#[test]
fn e6_transports_and_plain_http() {
    let config = |toml: &str| toml::from_str::<SessionConfig>(toml).unwrap();
    let layer = || SessionLayer::builder(MemoryStore::new());
    let shown = |layer: SessionLayerBuilder| format!("{layer:#?}");
    for (toml, by_hand) in [
        (
            "transport = 'bearer'",
            layer().transport(Transport::bearer()),
        ),
        (
            "transport = 'bearer'\ntransport_response_header = 'x-new'\ncookie_policy = 'always'",
            layer()
                .transport(Transport::bearer().response_header("x-new"))
                .cookie(CookieConfig::new().policy(CookiePolicy::Always)),
        ),
        (
            "transport = 'header'\ntransport_header = 'x-auth'",
            layer().transport(Transport::header("x-auth")),
        ),
        ("dev_http = true", layer().cookie(CookieConfig::dev_http())),
        (
            "dev_http = true\ncookie_name = 'shop'",
            layer().cookie(CookieConfig::dev_http().name("shop")),
        ),
    ] {
        assert_eq!(built(&config(toml)), shown(by_hand), "{toml}");
    }
}

#[test]
fn e6_proxies_and_fingerprints() {
    let config = |toml: &str| toml::from_str::<SessionConfig>(toml).unwrap();
    let shown = |layer: SessionLayerBuilder| format!("{layer:#?}");
    let trusting = |networks: &[&str]| {
        let proxies = TrustedProxies::new(networks).unwrap();
        shown(SessionLayer::builder(MemoryStore::new()).trusted_proxies(proxies))
    };
    let bound = |print| shown(SessionLayer::builder(MemoryStore::new()).fingerprint(print));
    let print = FingerprintConfig::new;
    for (toml, by_hand) in [
        ("trusted_proxies = '10.0.0.1'", trusting(&["10.0.0.1"])),
        (
            "trusted_proxies = '10.0.0.0/8, ::1'",
            trusting(&["10.0.0.0/8", "::1"]),
        ),
        (
            "trusted_proxies = ['::1']\ntrusted_proxies_header = 'x-forwarded-for'",
            trusting(&["::1"]),
        ),
        ("trusted_proxies = []", trusting(&[])),
        ("fingerprint = 'refuse'", bound(print())),
        (
            "fingerprint = 'refuse'\nfingerprint_ip = 'strict'",
            bound(print().ip(IpBinding::Strict)),
        ),
        (
            "fingerprint = 'refuse'\nfingerprint_ip = 'relaxed'",
            bound(print()),
        ),
        (
            "fingerprint = 'destroy'\nfingerprint_ip = '32/128'",
            bound(
                print()
                    .on_mismatch(OnMismatch::Destroy)
                    .ip(IpBinding::Prefix { v4: 32, v6: 128 }),
            ),
        ),
    ] {
        assert_eq!(built(&config(toml)), by_hand, "{toml}");
    }
}

#[test]
fn e6_others_variables_and_empty_ones_are_passed_over() {
    let config = SessionConfig::from_vars([
        ("SESSION_STORE", "memory:"),
        ("SESSION_STORE_TABLE", "t"),
        ("SESSION_DRIVER", "memory"),
        // Set on every desktop of X.
        ("SESSION_MANAGER", "local/host:@/tmp/.ICE-unix/1"),
        ("SESSIONNAME", "Console"),
        ("PATH", "/bin"),
        ("SESSION_COOKIE_NAME", ""),
        ("SESSION_IDLE_TIMEOUT", ""),
    ]);
    let by_default = format!("{:#?}", SessionLayer::builder(MemoryStore::new()));
    assert_eq!(built(&config.unwrap()), by_default);
}
