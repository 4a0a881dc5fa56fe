//! What a session costs in a process of its own, over bare axum: CPU time in nanoseconds a request,
//! or allocations.
//!
//! `cargo run --release --bin overhead [WORDS]`, with `--features allocations` for these. `WORDS`
//! selects the works whose names contain one of them.
//!
//! One thread. In every round each library does each work in turn, and what bare axum took in the
//! same round is taken off; printed is the median of the rounds, beside the ratio to
//! tower-sessions'. Requests are made one by one, as a server does it, and their making counts, for
//! bare axum too: thousands that are made beforehand would drive all else out of the caches.

#[cfg(feature = "allocations")]
use std::future::Future;
use std::hint::black_box;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use tower::{Service, ServiceExt};
use tower_keep_benches::contenders::{self, Contender, request};
use tower_keep_benches::works::{Visitors, WORKS, Work};

#[cfg(not(feature = "allocations"))]
const ROUNDS: usize = 21;
#[cfg(feature = "allocations")]
const ROUNDS: usize = 3;
const REQUESTS: usize = 5_000;

/// What the requests take each: CPU time in nanoseconds, or allocations.
async fn measure(app: &Router, requests: impl ExactSizeIterator<Item = Request<Body>>) -> f64 {
    let count = requests.len() as f64;
    let mut service = app.clone().with_state::<()>(()).into_service::<Body>();
    #[cfg_attr(
        not(feature = "allocations"),
        expect(unused_mut, reason = "it is ready once")
    )]
    let mut service = service.ready().await.expect("it is always ready");
    #[cfg(not(feature = "allocations"))]
    {
        let start = cpu_time::ThreadTime::now();
        for request in requests {
            black_box(service.call(request).await.expect("an answer"));
        }
        start.elapsed().as_nanos() as f64 / count
    }
    #[cfg(feature = "allocations")]
    {
        let mut total = 0;
        for request in requests {
            let info = allocation_counter::measure(|| {
                // Everything is in memory, so one poll is enough, unless the runtime wants a pause.
                let call = tokio::task::unconstrained(service.call(request));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let std::task::Poll::Ready(answer) = std::pin::pin!(call).poll(&mut cx) else {
                    panic!("it waits for something");
                };
                drop(black_box(answer.expect("an answer")));
            });
            total += info.count_total;
            service = service.ready().await.expect("it is always ready");
        }
        total as f64 / count
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The cookies that each contender's requests carry in turn.
async fn cookies(contenders: &[Contender], visitors: &Visitors) -> Vec<Vec<Option<String>>> {
    let mut all = Vec::new();
    // The bare app gets those of tower-keep, so that its requests are as long.
    for contender in contenders.iter().take(2).skip(1).chain(&contenders[1..]) {
        all.push(match visitors {
            Visitors::Strangers => vec![None],
            Visitors::One(path) => vec![Some(contender.visit(path).await)],
            Visitors::Many(count) => {
                let mut cookies = Vec::with_capacity(*count);
                for _ in 0..*count {
                    cookies.push(Some(contender.visit("/new").await));
                }
                cookies
            }
        });
    }
    all
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let wanted = |work: &&Work| {
        words.is_empty() || words.iter().any(|word| work.name.contains(word.as_str()))
    };
    let unit = if cfg!(feature = "allocations") {
        "allocations"
    } else {
        "ns CPU"
    };
    println!("{unit} a request over bare axum, median of {ROUNDS} rounds of {REQUESTS}\n");
    println!(
        "| work | bare | tower-keep | tower-sessions 0.15 | axum_session 0.22 | a layer that does nothing | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    for work in WORKS.iter().filter(wanted) {
        // Stores of their own, so that no work finds what another left.
        let contenders = contenders::all().await;
        let cookies = cookies(&contenders, &work.visitors).await;
        let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
        for round in 0..=ROUNDS {
            let mut bare = 0.0;
            for (index, contender) in contenders.iter().enumerate() {
                let own = &cookies[index];
                let requests = (0..REQUESTS).map(|number| {
                    // A stride that is prime to their number meets them in no order of memory.
                    let cookie = &own[(round * REQUESTS + number) * 7_919 % own.len()];
                    request(work.path, cookie.as_deref())
                });
                let taken = measure(&contender.app, requests).await;
                if index == 0 {
                    bare = taken;
                }
                // The first round warms up.
                if round > 0 {
                    rounds[index].push(if index == 0 { taken } else { taken - bare });
                }
            }
        }
        let medians: Vec<_> = rounds.into_iter().map(median).collect();
        let cells: Vec<_> = medians.iter().map(|value| format!("{value:.0}")).collect();
        let ratio = medians[1] / medians[2];
        println!("| {} | {} | {ratio:.2} |", work.name, cells.join(" | "));
    }
}
