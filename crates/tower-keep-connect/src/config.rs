//! What is known of a store before it is opened.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tower_keep::{Codec, DynStore};

use crate::ConnectError;
use crate::scheme::Target;

/// A URL, and the options that do not belong into one.
///
/// An option that is not set has the store's own default. One that the store does not have is an
/// error when it is connected. Stores have more options on their builders: make such a store
/// there, and a [`DynStore`] of it.
///
/// | option | stores | |
/// |---|---|---|
/// | `table` | SQL | name of the table, default `keep_sessions` |
/// | `schema` | PostgreSQL, MySQL | where the table is, if not in the connection's default |
/// | `migrate` | SQL | whether to make the table if it is not there, default yes |
/// | `max_connections` | SQL | default 10; SQLite: those that read, default 4 |
/// | `prefix` | Redis | what keys begin with, default `keep:` |
/// | `timeout` | SQL, Redis | how long a step waits: for a connection (PostgreSQL, MySQL, default 5 s), for another process that writes (SQLite, default 5 s), for its answer (Redis, default 3 s) |
/// | `max_data` | all but memory | most bytes of a session's data, default 1 MiB |
/// | `codec` | file, Redis | how data are written: `json` (default), or `messagepack` with the feature of that name |
/// | `capacity` | memory | most sessions, default no limit |
///
/// # From a file
/// It can be deserialized; `url` is required, what is unknown is refused. Spans are texts with
/// their units, as [humantime](https://docs.rs/humantime) reads them: `"500ms"`, `"1m 30s"`.
///
/// ```
/// use tower_keep_connect::StoreConfig;
///
/// let config: StoreConfig = serde_json::from_str(
///     r#"{ "url": "postgres://shop:secret@db/shop", "timeout": "2s", "max_connections": 20 }"#,
/// )?;
/// assert_eq!(config.shown_url(), "postgres://db/shop");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # In code
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_keep_connect::StoreConfig;
///
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("sessions.db");
/// let store = StoreConfig::new(format!("sqlite:{}", file.display()))
///     .table("shop_sessions")
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct StoreConfig {
    pub(crate) url: String,
    pub(crate) table: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) migrate: Option<bool>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) prefix: Option<String>,
    #[serde(default, deserialize_with = "span")]
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_data: Option<usize>,
    #[serde(default, deserialize_with = "codec")]
    pub(crate) codec: Option<Codec>,
    pub(crate) capacity: Option<usize>,
    #[serde(skip)]
    pub(crate) existing: bool,
}

impl StoreConfig {
    /// A store at this URL, with its defaults. See the [crate] for what URLs there are.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            table: None,
            schema: None,
            migrate: None,
            max_connections: None,
            prefix: None,
            timeout: None,
            max_data: None,
            codec: None,
            capacity: None,
            existing: false,
        }
    }

    /// SQL: the table's name.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// PostgreSQL: the schema that the table is in; MySQL: the database. It must exist.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// SQL: whether to make the table, if it is not there, while connecting. Default yes.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = Some(migrate);
        self
    }

    /// SQL: how many connections are open at most; SQLite: how many that read.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// Redis: what every key begins with.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// SQL, Redis: how long a step of the store waits.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// All but memory: how many bytes a session's data may take.
    pub fn max_data(mut self, bytes: usize) -> Self {
        self.max_data = Some(bytes);
        self
    }

    /// File, Redis: how the data of sessions are written. What is there in another codec stays
    /// readable, in every process whose build has it. SQL stores keep JSON, which SQL can read.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Memory: how many sessions there may be.
    pub fn capacity(mut self, sessions: usize) -> Self {
        self.capacity = Some(sessions);
        self
    }

    /// Whether to open only what is there: a directory or file that is missing is an error
    /// ([`ConnectError::NotThere`]) and is not made, and neither is a table. For tools, which should
    /// not make a store of a mistyped path. Default no. Not an option of files and the environment.
    pub fn existing(mut self, existing: bool) -> Self {
        self.existing = existing;
        self
    }

    /// The URL as people may see it: without user, password and parameters.
    #[must_use]
    pub fn shown_url(&self) -> String {
        Target::of(&self.url).map_or_else(|_| "…".to_owned(), |target| target.shown())
    }

    /// Opens the store. SQL tables are made unless [`migrate`](Self::migrate) is off.
    ///
    /// # Errors
    /// [`ConnectError::Store`] if the store cannot be opened or reached; the others if the
    /// configuration is wrong.
    pub async fn connect(&self) -> Result<DynStore, ConnectError> {
        crate::stores::open(self.target()?, self).await
    }

    /// Brings the schema of an SQL database up to date, as connecting does unless
    /// [`migrate`](Self::migrate) is off, and tells from which version to which. `None` for a store
    /// that has no schema.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_keep_connect::{StoreConfig, Upgrade};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let file = dir.path().join("sessions.db");
    /// let config = StoreConfig::new(format!("sqlite:{}", file.display()));
    /// assert_eq!(config.upgrade().await?, Some(Upgrade { from: 0, to: 1 }));
    /// assert_eq!(config.upgrade().await?, Some(Upgrade { from: 1, to: 1 }));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn upgrade(&self) -> Result<Option<Upgrade>, ConnectError> {
        crate::stores::upgrade(self.target()?, self).await
    }

    /// The URL's parts, if all options that are set mean something to its store.
    fn target(&self) -> Result<Target<'_>, ConnectError> {
        let target = Target::of(&self.url)?;
        let supported = target.kind.options();
        if let Some(option) = self.options().find(|option| !supported.contains(option)) {
            let scheme = target.scheme;
            return Err(ConnectError::UnsupportedOption { scheme, option });
        }
        Ok(target)
    }

    /// Whether connecting makes tables.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(crate) fn makes_tables(&self) -> bool {
        !self.existing && self.migrate.unwrap_or(true)
    }

    /// Those that are set.
    fn options(&self) -> impl Iterator<Item = &'static str> {
        [
            ("table", self.table.is_some()),
            ("schema", self.schema.is_some()),
            ("migrate", self.migrate.is_some()),
            ("max_connections", self.max_connections.is_some()),
            ("prefix", self.prefix.is_some()),
            ("timeout", self.timeout.is_some()),
            ("max_data", self.max_data.is_some()),
            ("codec", self.codec.is_some()),
            ("capacity", self.capacity.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("url", &self.shown_url())
            .field("table", &self.table)
            .field("schema", &self.schema)
            .field("migrate", &self.migrate)
            .field("max_connections", &self.max_connections)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("max_data", &self.max_data)
            .field("codec", &self.codec)
            .field("capacity", &self.capacity)
            .field("existing", &self.existing)
            .finish()
    }
}

/// What [`StoreConfig::upgrade`] did: versions of the schema, 0 for none. Nothing was to do where
/// they are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// The version that was there.
    pub from: u32,
    /// The version that is there now.
    pub to: u32,
}

fn codec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Codec>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    name.map(|name| codec_named(&name).map_err(serde::de::Error::custom))
        .transpose()
}

/// The codec of this name, to the letter.
pub(crate) fn codec_named(name: &str) -> Result<Codec, &'static str> {
    let known = Codec::ALL.iter().find(|codec| codec.name() == name);
    known.copied().ok_or(if name == "messagepack" {
        "this build has no MessagePack: enable the feature `messagepack` of tower-keep-connect"
    } else {
        "write json or messagepack"
    })
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| humantime::parse_duration(&text).map_err(serde::de::Error::custom))
        .transpose()
}
