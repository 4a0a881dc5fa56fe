//! How a store is configured and connected.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo};
use tower_keep_core::{StoreError, StoreErrorKind};
use tracing::warn;

use crate::confirmation::{Confirmation, LINKS};
use crate::error::from_redis;
use crate::inner::Inner;
use crate::link::Link;
use crate::script::Scripts;
use crate::store::RedisStore;
use crate::wakeups::Subscriber;

/// Configures a [`RedisStore`].
///
/// ```no_run
/// # async fn f() -> Result<(), tower_keep_core::StoreError> {
/// use std::time::Duration;
/// use tower_keep_redis::RedisStore;
///
/// let store = RedisStore::builder()
///     .prefix("shop:sessions:")
///     .command_timeout(Duration::from_secs(1))
///     .connect("redis://127.0.0.1:6379/")
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisStoreBuilder {
    prefix: String,
    timeout: Duration,
    grace: Duration,
    max_body: usize,
    scan_to_sweep: bool,
    replicas: Option<(u64, Duration)>,
}

impl Default for RedisStoreBuilder {
    fn default() -> Self {
        Self {
            prefix: "keep:".to_owned(),
            timeout: Duration::from_secs(3),
            grace: Duration::from_secs(600),
            max_body: 1 << 20,
            scan_to_sweep: false,
            replicas: None,
        }
    }
}

impl RedisStoreBuilder {
    /// What every key begins with, before the session's id in braces; must not contain braces
    /// itself. Default `keep:`. Stores with different prefixes share nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long one step may take, waiting for a connection included. Default 3 s. Afterwards it
    /// is an error, and the step may still take effect.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long sessions stay after their deadline, told apart from such as never were, and
    /// tombstones after the destruction. Default 10 minutes. Not shorter than the oldest request
    /// that is to be recognised as begun before a logout (the layer's `max_request_age`).
    pub fn keep_expired(mut self, span: Duration) -> Self {
        self.grace = span;
        self
    }

    /// The largest size of a session's data in bytes, as JSON. Default 1 MiB. More is refused
    /// before anything is sent.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Whether [`sweep`](tower_keep_core::SessionStore::sweep) looks through all keys of the
    /// database (`SCAN`) for what is over, rather than leaving it to Redis. Default no. It frees
    /// memory a little earlier and costs a command a thousand keys and one a session. Not with a
    /// cluster.
    pub fn scan_to_sweep(mut self, scan: bool) -> Self {
        self.scan_to_sweep = scan;
        self
    }

    /// Has every commit confirmed by this many replicas (`WAIT`), within `timeout`, before it is
    /// answered. Default none. Without their confirmation it is an error although the commit was
    /// applied, so the layer asks again for as long as its lease lasts and then answers 503.
    ///
    /// A failover to a replica that has confirmed keeps the commit. Redis does not promise to
    /// choose such a one unless all of them confirm. `timeout` must be shorter than
    /// [`command_timeout`](Self::command_timeout). Commits then take turns on four connections.
    pub fn wait_for_replicas(mut self, replicas: u64, timeout: Duration) -> Self {
        self.replicas = Some((replicas, timeout));
        self
    }

    /// Connects to one server, `redis://[user:password@]host[:port][/database]` or `unix:///path`.
    ///
    /// # Errors
    /// The URL is not valid, or the server cannot be reached.
    pub async fn connect(self, url: &str) -> Result<RedisStore, StoreError> {
        let client = Client::open(info(url)?).map_err(|error| from_redis(&error))?;
        self.connect_client(client).await
    }

    /// Connects by a client that is configured already.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn connect_client(self, client: Client) -> Result<RedisStore, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(self.timeout))
            // Each step has its own limit.
            .set_response_timeout(None)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(500));
        let link = || {
            ConnectionManager::new_lazy_with_config(client.clone(), config.clone())
                .map(Link::Single)
                .map_err(|error| from_redis(&error))
        };
        let own = self.replicas.map_or(0, |_| LINKS);
        let own = (0..own).map(|_| link()).collect::<Result<_, _>>()?;
        self.start(link()?, own, vec![client]).await
    }

    /// Uses a connection that is there already and keeps its own settings. Wake-ups and the
    /// confirmation by replicas need connections of their own: without a client there are no
    /// wake-ups, so that waiters in other processes poll, and no confirmation.
    ///
    /// # Errors
    /// The server does not answer, or replicas are to confirm.
    pub async fn connect_manager(
        self,
        manager: ConnectionManager,
    ) -> Result<RedisStore, StoreError> {
        if self.replicas.is_some() {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "`wait_for_replicas` needs connections of its own: use `connect` or `connect_client`",
            ));
        }
        self.start(Link::Single(manager), vec![], vec![]).await
    }

    /// Connects to a cluster, of which at least one of these nodes must be reachable.
    ///
    /// # Errors
    /// A URL is not valid, or no node can be reached.
    #[cfg(feature = "cluster")]
    pub async fn connect_cluster(self, urls: &[&str]) -> Result<RedisStore, StoreError> {
        let nodes: Vec<_> = urls.iter().map(|url| info(url)).collect::<Result<_, _>>()?;
        let clients = nodes.iter().cloned().map(Client::open);
        let clients = clients.collect::<Result<_, _>>();
        let cluster = redis::cluster::ClusterClientBuilder::new(nodes)
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout)
            .tcp_settings(tcp())
            .build()
            .map_err(|error| from_redis(&error))?;
        let connect = async || {
            let connection = tokio::time::timeout(self.timeout, cluster.get_async_connection());
            match connection.await {
                Ok(connection) => connection.map(Link::Cluster).map_err(|e| from_redis(&e)),
                Err(_) => Err(crate::error::timed_out()),
            }
        };
        let link = connect().await?;
        let mut own = Vec::new();
        for _ in 0..self.replicas.map_or(0, |_| LINKS) {
            own.push(connect().await?);
        }
        let clients = clients.map_err(|error| from_redis(&error))?;
        self.start(link, own, clients).await
    }

    async fn start(
        self,
        link: Link,
        own: Vec<Link>,
        clients: Vec<Client>,
    ) -> Result<RedisStore, StoreError> {
        let confirmation = self
            .replicas
            .map(|(replicas, timeout)| Confirmation::new(replicas, timeout, own));
        let inner = Arc::new(Inner {
            link,
            scripts: Scripts::new(),
            channel: format!("{}released", self.prefix),
            prefix: self.prefix,
            timeout: self.timeout,
            grace: self.grace,
            max_body: self.max_body,
            scan_to_sweep: self.scan_to_sweep,
            confirmation,
        });
        let subscriber =
            (!clients.is_empty()).then(|| Arc::new(Subscriber::new(inner.clone(), clients)));
        let store = RedisStore { inner, subscriber };
        tower_keep_core::SessionStore::ping(&store).await?;
        store.warn_of_eviction().await;
        Ok(store)
    }
}

impl RedisStore {
    /// Connects to one server with the default configuration.
    ///
    /// # Errors
    /// As [`RedisStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Configures a store.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::default()
    }

    /// Evicted sessions are logged out, and evicted tombstones let a session come back.
    async fn warn_of_eviction(&self) {
        let inner = &*self.inner;
        let mut cmd = redis::cmd("INFO");
        cmd.arg("memory");
        let info = async {
            Ok(redis::from_redis_value::<String>(
                inner.link.run(&cmd).await?,
            )?)
        };
        // A server that does not tell, or several that do, is no reason to fail.
        let Ok(info) = inner.in_time(info).await else {
            return;
        };
        if let Some(policy) = evicting_policy(&info) {
            warn!(
                policy,
                "this Redis may evict live sessions when its memory is full: set maxmemory-policy to noeviction"
            );
        }
    }
}

/// The policy by which the server described by `INFO memory` may evict sessions, if it may.
fn evicting_policy(info: &str) -> Option<&str> {
    let policy = info
        .lines()
        .find_map(|line| line.strip_prefix("maxmemory_policy:"))?
        .trim();
    (policy != "noeviction").then_some(policy)
}

fn info(url: &str) -> Result<ConnectionInfo, StoreError> {
    let info = url
        .into_connection_info()
        .map_err(|error| from_redis(&error))?;
    Ok(info.set_tcp_settings(tcp()))
}

/// Notices a peer that has gone without a word.
fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(3));
    TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_noeviction_keeps_sessions() {
        assert_eq!(
            evicting_policy("maxmemory:0\r\nmaxmemory_policy:noeviction\r\n"),
            None
        );
        assert_eq!(
            evicting_policy("maxmemory_policy:allkeys-lru\r\nx:1\r\n"),
            Some("allkeys-lru")
        );
        assert_eq!(evicting_policy("used_memory:1\r\n"), None);
    }

    #[test]
    fn a_bad_url_is_told_without_its_password() {
        let error = info("nonsense://user:pass-123@host/").unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("pass-123"), "{shown}");
    }
}
