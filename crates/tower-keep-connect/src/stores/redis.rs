//! `redis://HOST`, `rediss://HOST`, `redis+unix:///PATH`, `redis+cluster://HOST,HOST`,
//! `redis+sentinel://HOST,HOST/SERVICE`.

use tower_keep::DynStore;
use tower_keep_redis::{RedisStore, RedisStoreBuilder};

#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
use url::Url;

use crate::scheme::{Kind, Target};
use crate::{ConnectError, StoreConfig};

use super::server;

pub(super) async fn server(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let scheme = match target.kind {
        Kind::RedisTls => "rediss",
        _ => "redis",
    };
    let url = server::url(target, scheme, &[])?;
    let store = builder(config)?.connect(url.as_str()).await;
    store.map(DynStore::new).map_err(|e| target.failed(e))
}

pub(super) async fn socket(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    if target.rest.trim_matches('/').is_empty() {
        return Err(target.missing("a path: `redis+unix:///PATH`"));
    }
    let url = format!("redis+unix:{}", target.rest);
    let store = builder(config)?.connect(&url).await;
    store.map(DynStore::new).map_err(|e| target.failed(e))
}

/// User, password and parameters are the same for all nodes.
#[cfg(feature = "redis-cluster")]
pub(super) async fn cluster(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let Several {
        user,
        hosts,
        path,
        parameters,
    } = several(target);
    if !path.trim_matches('/').is_empty() {
        return Err(target.invalid("a cluster has no numbered databases: leave out the path"));
    }
    let urls = urls(target, hosts, |host| format!("//{user}{host}{parameters}"))?;
    let urls: Vec<_> = urls.iter().map(Url::as_str).collect();
    let store = builder(config)?.connect_cluster(&urls).await;
    store.map(DynStore::new).map_err(|e| target.failed(e))
}

/// The hosts are those of sentinels, which want no password; user, password, the number of the
/// database and parameters are the primary's.
#[cfg(feature = "redis-sentinel")]
pub(super) async fn sentinel(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let Several {
        user,
        hosts,
        path,
        parameters,
    } = several(target);
    let (service, number) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((path.trim_start_matches('/'), "0"));
    let urls = urls(target, hosts, |host| format!("//{host}"))?;
    if service.is_empty() {
        return Err(target.missing("the name of the service: `//HOST,HOST/SERVICE`"));
    }
    let urls: Vec<_> = urls.iter().map(Url::as_str).collect();
    let rest = &format!("//{user}primary/{number}{parameters}");
    let primary = server::url(Target { rest, ..target }, "redis", &[])?;
    let builder = builder(config)?.primary_url(primary);
    let store = builder.connect_sentinel(service, &urls).await;
    store.map(DynStore::new).map_err(|e| target.failed(e))
}

/// A URL with several hosts, in parts.
#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
struct Several<'a> {
    /// With the password and the sign behind it, if there is one.
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
    parameters: &'a str,
}

#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
fn several(target: Target<'_>) -> Several<'_> {
    let all = target.rest.strip_prefix("//").unwrap_or_default();
    let (all, parameters) = all.split_at(all.find(['?', '#']).unwrap_or(all.len()));
    let (all, path) = all.split_at(all.find('/').unwrap_or(all.len()));
    let (user, hosts) = all.split_at(all.rfind('@').map_or(0, |at| at + 1));
    Several {
        user,
        hosts,
        path,
        parameters,
    }
}

#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
fn urls(
    target: Target<'_>,
    hosts: &str,
    rest: impl Fn(&str) -> String,
) -> Result<Vec<Url>, ConnectError> {
    let url = |host| {
        let rest = &rest(host);
        server::url(Target { rest, ..target }, "redis", &[])
    };
    hosts.split(',').map(url).collect()
}

fn builder(config: &StoreConfig) -> Result<RedisStoreBuilder, ConnectError> {
    let mut builder = RedisStore::builder();
    if let Some(prefix) = &config.prefix {
        if prefix.contains(['{', '}']) {
            return Err(ConnectError::InvalidOption {
                option: "prefix".to_owned(),
                problem: "it must not have braces, which Redis Cluster gives a meaning".to_owned(),
            });
        }
        builder = builder.prefix(prefix);
    }
    if let Some(timeout) = config.timeout {
        builder = builder.command_timeout(timeout);
    }
    if let Some(bytes) = config.max_data {
        builder = builder.max_body(bytes);
    }
    if let Some(codec) = config.codec {
        builder = builder.codec(codec);
    }
    Ok(builder)
}
