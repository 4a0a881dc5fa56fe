//! A session in a store that follows a script.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use tower::ServiceExt;
use tower_keep::{MemoryStore, SessionId, SessionLayer, SessionLayerBuilder};
use tower_keep_testkit::{FaultStore, TestClock};

use super::app::{Mark, request};
use super::world::{Seen, paused, seen, session};

/// A store with one session in it whose `n` is 1, in this process or behind a network.
pub(crate) struct Stored {
    pub(crate) memory: MemoryStore,
    pub(crate) faults: FaultStore<MemoryStore>,
    pub(crate) clock: TestClock,
    local: bool,
    pub(crate) id: SessionId,
    pub(crate) cookie: String,
}

impl Stored {
    pub(crate) async fn new(local: bool) -> Self {
        let clock = TestClock::following_tokio();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let (id, cookie) = session(&memory).await;
        Self {
            faults: FaultStore::new(memory.clone()),
            memory,
            clock,
            local,
            id,
            cookie,
        }
    }

    pub(crate) fn builder(&self) -> SessionLayerBuilder {
        let builder = if self.local {
            SessionLayer::builder(self.memory.clone())
        } else {
            SessionLayer::builder(self.faults.clone())
        };
        builder.clock(Arc::new(self.clock.clone()))
    }

    pub(crate) fn layer(&self) -> SessionLayer {
        self.builder().build().unwrap()
    }

    /// What is stored once everything has settled.
    pub(crate) async fn settled(&self) -> Seen {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let seen = seen(&self.memory, self.id);
        assert!(!seen.leased, "the session is stuck");
        seen
    }

    pub(crate) async fn get(&self, app: &Router, path: &str) -> Response {
        let request = request(path, Some(&self.cookie), &Mark::default());
        app.clone().oneshot(request).await.unwrap()
    }
}

/// Runs the test over a store in this process and over one behind a network.
pub(crate) fn in_both(test: impl AsyncFn(Stored)) {
    for local in [true, false] {
        paused(async { test(Stored::new(local).await).await });
    }
}
