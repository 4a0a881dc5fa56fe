//! From a builder to its layer: the checks, and putting it together.

use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::SessionStore;

use super::{SessionLayer, SessionLayerBuilder};
use crate::cookie::{Cookie, CookieConfigError};
use crate::events::Events;
use crate::fingerprint::FingerprintConfig;
use crate::lock::{Keeper, Tasks};
use crate::observe::Observer;
use crate::shared::{Lifetimes, Shared};
use crate::slot::Merges;
use crate::tokens::TokenFormat;
use crate::transport::{Carrier, TransportError};

impl SessionLayerBuilder {
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
            merges: Merges::default(),
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
            import: self.import.map(Arc::new),
            events,
            observer,
        };
        SessionLayer {
            shared: Arc::new(shared),
        }
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
