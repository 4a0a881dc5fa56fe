//! Redis Sentinel: who the primary is, and a connection that goes where it goes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, RedisError, RedisResult,
    ServerErrorKind,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower_keep_core::StoreError;

use crate::error::{from_redis, invalid};
use crate::gather::Gathering;

/// Pauses between questions for the primary: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// What is to be known of a primary and its sentinels.
pub(crate) struct Watched<'a> {
    /// The name of the primary among the sentinels.
    pub(crate) service: &'a str,
    pub(crate) sentinels: Vec<ConnectionInfo>,
    /// Of which the address does not matter.
    pub(crate) primary: Option<ConnectionInfo>,
    pub(crate) tcp: TcpSettings,
    #[cfg(feature = "tls")]
    pub(crate) certificates: Option<redis::TlsCertificates>,
}

impl Watched<'_> {
    pub(crate) fn client(self) -> Result<SentinelClient, StoreError> {
        let (user, password) = self.sentinels.first().map(login).unwrap_or_default();
        if self
            .sentinels
            .iter()
            .any(|info| login(info) != (user, password))
        {
            return Err(invalid(
                "the URLs of the sentinels must have the same user and password",
            ));
        }
        let addresses = self.sentinels.iter().map(|info| info.addr().clone());
        let builder =
            SentinelClientBuilder::new(addresses, self.service, SentinelServerType::Master);
        let mut builder = builder
            .map_err(|error| from_redis(&error))?
            .set_client_to_sentinel_tcp_settings(self.tcp.clone())
            .set_client_to_redis_tcp_settings(self.tcp);
        if let Some(user) = user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if let Some(primary) = &self.primary {
            builder = builder.set_client_to_redis_db(primary.redis_settings().db());
            let (user, password) = login(primary);
            if let Some(user) = user {
                builder = builder.set_client_to_redis_username(user);
            }
            if let Some(password) = password {
                builder = builder.set_client_to_redis_password(password);
            }
        }
        #[cfg(feature = "tls")]
        {
            let secure = |info: Option<&ConnectionInfo>| info.is_some_and(crate::tls::is_secure);
            let (sentinel, primary) = (
                secure(self.sentinels.first()),
                secure(self.primary.as_ref()),
            );
            if primary {
                builder = builder.set_client_to_redis_tls_mode(redis::TlsMode::Secure);
            }
            if let Some(certificates) = self.certificates {
                if !sentinel && !primary {
                    return Err(crate::tls::unreadable());
                }
                if sentinel {
                    builder = builder.set_client_to_sentinel_certificates(certificates.clone());
                }
                if primary {
                    builder = builder.set_client_to_redis_certificates(certificates);
                }
            }
        }
        builder.build().map_err(|error| from_redis(&error))
    }
}

fn login(info: &ConnectionInfo) -> (Option<&str>, Option<&str>) {
    let settings = info.redis_settings();
    (settings.username(), settings.password())
}

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    client: tokio::sync::Mutex<SentinelClient>,
    /// Of the primary, as it was last.
    address: watch::Sender<String>,
}

impl Sentinels {
    pub(crate) fn new(client: SentinelClient) -> Self {
        Self {
            client: tokio::sync::Mutex::new(client),
            address: watch::Sender::default(),
        }
    }

    /// Asks who is the primary, and the primary itself whether it is.
    pub(crate) async fn primary(&self) -> RedisResult<Client> {
        let client = self.client.lock().await.async_get_client().await?;
        let address = client.get_connection_info().addr().to_string();
        self.address.send_if_modified(|known| {
            let moved = *known != address;
            *known = address;
            moved
        });
        Ok(client)
    }

    /// Tells when somebody finds the primary elsewhere.
    pub(crate) fn moves(&self) -> watch::Receiver<String> {
        self.address.subscribe()
    }
}

/// One try to connect, which all callers share who come meanwhile, and then its connection.
type Attempt = Shared<BoxFuture<'static, RedisResult<Connection>>>;

type Connection = Gathering<MultiplexedConnection>;

/// A connection to whichever server is the primary. A `ConnectionManager` would connect again to
/// the server that was it, which may come back and take writes until it learns that it is no more.
pub(crate) struct Primary {
    sentinels: Arc<Sentinels>,
    /// Of a step.
    timeout: Duration,
    /// The newest, and since when.
    attempt: Mutex<(Instant, Attempt)>,
}

impl Primary {
    pub(crate) fn new(sentinels: Arc<Sentinels>, timeout: Duration) -> Self {
        let attempt = attempt(sentinels.clone(), timeout);
        Self {
            sentinels,
            timeout,
            attempt: Mutex::new((Instant::now(), attempt)),
        }
    }

    /// Makes a call on the connection; afterwards there is a new one if that is of no more use.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let attempt = self.attempt.lock();
        let attempt = attempt.unwrap_or_else(PoisonError::into_inner).1.clone();
        let result = match attempt.clone().await {
            Ok(connection) => {
                let result = call(connection).await;
                match &result {
                    Err(error) if error.is_unrecoverable_error() || is_refusal(error) => {}
                    _ => return result,
                }
                result
            }
            Err(error) => Err(error),
        };
        // Only the first who sees it fail.
        self.leave(|_, current| current.ptr_eq(&attempt));
        result
    }

    /// A step that began then had no answer in time: the server may hang, and no longer be the
    /// primary.
    pub(crate) fn doubt(&self, began: Instant) {
        self.leave(|since, _| since <= began);
    }

    fn leave(&self, which: impl FnOnce(Instant, &Attempt) -> bool) {
        let current = self.attempt.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if which(current.0, &current.1) {
            let next = attempt(self.sentinels.clone(), self.timeout);
            *current = (Instant::now(), next);
        }
    }
}

/// Whether a server that is not the primary, or not ready, has refused to do anything.
pub(crate) fn is_refusal(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    matches!(
        error.kind(),
        ErrorKind::Server(ReadOnly | BusyLoading | MasterDown)
    )
}

/// Connects as soon as there is a primary. It gives up before those do who wait for it from its
/// beginning, so that they are told why.
fn attempt(sentinels: Arc<Sentinels>, timeout: Duration) -> Attempt {
    let tries = async move {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            // Each step has its own limit.
            .set_response_timeout(None);
        let (began, most) = (Instant::now(), timeout / 4 * 3);
        let mut pause = PAUSES.0;
        loop {
            let connection = async {
                let primary = sentinels.primary().await?;
                primary
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            };
            match connection.await {
                Err(error) if may_pass(&error) && began.elapsed() + pause < most => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                result => return result.map(Gathering::new),
            }
        }
    };
    tries.boxed().shared()
}

/// Whether a failover that is under way may be why it fails.
fn may_pass(error: &RedisError) -> bool {
    error.is_io_error()
        || is_refusal(error)
        || error.kind() == ErrorKind::MasterNameNotFoundBySentinel
}
