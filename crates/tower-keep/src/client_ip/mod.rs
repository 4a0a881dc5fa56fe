//! The client's address: the peer's, or behind trusted proxies what they say it is.

mod hops;
mod source;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderName};
use http::{Extensions, HeaderMap};
use ipnet::IpNet;

use crate::request::RequestHead;

pub(crate) use source::ClientIp;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

type Finder = Box<dyn Fn(&RequestHead<'_>) -> Option<IpAddr> + Send + Sync>;

/// Proxies whose word about the client's address is taken; see
/// [`SessionLayerBuilder::trusted_proxies`](crate::SessionLayerBuilder::trusted_proxies).
///
/// Every proxy appends the address of whoever it was called by, so the header reads from the
/// client, on the left, to the nearest proxy, on the right; what stands on the left of the first
/// proxy's entry is whatever the client has sent. The address is therefore looked for from the
/// right: if the peer is a trusted proxy, its entry is taken, if that is a trusted proxy too, the
/// next one, and so on. The first address that is not trusted is the client's. An entry that is no
/// address (`unknown`, `_hidden`) ends the search at the last one that is, and so does the
/// header's end. A peer that is not trusted is the client, whatever it sends.
///
/// One header is looked at: `X-Forwarded-For`, or with [`forwarded`](Self::forwarded) the one of
/// [RFC 7239]. The other is ignored, because a proxy that appends to the one passes the other on
/// as the client has sent it. IPv4 addresses mapped into IPv6 are taken for what they are.
///
/// ```
/// use tower_keep::{MemoryStore, SessionLayer, TrustedProxies};
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "2001:db8:5::/48"])?;
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .trusted_proxies(proxies)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [RFC 7239]: https://www.rfc-editor.org/rfc/rfc7239
#[must_use]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: HeaderName,
    peer: Option<Finder>,
}

impl TrustedProxies {
    /// Trusts these networks (`10.0.0.0/8`, `2001:db8::/32`) and addresses, in `X-Forwarded-For`.
    ///
    /// # Errors
    /// Text that is neither; a network of prefix length 0, which is everybody.
    pub fn new<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, TrustedProxiesError> {
        let networks = networks.into_iter().map(|text| network(text.as_ref()));
        networks.collect::<Result<_, _>>().map(Self::of)
    }

    pub(crate) const fn of(networks: Vec<IpNet>) -> Self {
        Self {
            networks,
            header: X_FORWARDED_FOR,
            peer: None,
        }
    }

    /// Looks at the header `Forwarded` instead, and at no other.
    pub fn forwarded(mut self) -> Self {
        self.header = FORWARDED;
        self
    }

    /// Where to find the peer's address. Default: `axum::extract::ConnectInfo<SocketAddr>` (with
    /// the feature `connect-info`) or a [`SocketAddr`] in the request's extensions.
    pub fn peer(
        mut self,
        peer: impl Fn(&RequestHead<'_>) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peer = Some(Box::new(peer));
        self
    }

    /// The client's address. `None` if the peer's is not known: then there is nobody to trust.
    pub fn client_ip(&self, request: &RequestHead<'_>) -> Option<IpAddr> {
        let peer = match &self.peer {
            Some(peer) => peer(request)?.to_canonical(),
            None => peer_ip(request.extensions)?,
        };
        Some(self.behind(peer, request.headers))
    }

    /// The first address that is not trusted, from the nearest one on.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let mut hops = hops::from_the_nearest(headers, &self.header);
        while self.trusts(client)
            && let Some(Some(hop)) = hops.next()
        {
            client = hop;
        }
        client
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// The address at the other end of the connection, as the server has left it in the request's
/// extensions.
fn peer_ip(extensions: &Extensions) -> Option<IpAddr> {
    let address = from_axum(extensions).or_else(|| extensions.get().copied());
    address.map(|address: SocketAddr| address.ip().to_canonical())
}

#[cfg(feature = "connect-info")]
fn from_axum(extensions: &Extensions) -> Option<SocketAddr> {
    use axum::extract::ConnectInfo;
    use axum::extract::connect_info::MockConnectInfo;
    // The second is how axum's users give an address in tests.
    let peer = extensions.get().map(|ConnectInfo(peer)| *peer);
    peer.or_else(|| extensions.get().map(|MockConnectInfo(peer)| *peer))
}

#[cfg(not(feature = "connect-info"))]
const fn from_axum(_: &Extensions) -> Option<SocketAddr> {
    None
}

/// Reads a network or an address.
pub(crate) fn network(text: &str) -> Result<IpNet, TrustedProxiesError> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text
            .parse()
            .map_err(|_| TrustedProxiesError::Network(text.into()))?,
    };
    let network = unmapped(network);
    if network.prefix_len() == 0 {
        return Err(TrustedProxiesError::Everybody(text.into()));
    }
    Ok(network)
}

/// A network of IPv4 addresses mapped into IPv6 is one of IPv4 addresses.
fn unmapped(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = network else {
        return network;
    };
    let v4 = v6.addr().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(MAPPED);
    v4.zip(length)
        .and_then(|(v4, length)| IpNet::new(v4.into(), length).ok())
        .unwrap_or(network)
}

/// These are no proxies that could be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedProxiesError {
    /// Neither an address nor a network.
    #[error("`{0}` is neither an address nor a network: write `192.0.2.1` or `10.0.0.0/8`")]
    Network(String),
    /// If every address is trusted, clients say what theirs is.
    #[error("`{0}` trusts everybody: name the networks that the proxies are in")]
    Everybody(String),
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedProxies")
            .field("networks", &self.networks)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
