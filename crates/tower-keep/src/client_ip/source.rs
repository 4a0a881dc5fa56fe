//! Where a layer takes the client's address from.

use std::fmt;
use std::net::IpAddr;

use super::{Finder, TrustedProxies, peer_ip};
use crate::request::RequestHead;

/// See the methods of the builder.
#[derive(Default)]
pub(crate) enum ClientIp {
    /// Whoever is at the other end of the connection.
    #[default]
    Peer,
    Proxies(TrustedProxies),
    Code(Finder),
}

impl ClientIp {
    /// The client's address, if it is known.
    pub(crate) fn of(&self, request: &RequestHead<'_>) -> Option<IpAddr> {
        match self {
            Self::Peer => peer_ip(request.extensions),
            Self::Proxies(proxies) => proxies.client_ip(request),
            Self::Code(ip) => ip(request),
        }
    }
}

impl fmt::Debug for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("Peer"),
            Self::Proxies(proxies) => f.debug_tuple("Proxies").field(proxies).finish(),
            Self::Code(_) => f.write_str("Code(..)"),
        }
    }
}
