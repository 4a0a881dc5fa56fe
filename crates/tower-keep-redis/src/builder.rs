//! How a store is configured.

use std::time::Duration;

use tower_keep_core::data::Codec;

/// Configures a [`RedisStore`](crate::RedisStore).
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
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_body: usize,
    pub(crate) codec: Codec,
    pub(crate) scan_to_sweep: bool,
    pub(crate) replicas: Option<(u64, Duration)>,
    #[cfg(feature = "sentinel")]
    pub(crate) primary: Option<Hidden>,
    #[cfg(feature = "tls")]
    pub(crate) certificates: crate::tls::Certificates,
}

/// A URL, which may contain a password.
#[cfg(feature = "sentinel")]
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

#[cfg(feature = "sentinel")]
impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Default for RedisStoreBuilder {
    fn default() -> Self {
        Self {
            prefix: "keep:".to_owned(),
            timeout: Duration::from_secs(3),
            grace: Duration::from_secs(600),
            max_body: 1 << 20,
            codec: Codec::default(),
            scan_to_sweep: false,
            replicas: None,
            #[cfg(feature = "sentinel")]
            primary: None,
            #[cfg(feature = "tls")]
            certificates: crate::tls::Certificates::default(),
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

    /// How the data of sessions are written. Default JSON. What is there in another codec stays
    /// readable, and is rewritten when the session's data next change. `MessagePack` needs the
    /// feature `messagepack`, in every process on the store.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
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

    /// How the primary that sentinels name is spoken to: with the user and password, the database
    /// and, if the scheme is `rediss`, the TLS of this URL. Its host and port are not looked at.
    /// Default `redis://primary/0`, so without a password and without TLS, whatever the URLs of
    /// the sentinels say. Read by [`connect_sentinel`](Self::connect_sentinel) alone.
    #[cfg(feature = "sentinel")]
    pub fn primary_url(mut self, url: impl Into<String>) -> Self {
        self.primary = Some(Hidden(url.into()));
        self
    }

    /// The certificates, in PEM, of those who may vouch for a server with a `rediss://` URL.
    /// Default: whom the operating system trusts.
    #[cfg(feature = "tls")]
    pub fn tls_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.authorities = Some(pem.into());
        self
    }

    /// The certificate, with those that lead to its authority behind it, and its private key, both
    /// in PEM, for servers that ask for one. Default none.
    #[cfg(feature = "tls")]
    pub fn tls_client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.client = Some((chain.into(), key.into()));
        self
    }
}
