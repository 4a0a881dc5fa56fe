//! How a layer is configured.

use std::any::TypeId;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tower_keep_core::data::DataLimits;
use tower_keep_core::{Clock, DynStore, Limits, SessionStore, SystemClock, UserCap};

use super::SessionLayer;
use crate::client_ip::TrustedProxies;
use crate::cookie::{Cookie, CookieConfig, CookieConfigError};
use crate::error::Error;
use crate::events::{Events, EventsConfig};
use crate::extract::MainKey;
use crate::fingerprint::FingerprintConfig;
use crate::keys::KeyRing;
use crate::lock::{Keeper, LockConfig, Tasks};
use crate::observe::Observer;
use crate::request::{RequestHead, RequestInfo};
use crate::shared::{ClientIp, Lifetimes, OnError, Predicate, Shared};
use crate::sweep::Lottery;
use crate::tokens::TokenFormat;
use crate::transport::{Carrier, Transport, TransportError};

/// A [`SessionLayer`] to be configured; see [`SessionLayer::builder`].
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
    store: DynStore,
    cookie: CookieConfig,
    transport: Transport,
    prefix: String,
    token_keys: Option<KeyRing>,
    accept_unsigned: bool,
    lifetimes: Lifetimes,
    touch: Option<Duration>,
    user_cap: Option<UserCap>,
    locks: LockConfig,
    data: DataLimits,
    max_request_age: Duration,
    clock: Arc<dyn Clock>,
    key: TypeId,
    commit_when: Box<dyn Fn(StatusCode) -> bool + Send + Sync>,
    skip: Option<Predicate>,
    lock_for: Option<Predicate>,
    client_ip: Option<ClientIp>,
    fingerprint: Option<FingerprintConfig>,
    on_error: Option<OnError>,
    lottery: Option<Lottery>,
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
            client_ip: None,
            fingerprint: None,
            on_error: None,
            lottery: None,
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
        self.client_ip = Some(Box::new(ip));
        self
    }

    /// Finds the client's address behind these proxies, instead of taking theirs for it.
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.client_ip(move |request| proxies.client_ip(request))
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

    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong with it, with the reason.
    pub fn build(self) -> Result<SessionLayer, LayerConfigError> {
        let Lifetimes {
            usual,
            remembered,
            anonymous,
        } = self.lifetimes;
        let all = [usual, remembered].into_iter().chain(anonymous);
        let mut spans = all.flat_map(|limits| [limits.idle, limits.absolute]);
        if spans.any(|span| span < Duration::from_millis(1)) {
            return Err(LayerConfigError::Lifetime(
                "a session must live for at least a millisecond",
            ));
        }
        if self.user_cap.is_some() && self.store.users().is_none() {
            return Err(LayerConfigError::UserCap);
        }
        if let Some(problem) = self.locks.problem() {
            return Err(LayerConfigError::Locks(problem));
        }
        if let Some(problem) = self.fingerprint.and_then(FingerprintConfig::problem) {
            return Err(LayerConfigError::Fingerprint(problem));
        }
        let in_cookies = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !self.prefix.bytes().all(in_cookies) {
            return Err(LayerConfigError::TokenPrefix);
        }
        if self.accept_unsigned && self.token_keys.is_none() {
            return Err(LayerConfigError::UnsignedTokens);
        }
        let carrier = Carrier::compile(&self.transport, self.cookie.clone())?;
        Ok(self.assemble(carrier))
    }

    /// For the defaults, which a test has checked.
    pub(super) fn build_unchecked(self) -> SessionLayer {
        self.assemble(Carrier::Cookie(Cookie::default()))
    }

    fn assemble(self, carrier: Carrier) -> SessionLayer {
        let tasks = Arc::new(Tasks::default());
        let keeper = Keeper::new(
            self.store.clone(),
            self.locks,
            self.clock.clone(),
            tasks.clone(),
        );
        #[cfg(feature = "temp")]
        let temp = self.temp(&tasks);
        let observer = Observer::new(self.store.name());
        let events = Events::new(self.events, self.clock.clone(), observer);
        #[cfg(feature = "temp")]
        let events = events.with_temp(temp);
        let events = Arc::new(events);
        let throttle = (self.lifetimes.shortest_idle() / 60).max(Duration::from_secs(1));
        let tokens = match &self.token_keys {
            None => TokenFormat::unsigned(self.prefix),
            Some(keys) => TokenFormat::signed(self.prefix, keys, self.accept_unsigned, &carrier),
        };
        let shared = Shared {
            store: self.store,
            carrier,
            tokens,
            lifetimes: self.lifetimes,
            touch: self.touch.unwrap_or(throttle),
            user_cap: self.user_cap,
            locks: self.locks,
            keeper: Arc::new(keeper),
            tasks,
            data: self.data,
            max_request_age: self.max_request_age,
            clock: self.clock,
            key: self.key,
            commit_when: self.commit_when,
            skip: self.skip,
            lock_for: self.lock_for,
            client_ip: self.client_ip,
            fingerprint: self.fingerprint,
            on_error: self.on_error,
            lottery: self.lottery,
            events,
            observer,
        };
        SessionLayer {
            shared: Arc::new(shared),
        }
    }
}

fn commits(status: StatusCode) -> bool {
    !status.is_server_error() && status.as_u16() < 500 && status != StatusCode::REQUEST_TIMEOUT
}

impl fmt::Debug for SessionLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
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
            .field("lottery", &self.lottery)
            .finish_non_exhaustive()
    }
}

/// A layer cannot be configured like this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerConfigError {
    /// The cookie's options contradict each other.
    #[error("the session cookie: {0}")]
    Cookie(#[from] CookieConfigError),
    /// The lock's spans contradict each other.
    #[error("the session locks: {0}")]
    Locks(&'static str),
    /// The fingerprint cannot be compared like this.
    #[error("the fingerprint: {0}")]
    Fingerprint(&'static str),
    /// The store cannot tell which sessions a user has, so it cannot count them.
    #[error("`user_cap` needs a store that can find the sessions of a user")]
    UserCap,
    /// A timeout cannot be met.
    #[error("the session timeouts: {0}")]
    Lifetime(&'static str),
    /// The token prefix has characters that are not safe in a cookie.
    #[error("the token prefix may have letters, digits, `_`, `-` and `.` only")]
    TokenPrefix,
    /// The transport cannot be used.
    #[error("the transport: {0}")]
    Transport(#[from] TransportError),
    /// There are no signatures that a token could lack.
    #[error("`accept_unsigned_tokens` means nothing without `token_keys`: leave it out")]
    UnsignedTokens,
}
