//! Requests over loopback, each library in a process of its own: how many a second, how long each
//! takes, and what CPU time the server needs for it.
//!
//! `http [--quick] [WORDS]`; `WORDS` selects the stores and works whose names contain one of them.
//!
//! 64 connections send one request after the other, for 2,048 visitors in turn. Every round gives
//! each library its span on each store, one after the other; printed are the medians of the rounds.
//! Ratios are made within a round. At the end the visitors' counts are read, and must be what was
//! acknowledged.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use tower_keep_benches::client::{Connection, request};
use tower_keep_benches::servers::{BARE, Contender, Databases, STORES, Server, on};
use tower_keep_benches::statistics::{cell, median, quantile};

const CONNECTIONS: usize = 64;
const WORKS: [&str; 3] = ["untouched", "read", "increment"];
const PATHS: [&str; 3] = ["/unused", "/read", "/increment"];

/// How long, and how often.
struct Effort {
    visitors: usize,
    rounds: usize,
    warm_up: Duration,
    span: Duration,
}

/// A server that runs, and what was measured of it.
struct Runner {
    contender: Contender,
    server: Server,
    visitors: Vec<String>,
    increments: u64,
    failures: u64,
    /// For each work, of each round.
    spans: [Vec<Span>; 3],
}

/// What one span showed.
#[derive(Clone, Copy, Default)]
struct Span {
    /// Requests a second.
    rate: f64,
    /// Microseconds.
    middle: f64,
    slowest: f64,
    /// CPU time of the server a request, in microseconds.
    cpu: f64,
}

/// What the connections share while they are at work.
#[derive(Default)]
struct Load {
    next: Cell<usize>,
    measuring: Cell<bool>,
    done: Cell<bool>,
    acknowledged: Cell<u64>,
    failures: Cell<u64>,
    /// Of the requests that began while it was measured.
    latencies: RefCell<Vec<u64>>,
}

impl Runner {
    async fn start(contender: Contender, databases: &Databases, visitors: usize) -> Option<Self> {
        let server = Server::start(contender, &databases.url(contender)?);
        let visitors = if contender.store == "bare" {
            // As long as ours.
            vec![format!("id={}", "A".repeat(64)); visitors]
        } else {
            server.visitors(visitors).await
        };
        Some(Self {
            contender,
            server,
            visitors,
            increments: 0,
            failures: 0,
            spans: Default::default(),
        })
    }

    async fn measure(&mut self, work: usize, effort: &Effort) {
        let requests: Vec<_> = {
            let visitors = self.visitors.iter();
            visitors
                .map(|cookies| request(PATHS[work], cookies))
                .collect()
        };
        let requests = Rc::new(requests);
        let load = Rc::new(Load::default());
        let everybody = LocalSet::new();
        for _ in 0..CONNECTIONS {
            let connection = Connection::open(self.server.port).await;
            everybody.spawn_local(send(connection, requests.clone(), load.clone()));
        }
        everybody
            .run_until(tokio::time::sleep(effort.warm_up))
            .await;
        let before = (
            self.server.cpu(),
            load.acknowledged.get() + load.failures.get(),
        );
        load.measuring.set(true);
        let start = Instant::now();
        everybody.run_until(tokio::time::sleep(effort.span)).await;
        let cpu = self.server.cpu() - before.0;
        let count = load.acknowledged.get() + load.failures.get() - before.1;
        let taken = start.elapsed();
        load.done.set(true);
        everybody.await;
        let latencies = || {
            load.latencies
                .take()
                .into_iter()
                .map(|nanos| nanos as f64 / 1e3)
        };
        let latencies: Vec<_> = latencies().collect();
        self.spans[work].push(Span {
            rate: count as f64 / taken.as_secs_f64(),
            middle: median(latencies.iter().copied()).unwrap_or(f64::NAN),
            slowest: quantile(latencies, 0.99).unwrap_or(f64::NAN),
            cpu: cpu.as_secs_f64() * 1e6 / count as f64,
        });
        self.failures += load.failures.get();
        if WORKS[work] == "increment" {
            self.increments += load.acknowledged.get();
        }
    }
}

/// One connection's requests, until it is over.
async fn send(mut connection: Connection, requests: Rc<Vec<Vec<u8>>>, load: Rc<Load>) {
    while !load.done.get() {
        let next = load.next.get();
        load.next.set(next + 1);
        let measuring = load.measuring.get();
        let start = Instant::now();
        let status = connection
            .exchange(&requests[next % requests.len()])
            .await
            .status;
        let tally = if status == 200 {
            &load.acknowledged
        } else {
            &load.failures
        };
        tally.set(tally.get() + 1);
        if measuring {
            load.latencies
                .borrow_mut()
                .push(start.elapsed().as_nanos() as u64);
        }
    }
}

/// The median over the rounds of what is made of two spans of the same round.
fn paired(ours: &[Span], theirs: &[Span], value: impl Fn(&Span, &Span) -> f64) -> Option<f64> {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(ours, theirs)| value(ours, theirs)),
    )
}

fn print_figures(runners: &[Runner], works: &[usize]) {
    println!("\n## http\n");
    println!(
        "| work | store | library | requests/s | p50 µs | p99 µs | server CPU µs | above bare µs | of bare's requests/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for work in works {
        for runner in runners {
            let own = &runner.spans[*work];
            let bare = &runners[runner.contender.framework()].spans[*work];
            let middle = |value: fn(&Span) -> f64| median(own.iter().map(value));
            println!(
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                WORKS[*work],
                runner.contender.store,
                runner.contender.library,
                cell(middle(|span| span.rate), 0),
                cell(middle(|span| span.middle), 0),
                cell(middle(|span| span.slowest), 0),
                cell(middle(|span| span.cpu), 1),
                cell(paired(own, bare, |own, bare| own.cpu - bare.cpu), 1),
                cell(paired(own, bare, |own, bare| own.rate / bare.rate), 2),
            );
        }
    }
}

/// tower-keep beside each of the others on the same store.
fn print_ratios(runners: &[Runner], works: &[usize]) {
    println!("\n## http_ratios\n");
    println!("| work | store | beside | requests/s | p99 | server CPU above bare |");
    println!("|---|---|---|---|---|---|");
    for work in works {
        for ours in runners
            .iter()
            .filter(|runner| runner.contender.library == "tower-keep")
        {
            let same = |other: &&Runner| {
                other.contender.store == ours.contender.store && other.contender != ours.contender
            };
            for theirs in runners.iter().filter(same) {
                let [own, other] = [ours, theirs].map(|runner| runner.spans[*work].as_slice());
                let bare = |runner: &Runner| &runners[runner.contender.framework()].spans[*work];
                let above = |runner: &Runner| -> Vec<_> {
                    let own = runner.spans[*work].iter().zip(bare(runner));
                    own.map(|(own, bare)| Span {
                        cpu: own.cpu - bare.cpu,
                        ..*own
                    })
                    .collect()
                };
                println!(
                    "| {} | {} | {} | {} | {} | {} |",
                    WORKS[*work],
                    ours.contender.store,
                    theirs.contender.library,
                    cell(paired(own, other, |own, other| own.rate / other.rate), 2),
                    cell(
                        paired(own, other, |own, other| own.slowest / other.slowest),
                        2
                    ),
                    cell(
                        paired(&above(ours), &above(theirs), |own, other| own.cpu
                            / other.cpu),
                        2
                    ),
                );
            }
        }
    }
}

async fn print_counts(runners: &[Runner]) {
    println!("\n## http_counts\n");
    println!("| store | library | increments acknowledged | lost | failed requests |");
    println!("|---|---|---|---|---|");
    for runner in runners
        .iter()
        .filter(|runner| runner.contender.store != "bare")
    {
        let total = runner.server.total(&runner.visitors).await;
        println!(
            "| {} | {} | {} | {} | {} |",
            runner.contender.store,
            runner.contender.library,
            runner.increments,
            runner.increments.saturating_sub(total),
            runner.failures,
        );
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (options, words): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let effort = if options.iter().any(|option| option == "--quick") {
        Effort {
            visitors: 256,
            rounds: 1,
            warm_up: Duration::from_millis(100),
            span: Duration::from_millis(300),
        }
    } else {
        Effort {
            visitors: 2_048,
            rounds: 7,
            warm_up: Duration::from_millis(200),
            span: Duration::from_secs(1),
        }
    };
    let chosen = |names: &[&'static str]| -> Vec<usize> {
        let named = |name: &str| words.iter().any(|word| name.contains(word.as_str()));
        let all = !names.iter().any(|name| named(name));
        (0..names.len())
            .filter(|index| all || named(names[*index]))
            .collect()
    };
    let works = chosen(&WORKS);
    let stores = chosen(&STORES);

    let databases = Databases::find();
    let mut runners = Vec::new();
    for contender in BARE
        .into_iter()
        .chain(stores.into_iter().flat_map(|store| on(STORES[store])))
    {
        match Runner::start(contender, &databases, effort.visitors).await {
            Some(runner) => runners.push(runner),
            None => println!(
                "no {} here: {} is left out",
                contender.store, contender.library
            ),
        }
    }
    println!(
        "{CONNECTIONS} connections, {} visitors in turn, median of {} rounds of {:?}",
        effort.visitors, effort.rounds, effort.span
    );
    for work in &works {
        for _ in 0..effort.rounds {
            for runner in &mut runners {
                runner.measure(*work, &effort).await;
            }
        }
    }
    print_figures(&runners, &works);
    print_ratios(&runners, &works);
    print_counts(&runners).await;
}
