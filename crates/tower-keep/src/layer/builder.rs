//! How a layer is configured.

use std::any::TypeId;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tower_keep_core::data::DataLimits;
use tower_keep_core::{Clock, DynStore, Limits, SystemClock, UserCap};

use crate::client_ip::{ClientIp, TrustedProxies};
use crate::cookie::CookieConfig;
use crate::error::Error;
use crate::events::EventsConfig;
use crate::extract::MainKey;
use crate::fingerprint::FingerprintConfig;
use crate::import::Import;
use crate::keys::KeyRing;
use crate::lock::LockConfig;
use crate::request::{RequestHead, RequestInfo};
use crate::shared::{Lifetimes, OnError, Predicate};
use crate::sweep::Lottery;
use crate::transport::Transport;

/// A [`SessionLayer`](crate::SessionLayer) to be configured; see
/// [`SessionLayer::builder`](crate::SessionLayer::builder).
///
/// ```
/// use std::time::Duration;
/// use tower_keep::cookie::CookieConfig;
/// use tower_keep::{MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .cookie(CookieConfig::new().name("__Host-shop"))
///     .idle_timeout(Duration::from_secs(30 * 60))
///     .skip(|request| request.uri.path().starts_with("/static/"))
///     .build()?;
/// # Ok::<(), tower_keep::LayerConfigError>(())
/// ```
#[must_use]
pub struct SessionLayerBuilder {
    pub(super) store: DynStore,
    pub(super) cookie: CookieConfig,
    pub(super) transport: Transport,
    pub(super) prefix: String,
    pub(super) token_keys: Option<KeyRing>,
    pub(super) accept_unsigned: bool,
    pub(super) lifetimes: Lifetimes,
    pub(super) touch: Option<Duration>,
    pub(super) user_cap: Option<UserCap>,
    pub(super) locks: LockConfig,
    pub(super) data: DataLimits,
    pub(super) max_request_age: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) key: TypeId,
    pub(super) commit_when: Box<dyn Fn(StatusCode) -> bool + Send + Sync>,
    pub(super) skip: Option<Predicate>,
    pub(super) lock_for: Option<Predicate>,
    pub(super) client_ip: ClientIp,
    pub(super) fingerprint: Option<FingerprintConfig>,
    pub(super) on_error: Option<OnError>,
    pub(super) lottery: Option<Lottery>,
    pub(super) import: Option<Import>,
    pub(crate) events: EventsConfig,
    #[cfg(feature = "temp")]
    pub(crate) temp: Option<crate::temp::TempStorage>,
}

impl SessionLayerBuilder {
    pub(super) fn new(store: DynStore) -> Self {
        Self {
            store,
            cookie: CookieConfig::new(),
            transport: Transport::default(),
            prefix: String::new(),
            token_keys: None,
            accept_unsigned: false,
            lifetimes: Lifetimes::default(),
            touch: None,
            user_cap: None,
            locks: LockConfig::default(),
            data: DataLimits::default(),
            max_request_age: Duration::from_secs(600),
            clock: Arc::new(SystemClock::default()),
            key: TypeId::of::<MainKey>(),
            commit_when: Box::new(commits),
            skip: None,
            lock_for: None,
            client_ip: ClientIp::default(),
            fingerprint: None,
            on_error: None,
            lottery: None,
            import: None,
            events: EventsConfig::default(),
            #[cfg(feature = "temp")]
            temp: None,
        }
    }

    /// The cookie. Default: [`CookieConfig::new`].
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// How tokens get to the client and back. Default: by the cookie.
    pub fn transport(mut self, transport: impl Into<Transport>) -> Self {
        self.transport = transport.into();
        self
    }

    /// A visible prefix of every token, such as `shop_sess_`, so that secret scanners know one when
    /// they see it. Default: none. Cookies without exactly this prefix open nothing.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Signs tokens, so that made-up ones cost no call to the store: one without a signature of
    /// these keys opens nothing. Default: no signatures, which opens nothing either, but asks the
    /// store.
    ///
    /// A signature (HMAC-SHA256) is bound to the cookie's or the header field's name. The first key
    /// signs, all of them verify. A token is signed again only when it is replaced (by a login,
    /// say), so keep a key that was replaced for the longest absolute timeout, and use
    /// [`accept_unsigned_tokens`](Self::accept_unsigned_tokens) as long after this was turned on.
    ///
    /// ```
    /// use tower_keep::keys::KeyRing;
    /// use tower_keep::{MemoryStore, SessionLayer};
    ///
    /// # let text = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";
    /// let keys: KeyRing = text.parse()?;
    /// let layer = SessionLayer::builder(MemoryStore::new()).token_keys(keys).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token_keys(mut self, keys: KeyRing) -> Self {
        self.token_keys = Some(keys);
        self
    }

    /// Whether tokens without a signature are accepted beside signed ones. Default: no. For the time
    /// after [`token_keys`](Self::token_keys) were introduced.
    pub fn accept_unsigned_tokens(mut self, accept: bool) -> Self {
        self.accept_unsigned = accept;
        self
    }

    /// How long a session lives without a request. Default: 2 hours.
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.lifetimes.usual.idle = idle;
        self
    }

    /// How long a session lives in all, from its creation, the last change of user or
    /// re-authentication. Default: 24 hours.
    pub fn absolute_timeout(mut self, absolute: Duration) -> Self {
        self.lifetimes.usual.absolute = absolute;
        self
    }

    /// How long a session lives whose user asked to be remembered
    /// ([`Session::set_user_remembered`](crate::Session::set_user_remembered)): without a request,
    /// and in all. Default: 14 days both.
    pub fn remember_timeouts(mut self, idle: Duration, absolute: Duration) -> Self {
        self.lifetimes.remembered = Limits { idle, absolute };
        self
    }

    /// How long a session lives that is nobody's: without a request, and in all. Default: as one
    /// that is a user's. Shorter spans bound what a flood of visitors can leave behind.
    pub fn anonymous_timeouts(mut self, idle: Duration, absolute: Duration) -> Self {
        self.lifetimes.anonymous = Some(Limits { idle, absolute });
        self
    }

    /// By how much an opening must move the idle deadline to be worth a write. Default: a sixtieth
    /// of the shortest idle timeout, at least a second.
    pub fn touch_throttle(mut self, least: Duration) -> Self {
        self.touch = Some(least);
        self
    }

    /// How many sessions a user may have. Default: any number. One too many ends the oldest ones
    /// or is refused, as the cap says: [`Error::TooManySessions`] at the commit that would make it
    /// the user's. Exact also for logins at the same time, on any number of nodes.
    pub fn user_cap(mut self, cap: UserCap) -> Self {
        self.user_cap = Some(cap);
        self
    }

    /// How sessions are locked and waited for.
    pub fn locks(mut self, locks: LockConfig) -> Self {
        self.locks = locks;
        self
    }

    /// The size of the data and of their keys. Default: 64 KiB and 255 bytes.
    pub fn data_limits(mut self, data: DataLimits) -> Self {
        self.data = data;
        self
    }

    /// How long a request may be under way and still tell an ended session from one that never
    /// was. Stores must keep tombstones as long. Default: 10 minutes.
    pub fn max_request_age(mut self, age: Duration) -> Self {
        self.max_request_age = age;
        self
    }

    /// Another clock, for tests. Stores have their own.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A key, for an app with several sessions: handlers get this layer's by
    /// [`Keyed<K, Session>`](crate::Keyed). `K` is any type of the app's.
    pub fn key<K: 'static>(mut self) -> Self {
        self.key = TypeId::of::<K>();
        self
    }

    /// After which responses the session is saved. Default: those below 500, except 408, with
    /// which a timeout layer inside answers for a handler that it has dropped.
    pub fn commit_when(
        mut self,
        commits: impl Fn(StatusCode) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.commit_when = Box::new(commits);
        self
    }

    /// Requests that have no session. Extractors fail there as without the layer.
    pub fn skip(mut self, skip: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.skip = Some(Box::new(skip));
        self
    }

    /// Requests whose first extractor takes the lock, even if it only reads: a guard with a
    /// [`ReadSession`](crate::ReadSession) in front of a handler with a
    /// [`Session`](crate::Session) then costs no extra round trip.
    pub fn lock_for(
        mut self,
        locks: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.lock_for = Some(Box::new(locks));
        self
    }

    /// Where to find the client's address, to be recorded in new sessions. Default: the peer's, if
    /// the request's extensions tell it: as `axum::extract::ConnectInfo<SocketAddr>` (with the
    /// feature `connect-info`; `into_make_service_with_connect_info::<SocketAddr>()` puts it there)
    /// or as a [`SocketAddr`](std::net::SocketAddr). Take it from the
    /// connection or from a [proxy you trust](Self::trusted_proxies), never from a header that
    /// anybody can send.
    pub fn client_ip(
        mut self,
        ip: impl Fn(&RequestHead<'_>) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.client_ip = ClientIp::Code(Box::new(ip));
        self
    }

    /// Finds the client's address behind these proxies, instead of taking theirs for it.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.client_ip = ClientIp::Proxies(proxies);
        self
    }

    /// Binds sessions to the client that they were created for. Default: to none.
    pub fn fingerprint(mut self, fingerprint: FingerprintConfig) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Shapes the answers that the layer and its extractors give themselves: 503, 409 and 500. The
    /// request's head is kept for it from when a session is opened.
    pub fn on_error(
        mut self,
        answer: impl Fn(&Error, &RequestInfo) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Box::new(answer));
        self
    }

    /// Has some of the commits sweep the store, where nothing else does. Default: none.
    pub fn lottery(mut self, lottery: Lottery) -> Self {
        self.lottery = Some(lottery);
        self
    }

    /// Takes over the sessions of another library, as their visitors come back. Default: none.
    pub fn import(mut self, import: Import) -> Self {
        self.import = Some(import);
        self
    }
}

fn commits(status: StatusCode) -> bool {
    !status.is_server_error() && status.as_u16() < 500 && status != StatusCode::REQUEST_TIMEOUT
}

impl fmt::Debug for SessionLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("SessionLayerBuilder");
        fields
            .field("store", &self.store)
            .field("cookie", &self.cookie)
            .field("transport", &self.transport)
            .field("token_prefix", &self.prefix)
            .field("token_keys", &self.token_keys)
            .field("accept_unsigned_tokens", &self.accept_unsigned)
            .field("lifetimes", &self.lifetimes)
            .field("touch_throttle", &self.touch)
            .field("user_cap", &self.user_cap)
            .field("locks", &self.locks)
            .field("data_limits", &self.data)
            .field("max_request_age", &self.max_request_age)
            .field("client_ip", &self.client_ip)
            .field("fingerprint", &self.fingerprint)
            .field("lottery", &self.lottery)
            .field("import", &self.import)
            .field("events", &self.events);
        #[cfg(feature = "temp")]
        fields.field("temp_storage", &self.temp);
        fields.finish_non_exhaustive()
    }
}
