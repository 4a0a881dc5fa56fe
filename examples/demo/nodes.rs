//! The nodes that serve the shop: each has a port, a router, and a store with connections of its
//! own. What they share is in the store; so it would be on as many machines.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_keep::{DynStore, SessionLayer, sweep_every};

use crate::shop::{Room, Shop, Site};

/// How long requests that are under way at the end may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Nodes that run. Dropped, they take no more connections.
pub(crate) struct Nodes {
    addresses: Arc<[SocketAddr]>,
    room: Room,
    sessions: Vec<SessionLayer>,
    servers: JoinSet<io::Result<()>>,
    sweeper: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Nodes {
    /// Serves the shop at each listener, with the store of the same place.
    pub(crate) fn start(
        listeners: Vec<TcpListener>,
        stores: Vec<DynStore>,
    ) -> Result<Self, BoxError> {
        let addresses = listeners.iter().map(TcpListener::local_addr);
        let mut nodes = Self {
            addresses: addresses.collect::<Result<_, _>>()?,
            room: Room::new(),
            sessions: Vec::new(),
            servers: JoinSet::new(),
            sweeper: JoinSet::new(),
            stop: watch::Sender::new(false),
        };
        // Expired sessions do not open; this makes room. One node does it for all.
        if let Some(store) = stores.first().cloned() {
            let sweeping = sweep_every(store, Duration::from_mins(1));
            nodes.sweeper.spawn(sweeping);
        }
        for (number, (listener, store)) in listeners.into_iter().zip(stores).enumerate() {
            nodes.serve(number, listener, store)?;
        }
        Ok(nodes)
    }

    fn serve(&mut self, number: usize, at: TcpListener, store: DynStore) -> Result<(), BoxError> {
        let site = Site::new(self.addresses.clone(), number);
        let shop = Shop::new(store, site, self.room.clone())?;
        self.sessions.push(shop.sessions);
        // The addresses that "your devices" shows come from here.
        let app = shop.app.into_make_service_with_connect_info::<SocketAddr>();
        let mut told = self.stop.subscribe();
        let server = axum::serve(at, app).with_graceful_shutdown(async move {
            let _ = told.wait_for(|told| *told).await;
        });
        self.servers.spawn(server.into_future());
        Ok(())
    }

    /// Where the nodes are.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no more requests, closes the chat's sockets, finishes the requests that are under way,
    /// and carries what they began with their sessions to its end. Whether all of it was in time.
    pub(crate) async fn drain(mut self) -> bool {
        self.stop.send_replace(true);
        self.room.close();
        let end = async {
            while self.servers.join_next().await.is_some() {}
            // One of the last requests may have opened a socket.
            self.room.is_empty().await;
        };
        let in_time = timeout(DRAIN, end).await.is_ok();
        for sessions in &self.sessions {
            sessions.shutdown().await;
        }
        in_time
    }
}
