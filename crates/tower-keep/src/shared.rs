//! What all requests of one layer share, behind one `Arc`.

use std::any::TypeId;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use tower_keep_core::data::DataLimits;
use tower_keep_core::{
    Client, Clock, DynStore, Limits, Open, Opened, Owner, SecretHash, SessionId, SessionStore,
    UserCap, View,
};
use tracing::debug;

use crate::client_ip::ClientIp;
use crate::error::{Conflict, Error};
use crate::events::Events;
use crate::fingerprint::{FingerprintConfig, Print};
use crate::import::Import;
use crate::lock::{Grant, Keeper, LockConfig, Tasks, acquire_free, acquire_local, call};
use crate::observe::{IS_COUNTED, Observer};
use crate::request::{RequestHead, RequestInfo};
use crate::slot::Merges;
use crate::sweep::Lottery;
use crate::tokens::TokenFormat;
use crate::transport::Carrier;

pub(crate) type Predicate = Box<dyn Fn(&RequestHead<'_>) -> bool + Send + Sync>;
pub(crate) type OnError = Box<dyn Fn(&Error, &RequestInfo) -> Response<Bytes> + Send + Sync>;

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) usual: Limits,
    /// Of users who asked to be remembered.
    pub(crate) remembered: Limits,
    /// Of those without a user, if not as usual.
    pub(crate) anonymous: Option<Limits>,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const FORTNIGHT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
        Self {
            usual: Limits::default(),
            remembered: Limits {
                idle: FORTNIGHT,
                absolute: FORTNIGHT,
            },
            anonymous: None,
        }
    }
}

impl Lifetimes {
    pub(crate) fn shortest_idle(&self) -> Duration {
        let some = self.usual.idle.min(self.remembered.idle);
        self.anonymous.map_or(some, |limits| limits.idle.min(some))
    }

    pub(crate) fn of(&self, has_user: bool, remember: bool) -> Limits {
        match (has_user, remember) {
            (true, true) => self.remembered,
            (true, false) => self.usual,
            (false, _) => self.anonymous.unwrap_or(self.usual),
        }
    }
}

pub(crate) struct Shared {
    pub(crate) store: DynStore,
    pub(crate) carrier: Carrier,
    pub(crate) tokens: TokenFormat,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) touch: Duration,
    pub(crate) user_cap: Option<UserCap>,
    pub(crate) locks: LockConfig,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) merges: Merges,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) data: DataLimits,
    pub(crate) max_request_age: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: TypeId,
    pub(crate) commit_when: Box<dyn Fn(StatusCode) -> bool + Send + Sync>,
    pub(crate) skip: Option<Predicate>,
    pub(crate) lock_for: Option<Predicate>,
    pub(crate) client_ip: ClientIp,
    pub(crate) fingerprint: Option<FingerprintConfig>,
    pub(crate) on_error: Option<OnError>,
    pub(crate) lottery: Option<Lottery>,
    pub(crate) import: Option<Arc<Import>>,
    pub(crate) events: Arc<Events>,
    pub(crate) observer: Observer,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("store", &self.store)
            .field("carrier", &self.carrier)
            .field("lifetimes", &self.lifetimes)
            .field("locks", &self.locks)
            .finish_non_exhaustive()
    }
}

/// Which session to open, and on whose behalf.
#[derive(Clone, Copy)]
pub(crate) struct Which {
    pub(crate) id: SessionId,
    /// `None` opens by id alone, for a handle that was bound to it.
    pub(crate) secret: Option<SecretHash>,
    /// When the request arrived, by the layer's monotonic clock.
    pub(crate) arrived: Duration,
}

impl Shared {
    /// Whether the store answers at once, without I/O.
    pub(crate) fn is_local(&self) -> bool {
        self.store.local().is_some()
    }

    /// Loads without a lock; never waits for a writer.
    pub(crate) async fn read(&self, which: Which, touch: bool) -> Result<Opened, Error> {
        if let Some(opened) = self.read_now(which, touch) {
            return Ok(opened);
        }
        let open = self.open(which, touch, None);
        let verb = async { self.store.open(&open).await };
        // Boxed, so that those who never wait carry no room for it.
        let read = Box::pin(call(self.locks.store_timeout, verb)).await;
        let read = read.map(|opened| self.judged(opened, &open));
        let read = read.map_err(Error::from);
        self.count_read(read.as_ref());
        read
    }

    /// As [`read`](Self::read), where the store needs no I/O.
    pub(crate) fn read_now(&self, which: Which, touch: bool) -> Option<Opened> {
        let local = self.store.local()?;
        let open = self.open(which, touch, None);
        let opened = self.judged(local.open(&open), &open);
        self.count_read(Ok(&opened));
        Some(opened)
    }

    fn count_read(&self, read: Result<&Opened, &Error>) {
        let answer = read.map(|opened| match opened {
            Opened::Granted(view) => Ok(view),
            refusal => Err(refusal),
        });
        self.observer.loaded(false, answer);
    }

    #[cfg(feature = "temp")]
    pub(crate) fn temp(&self) -> Option<&crate::temp::Temp> {
        self.events.temp()
    }

    /// Somebody else's change came between.
    pub(crate) fn conflict(&self, conflict: Conflict) -> Error {
        self.observer.conflict(conflict);
        conflict.into()
    }

    /// Loads by the id alone, without a touch: for those who only want to know.
    pub(crate) async fn peek(&self, id: SessionId) -> Result<Opened, Error> {
        let which = Which {
            id,
            secret: None,
            arrived: self.clock.monotonic(),
        };
        self.read(which, false).await
    }

    /// Locks and loads, waiting at most `wait` for whoever has it.
    #[expect(clippy::result_large_err, reason = "as `granted` says")]
    pub(crate) async fn acquire(
        &self,
        which: Which,
        wait: Duration,
    ) -> Result<Result<(View, Grant), Opened>, Error> {
        let asked = IS_COUNTED.then(|| self.clock.monotonic());
        let lease = self.lease();
        let open = self.open(which, true, lease);
        let acquired = if lease.is_some() {
            acquire_local(&self.store, &open, wait, self.locks.max_waiting).await
        } else {
            Box::pin(self.keeper.acquire(&open, wait)).await
        };
        let acquired = acquired.map(|acquired| self.granted(acquired, &open));
        if let (Some(asked), Ok(Ok(_))) = (asked, &acquired) {
            let waited = self.clock.monotonic().saturating_sub(asked);
            self.observer.waited(waited);
        }
        self.observer
            .loaded(true, acquired.as_ref().map(Result::as_ref));
        acquired
    }

    /// As [`acquire`](Self::acquire), where the store needs no I/O and nobody has the session.
    pub(crate) fn acquire_now(&self, which: Which) -> Option<Result<(View, Grant), Opened>> {
        let open = self.open(which, true, Some(self.lease()?));
        let acquired = self.granted(acquire_free(&self.store, &open)?, &open);
        if acquired.is_ok() && IS_COUNTED {
            self.observer.waited(Duration::ZERO);
        }
        self.observer.loaded(true, Ok(acquired.as_ref()));
        Some(acquired)
    }

    /// Nothing can fail between this process and itself: one lease for the whole hold.
    fn lease(&self) -> Option<(Owner, Duration)> {
        self.is_local().then(|| (Owner::unique(), self.locks.hold))
    }

    #[expect(clippy::result_large_err, reason = "it is passed on at once")]
    fn granted<T>(&self, acquired: Result<T, Opened>, open: &Open) -> Result<T, Opened> {
        debug!(session.id = %open.id, granted = acquired.is_ok(), "session locked");
        acquired.map_err(|opened| self.judged(opened, open))
    }

    fn open(&self, which: Which, touch: bool, lease: Option<(Owner, Duration)>) -> Open {
        Open {
            id: which.id,
            secret: which.secret,
            age: self.clock.monotonic().saturating_sub(which.arrived),
            touch: touch.then_some(self.touch),
            lease,
        }
    }

    /// A request so old that the tombstone of its session may have been swept cannot tell an
    /// ended session from one that never was, so it must not start another.
    fn judged(&self, opened: Opened, open: &Open) -> Opened {
        match opened {
            Opened::Expired => {
                self.events.met_expired(open.id);
                Opened::Expired
            }
            Opened::Absent if open.age > self.max_request_age => Opened::Stale,
            opened => opened,
        }
    }

    /// The client's address, if it is known.
    pub(crate) fn ip(&self, head: &RequestHead<'_>) -> Option<IpAddr> {
        self.client_ip.of(head)
    }

    /// What the client looks like, where sessions are bound to that.
    pub(crate) fn print(&self, head: &RequestHead<'_>) -> Option<Box<Print>> {
        let config = self.fingerprint?;
        let print = Print::new(config, head.headers, || self.ip(head));
        Some(Box::new(print))
    }

    /// Who asks, as far as the app lets it be recorded.
    pub(crate) fn seen(&self, head: &RequestHead<'_>) -> Seen {
        Seen {
            ip: self.ip(head),
            user_agent: head.headers.get(http::header::USER_AGENT).cloned(),
        }
    }
}

/// Who asks, as it came: most requests never record it.
#[derive(Default)]
pub(crate) struct Seen {
    ip: Option<IpAddr>,
    user_agent: Option<HeaderValue>,
}

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.ip.is_none() && self.user_agent.is_none()
    }

    /// To be recorded, if anything is known.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        /// Longer ones are cut: nobody reads them, and they are stored with every session.
        const USER_AGENT: usize = 255;
        // What is not plain text is not recorded.
        let user_agent = self
            .user_agent
            .as_ref()
            .and_then(|value| value.to_str().ok());
        if self.ip.is_none() && user_agent.is_none() {
            return None;
        }
        Some(Arc::new(Client {
            ip: self.ip,
            user_agent: user_agent.map(|text| text[..text.len().min(USER_AGENT)].into()),
        }))
    }
}
