//! `sqlite:PATH`, `postgres://HOST/DATABASE`, `mysql://HOST/DATABASE`.

use tower_keep::{DynStore, SessionStore, StoreError};
#[cfg(feature = "mysql")]
use tower_keep_sqlx::MySqlStore;
#[cfg(feature = "postgres")]
use tower_keep_sqlx::PostgresStore;
#[cfg(feature = "sqlite")]
use tower_keep_sqlx::SqliteStore;

use crate::scheme::Target;
use crate::{ConnectError, StoreConfig, Upgrade};

/// What the stores have in common beside the contract. They have methods of these names.
pub(super) trait Schema: SessionStore {
    async fn version(&self) -> Result<u32, StoreError>;
    async fn upgrade(&self) -> Result<(), StoreError>;
}

macro_rules! impl_schema {
    ($store:ty) => {
        impl Schema for $store {
            async fn version(&self) -> Result<u32, StoreError> {
                self.schema_version().await
            }

            async fn upgrade(&self) -> Result<(), StoreError> {
                self.migrate().await
            }
        }
    };
}

#[cfg(feature = "sqlite")]
impl_schema!(SqliteStore);
#[cfg(feature = "postgres")]
impl_schema!(PostgresStore);
#[cfg(feature = "mysql")]
impl_schema!(MySqlStore);

/// The connected store as it is used, with its table.
pub(super) async fn open(
    target: Target<'_>,
    config: &StoreConfig,
    store: impl Schema,
) -> Result<DynStore, ConnectError> {
    if config.makes_tables() {
        store.upgrade().await.map_err(|e| target.failed(e))?;
    }
    Ok(DynStore::new(store))
}

/// Makes or changes the connected store's table.
pub(super) async fn upgrade(
    target: Target<'_>,
    store: impl Schema,
) -> Result<Option<Upgrade>, ConnectError> {
    let upgraded = async {
        let from = store.version().await?;
        store.upgrade().await?;
        let to = store.version().await?;
        Ok::<_, StoreError>(Some(Upgrade { from, to }))
    };
    upgraded.await.map_err(|e| target.failed(e))
}

/// Passes the options on, and connects. The builders are types of their own that have the same
/// methods, apart from two names.
macro_rules! connect {
    ($target:ident, $config:ident, $url:expr, $builder:expr, $connections:ident, $timeout:ident) => {{
        let mut builder = $builder;
        if let Some(table) = &$config.table {
            builder = builder.table(table).map_err(|e| invalid("table", &e))?;
        }
        if let Some(schema) = &$config.schema {
            builder = builder.schema(schema).map_err(|e| invalid("schema", &e))?;
        }
        if let Some(connections) = $config.max_connections {
            builder = builder.$connections(connections);
        }
        if let Some(timeout) = $config.timeout {
            builder = builder.$timeout(timeout);
        }
        if let Some(bytes) = $config.max_data {
            builder = builder.max_data(bytes);
        }
        builder.connect($url).await.map_err(|e| $target.failed(e))
    }};
}

#[cfg(feature = "sqlite")]
pub(super) async fn sqlite(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<SqliteStore, ConnectError> {
    let path = target.rest.strip_prefix("//").unwrap_or(target.rest);
    if path.is_empty() || path.starts_with('?') {
        return Err(target.missing("a path: `sqlite:PATH`, or `sqlite::memory:`"));
    }
    let file = path.split('?').next().unwrap_or_default();
    if config.existing && !std::path::Path::new(file).is_file() {
        return Err(target.not_there(file));
    }
    let url = format!("sqlite:{path}");
    let builder = SqliteStore::builder();
    connect!(target, config, &url, builder, readers, busy_timeout)
}

#[cfg(feature = "postgres")]
pub(super) async fn postgres(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<PostgresStore, ConnectError> {
    let url = super::server::url(target, "postgres", &["host", "hostaddr"])?;
    let builder = PostgresStore::builder();
    connect!(
        target,
        config,
        url.as_str(),
        builder,
        max_connections,
        acquire_timeout
    )
}

#[cfg(feature = "mysql")]
pub(super) async fn mysql(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<MySqlStore, ConnectError> {
    let url = super::server::url(target, "mysql", &["socket"])?;
    if url.path().trim_matches('/').is_empty() && config.schema.is_none() {
        return Err(target.missing("a database: `//HOST/DATABASE`"));
    }
    let builder = MySqlStore::builder();
    connect!(
        target,
        config,
        url.as_str(),
        builder,
        max_connections,
        acquire_timeout
    )
}

fn invalid(option: &str, problem: &tower_keep_sqlx::NameError) -> ConnectError {
    ConnectError::InvalidOption {
        option: option.to_owned(),
        problem: problem.to_string(),
    }
}
