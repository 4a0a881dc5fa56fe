//! `sqlite:PATH`, `postgres://HOST/DATABASE`, `mysql://HOST/DATABASE`.

use tower_keep::{DynStore, StoreError};

use crate::scheme::Target;
use crate::{ConnectError, StoreConfig};

/// Passes the options on, connects, and makes the table. The builders are types of their own that
/// have the same methods, apart from two names.
macro_rules! open {
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
        let opened = async {
            let store = builder.connect($url).await?;
            if $config.migrate.unwrap_or(true) {
                store.migrate().await?;
            }
            Ok::<_, StoreError>(DynStore::new(store))
        };
        opened.await.map_err(|e| $target.failed(e))
    }};
}

#[cfg(feature = "sqlite")]
pub(super) async fn sqlite(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let path = target.rest.strip_prefix("//").unwrap_or(target.rest);
    if path.is_empty() || path.starts_with('?') {
        return Err(target.missing("a path: `sqlite:PATH`, or `sqlite::memory:`"));
    }
    let url = format!("sqlite:{path}");
    let builder = tower_keep_sqlx::SqliteStore::builder();
    open!(target, config, &url, builder, readers, busy_timeout)
}

#[cfg(feature = "postgres")]
pub(super) async fn postgres(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let url = super::server::url(target, "postgres", &["host", "hostaddr"])?;
    let builder = tower_keep_sqlx::PostgresStore::builder();
    open!(
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
) -> Result<DynStore, ConnectError> {
    let url = super::server::url(target, "mysql", &["socket"])?;
    if url.path().trim_matches('/').is_empty() && config.schema.is_none() {
        return Err(target.missing("a database: `//HOST/DATABASE`"));
    }
    let builder = tower_keep_sqlx::MySqlStore::builder();
    open!(
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
