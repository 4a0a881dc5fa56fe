//! What the program is told to do.

use std::fmt;
use std::io;
use std::net::IpAddr;

use axum::BoxError;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use tokio::net::TcpListener;
use tower_keep::DynStore;
use tower_keep_connect::{ConnectError, StoreConfig};

/// A small shop that keeps its visitors' carts in sessions.
#[derive(Debug, Parser)]
#[command(name = "demo")]
pub(crate) struct Arguments {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes any that is free. Several nodes take this one and those after
    /// it
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Where sessions are kept: `memory:`, `file:DIRECTORY`, `sqlite:FILE`, `postgres://…`,
    /// `mysql://…`, `redis://…`, `rediss://…`, `redis+cluster://…` or `redis+sentinel://…`
    #[arg(long, value_name = "URL", default_value = "sqlite:keep.db")]
    store: String,
    /// How many nodes to start, each with a port and connections of its own, on the one store
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,
}

impl Arguments {
    /// The store's URL, without what is secret in it.
    pub(crate) fn shown_store(&self) -> String {
        self.config().shown_url()
    }

    /// Opens the store, once for each node.
    pub(crate) async fn stores(&self) -> Result<Vec<DynStore>, BoxError> {
        if self.nodes > 1 && is_private(&self.store) {
            wrong(format_args!(
                "--nodes: each node would have sessions of its own in {}: name a store that they \
                 can share, such as redis://127.0.0.1 or sqlite:keep.db",
                self.shown_store()
            ));
        }
        let mut stores = Vec::new();
        for _ in 0..self.nodes {
            stores.push(match self.config().connect().await {
                Ok(store) => store,
                Err(error @ ConnectError::Store { .. }) => return Err(error.into()),
                Err(error) => wrong(format_args!("--store: {error}")),
            });
        }
        Ok(stores)
    }

    /// Listens for each node, so that nobody can take the port before it is served.
    pub(crate) async fn listen(&self) -> io::Result<Vec<TcpListener>> {
        if self.nodes > 1
            && self
                .host
                .parse()
                .is_ok_and(|host: IpAddr| host.is_unspecified())
        {
            wrong(format_args!(
                "--host: the pages of several nodes name one another, so say which address they \
                 are reached by instead of {}",
                self.host
            ));
        }
        let mut listeners = Vec::new();
        for node in 0..self.nodes {
            let Some(port) = port(self.port, node) else {
                wrong(format_args!(
                    "--port: {} nodes need as many ports, and none comes after 65535",
                    self.nodes
                ));
            };
            let address = (self.host.as_str(), port);
            let listener = TcpListener::bind(address).await;
            listeners.push(listener.map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("port {port} on {}: {error}", self.host),
                )
            })?);
        }
        Ok(listeners)
    }

    fn config(&self) -> StoreConfig {
        StoreConfig::new(&self.store)
    }
}

/// A mistake on the command line: tells so, and exits with 2.
fn wrong(what: fmt::Arguments<'_>) -> ! {
    Arguments::command()
        .error(ErrorKind::ValueValidation, what)
        .exit()
}

/// The port of this node, counted from 0; 0 is any that is free. `None` after the last one.
fn port(first: u16, node: u16) -> Option<u16> {
    if first == 0 {
        Some(0)
    } else {
        first.checked_add(node)
    }
}

/// Whether nobody else can open the store at this URL: it is in the memory of who connects to it.
/// Files are locked between all who have opened them, in one process too.
fn is_private(url: &str) -> bool {
    let shown = StoreConfig::new(url).shown_url();
    shown.starts_with("memory:")
        || shown.starts_with("sqlite:")
            && (shown.contains(":memory:") || url.contains("mode=memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_not_shared() {
        for url in [
            "memory:",
            "MEMORY:",
            "sqlite::memory:",
            "sqlite:x?mode=memory",
        ] {
            assert!(is_private(url), "{url}");
        }
        for url in [
            "sqlite:keep.db",
            "file:memory",
            "redis://127.0.0.1",
            "postgres://db/memory",
        ] {
            assert!(!is_private(url), "{url}");
        }
    }

    #[test]
    fn ports_follow_one_another() {
        assert_eq!(port(3000, 0), Some(3000));
        assert_eq!(port(3000, 2), Some(3002));
        assert_eq!(port(0, 2), Some(0));
        assert_eq!(port(65534, 1), Some(65535));
        assert_eq!(port(65534, 2), None);
    }
}
