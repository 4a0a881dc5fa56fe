//! The configuration from the environment: the same options, by a deserializer of variables.

use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use zeroize::Zeroizing;

use super::{ConfigError, SessionConfig};

const PREFIX: &str = "SESSION_";
/// Which begin likewise and are none of the layer's: those of stores (`tower-keep-connect`), and that
/// of the X session manager, which is set on many desktops.
const OTHERS: [&str; 3] = ["SESSION_STORE", "SESSION_DRIVER", "SESSION_MANAGER"];
const STORES: &str = "SESSION_STORE_";

impl SessionConfig {
    /// Reads the environment's variables; see [`from_vars`](Self::from_vars).
    ///
    /// ```no_run
    /// use tower_keep::{MemoryStore, SessionConfig};
    ///
    /// let layer = SessionConfig::from_env()?.builder(MemoryStore::new())?.build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_vars`](Self::from_vars).
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads variables such as those of the environment: each option in capitals with `SESSION_` in
    /// front, as `SESSION_COOKIE_NAME` and `SESSION_IDLE_TIMEOUT`.
    ///
    /// Numbers are digits. Yes is `true`, `1`, `on` or `yes`, no is `false`, `0`, `off` or `no`, in
    /// capitals too. A variable without a value counts as not set.
    ///
    /// Other variables are not looked at, except that there may be no further ones that begin with
    /// `SESSION_`: they would be mistyped. `SESSION_STORE` and those that begin with
    /// `SESSION_STORE_`, and `SESSION_DRIVER`, belong to `tower-keep-connect`, and
    /// `SESSION_MANAGER` to desktops.
    ///
    /// ```
    /// use tower_keep::{ConfigError, SessionConfig};
    ///
    /// let config = SessionConfig::from_vars([
    ///     ("SESSION_COOKIE_NAME", "__Host-shop"),
    ///     ("SESSION_IDLE_TIMEOUT", "30m"),
    /// ])?;
    /// let mistyped = SessionConfig::from_vars([("SESSION_IDLE_TIMEUOT", "30m")]);
    /// assert!(matches!(mistyped, Err(ConfigError::UnknownVariable { .. })));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// What is unknown or unreadable, by the name of its variable.
    pub fn from_vars<N, V>(vars: impl IntoIterator<Item = (N, V)>) -> Result<Self, ConfigError>
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut ours = Vec::new();
        for (name, value) in vars {
            // None of ours is anything but ASCII.
            let Some(name) = name.as_ref().to_str() else {
                continue;
            };
            if !name.starts_with(PREFIX) || OTHERS.contains(&name) || name.starts_with(STORES) {
                continue;
            }
            let text = value
                .as_ref()
                .to_str()
                .ok_or_else(|| ConfigError::Invalid {
                    option: name.to_owned(),
                    problem: "it must be text in UTF-8".to_owned(),
                })?;
            ours.push(Var {
                name: name.to_owned(),
                text: Zeroizing::new(text.to_owned()),
            });
        }
        Self::deserialize(Vars(ours)).map_err(|Failure(error)| error)
    }
}

struct Var {
    name: String,
    /// It may be a key.
    text: Zeroizing<String>,
}

/// Variables as a struct of options.
struct Vars(Vec<Var>);

impl<'de> Deserializer<'de> for Vars {
    type Error = Failure;

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let is_known = |var: &Var| fields.contains(&option(&var.name).as_str());
        if let Some(unknown) = self.0.iter().find(|var| !is_known(var)) {
            return Err(Failure(ConfigError::UnknownVariable {
                variable: unknown.name.clone(),
                known: fields.join(", ").to_ascii_uppercase(),
            }));
        }
        self.0.retain(|var| !var.text.is_empty());
        visitor.visit_map(Access {
            vars: self.0.into_iter(),
            value: None,
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_struct("", &[], visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The name that an option has elsewhere.
fn option(variable: &str) -> String {
    let name = variable.strip_prefix(PREFIX).unwrap_or_default();
    // In capitals only: of two spellings one would be overlooked.
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        String::new()
    } else {
        name.to_ascii_lowercase()
    }
}

struct Access {
    vars: std::vec::IntoIter<Var>,
    value: Option<Var>,
}

impl<'de> MapAccess<'de> for Access {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        self.value = self.vars.next();
        let key = self.value.as_ref().map(|var| option(&var.name));
        key.map(|key| seed.deserialize(key.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some(Var { name, text }) = self.value.take() else {
            return Err(de::Error::custom("there is no value"));
        };
        // Here alone it is known whose value it is.
        seed.deserialize(Value(&text))
            .map_err(|Failure(error)| match error {
                ConfigError::Invalid { problem, .. } => Failure(ConfigError::Invalid {
                    option: name,
                    problem,
                }),
                other => Failure(other),
            })
    }
}

/// The text of one variable.
struct Value<'a>(&'a str);

impl Value<'_> {
    fn number<T: FromStr<Err: Display>>(&self) -> Result<T, Failure> {
        self.0.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => visitor.visit_bool(true),
            "false" | "0" | "off" | "no" => visitor.visit_bool(false),
            _ => Err(de::Error::custom(
                "write true, 1, on or yes, or false, 0, off or no",
            )),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_u32(self.number()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let text: StrDeserializer<'_, Failure> = self.0.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// What went wrong, for serde.
#[derive(Debug)]
struct Failure(ConfigError);

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(problem: T) -> Self {
        Self(ConfigError::Invalid {
            option: String::new(),
            problem: problem.to_string(),
        })
    }
}
