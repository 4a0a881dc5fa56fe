//! The configuration from the environment.

use std::ffi::OsStr;
use std::fmt::Display;
use std::str::FromStr;

use crate::scheme::{Kind, Target};
use crate::{ConnectError, StoreConfig};

const URL: &str = "SESSION_STORE";
const DRIVER: &str = "SESSION_DRIVER";
const OPTION: &str = "SESSION_STORE_";

/// The variables of the options, for people.
pub(crate) fn known() -> String {
    let names = [
        "TABLE",
        "SCHEMA",
        "MIGRATE",
        "MAX_CONNECTIONS",
        "PREFIX",
        "TIMEOUT",
        "MAX_DATA",
        "CODEC",
        "CAPACITY",
    ];
    names.map(|name| format!("{OPTION}{name}")).join(", ")
}

impl StoreConfig {
    /// Reads the environment's variables; see [`from_vars`](Self::from_vars).
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_keep::SessionLayer;
    /// use tower_keep_connect::StoreConfig;
    ///
    /// let store = StoreConfig::from_env()?.connect().await?;
    /// let sessions = SessionLayer::new(store);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_vars`](Self::from_vars).
    pub fn from_env() -> Result<Self, ConnectError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads variables such as those of the environment.
    ///
    /// - `SESSION_STORE` is the URL.
    /// - `SESSION_DRIVER` is optional: `memory`, `file`, `sqlite`, `postgres`, `mysql` or `redis`.
    ///   It must fit the URL; `memory` needs none.
    /// - `SESSION_STORE_TABLE`, `_SCHEMA`, `_MIGRATE`, `_MAX_CONNECTIONS`, `_PREFIX`, `_TIMEOUT`,
    ///   `_MAX_DATA`, `_CODEC` and `_CAPACITY` are the options. Numbers are digits. Yes is `true`, `1`, `on`
    ///   or `yes`, no is `false`, `0`, `off` or `no`, in capitals too. Spans are a number and a
    ///   unit: `500ms`, `10s`, `2m`.
    ///
    /// A variable without a value counts as not set. Other variables are not looked at, except that
    /// there may be no further ones that begin with `SESSION_STORE_`: they would be mistyped.
    ///
    /// ```
    /// use tower_keep_connect::{ConnectError, StoreConfig};
    ///
    /// let config = StoreConfig::from_vars([
    ///     ("SESSION_STORE", "sqlite:sessions.db"),
    ///     ("SESSION_STORE_TIMEOUT", "500ms"),
    /// ])?;
    /// assert_eq!(config.shown_url(), "sqlite:sessions.db");
    /// # Ok::<(), ConnectError>(())
    /// ```
    ///
    /// # Errors
    /// What is missing, unknown or unreadable, by the name of its variable.
    pub fn from_vars<N, V>(vars: impl IntoIterator<Item = (N, V)>) -> Result<Self, ConnectError>
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut config = Self::new("");
        let mut driver = None;
        for (name, value) in vars {
            // None of ours is anything but ASCII.
            let Some(name) = name.as_ref().to_str() else {
                continue;
            };
            let option = name.strip_prefix(OPTION);
            if option.is_none() && name != URL && name != DRIVER {
                continue;
            }
            let value = value.as_ref().to_str();
            let value = valid(name, value.ok_or("it must be text in UTF-8"))?;
            match option {
                None if value.is_empty() => {}
                None if name == URL => value.clone_into(&mut config.url),
                None => driver = Some(valid(name, driver_named(value))?),
                Some(option) => config.set(name, option, value)?,
            }
        }
        match driver {
            _ if config.url.is_empty() && driver != Some("memory") => {
                let example = example(driver);
                return Err(ConnectError::NotSet { example });
            }
            Some(_) if config.url.is_empty() => "memory:".clone_into(&mut config.url),
            Some(driver) => {
                let Target { scheme, kind, .. } = Target::of(&config.url)?;
                if kind.driver() != driver {
                    return Err(ConnectError::Disagreement { driver, scheme });
                }
            }
            None => {}
        }
        Ok(config)
    }

    fn set(&mut self, variable: &str, option: &str, value: &str) -> Result<(), ConnectError> {
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match option {
            "TABLE" => self.table = text(),
            "SCHEMA" => self.schema = text(),
            "MIGRATE" => self.migrate = read(variable, value, boolean)?,
            "MAX_CONNECTIONS" => self.max_connections = read(variable, value, FromStr::from_str)?,
            "PREFIX" => self.prefix = text(),
            "TIMEOUT" => self.timeout = read(variable, value, humantime::parse_duration)?,
            "MAX_DATA" => self.max_data = read(variable, value, FromStr::from_str)?,
            "CODEC" => self.codec = read(variable, value, crate::config::codec_named)?,
            "CAPACITY" => self.capacity = read(variable, value, FromStr::from_str)?,
            _ => {
                let variable = variable.to_owned();
                return Err(ConnectError::UnknownVariable { variable });
            }
        }
        Ok(())
    }
}

fn read<T, E: Display>(
    variable: &str,
    value: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, ConnectError> {
    let value = Some(value).filter(|value| !value.is_empty());
    value.map(|value| valid(variable, parse(value))).transpose()
}

fn valid<T>(variable: &str, value: Result<T, impl Display>) -> Result<T, ConnectError> {
    value.map_err(|problem| ConnectError::InvalidOption {
        option: variable.to_owned(),
        problem: problem.to_string(),
    })
}

fn boolean(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err("write true, 1, on or yes, or false, 0, off or no"),
    }
}

fn driver_named(value: &str) -> Result<&'static str, &'static str> {
    let kind = Kind::of(value).map(|(_, kind)| kind.driver());
    kind.ok_or("write memory, file, sqlite, postgres, mysql or redis")
}

fn example(driver: Option<&str>) -> &'static str {
    match driver {
        Some("file") => "file:/var/lib/app/sessions",
        Some("postgres") => "postgres://user:password@host/database",
        Some("mysql") => "mysql://user:password@host/database",
        Some("redis") => "redis://host:6379",
        _ => "sqlite:sessions.db",
    }
}
