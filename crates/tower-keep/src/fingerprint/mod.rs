//! Sessions that are good for one client only.

mod print;

use std::net::IpAddr;

use ipnet::IpNet;

pub(crate) use print::Print;

/// What must stay as it was for a session to be opened; see
/// [`SessionLayerBuilder::fingerprint`](crate::SessionLayerBuilder::fingerprint).
///
/// What a client looks like is noted when its session is created, and again with every change of
/// authority (rotation, login). A request that does not look like it gets no session, whatever it
/// asks for: nothing of it is shown, and nothing passes over into another.
/// [`absence`](crate::ReadSession::absence) is
/// [`Mismatch`](crate::Absence::Mismatch) then.
///
/// A part that is missing is a look too: a `User-Agent` that was there and is not any more, or the
/// other way round, does not match. An address that was known and is not any more does not match
/// either; one that was not known, because the server did not tell, is not compared. Neither are
/// parts that were not looked at when the session was created, nor sessions that were created
/// without a request, until their authority changes.
///
/// This makes a stolen cookie harder to use, and no more: whoever takes the cookie can often take
/// its surroundings too. It is no substitute for
/// [authenticating again](crate::ReadSession::require_fresh). Browsers change their `User-Agent`
/// with every update, and mobile clients their address all the time.
///
/// ```
/// use tower_keep::{FingerprintConfig, IpBinding, MemoryStore, OnMismatch, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .fingerprint(
///         FingerprintConfig::new()
///             .ip(IpBinding::Prefix { v4: 24, v6: 64 })
///             .on_mismatch(OnMismatch::Destroy),
///     )
///     .build()?;
/// # Ok::<(), tower_keep::LayerConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct FingerprintConfig {
    user_agent: bool,
    accept_language: bool,
    ip: IpBinding,
    on_mismatch: OnMismatch,
}

/// How far a client's address may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpBinding {
    /// Not at all.
    Strict,
    /// Within a network of so many bits, of the same version of IP: 24 and 64 are usual. Clients that
    /// change between IPv4 and IPv6 do not match.
    Prefix {
        /// For IPv4, 32 at most.
        v4: u8,
        /// For IPv6, 128 at most.
        v6: u8,
    },
    /// As it likes.
    #[default]
    Relaxed,
}

/// What becomes of a session that another client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "snake_case"))]
pub enum OnMismatch {
    /// It stays as it is, for the client that it belongs to; only its idle timeout slides. The other
    /// one cannot start a session with this cookie, which is a
    /// [`Conflict::Mismatch`](crate::Conflict::Mismatch), except by a login: that is how somebody
    /// comes back whose browser was updated.
    #[default]
    Refuse,
    /// It is destroyed at once, and whoever has asked may start anew. A thief can so end the
    /// session, and cannot use it.
    Destroy,
}

impl Default for FingerprintConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl FingerprintConfig {
    /// Looks at `User-Agent` only, and refuses.
    pub const fn new() -> Self {
        Self {
            user_agent: true,
            accept_language: false,
            ip: IpBinding::Relaxed,
            on_mismatch: OnMismatch::Refuse,
        }
    }

    /// Whether `User-Agent` must stay the same. Default: yes.
    pub const fn user_agent(mut self, bound: bool) -> Self {
        self.user_agent = bound;
        self
    }

    /// Whether `Accept-Language` must stay the same. Default: no.
    pub const fn accept_language(mut self, bound: bool) -> Self {
        self.accept_language = bound;
        self
    }

    /// How far the client's address may change. Default: as it likes. It is the one that
    /// [`client_ip`](crate::SessionLayerBuilder::client_ip) or
    /// [`trusted_proxies`](crate::SessionLayerBuilder::trusted_proxies) finds.
    pub const fn ip(mut self, ip: IpBinding) -> Self {
        self.ip = ip;
        self
    }

    /// What becomes of the session. Default: it is refused.
    pub const fn on_mismatch(mut self, on_mismatch: OnMismatch) -> Self {
        self.on_mismatch = on_mismatch;
        self
    }

    pub(crate) fn destroys(self) -> bool {
        self.on_mismatch == OnMismatch::Destroy
    }

    /// What is wrong with it.
    pub(crate) const fn problem(self) -> Option<&'static str> {
        match self.ip {
            IpBinding::Prefix { v4: 33.., .. } => Some("an IPv4 prefix has 32 bits at most"),
            IpBinding::Prefix { v6: 129.., .. } => Some("an IPv6 prefix has 128 bits at most"),
            _ => None,
        }
    }
}

impl IpBinding {
    fn allows(self, noted: IpAddr, now: IpAddr) -> bool {
        let length = match (self, noted) {
            (Self::Relaxed, _) => return true,
            (Self::Strict, _) => return noted == now,
            (Self::Prefix { v4, .. }, IpAddr::V4(_)) => v4,
            (Self::Prefix { v6, .. }, IpAddr::V6(_)) => v6,
        };
        IpNet::new(noted, length).is_ok_and(|network| network.contains(&now))
    }
}
