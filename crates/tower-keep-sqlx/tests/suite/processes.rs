//! Several processes on one store. A test starts its own binary again with the name of the test,
//! and the copy finds in its environment that it is to be a worker.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::runtime::Runtime;

use crate::app::{COOKIE, client, locks};
use crate::place::{Engine, Place};

const TASKS: usize = 8;

pub(crate) fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// A copy of this process that runs the test `name` as a worker on this place, with further
/// values for [`worker`].
pub(crate) fn spawn(name: &str, place: &Place, values: &[(&str, &str)]) -> Child {
    let engine = format!("{:?}", place.engine);
    let place = [
        ("ENGINE", engine.as_str()),
        ("URL", &place.url),
        ("TABLE", &place.table),
    ];
    let values = place.iter().chain(values);
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .envs(values.map(|(name, value)| (format!("KEEP_WORKER_{name}"), value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The place, if this is a worker.
pub(crate) fn worker() -> Option<Place> {
    let engine = std::env::var("KEEP_WORKER_ENGINE").ok()?;
    Some(Place::existing(&engine, given("URL"), given("TABLE")))
}

/// A value that was given to the worker.
pub(crate) fn given(name: &str) -> String {
    std::env::var(format!("KEEP_WORKER_{name}")).unwrap()
}

/// One line, whole even if the process is killed right after.
pub(crate) fn say(line: &str) {
    std::io::stdout()
        .write_all(format!("\n@{line}\n").as_bytes())
        .unwrap();
}

pub(crate) fn heard(line: &str) -> Option<&str> {
    line.strip_prefix('@')
}

/// Increments one session's counter from several tasks, and says what it tries and what succeeds.
async fn increment(place: &Place, cookie: &str, rounds: usize) {
    let client = client(&place.store().await, locks());
    client.set_cookie(COOKIE, cookie);
    // All begin when the last one is ready.
    say("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let task = || {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..rounds {
                say("try");
                let answer = client.get("/add").await;
                assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
                say("done");
            }
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(|_| task()).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// What the workers have said.
#[derive(Default)]
struct Heard {
    tried: u64,
    done: u64,
    /// When the workers that were not killed reported successes after the kill.
    after_kill: Vec<Duration>,
}

/// Runs three workers, and kills the first once it has done `kill_after` increments.
fn contend(name: &str, place: &Place, rounds: usize, kill_after: Option<u64>) -> (u64, Heard) {
    const WORKERS: usize = 3;
    let runtime = runtime();
    let sure = runtime.block_on(async { client(&place.store().await, locks()) });
    runtime.block_on(sure.get("/read"));
    runtime.block_on(sure.get("/own/worker"));
    let cookie = sure.cookie(COOKIE).unwrap();
    let rounds = rounds.to_string();
    let worker = |_| spawn(name, place, &[("COOKIE", &cookie), ("ROUNDS", &rounds)]);
    let mut workers: Vec<_> = (0..WORKERS).map(worker).collect();
    let (sender, lines) = mpsc::channel();
    for (number, worker) in workers.iter_mut().enumerate() {
        let stdout = BufReader::new(worker.stdout.take().unwrap());
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(said) = heard(&line) {
                    sender.send((number, said.to_owned())).unwrap();
                }
            }
        });
    }
    drop(sender);
    let (mut heard, mut first, mut ready, mut killed) = (Heard::default(), 0, 0, None);
    for (number, said) in lines {
        match said.as_str() {
            "ready" => {
                ready += 1;
                if ready == WORKERS {
                    for worker in &mut workers {
                        worker.stdin.take().unwrap().write_all(b"go\n").unwrap();
                    }
                }
            }
            "try" => heard.tried += 1,
            "done" => heard.done += 1,
            other => panic!("{other}"),
        }
        if number == 0 && said == "done" {
            first += 1;
            if Some(first) == kill_after {
                workers[0].kill().unwrap();
                killed = Some(Instant::now());
            }
        } else if let (Some(killed), "done") = (killed, said.as_str()) {
            heard.after_kill.push(killed.elapsed());
        }
    }
    for (number, worker) in workers.iter_mut().enumerate() {
        let status = worker.wait().unwrap();
        let expected = number != 0 || kill_after.is_none();
        assert_eq!(status.success(), expected, "worker {number}: {status}");
    }
    // `/own` has counted once.
    let count: u64 = runtime.block_on(sure.get("/read")).text().parse().unwrap();
    (count - 1, heard)
}

/// Whether this is a worker, and then its work.
fn worked() -> bool {
    let Some(place) = worker() else { return false };
    let rounds = given("ROUNDS").parse().unwrap();
    runtime().block_on(increment(&place, &given("COOKIE"), rounds));
    true
}

fn rounds() -> usize {
    if std::env::var_os("KEEP_HEAVY").is_some() {
        500
    } else {
        20
    }
}

fn exact(name: &str, place: impl FnOnce() -> Place) {
    if worked() {
        return;
    }
    let rounds = rounds();
    let (count, heard) = contend(name, &place(), rounds, None);
    assert_eq!(count, u64::try_from(3 * TASKS * rounds).unwrap());
    assert_eq!((heard.tried, heard.done), (count, count));
}

/// `kill -9` in the middle: with SQLite also between the commits of one file.
fn killed(name: &str, engine: Engine) {
    if worked() {
        return;
    }
    let (place, rounds) = (Place::new(engine), rounds());
    let (count, heard) = contend(name, &place, rounds, Some(10));
    let Heard {
        tried,
        done,
        after_kill,
    } = heard;
    println!("{engine:?}: {done} acknowledged <= {count} counted <= {tried} attempted");
    assert!(
        done <= count && count <= tried,
        "{done} <= {count} <= {tried}"
    );
    // The others have done all of theirs, or they would not have ended well.
    let first = after_kill.first();
    println!("{engine:?}: the first other increment came {first:?} after the kill");
}

macro_rules! on {
    ($($module:ident $engine:ident)*) => { $(
        mod $module {
            use super::*;

            #[test]
            fn increments_of_three_processes_are_exact() {
                let name = "increments_of_three_processes_are_exact";
                let name = format!("processes::{}::{name}", stringify!($module));
                exact(&name, || Place::new(Engine::$engine));
            }

            #[test]
            fn a_killed_process_loses_nothing_acknowledged_and_blocks_nobody() {
                let name = "a_killed_process_loses_nothing_acknowledged_and_blocks_nobody";
                killed(&format!("processes::{}::{name}", stringify!($module)), Engine::$engine);
            }
        }
    )* };
}

#[test]
fn increments_through_pgbouncer_in_session_mode_are_exact() {
    exact(
        "processes::increments_through_pgbouncer_in_session_mode_are_exact",
        || Place::behind("KEEP_PGBOUNCER_SESSION_URL"),
    );
}

on! { sqlite Sqlite postgres Postgres mariadb MariaDb }
