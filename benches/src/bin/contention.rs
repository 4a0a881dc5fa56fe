//! Many requests for one session at the same time.
//!
//! `contention [--quick] [WORDS]`; `WORDS` selects the rows whose names contain one of them.
//!
//! 1,000 requests, each on a connection of its own, are sent together. Each holds the session for
//! 1 to 5 ms (from a seed; what timers made of it is measured by the handler) and adds one to a
//! count, which is read afterwards. Meanwhile others, on sessions of their own, send a request
//! every few milliseconds. Round trips are counted in another run, by a proxy.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval};
use tower_keep_benches::client::{Connection, request};
use tower_keep_benches::proxy::{Protocol, Proxy};
use tower_keep_benches::servers::{Contender, Databases, Server, on};
use tower_keep_benches::statistics::{cell, median, quantile};

const OTHERS: usize = 8;
const PACE: Duration = Duration::from_millis(4);
/// How long the others are measured when nobody contends.
const CALM: Duration = Duration::from_secs(2);

struct Row {
    library: &'static str,
    store: &'static str,
    mode: &'static str,
    processes: usize,
}

const fn row(
    library: &'static str,
    store: &'static str,
    mode: &'static str,
    processes: usize,
) -> Row {
    Row {
        library,
        store,
        mode,
        processes,
    }
}

const ROWS: [Row; 13] = [
    row("tower-keep", "memory", "hold", 1),
    row("tower-keep", "redis", "hold", 1),
    row("tower-keep", "redis", "hold", 2),
    row("tower-keep", "postgres", "hold", 1),
    row("tower-keep", "postgres", "hold", 2),
    row("tower-keep", "memory", "merge", 1),
    row("tower-keep", "redis", "merge", 1),
    row("tower-keep", "postgres", "merge", 1),
    row("tower-sessions", "memory", "hold", 1),
    row("tower-sessions", "redis", "hold", 1),
    row("tower-sessions", "postgres", "hold", 1),
    row("axum_session", "memory", "hold", 1),
    row("axum_session", "redis", "hold", 1),
];

/// What the contending requests came to.
struct Outcome {
    total: Duration,
    holds: Duration,
    failed: usize,
    lost: u64,
    /// Of the others' requests, in microseconds.
    others: Vec<f64>,
}

impl Outcome {
    fn over_holds(&self) -> f64 {
        self.total.as_secs_f64() / self.holds.as_secs_f64()
    }
}

impl Row {
    fn name(&self) -> String {
        let Self {
            library,
            store,
            mode,
            processes,
        } = self;
        format!("{library} {store} {mode} {processes}")
    }

    fn contender(&self) -> Contender {
        let mut contenders = on(self.store).into_iter();
        contenders
            .find(|contender| contender.library == self.library)
            .expect("it has the store")
    }

    async fn start(&self, url: &str) -> Vec<Server> {
        let mut servers = Vec::new();
        for _ in 0..self.processes {
            let (contender, url) = (self.contender(), url.to_owned());
            let start = tokio::task::spawn_blocking(move || Server::start(contender, &url));
            servers.push(start.await.expect("it starts"));
        }
        servers
    }

    /// The paths of the contending requests, with holds that are the same for everybody.
    fn paths(&self, requests: usize) -> Vec<String> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut hold = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            1 + state % 5
        };
        (0..requests)
            .map(|_| format!("/{}/{}", self.mode, hold()))
            .collect()
    }

    async fn contend(&self, servers: &[Server], requests: usize) -> Outcome {
        let visitor = servers[0].visitors(1).await.remove(0);
        let others = Others::new(&servers[0]).await;
        let everybody = LocalSet::new();
        let start = Rc::new(Barrier::new(requests + 1));
        let mut contending = Vec::new();
        for (number, path) in self.paths(requests).into_iter().enumerate() {
            let mut connection = Connection::open(servers[number % servers.len()].port).await;
            let request = request(&path, &visitor);
            let start = start.clone();
            contending.push(everybody.spawn_local(async move {
                start.wait().await;
                let answer = connection.exchange(&request).await;
                let held = answer
                    .body
                    .split(' ')
                    .next()
                    .and_then(|held| held.parse().ok());
                held.filter(|_| answer.status == 200)
                    .map(Duration::from_micros)
            }));
        }
        others.spawn_on(&everybody);
        let mut holds = Duration::ZERO;
        let mut failed = 0;
        let total = everybody
            .run_until(async {
                start.wait().await;
                let start = Instant::now();
                for request in contending {
                    match request.await.expect("it ends") {
                        Some(held) => holds += held,
                        None => failed += 1,
                    }
                }
                start.elapsed()
            })
            .await;
        let others = others.stop(everybody).await;
        let count = servers[0].total(&[visitor]).await;
        Outcome {
            total,
            holds,
            failed,
            lost: ((requests - failed) as u64).saturating_sub(count),
            others,
        }
    }
}

/// Requests on other sessions, at a steady pace.
struct Others {
    connections: Cell<Vec<(Connection, String)>>,
    latencies: Rc<Cell<Vec<f64>>>,
    done: Rc<Cell<bool>>,
}

impl Others {
    async fn new(server: &Server) -> Self {
        let mut connections = Vec::new();
        for visitor in server.visitors(OTHERS).await {
            connections.push((Connection::open(server.port).await, visitor));
        }
        Self {
            connections: Cell::new(connections),
            latencies: Rc::default(),
            done: Rc::default(),
        }
    }

    fn spawn_on(&self, everybody: &LocalSet) {
        for (mut connection, visitor) in self.connections.take() {
            let (latencies, done) = (self.latencies.clone(), self.done.clone());
            everybody.spawn_local(async move {
                let request = request("/increment", &visitor);
                let mut pace = interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !done.get() {
                    pace.tick().await;
                    let start = Instant::now();
                    connection.exchange(&request).await;
                    let mut all = latencies.take();
                    all.push(start.elapsed().as_secs_f64() * 1e6);
                    latencies.set(all);
                }
            });
        }
    }

    async fn stop(self, everybody: LocalSet) -> Vec<f64> {
        self.done.set(true);
        everybody.await;
        self.latencies.take()
    }

    /// What they are like when nobody contends.
    async fn alone(server: &Server, span: Duration) -> Vec<f64> {
        let others = Self::new(server).await;
        let everybody = LocalSet::new();
        others.spawn_on(&everybody);
        everybody.run_until(tokio::time::sleep(span)).await;
        others.stop(everybody).await
    }
}

/// Round trips a contending request, or none if it is not known.
async fn round_trips(row: &Row, url: &str, requests: usize) -> Option<f64> {
    let protocol = match row.store {
        "redis" => Protocol::Redis,
        "postgres" => Protocol::Postgres,
        _ => return None,
    };
    let proxy = Proxy::start(url, protocol).await;
    let servers = row.start(&proxy.url).await;
    // Nobody else, and statements prepared.
    servers[0].visitors(20).await;
    let visitor = servers[0].visitors(1).await.remove(0);
    let mut connections = Vec::new();
    for (number, path) in row.paths(requests).into_iter().enumerate() {
        let server = &servers[number % servers.len()];
        connections.push((
            Connection::open(server.port).await,
            request(&path, &visitor),
        ));
    }
    let before = proxy.seen();
    let tasks = connections.into_iter().map(|(mut connection, request)| {
        tokio::spawn(async move { connection.exchange(&request).await.status })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("it ends");
    }
    Some((proxy.seen().flights - before.flights) as f64 / requests as f64)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (options, words): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let quick = options.iter().any(|option| option == "--quick");
    let (requests, rounds) = if quick { (200, 1) } else { (1_000, 5) };
    let wanted =
        |row: &&Row| words.is_empty() || words.iter().any(|word| row.name().contains(word));
    let databases = Databases::find();
    println!(
        "{requests} requests on one session, each holding it 1 to 5 ms; median of {rounds} rounds; \
         {OTHERS} others, each sending every {PACE:?}"
    );
    println!("\n## contention\n");
    println!(
        "| library | store | mode | processes | requests | lost | failed | total time over holds | total ms | \
         round trips | others' p99 µs, alone | others' p99 µs, meanwhile |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for row in ROWS.iter().filter(wanted) {
        let Some(url) = databases.url(row.contender()) else {
            continue;
        };
        let servers = row.start(&url).await;
        let mut alone = Vec::new();
        let mut outcomes = Vec::new();
        for _ in 0..rounds {
            alone.extend(Others::alone(&servers[0], CALM / rounds).await);
            outcomes.push(row.contend(&servers, requests).await);
        }
        drop(servers);
        let round_trips = round_trips(row, &url, requests).await;
        let middle = |value: fn(&Outcome) -> f64| median(outcomes.iter().map(value));
        let others: Vec<_> = outcomes
            .iter()
            .flat_map(|outcome| outcome.others.clone())
            .collect();
        // What is over in a moment says nothing about the one in a hundred.
        let others = if others.len() < 500 {
            Vec::new()
        } else {
            others
        };
        println!(
            "| {} | {} | {} | {} | {requests} | {} | {} | {} | {} | {} | {} | {} |",
            row.library,
            row.store,
            row.mode,
            row.processes,
            cell(middle(|outcome| outcome.lost as f64), 0),
            cell(middle(|outcome| outcome.failed as f64), 0),
            cell(middle(Outcome::over_holds), 3),
            cell(middle(|outcome| outcome.total.as_secs_f64() * 1e3), 0),
            cell(round_trips, 2),
            cell(quantile(alone, 0.99), 0),
            cell(quantile(others, 0.99), 0),
        );
    }
}
