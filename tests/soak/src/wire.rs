//! HTTP to one address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use tokio::task::JoinSet;
use tower_service::Service;

/// Sends requests, given by their paths, over connections that it keeps open. Clones share them, and
/// with the last of them they are closed.
#[derive(Debug, Clone)]
pub struct Wire {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    _connections: Arc<Connections>,
}

/// The tasks that drive connections. They end with this, so that whether one is closed does not
/// depend on the client letting go of it.
#[derive(Debug, Default)]
struct Connections(Mutex<JoinSet<()>>);

/// Has them driven. What they are made of holds this too.
#[derive(Clone)]
struct Drives(Weak<Connections>);

impl Wire {
    pub fn to(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let connections = Arc::default();
        let drives = Drives(Arc::downgrade(&connections));
        Self {
            client: Client::builder(drives).build(connector),
            address,
            _connections: connections,
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Drives {
    fn execute(&self, connection: F) {
        // Otherwise they are all closed.
        if let Some(all) = self.0.upgrade() {
            let mut tasks = all.0.lock().unwrap();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(connection);
        }
    }
}

impl Service<Request<Full<Bytes>>> for Wire {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> ResponseFuture {
        let url = format!("http://{}{}", self.address, request.uri());
        *request.uri_mut() = url.parse().unwrap();
        self.client.request(request)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::visitor::{PATIENCE, get};

    #[tokio::test]
    async fn its_connections_are_closed_with_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut wire = Wire::to(listener.local_addr().unwrap());
        // Has the client too.
        let mut answer = pin!(wire.call(get("/")));
        let asked = async {
            let (mut line, _) = listener.accept().await.unwrap();
            assert!(line.read(&mut [0; 1024]).await.unwrap() > 0);
            line
        };
        let mut line = tokio::select! {
            line = asked => line,
            _ = &mut answer => panic!("nobody answers"),
        };
        drop(wire);
        let end = timeout(PATIENCE, line.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "it stays open");
    }
}
