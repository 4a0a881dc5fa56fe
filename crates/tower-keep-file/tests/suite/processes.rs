//! Several processes on one directory, one of which is killed. The test starts itself again for
//! each of them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use tower_keep::core::{SessionStore, Token};
use tower_keep::{Error, LockConfig, Session, SessionLayer};
use tower_keep_file::FileStore;
use tower_keep_testkit::TestClient;

use crate::common::{file_of, files};

const COOKIE: &str = "__Host-id";
const DIR: &str = "KEEP_FILE_TEST_DIR";
const VALUE: &str = "KEEP_FILE_TEST_COOKIE";
const REQUESTS: &str = "KEEP_FILE_TEST_REQUESTS";
const PROCESSES: usize = 3;
const TASKS: u64 = 8;
const EACH: u64 = 12;

/// Reads, is away for a moment, writes.
async fn add(session: Session) -> Result<String, Error> {
    let n: u64 = session.get_or("n", 0)?;
    tokio::task::yield_now().await;
    session.insert("n", &(n + 1))?;
    Ok((n + 1).to_string())
}

fn client(store: FileStore) -> TestClient<Router, Body> {
    let locks = LockConfig {
        // What the killed one held is taken over after this.
        lease: Duration::from_secs(5),
        wait: Duration::from_secs(120),
        ..LockConfig::default()
    };
    let layer = SessionLayer::builder(store).locks(locks).build().unwrap();
    TestClient::with_body(Router::new().route("/", get(add)).layer(layer))
}

/// What each of the processes does: counts, and writes down what it was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of `no_acknowledged_increment_is_lost`, which starts it"]
async fn child() {
    let var = |name| std::env::var(name);
    let (Ok(dir), Ok(cookie), Ok(requests)) = (var(DIR), var(VALUE), var(REQUESTS)) else {
        return;
    };
    let requests: u64 = requests.parse().unwrap();
    let client = client(FileStore::open(dir).unwrap());
    client.set_cookie(COOKIE, &cookie);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let client = client.fork();
            tokio::spawn(async move {
                for _ in 0..requests {
                    let answer = client.get("/").await;
                    let line = format!("\nanswer {} {}\n", answer.status().as_u16(), answer.text());
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process of which each task makes this many requests.
fn start(dir: &str, cookie: &str, requests: u64) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::child", "--nocapture"])
        .env(DIR, dir)
        .env(VALUE, cookie)
        .env(REQUESTS, requests.to_string())
        .stdout(Stdio::piped())
        .spawn();
    Process(child.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_increment_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path().join("sessions")).unwrap();
    let first = client(store.clone());
    assert_eq!(first.get("/").await.text(), "1");
    let cookie = first.cookie(COOKIE).unwrap();

    let (sender, answers) = mpsc::channel();
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|i| {
            // The first one would never end by itself.
            let requests = if i == 0 { u64::MAX } else { EACH };
            start(store.dir().to_str().unwrap(), &cookie, requests)
        })
        .collect();
    let readers: Vec<_> = children
        .iter_mut()
        .enumerate()
        .map(|(i, child)| {
            let (out, sender) = (child.0.stdout.take().unwrap(), sender.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines() {
                    if let Some(answer) = line.unwrap().strip_prefix("answer ") {
                        sender.send((i, answer.to_owned())).unwrap();
                    }
                }
            })
        })
        .collect();
    drop(sender);

    let mut acknowledged = vec![Vec::new(); PROCESSES];
    for (i, answer) in answers {
        let (status, n) = answer.split_once(' ').unwrap();
        assert_eq!(status, "200", "process {i}: {answer}");
        acknowledged[i].push(n.parse::<u64>().unwrap());
        if i == 0 && acknowledged[0].len() as u64 == TASKS {
            children[0].0.kill().unwrap();
        }
    }
    for reader in readers {
        reader.join().unwrap();
    }
    let ends: Vec<_> = children.iter_mut().map(|c| c.0.wait().unwrap()).collect();
    assert!(
        !ends[0].success() && ends[1].success() && ends[2].success(),
        "{ends:?}"
    );
    for survivor in &acknowledged[1..] {
        assert_eq!(survivor.len() as u64, TASKS * EACH);
    }

    let id = Token::parse(cookie.as_bytes(), "").unwrap().id();
    let (record, _) = store.look(id).await.unwrap().record.unwrap();
    let count: u64 = std::str::from_utf8(record.data.get("n").unwrap())
        .unwrap()
        .parse()
        .unwrap();
    let distinct: BTreeSet<_> = acknowledged.iter().flatten().copied().collect();
    let all = acknowledged.iter().map(Vec::len).sum::<usize>() as u64;
    assert_eq!(
        distinct.len() as u64,
        all,
        "two requests were answered the same"
    );
    assert!(distinct.iter().all(|n| (2..=count).contains(n)));
    // Those of the killed one that were under way may have been counted, unheard of.
    let unheard = count - 1 - all;
    assert!(unheard <= TASKS, "{count} counted, {all} acknowledged");
    // The next sees it all, and nothing is left of the killed one.
    assert_eq!(first.get("/").await.text(), (count + 1).to_string());
    assert_eq!(files(store.dir()), [file_of(store.dir(), id)]);
}
