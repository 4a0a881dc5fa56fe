//! The nodes of the shop, and which of them this one is.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;

/// Where the shop is served. Browsers take the ports of a host for one site and send its cookies to
/// all of them, but pages of one port reach another one only where that one allows it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    nodes: Arc<[SocketAddr]>,
    here: usize,
}

impl Site {
    /// The node of this number, counted from 0.
    pub(crate) fn new(nodes: Arc<[SocketAddr]>, here: usize) -> Self {
        Self { nodes, here }
    }

    /// This node's number, as people count.
    pub(crate) fn number(&self) -> usize {
        self.here + 1
    }

    pub(crate) fn nodes(&self) -> &[SocketAddr] {
        &self.nodes
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.nodes.len() == 1
    }

    /// The origins of all pages of the shop, this node's among them, as browsers may name them.
    pub(crate) fn origins(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().flat_map(|node| {
            let local = node.ip().is_loopback();
            let local = local.then(|| format!("http://localhost:{}", node.port()));
            [Some(format!("http://{node}")), local]
                .into_iter()
                .flatten()
        })
    }

    /// Whether a page of the shop is at this origin.
    pub(crate) fn has(&self, origin: &HeaderValue) -> bool {
        self.origins().any(|own| origin == own.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_at_the_address_and_at_localhost() {
        let nodes = ["127.0.0.1:3000", "192.0.2.1:3001"].map(|node| node.parse().unwrap());
        let site = Site::new(Arc::new(nodes), 1);
        let origins: Vec<_> = site.origins().collect();
        assert_eq!(
            origins,
            [
                "http://127.0.0.1:3000",
                "http://localhost:3000",
                "http://192.0.2.1:3001"
            ]
        );
        for (origin, own) in [
            ("http://localhost:3000", true),
            ("http://192.0.2.1:3001", true),
            ("http://192.0.2.1:3000", false),
            ("https://localhost:3000", false),
            ("null", false),
        ] {
            assert_eq!(site.has(&HeaderValue::from_static(origin)), own, "{origin}");
        }
        assert_eq!((site.number(), site.is_alone()), (2, false));
    }
}
