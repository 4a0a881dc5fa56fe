//! The layer's options: the input is a TOML file, and lines of `NAME=VALUE` as variables.

use tower_keep::{MemoryStore, SessionConfig};

use crate::{CANARY, said, tells};

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(config) = toml::from_str::<SessionConfig>(text) {
        assert!(!key_is_told(text, &format!("{config:?}")));
        built(&config, text);
    }
    let vars: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    match SessionConfig::from_vars(vars.iter().copied()) {
        Ok(config) => {
            assert!(!key_is_told(text, &format!("{config:?}")));
            built(&config, text);
            same_in_toml(&config, &vars);
        }
        Err(error) => assert!(!key_is_told(text, &said(&error)), "{error}"),
    }
}

/// Whether the text shows a key; what is no key may be shown.
fn key_is_told(text: &str, shown: &str) -> bool {
    let elsewhere = |line: &str| {
        let name = line.split('=').next().unwrap_or_default();
        let is_keys = name.trim().to_ascii_uppercase().ends_with("_KEYS");
        line.contains(CANARY) && (!is_keys || name.contains(CANARY))
    };
    tells(shown) && !text.lines().any(elsewhere)
}

/// A configuration that is read is a layer, or an error that says why not.
fn built(config: &SessionConfig, text: &str) {
    // What it names is not to be opened here.
    let text = text.to_ascii_lowercase();
    if ["_file", "temp_dir"].iter().any(|name| text.contains(name)) {
        return;
    }
    match config.clone().builder(MemoryStore::new()) {
        Ok(builder) => {
            if let Err(error) = builder.build() {
                assert!(!said(&error).is_empty());
            }
        }
        Err(error) => assert!(!key_is_told(&text, &said(&error)), "{error}"),
    }
}

/// The same options as text in a file are the same, where they are no numbers, yes or no.
fn same_in_toml(config: &SessionConfig, vars: &[(&str, &str)]) {
    let ours = |name: &str| name.strip_prefix("SESSION_").map(str::to_ascii_lowercase);
    let mut table = toml::Table::new();
    for (name, value) in vars.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(option) = ours(name).filter(|option| !option.starts_with("store")) else {
            continue;
        };
        if table.insert(option, (*value).into()).is_some() {
            return;
        }
    }
    if let Ok(theirs) = table.try_into::<SessionConfig>() {
        assert_eq!(format!("{theirs:?}"), format!("{config:?}"));
    }
}
