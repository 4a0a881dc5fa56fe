//! What requests cost in the store, beside what `lifecycle` and `expiry` count.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::{Arc, Mutex};

use axum::routing::get;
use common::{Backend, Gates, app};
use http::StatusCode;
use tower_keep::core::{Expect, Finish, Finished, Looked, Op, Record, Scope, Sweep, Swept};
use tower_keep::{DynStore, ReadSession, Session, SessionId, SessionStore, StoreError};

/// Notes whether the commits that reach it have data in them.
#[derive(Clone)]
struct Bodies(Backend, Arc<Mutex<Vec<bool>>>);

impl SessionStore for Bodies {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.0.memory.look(id).await
    }

    async fn cas(&self, id: SessionId, expect: Expect, new: &Record) -> Result<bool, StoreError> {
        self.0.memory.cas(id, expect, new).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.0.memory.sweep(sweep).await
    }

    fn scope(&self) -> Scope {
        self.0.memory.scope()
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        if let Op::Put(put) = &finish.op {
            self.1.lock().unwrap().push(put.data.is_some());
        }
        self.0.memory.finish(finish).await
    }
}

#[tokio::test(start_paused = true)]
async fn b11_head_only_changes_never_rewrite_the_body() {
    let bodies = Bodies(Backend::local(), Arc::default());
    let backend = Backend {
        store: DynStore::new(bodies.clone()),
        ..bodies.0.clone()
    };
    let client = backend.client(app(Gates::default()));
    client.get("/add").await;
    for path in ["/rotate", "/login/ann", "/add", "/login/bob"] {
        client.get(path).await;
    }
    assert_eq!(*bodies.1.lock().unwrap(), [false, false, true, false]);
    assert_eq!(client.get("/who").await.text(), "bob 2");
}

#[tokio::test(start_paused = true)]
async fn lock_for_saves_the_round_trip_of_a_guard() {
    let guarded = async |_: ReadSession, session: Session| session.increment("n", 1).map(drop);
    let trips = async |locks: bool| {
        let backend = Backend::remote();
        let layer = backend
            .layer()
            .lock_for(move |head| locks && head.uri.path() == "/guarded");
        let routes = app(Gates::default()).route("/guarded", get(guarded));
        let client = backend.client_of(routes, layer);
        client.get("/add").await;
        backend.faults.calls().clear();
        assert_eq!(client.get("/guarded").await.status(), StatusCode::OK);
        assert_eq!(client.get("/n").await.text(), "2");
        backend.faults.calls().total() - 1
    };
    assert_eq!((trips(false).await, trips(true).await), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn parallel_readers_wait_for_nobody() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(app(gates.clone()));
        client.get("/add").await;
        let writer = common::start(&client, "/hold/gate/add");
        gates.at("gate").arrived(1).await;
        // They all get by while the writer holds the session, and see the committed state.
        let readers: Vec<_> = (0..10).map(|_| common::start(&client, "/n")).collect();
        for reader in readers {
            assert_eq!(reader.await.unwrap().text(), "1");
        }
        assert!(!writer.is_finished());
        gates.at("gate").open();
        assert_eq!(writer.await.unwrap().text(), "2");
    }
}
