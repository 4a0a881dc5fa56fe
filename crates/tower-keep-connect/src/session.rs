//! A store and the layer over it from one configuration.

use std::ffi::OsStr;

use serde::Deserialize;
use tower_keep::SessionConfig;

use crate::{ConnectError, StoreConfig};

/// All there is to configure of sessions: the store, and the layer over it.
///
/// In a file they are two parts of one section:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::collections::BTreeMap;
/// use tower_keep_connect::Config;
///
/// let file: BTreeMap<String, Config> = toml::from_str(
///     r#"
///     [session.store]
///     url = "memory:"
///
///     [session.layer]
///     cookie_name = "__Host-shop"
///     idle_timeout = "30m"
///     "#,
/// )?;
/// let config = &file["session"];
/// let store = config.store.connect().await?;
/// let layer = config.layer.builder(store)?.build()?;
/// # Ok(())
/// # }
/// ```
///
/// In the environment they are variables that begin with `SESSION_`; see
/// [`from_vars`](Self::from_vars).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The store.
    pub store: StoreConfig,
    /// The layer's options; all have defaults.
    #[serde(default)]
    pub layer: SessionConfig,
}

impl Config {
    /// Reads the environment's variables; see [`from_vars`](Self::from_vars).
    ///
    /// # Errors
    /// As [`from_vars`](Self::from_vars).
    pub fn from_env() -> Result<Self, ConnectError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads variables such as those of the environment: of the store as
    /// [`StoreConfig::from_vars`] does, of the layer as [`SessionConfig::from_vars`].
    ///
    /// ```
    /// use tower_keep_connect::{Config, ConnectError};
    ///
    /// let config = Config::from_vars([
    ///     ("SESSION_STORE", "sqlite:sessions.db"),
    ///     ("SESSION_IDLE_TIMEOUT", "30m"),
    /// ])?;
    /// # Ok::<(), ConnectError>(())
    /// ```
    ///
    /// # Errors
    /// As those, for both parts. No other variable may begin with `SESSION_`.
    pub fn from_vars<N, V>(vars: impl IntoIterator<Item = (N, V)>) -> Result<Self, ConnectError>
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let vars: Vec<_> = vars.into_iter().collect();
        let pairs = || {
            vars.iter()
                .map(|(name, value)| (name.as_ref(), value.as_ref()))
        };
        Ok(Self {
            store: StoreConfig::from_vars(pairs())?,
            layer: SessionConfig::from_vars(pairs())?,
        })
    }
}
