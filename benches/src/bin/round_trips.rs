//! Commands and round trips a request, on Redis and PostgreSQL, counted from outside.
//!
//! `round_trips`
//!
//! One request follows the other, through a proxy between server and database. A round trip is a
//! burst of bytes to the database that comes after an answer; a command is one that Redis is sent,
//! or the execution of a statement by PostgreSQL. What a script does within Redis is none, but is
//! shown beside it, from the server's own statistics.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_keep_benches::client::{Connection, request};
use tower_keep_benches::proxy::{Protocol, Proxy};
use tower_keep_benches::servers::{Databases, Server, on};

const REQUESTS: u64 = 200;
const WORKS: [(&str, &str); 4] = [
    ("untouched", "/unused"),
    ("read", "/read"),
    ("increment", "/increment"),
    ("new", "/new"),
];

/// How often Redis has carried out each command, those of scripts too.
async fn redis_statistics(url: &str) -> BTreeMap<String, u64> {
    let host = url.trim_start_matches("redis://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await.expect("Redis");
    stream
        .write_all(b"INFO commandstats\r\nQUIT\r\n")
        .await
        .expect("Redis reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("Redis answers");
    let lines = answer.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), calls))
    });
    lines
        .filter(|(name, _)| !matches!(name.as_str(), "info" | "quit"))
        .collect()
}

/// What came to the statistics, a request.
fn added(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> String {
    let added = after.iter().filter_map(|(name, calls)| {
        let calls = calls - before.get(name).unwrap_or(&0);
        let each = calls as f64 / REQUESTS as f64;
        (each >= 0.1).then(|| format!("{name} {}", short(each)))
    });
    let added = added.collect::<Vec<_>>().join(", ");
    if added.is_empty() {
        "–".to_owned()
    } else {
        added
    }
}

fn short(value: f64) -> String {
    let value = format!("{value:.2}");
    value.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let databases = Databases::find();
    println!("\n## round_trips\n");
    println!("| work | store | library | round trips | commands | in the server |");
    println!("|---|---|---|---|---|---|");
    for (store, protocol) in [("redis", Protocol::Redis), ("postgres", Protocol::Postgres)] {
        for contender in on(store) {
            let Some(url) = databases.url(contender) else {
                continue;
            };
            let proxy = Proxy::start(&url, protocol).await;
            let proxied = proxy.url.clone();
            // It may not start before it has spoken to its database.
            let start = tokio::task::spawn_blocking(move || Server::start(contender, &proxied));
            let server = start.await.expect("it starts");
            let visitor = server.visitors(1).await.remove(0);
            let mut connection = Connection::open(server.port).await;
            for (work, path) in WORKS {
                let cookies = if work == "new" { "" } else { &visitor };
                let request = request(path, cookies);
                // Statements are prepared, and caches filled.
                for _ in 0..50 {
                    connection.exchange(&request).await;
                }
                let redis = store == "redis";
                let statistics = if redis {
                    redis_statistics(&url).await
                } else {
                    BTreeMap::default()
                };
                let before = proxy.seen();
                for _ in 0..REQUESTS {
                    assert_eq!(connection.exchange(&request).await.status, 200, "{path}");
                }
                let after = proxy.seen();
                let inside = if redis {
                    added(&statistics, &redis_statistics(&url).await)
                } else {
                    "–".to_owned()
                };
                let each = |count: u64| short(count as f64 / REQUESTS as f64);
                println!(
                    "| {work} | {store} | {} | {} | {} | {inside} |",
                    contender.library,
                    each(after.flights - before.flights),
                    each(after.commands - before.commands),
                );
            }
        }
    }
}
