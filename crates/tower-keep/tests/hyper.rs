//! G3 and G4 on a real server: clients that hang up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common_sweep;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use common_sweep::app::routes;
use common_sweep::world::{Seen, seen, session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower_keep::{Error, MemoryStore, Session, SessionId, SessionLayer};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, Verb};

/// A server whose handler of `/wait` increments `n` and then waits at a gate.
struct Server {
    memory: MemoryStore,
    faults: FaultStore<MemoryStore>,
    id: SessionId,
    cookie: String,
    gate: Gate,
    address: SocketAddr,
    /// Hears of every request that the server has begun.
    begun: mpsc::UnboundedReceiver<()>,
    /// Hears of every request that the server has let go of, answered or not.
    over: mpsc::UnboundedReceiver<()>,
}

impl Server {
    async fn start(local: bool, completes: bool) -> Self {
        let memory = MemoryStore::new();
        let faults = FaultStore::new(memory.clone()).detached();
        let (id, cookie) = session(&memory).await;
        let gate = Gate::new();
        let pass = gate.clone();
        let wait = async move |session: Session| {
            session.increment("n", 1)?;
            pass.pass().await;
            Ok::<_, Error>("done")
        };
        let layer = if local {
            SessionLayer::new(memory.clone())
        } else {
            SessionLayer::new(faults.clone())
        };
        let app = routes().route("/wait", get(wait)).layer(layer.clone());
        let app = if completes {
            app.layer(layer.run_to_completion())
        } else {
            app
        };
        let (start, begun) = mpsc::unbounded_channel();
        let (over, heard) = mpsc::unbounded_channel();
        let app: Router = app.layer(from_fn(move |request: Request, next: Next| {
            let over = Over(over.clone());
            let _ = start.send(());
            async move {
                let answer = next.run(request).await;
                drop(over);
                answer
            }
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            memory,
            faults,
            id,
            cookie,
            gate,
            address,
            begun,
            over: heard,
        }
    }

    async fn send(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.cookie,
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What another request gets, and what is stored after it.
    async fn next(&self) -> (String, Seen) {
        let mut answer = String::new();
        // A session that is stuck is refused much later.
        let asked = async {
            let mut stream = self.send("/increment").await;
            stream.read_to_string(&mut answer).await.unwrap();
        };
        let asked = tokio::time::timeout(Duration::from_secs(8), asked).await;
        asked.expect("the session is stuck");
        (answer, seen(&self.memory, self.id))
    }
}

/// A request on the server.
struct Over(mpsc::UnboundedSender<()>);

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_handler_discards() {
    for local in [true, false] {
        let mut server = Server::start(local, false).await;
        let client = server.send("/wait").await;
        server.gate.arrived(1).await;
        drop(client);
        server.over.recv().await.unwrap();
        let (answer, after) = server.next().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!((after.n, after.version), (Some(2), 2), "local={local}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_line_leaves_it() {
    for local in [true, false] {
        let mut server = Server::start(local, false).await;
        let mut holder = server.send("/wait").await;
        server.gate.arrived(1).await;
        let waiter = server.send("/increment").await;
        server.begun.recv().await.unwrap();
        server.begun.recv().await.unwrap();
        drop(waiter);
        // The waiter is let go of while the session is still held.
        server.over.recv().await.unwrap();
        server.gate.open();
        let mut answer = String::new();
        holder.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        let (_, after) = server.next().await;
        assert_eq!((after.n, after.version), (Some(3), 3), "local={local}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_commit_does_not_stop_it() {
    let mut server = Server::start(false, false).await;
    let commit = Gate::new();
    let slow = Fault::DelayBefore(commit.clone());
    let script = Script::new().nth_of(Verb::Finish, 1, slow);
    server.faults.set_script(script);
    server.gate.open();
    let client = server.send("/wait").await;
    commit.arrived(1).await;
    drop(client);
    server.over.recv().await.unwrap();
    assert_eq!(seen(&server.memory, server.id).n, Some(1));
    commit.open();
    let (answer, after) = server.next().await;
    assert!(answer.ends_with('3'), "{answer}");
    assert_eq!((after.n, after.version), (Some(3), 3));
}

#[tokio::test]
async fn run_to_completion_commits_although_the_client_left() {
    for local in [true, false] {
        let mut server = Server::start(local, true).await;
        let client = server.send("/wait").await;
        server.gate.arrived(1).await;
        drop(client);
        server.over.recv().await.unwrap();
        assert!(seen(&server.memory, server.id).leased, "it goes on");
        server.gate.open();
        let (answer, after) = server.next().await;
        assert!(answer.ends_with('3'), "{answer}");
        assert_eq!((after.n, after.version), (Some(3), 3), "local={local}");
    }
}
