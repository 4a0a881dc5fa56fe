//! Each of the smaller examples, as its visitors meet it. Their `main` is left out, which does
//! nothing but serve what is tested here; `nodes` runs as it is, as several processes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

mod cart;
mod conversation;
mod flash;
mod live;
mod login;
mod minimal;
#[cfg(unix)]
mod nodes;
mod plain_tower;
mod sso;
mod step_up;
mod timeout;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use tower_keep::MemoryStore;
use tower_keep_testkit::{TestClient, TestClock};

/// The name of the cookie over plain HTTP.
const COOKIE: &str = "id";

type Browser = TestClient<Router, Body>;

/// A visitor of the app, who sends forms from its own pages.
fn browser(app: Router) -> Browser {
    TestClient::with_body(app).with_header("sec-fetch-site", "same-origin")
}

/// Somebody else's browser.
fn stranger(browser: &Browser) -> Browser {
    let stranger = browser.fork();
    stranger.clear_cookies();
    stranger
}

/// A store whose time is the test's.
fn timed() -> (MemoryStore, TestClock) {
    let clock = TestClock::new();
    let store = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
    (store, clock)
}
