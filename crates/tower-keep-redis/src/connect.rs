//! The ways to connect.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo};
use tower_keep_core::StoreError;
use tracing::warn;

use crate::builder::RedisStoreBuilder;
use crate::confirmation::{Confirmation, LINKS};
use crate::error::{from_redis, invalid};
use crate::gather::Gathering;
use crate::inner::Inner;
use crate::link::Link;
use crate::script::Scripts;
#[cfg(feature = "sentinel")]
use crate::sentinel::{Primary, Sentinels, Watched};
use crate::store::RedisStore;
use crate::wakeups::{Publishers, Subscriber};

impl RedisStoreBuilder {
    /// Connects to one server, `redis://[user:password@]host[:port][/database]` or `unix:///path`;
    /// with the feature `tls` also `rediss://` and otherwise as `redis://`.
    ///
    /// # Errors
    /// The URL or a certificate is not valid, or the server cannot be reached or not be trusted.
    pub async fn connect(self, url: &str) -> Result<RedisStore, StoreError> {
        let client = self.client(info(url)?)?;
        self.connect_client(client).await
    }

    /// Connects by a client that is configured already, with certificates too: those of the
    /// builder are not looked at.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn connect_client(self, client: Client) -> Result<RedisStore, StoreError> {
        prepare(client.get_connection_info());
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(self.timeout))
            // Each step has its own limit.
            .set_response_timeout(None)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(500));
        let link = || {
            ConnectionManager::new_lazy_with_config(client.clone(), config.clone())
                .map(|manager| Link::Single(Gathering::new(manager)))
                .map_err(|error| from_redis(&error))
        };
        let own = (0..self.own()).map(|_| link()).collect::<Result<_, _>>()?;
        let link = link()?;
        let publishers = Publishers::Clients(vec![client]);
        self.start(link, own, Some(publishers)).await
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
            return Err(invalid(
                "`wait_for_replicas` needs connections of its own: use `connect` or `connect_client`",
            ));
        }
        self.start(Link::Single(Gathering::new(manager)), vec![], None)
            .await
    }

    /// Connects to the primary called `service` that the sentinels at these URLs watch, and follows
    /// it in a failover. At least one sentinel must be reachable.
    ///
    /// A step that is under way when the primary fails waits for the next one for as long as
    /// [`command_timeout`](Self::command_timeout) allows. The URLs are those of sentinels, all with
    /// the same user and password. What the primary wants is said by
    /// [`primary_url`](Self::primary_url).
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), tower_keep_core::StoreError> {
    /// use tower_keep_redis::RedisStore;
    ///
    /// let store = RedisStore::builder()
    ///     .primary_url("redis://:password@primary/0")
    ///     .connect_sentinel("mymaster", &["redis://10.0.0.1:26379/", "redis://10.0.0.2:26379/"])
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A URL or a certificate is not valid, no sentinel can be reached or knows such a primary, or
    /// the primary cannot be reached.
    #[cfg(feature = "sentinel")]
    pub async fn connect_sentinel(
        self,
        service: &str,
        urls: &[&str],
    ) -> Result<RedisStore, StoreError> {
        let nodes = urls.iter().map(|url| info(url)).collect::<Result<_, _>>()?;
        let primary = self.primary.as_ref().map(|url| info(&url.0)).transpose()?;
        let sentinels = Watched {
            service,
            sentinels: nodes,
            primary,
            tcp: tcp(),
            #[cfg(feature = "tls")]
            certificates: self.certificates.get()?,
        };
        let sentinels = Arc::new(Sentinels::new(sentinels.client()?));
        let link = || Link::Sentinel(Primary::new(sentinels.clone(), self.timeout));
        let own = (0..self.own()).map(|_| link()).collect();
        let link = link();
        let publishers = Publishers::Sentinels(sentinels);
        self.start(link, own, Some(publishers)).await
    }

    /// Connects to a cluster, of which at least one of these nodes must be reachable.
    ///
    /// # Errors
    /// A URL or a certificate is not valid, or no node can be reached.
    #[cfg(feature = "cluster")]
    pub async fn connect_cluster(self, urls: &[&str]) -> Result<RedisStore, StoreError> {
        let nodes: Vec<_> = urls.iter().map(|url| info(url)).collect::<Result<_, _>>()?;
        let clients = nodes.iter().map(|node| self.client(node.clone()));
        let clients = clients.collect::<Result<_, _>>()?;
        let cluster = redis::cluster::ClusterClientBuilder::new(nodes)
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout)
            .tcp_settings(tcp());
        #[cfg(feature = "tls")]
        let cluster = match self.certificates.get()? {
            Some(certificates) => cluster.certs(certificates),
            None => cluster,
        };
        let cluster = cluster.build().map_err(|error| from_redis(&error))?;
        let connect = async || {
            let connection = tokio::time::timeout(self.timeout, cluster.get_async_connection());
            match connection.await {
                Ok(connection) => connection.map(Link::Cluster).map_err(|e| from_redis(&e)),
                Err(_) => Err(crate::error::timed_out()),
            }
        };
        let link = connect().await?;
        let mut own = Vec::new();
        for _ in 0..self.own() {
            own.push(connect().await?);
        }
        let publishers = Publishers::Clients(clients);
        self.start(link, own, Some(publishers)).await
    }

    /// How many connections commits need for themselves.
    fn own(&self) -> usize {
        self.replicas.map_or(0, |_| LINKS)
    }

    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self))]
    fn client(&self, info: ConnectionInfo) -> Result<Client, StoreError> {
        #[cfg(feature = "tls")]
        if let Some(certificates) = self.certificates.get()? {
            return Client::build_with_tls(info, certificates)
                .map_err(|_| crate::tls::unreadable());
        }
        Client::open(info).map_err(|error| from_redis(&error))
    }

    async fn start(
        self,
        link: Link,
        own: Vec<Link>,
        publishers: Option<Publishers>,
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
            codec: self.codec,
            scan_to_sweep: self.scan_to_sweep,
            confirmation,
        });
        let subscriber =
            publishers.map(|publishers| Arc::new(Subscriber::new(inner.clone(), publishers)));
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
            let info = inner.link.ask(cmd).await?;
            Ok(redis::from_redis_value::<String>(info)?)
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
    let secure = url.starts_with("rediss:") || url.starts_with("valkeys:");
    if secure && !cfg!(feature = "tls") {
        return Err(invalid(
            "a URL with TLS needs the feature `tls` of tower-keep-redis",
        ));
    }
    let info = url
        .into_connection_info()
        .map_err(|error| from_redis(&error))?
        .set_tcp_settings(tcp());
    prepare(&info);
    Ok(info)
}

/// Before the first connection.
fn prepare(info: &ConnectionInfo) {
    #[cfg(feature = "tls")]
    if crate::tls::is_secure(info) {
        crate::tls::choose_provider();
    }
    #[cfg(not(feature = "tls"))]
    let _ = info;
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
    #[cfg(not(feature = "tls"))]
    fn tls_without_its_feature_is_told() {
        let error = info("rediss://user:pass-123@host/").unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("feature `tls`"), "{source}");
        assert!(!source.contains("pass-123"), "{source}");
    }

    #[test]
    fn a_bad_url_is_told_without_its_password() {
        let error = info("nonsense://user:pass-123@host/").unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("pass-123"), "{shown}");
    }
}
