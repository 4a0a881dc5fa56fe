//! `redis://HOST`, `redis+unix:///PATH`, `redis+cluster://HOST,HOST`.
//!
//! TLS (`rediss://`) and Sentinel (`redis+sentinel://`) would stand here too.

use tower_keep::DynStore;
use tower_keep_redis::{RedisStore, RedisStoreBuilder};

use crate::scheme::Target;
use crate::{ConnectError, StoreConfig};

use super::server;

pub(super) async fn server(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let url = server::url(target, "redis", &[])?;
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
    let nodes = target.rest.strip_prefix("//").unwrap_or_default();
    let (nodes, tail) = nodes.split_at(nodes.find(['/', '?', '#']).unwrap_or(nodes.len()));
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    if !path.trim_matches('/').is_empty() {
        return Err(target.invalid("a cluster has no numbered databases: leave out the path"));
    }
    let (user, nodes) = nodes.split_at(nodes.rfind('@').map_or(0, |at| at + 1));
    let urls = nodes.split(',').map(|node| {
        let rest = &format!("//{user}{node}{tail}");
        server::url(Target { rest, ..target }, "redis", &[])
    });
    let urls: Vec<_> = urls.collect::<Result<_, _>>()?;
    let urls: Vec<_> = urls.iter().map(url::Url::as_str).collect();
    let store = builder(config)?.connect_cluster(&urls).await;
    store.map(DynStore::new).map_err(|e| target.failed(e))
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
    Ok(builder)
}
