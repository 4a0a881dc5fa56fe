//! Opening the stores of this build.

#[cfg(all(feature = "file", unix))]
mod file;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
mod server;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;

use tower_keep::{DynStore, MemoryStore};

use crate::scheme::{Kind, Target};
use crate::{ConnectError, StoreConfig, Upgrade};

/// Opens the store. What has no arm is not in this build.
pub(crate) async fn open(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    match target.kind {
        Kind::Memory => memory(target, config),
        #[cfg(all(feature = "file", unix))]
        Kind::File => file::open(target, config).await,
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => sql::open(target, config, sql::sqlite(target, config).await?).await,
        #[cfg(feature = "postgres")]
        Kind::Postgres => sql::open(target, config, sql::postgres(target, config).await?).await,
        #[cfg(feature = "mysql")]
        Kind::MySql => sql::open(target, config, sql::mysql(target, config).await?).await,
        #[cfg(feature = "redis")]
        Kind::Redis => redis::server(target, config).await,
        #[cfg(feature = "redis")]
        Kind::RedisUnix => redis::socket(target, config).await,
        #[cfg(feature = "redis-tls")]
        Kind::RedisTls => redis::server(target, config).await,
        #[cfg(feature = "redis-sentinel")]
        Kind::RedisSentinel => redis::sentinel(target, config).await,
        #[cfg(feature = "redis-cluster")]
        Kind::RedisCluster => redis::cluster(target, config).await,
        #[allow(unreachable_patterns, reason = "with all features none is missing")]
        _ => {
            let (scheme, feature) = (target.scheme, target.kind.feature());
            Err(ConnectError::NotInThisBuild { scheme, feature })
        }
    }
}

/// Brings the schema up to date, if the store has one.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(clippy::unused_async, reason = "only databases are asked")
)]
pub(crate) async fn upgrade(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<Option<Upgrade>, ConnectError> {
    // Only some builds look at it.
    let _ = config;
    match target.kind {
        #[cfg(feature = "sqlite")]
        Kind::Sqlite => sql::upgrade(target, sql::sqlite(target, config).await?).await,
        #[cfg(feature = "postgres")]
        Kind::Postgres => sql::upgrade(target, sql::postgres(target, config).await?).await,
        #[cfg(feature = "mysql")]
        Kind::MySql => sql::upgrade(target, sql::mysql(target, config).await?).await,
        #[allow(unreachable_patterns, reason = "with all features none is missing")]
        Kind::Sqlite | Kind::Postgres | Kind::MySql => {
            let (scheme, feature) = (target.scheme, target.kind.feature());
            Err(ConnectError::NotInThisBuild { scheme, feature })
        }
        _ => Ok(None),
    }
}

fn memory(target: Target<'_>, config: &StoreConfig) -> Result<DynStore, ConnectError> {
    if !target.rest.trim_matches('/').is_empty() {
        return Err(target.invalid("nothing comes behind `memory:`"));
    }
    let store = config
        .capacity
        .map_or_else(MemoryStore::new, MemoryStore::with_capacity);
    Ok(DynStore::new(store))
}
