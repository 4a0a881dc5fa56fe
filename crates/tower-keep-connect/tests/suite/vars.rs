//! The configuration from variables, and from a file.

use std::ffi::OsStr;

use tower_keep_connect::{ConnectError, StoreConfig};

/// As it is shown, which is all but the secret parts.
fn from_vars(vars: &[(&str, &str)]) -> Result<String, ConnectError> {
    StoreConfig::from_vars(vars.iter().copied()).map(|config| format!("{config:?}"))
}

fn from_json(json: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str(json).map(|config: StoreConfig| format!("{config:?}"))
}

/// A variable and a field of the same meaning, one after the other.
#[test]
fn every_option_has_a_variable_and_a_field() {
    for (variable, value, field) in [
        ("SESSION_STORE_TABLE", "shop", r#""table": "shop""#),
        ("SESSION_STORE_SCHEMA", "web", r#""schema": "web""#),
        ("SESSION_STORE_MIGRATE", "off", r#""migrate": false"#),
        (
            "SESSION_STORE_MAX_CONNECTIONS",
            "7",
            r#""max_connections": 7"#,
        ),
        ("SESSION_STORE_PREFIX", "shop:", r#""prefix": "shop:""#),
        ("SESSION_STORE_TIMEOUT", "1m 30s", r#""timeout": "90s""#),
        ("SESSION_STORE_MAX_DATA", "4096", r#""max_data": 4096"#),
        ("SESSION_STORE_CODEC", "json", r#""codec": "json""#),
        ("SESSION_STORE_CAPACITY", "100", r#""capacity": 100"#),
    ] {
        let config = from_vars(&[("SESSION_STORE", "memory:"), (variable, value)]).unwrap();
        let file = from_json(&format!(r#"{{ "url": "memory:", {field} }}"#)).unwrap();
        assert_eq!(config, file);
        assert_ne!(config, format!("{:?}", StoreConfig::new("memory:")));
        let empty = from_vars(&[("SESSION_STORE", "memory:"), (variable, "")]).unwrap();
        assert_eq!(empty, format!("{:?}", StoreConfig::new("memory:")));
    }
}

#[test]
fn yes_and_no_have_four_words_each_and_no_others() {
    let migrate = |word| {
        from_vars(&[
            ("SESSION_STORE", "memory:"),
            ("SESSION_STORE_MIGRATE", word),
        ])
    };
    for word in ["true", "1", "on", "yes", "TRUE", "Yes"] {
        assert!(
            migrate(word).unwrap().contains("migrate: Some(true)"),
            "{word}"
        );
    }
    for word in ["false", "0", "off", "no", "OFF", "False"] {
        assert!(
            migrate(word).unwrap().contains("migrate: Some(false)"),
            "{word}"
        );
    }
    for word in ["y", "n", "enabled", "2", "truee", " true", "-1"] {
        let error = migrate(word).unwrap_err();
        assert!(
            matches!(&error, ConnectError::InvalidOption { option, .. } if option == "SESSION_STORE_MIGRATE"),
            "{word}: {error:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_names_its_variable() {
    for (variable, value) in [
        ("SESSION_STORE_TIMEOUT", "10"),
        ("SESSION_STORE_TIMEOUT", "soon"),
        ("SESSION_STORE_TIMEOUT", "-1s"),
        ("SESSION_STORE_MAX_CONNECTIONS", "-1"),
        ("SESSION_STORE_MAX_CONNECTIONS", "many"),
        ("SESSION_STORE_MAX_DATA", "64K"),
        ("SESSION_STORE_CODEC", "JSON"),
        ("SESSION_STORE_CODEC", "msgpack"),
        #[cfg(not(feature = "messagepack"))]
        ("SESSION_STORE_CODEC", "messagepack"),
        ("SESSION_STORE_CAPACITY", "1.5"),
        ("SESSION_DRIVER", "mongodb"),
    ] {
        let error = from_vars(&[("SESSION_STORE", "memory:"), (variable, value)]).unwrap_err();
        assert!(
            matches!(&error, ConnectError::InvalidOption { option, .. } if option == variable),
            "{variable}={value}: {error:?}"
        );
        assert!(error.to_string().contains(variable), "{error}");
    }
}

#[test]
fn a_mistyped_variable_is_refused_and_those_of_others_are_not_looked_at() {
    let url = ("SESSION_STORE", "memory:");
    for mistyped in [
        "SESSION_STORE_TABEL",
        "SESSION_STORE_",
        "SESSION_STORE_URL",
        "SESSION_STORE_table",
    ] {
        let error = from_vars(&[url, (mistyped, "")]).unwrap_err();
        assert!(
            matches!(&error, ConnectError::UnknownVariable { variable } if variable == mistyped),
            "{error:?}"
        );
        assert!(error.to_string().contains("SESSION_STORE_TABLE"), "{error}");
    }
    let plain = from_vars(&[url]).unwrap();
    for other in [
        "SESSION_KEY",
        "SESSION_STORES",
        "STORE",
        "SESSION_LIFETIME",
        "PATH",
        "",
    ] {
        assert_eq!(from_vars(&[url, (other, "x")]).unwrap(), plain);
    }
}

#[test]
fn the_driver_must_fit_the_url() {
    for (driver, url) in [
        ("memory", "memory:"),
        ("file", "file:x"),
        ("sqlite", "sqlite:x"),
        ("postgres", "postgresql://h/d"),
        ("postgresql", "postgres://h/d"),
        ("mysql", "mariadb://h/d"),
        ("redis", "redis+cluster://h"),
        ("redis", "rediss://h"),
        ("", "redis://h"),
    ] {
        let vars = [("SESSION_DRIVER", driver), ("SESSION_STORE", url)];
        let expected = format!("{:?}", StoreConfig::new(url));
        assert_eq!(from_vars(&vars).unwrap(), expected);
    }
    let vars = [
        ("SESSION_DRIVER", "postgres"),
        ("SESSION_STORE", "mysql://u:pass-123@h/d"),
    ];
    let error = from_vars(&vars).unwrap_err();
    let text = format!("{error:?} {error}");
    assert!(
        matches!(
            error,
            ConnectError::Disagreement {
                driver: "postgres",
                scheme: "mysql"
            }
        ),
        "{text}"
    );
    assert!(!text.contains("pass-123"), "{text}");
}

#[test]
fn without_a_url_only_memory_needs_none() {
    let memory = from_vars(&[("SESSION_DRIVER", "memory")]).unwrap();
    assert_eq!(memory, format!("{:?}", StoreConfig::new("memory:")));
    for driver in ["", "file", "sqlite", "postgres", "mysql", "redis"] {
        let vars = [("SESSION_DRIVER", driver), ("SESSION_STORE", "")];
        for vars in [&vars[..1], &vars] {
            let error = from_vars(vars).unwrap_err();
            let ConnectError::NotSet { example } = error else {
                panic!("{driver}: {error:?}");
            };
            assert!(example.starts_with(driver), "{driver}: {example}");
            assert!(error.to_string().starts_with("SESSION_STORE is not set"));
        }
    }
    assert!(matches!(from_vars(&[]), Err(ConnectError::NotSet { .. })));
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_names_its_variable() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = OsStr::from_bytes(b"\xff");
    let ours = [(OsStr::new("SESSION_STORE"), bytes)];
    let error = StoreConfig::from_vars(ours).unwrap_err();
    assert!(
        matches!(&error, ConnectError::InvalidOption { option, .. } if option == "SESSION_STORE"),
        "{error:?}"
    );
    let others = [
        (OsStr::new("OTHER"), bytes),
        (bytes, bytes),
        (OsStr::new("SESSION_DRIVER"), OsStr::new("memory")),
    ];
    assert!(StoreConfig::from_vars(others).is_ok());
}

#[test]
fn a_file_has_a_url_and_nothing_unknown() {
    for json in [
        "{}",
        r#"{ "table": "shop" }"#,
        r#"{ "url": "memory:", "tabel": "shop" }"#,
        r#"{ "url": "memory:", "migrate": "yes" }"#,
        r#"{ "url": "memory:", "timeout": 10 }"#,
        r#"{ "url": "memory:", "timeout": "10" }"#,
        r#"{ "url": "memory:", "max_data": -1 }"#,
    ] {
        assert!(from_json(json).is_err(), "{json}");
    }
    let nothing = from_json(r#"{ "url": "memory:", "table": null, "timeout": null }"#).unwrap();
    assert_eq!(nothing, format!("{:?}", StoreConfig::new("memory:")));
}

#[test]
fn b14_messagepack_is_a_codec_where_the_build_has_it() {
    let vars = [
        ("SESSION_STORE", "file:x"),
        ("SESSION_STORE_CODEC", "messagepack"),
    ];
    let config = from_vars(&vars);
    let file = from_json(r#"{ "url": "file:x", "codec": "messagepack" }"#);
    if cfg!(feature = "messagepack") {
        let config = config.unwrap();
        assert!(config.contains("codec: Some(MessagePack)"), "{config}");
        assert_eq!(config, file.unwrap());
    } else {
        let error = config.unwrap_err().to_string();
        let advice = "enable the feature `messagepack` of tower-keep-connect";
        assert!(error.contains(advice), "{error}");
        assert!(file.unwrap_err().to_string().contains(advice));
    }
}
