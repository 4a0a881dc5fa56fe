//! Several processes on one store. A test starts its own binary again with the name of the test,
//! and the copy finds in its environment that it is to be a worker.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use tokio::runtime::Runtime;
use tower_keep_core::{
    CommitId, Finish, Finished, Op, Open, Opened, Owner, SessionId, SessionStore,
};
use tower_keep_redis::RedisStore;

use crate::app::{COOKIE, client, locks};
use crate::server::{prefix, shared_url};
use crate::storage::new_session;

const TASKS: usize = 8;

pub(crate) fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

pub(crate) async fn store(prefix: &str) -> RedisStore {
    let builder = RedisStore::builder().prefix(prefix);
    builder.connect(shared_url()).await.unwrap()
}

/// A copy of this process that runs the test `name` as a worker with this environment.
pub(crate) fn spawn(name: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .envs(environment.iter().copied())
        .env("KEEP_REDIS_URL", shared_url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
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
async fn increment(prefix: &str, cookie: &str, rounds: usize) {
    let store = store(prefix).await;
    let client = client(&store, locks());
    client.set_cookie(COOKIE, cookie);
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
fn contend(name: &str, rounds: usize, kill_after: Option<u64>) -> (u64, Heard) {
    const WORKERS: usize = 3;
    let prefix = prefix();
    let runtime = runtime();
    let sure = runtime.block_on(async { client(&store(&prefix).await, locks()) });
    runtime.block_on(sure.get("/read"));
    runtime.block_on(sure.get("/own/worker"));
    let cookie = sure.cookie(COOKIE).unwrap();
    let rounds_text = rounds.to_string();
    let environment = [
        ("KEEP_WORKER_PREFIX", prefix.as_str()),
        ("KEEP_WORKER_COOKIE", &cookie),
        ("KEEP_WORKER_ROUNDS", &rounds_text),
    ];
    let mut workers: Vec<_> = (0..WORKERS).map(|_| spawn(name, &environment)).collect();
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
    let (mut heard, mut first, mut killed) = (Heard::default(), 0, None);
    for (number, said) in lines {
        match said.as_str() {
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

/// Whether this is a worker of a test of increments, and then its work.
fn worked() -> bool {
    let variable = |name| std::env::var(name).ok();
    let (Some(prefix), Some(cookie), Some(rounds)) = (
        variable("KEEP_WORKER_PREFIX"),
        variable("KEEP_WORKER_COOKIE"),
        variable("KEEP_WORKER_ROUNDS"),
    ) else {
        return false;
    };
    runtime().block_on(increment(&prefix, &cookie, rounds.parse().unwrap()));
    true
}

fn rounds() -> usize {
    if std::env::var_os("KEEP_HEAVY").is_some() {
        500
    } else {
        20
    }
}

#[test]
fn increments_of_three_processes_are_exact() {
    if worked() {
        return;
    }
    let rounds = rounds();
    let (count, heard) = contend(
        "processes::increments_of_three_processes_are_exact",
        rounds,
        None,
    );
    assert_eq!(count, u64::try_from(3 * TASKS * rounds).unwrap());
    assert_eq!((heard.tried, heard.done), (count, count));
}

#[test]
fn a_killed_process_loses_nothing_acknowledged_and_blocks_nobody() {
    if worked() {
        return;
    }
    let rounds = rounds();
    let (count, heard) = contend(
        "processes::a_killed_process_loses_nothing_acknowledged_and_blocks_nobody",
        rounds,
        Some(10),
    );
    let Heard {
        tried,
        done,
        after_kill,
    } = heard;
    println!("{done} acknowledged <= {count} counted <= {tried} attempted");
    assert!(
        done <= count && count <= tried,
        "{done} <= {count} <= {tried}"
    );
    // The others have done all of theirs, or they would not have ended well.
    let first = after_kill.first();
    let gaps = after_kill
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]));
    let gap = gaps.max().unwrap_or_default();
    println!(
        "after the kill the first other increment took {first:?}, the longest gap was {gap:?}"
    );
}

fn nanos() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
}

/// Waits for wake-ups and says when they come.
async fn listen(prefix: &str, id: SessionId) {
    let store = store(prefix).await;
    let wakeups = store.wakeups().unwrap();
    for _ in std::io::stdin().lines() {
        let woken = wakeups.released(id);
        let open = Open {
            id,
            secret: None,
            age: Duration::ZERO,
            touch: None,
            lease: Some((Owner::unique(), Duration::from_secs(10))),
        };
        let opened = store.open(&open).await.unwrap();
        assert!(matches!(opened, Opened::Busy(_)), "{opened:?}");
        say("ready");
        tokio::time::timeout(Duration::from_secs(10), woken)
            .await
            .unwrap();
        say(&nanos().to_string());
    }
}

#[test]
fn another_process_is_woken() {
    if let (Ok(prefix), Ok(id)) = (
        std::env::var("KEEP_WORKER_PREFIX"),
        std::env::var("KEEP_WORKER_ID"),
    ) {
        return runtime().block_on(listen(&prefix, id.parse().unwrap()));
    }
    let prefix = prefix();
    let runtime = runtime();
    let store = runtime.block_on(store(&prefix));
    let new = new_session();
    runtime.block_on(store.create(&new)).unwrap();
    let id = new.id.to_string();
    let mut listener = spawn(
        "processes::another_process_is_woken",
        &[("KEEP_WORKER_PREFIX", &prefix), ("KEEP_WORKER_ID", &id)],
    );
    let mut stdin = listener.stdin.take().unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    let mut next = || loop {
        let line = lines.next().expect("the listener goes on").unwrap();
        if let Some(said) = heard(&line) {
            break said.to_owned();
        }
    };
    let mut latencies = Vec::new();
    for _ in 0..200 {
        let owner = Owner::unique();
        let open = Open {
            id: new.id,
            secret: None,
            age: Duration::ZERO,
            touch: None,
            lease: Some((owner, Duration::from_secs(60))),
        };
        let opened = runtime.block_on(store.open(&open)).unwrap();
        assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
        writeln!(stdin, "go").unwrap();
        assert_eq!(next(), "ready");
        let before = nanos();
        let finish = Finish {
            id: new.id,
            owner,
            version: 0,
            commit: CommitId::unique(),
            op: Op::Release,
            next: None,
        };
        let finished = runtime.block_on(store.finish(&finish)).unwrap();
        assert!(
            matches!(finished, Finished::Done { waiting: true, .. }),
            "{finished:?}"
        );
        let woken: u128 = next().parse().unwrap();
        latencies.push(woken.saturating_sub(before) / 1_000);
    }
    drop(stdin);
    assert!(listener.wait().unwrap().success());
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "woken in another process after {} µs (median), {} (90 %), {} (99 %), {} (most)",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
