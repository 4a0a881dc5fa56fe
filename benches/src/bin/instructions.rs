//! One contender doing one work again and again, for callgrind to count its instructions.
//!
//! `benches/instructions` runs this under callgrind, once for each contender and work, with
//! collection only within [`measured`], and compares with the baseline.
//!
//! `instructions CONTENDER WORK COUNT`, where `sha` is a contender as well: what it takes to hash a
//! secret, which valgrind has to do without the processor's own instructions for it.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use tower::Service;
use tower_keep_benches::contenders::{self, request};
use tower_keep_benches::works::{Visitors, WORKS};
use tower_keep_core::Secret;

/// The only function that callgrind looks into.
#[inline(never)]
fn measured(app: &mut axum::routing::RouterIntoService<Body>, requests: Vec<Request<Body>>) {
    for request in requests {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(answer) = pin!(tokio::task::unconstrained(app.call(request))).poll(&mut cx)
        else {
            panic!("it waits for something");
        };
        drop(black_box(answer.expect("an answer")));
    }
}

#[inline(never)]
fn measured_sha(secrets: &[Secret]) {
    for secret in secrets {
        black_box(secret.hash());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [contender, work, count] = &words[..] else {
        panic!("instructions CONTENDER WORK COUNT");
    };
    let count: usize = count.parse().expect("how many requests");
    if contender == "sha" {
        let secrets = (0..count).map(|_| Secret::generate().expect("randomness"));
        measured_sha(&secrets.collect::<Vec<_>>());
        return;
    }
    let contenders = contenders::all().await;
    let contender = contenders
        .iter()
        .find(|c| c.name == contender)
        .expect("a contender");
    let work = WORKS.iter().find(|w| w.name == work).expect("a work");
    let cookie = match work.visitors {
        Visitors::Strangers => None,
        Visitors::One(path) => Some(contender.visit(path).await),
        Visitors::Many(_) => panic!("for one visitor only"),
    };
    let app: Router = contender.app.clone();
    let mut app = app.with_state::<()>(()).into_service::<Body>();
    let requests = |count| {
        let requests = (0..count).map(|_| request(work.path, cookie.as_deref()));
        requests.collect::<Vec<_>>()
    };
    for request in requests(20) {
        // As `measured` does, without being it.
        drop(app.call(request).await.expect("an answer"));
    }
    measured(&mut app, requests(count));
}
