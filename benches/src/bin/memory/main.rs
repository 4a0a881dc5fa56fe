//! What sessions cost in memory, and how long a sweep keeps others waiting.
//!
//! `cargo run --release --bin memory [bytes|sweep] [--sessions N]`, both with a million sessions
//! unless told otherwise. Each contender has a process of its own: the program starts itself
//! again, and what counts is by how much the resident set of that process grows.

mod apps;
mod sweep;

use std::process::{Command, Stdio, exit};

use axum::Router;
use tower::ServiceExt;
use tower_keep_benches::contenders::request;

/// A contender and what its visitors do.
struct Row {
    name: &'static str,
    app: &'static str,
    path: &'static str,
    /// Whether they come again, and count something up under the lock.
    returns: bool,
}

const fn row(name: &'static str, app: &'static str, path: &'static str, returns: bool) -> Row {
    Row {
        name,
        app,
        path,
        returns,
    }
}

const ROWS: [Row; 7] = [
    row("tower-keep", "keep", "/enter", false),
    row("tower-sessions 0.15", "tower-sessions", "/enter", false),
    row("axum_session 0.22", "axum-session", "/enter", false),
    row("tower-keep, came again", "keep", "/enter", true),
    row(
        "tower-sessions 0.15, came again",
        "tower-sessions",
        "/enter",
        true,
    ),
    row(
        "axum_session 0.22, came again",
        "axum-session",
        "/enter",
        true,
    ),
    row("tower-keep, logged in", "keep", "/login", false),
];

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let sessions = match args.iter().position(|arg| arg == "--sessions") {
        Some(at) => args
            .get(at + 1)
            .and_then(|n| n.parse().ok())
            .unwrap_or_else(|| usage()),
        None => 1_000_000,
    };
    match args.first().map_or("--sessions", String::as_str) {
        "--child" => {
            let row = args
                .get(1)
                .and_then(|number| ROWS.get(number.parse::<usize>().ok()?));
            grow(row.unwrap_or_else(|| usage()), sessions);
        }
        "bytes" => bytes(sessions),
        "sweep" => sweep::report(sessions),
        "--sessions" => {
            bytes(sessions);
            println!();
            sweep::report(sessions);
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("memory [bytes|sweep] [--sessions N]");
    exit(2)
}

fn bytes(sessions: usize) {
    println!("## memory\n");
    println!(
        "Resident bytes a session, {sessions} sessions: a user id and a token of 39 characters\n"
    );
    println!("| store | bytes a session |\n|---|---|");
    let program = std::env::current_exe().expect("this program");
    for (number, row) in ROWS.iter().enumerate() {
        let mut child = Command::new(&program);
        child.args([
            "--child",
            &number.to_string(),
            "--sessions",
            &sessions.to_string(),
        ]);
        let output = child.stderr(Stdio::inherit()).output().expect("it runs");
        assert!(output.status.success(), "{}: {}", row.name, output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        println!("| {} | {} |", row.name, text.trim());
    }
}

/// Prints by how many bytes this process grows for each session.
#[tokio::main(flavor = "current_thread")]
async fn grow(row: &Row, sessions: usize) {
    let app = apps::app(row.app).await.with_state(());
    // What is there once for all of them.
    for _ in 0..1_000 {
        visit(&app, row).await;
    }
    let before = resident();
    for _ in 0..sessions {
        visit(&app, row).await;
    }
    let grown = resident().saturating_sub(before);
    println!("{:.0}", grown as f64 / sessions as f64);
}

async fn visit(app: &Router, row: &Row) {
    let response = app
        .clone()
        .oneshot(request(row.path, None))
        .await
        .expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    if !row.returns {
        return;
    }
    let headers = response.headers().get_all("set-cookie").iter();
    let pairs = headers.filter_map(|value| value.to_str().ok()?.split(';').next());
    let cookie = pairs.collect::<Vec<_>>().join("; ");
    for _ in 0..4 {
        let again = request("/increment", Some(&cookie));
        let response = app.clone().oneshot(again).await.expect("an answer");
        assert!(response.status().is_success(), "{}", response.status());
    }
}

/// The resident set in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * 4_096
}
