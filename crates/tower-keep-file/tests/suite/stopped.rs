//! A process that stands still for longer than its lease. The test starts itself again for it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use tower_keep::{Error, LockConfig, Session, SessionLayer};
use tower_keep_file::FileStore;
use tower_keep_testkit::TestClient;

const COOKIE: &str = "__Host-id";
const DIR: &str = "KEEP_FILE_HOLDER_DIR";
const VALUE: &str = "KEEP_FILE_HOLDER_COOKIE";

fn client(dir: &str) -> TestClient<Router, Body> {
    let locks = LockConfig {
        lease: Duration::from_secs(1),
        wait: Duration::from_secs(60),
        ..LockConfig::default()
    };
    let store = FileStore::open(dir).unwrap();
    let layer = SessionLayer::builder(store).locks(locks).build().unwrap();
    let add = async |session: Session| -> Result<String, Error> {
        Ok(session.increment("n", 1)?.to_string())
    };
    let routes = Router::new()
        .route("/add", get(add))
        .route("/hold", get(hold));
    TestClient::with_body(routes.layer(layer))
}

fn say(line: &str) {
    let line = format!("\n@{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Writes, and holds the session until it is told to go on.
async fn hold(session: Session) -> Result<(), Error> {
    session.increment("n", 100)?;
    say("held");
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
    line.await.unwrap().unwrap().unwrap();
    Ok(())
}

/// A process that is killed if the test fails, also while it stands still.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Holder {
    fn start(dir: &str, cookie: &str) -> Self {
        let name = "stopped::a_stopped_holder_cannot_overwrite_its_successor";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(DIR, dir)
            .env(VALUE, cookie)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_holder_cannot_overwrite_its_successor() {
    if let Ok(dir) = std::env::var(DIR) {
        let client = client(&dir);
        client.set_cookie(COOKIE, &std::env::var(VALUE).unwrap());
        let answer = client.get("/hold").await;
        assert!(answer.set_cookies().is_empty(), "{answer:?}");
        return say(answer.status().as_str());
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("sessions");
    let client = client(dir.to_str().unwrap());
    assert_eq!(client.get("/add").await.text(), "1");
    let cookie = client.cookie(COOKIE).unwrap();
    let mut holder = Holder::start(dir.to_str().unwrap(), &cookie);
    let mut stdin = holder.0.stdin.take().unwrap();
    let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
    let mut next = || loop {
        let line = lines.next().expect("the holder goes on").unwrap();
        if let Some(said) = line.strip_prefix('@') {
            break said.to_owned();
        }
    };
    assert_eq!(next(), "held");
    holder.signal("STOP");
    // Waits until the lease is over.
    let answer = client.get("/add").await;
    assert_eq!(answer.text(), "2", "{answer:?}");
    holder.signal("CONT");
    stdin.write_all(b"go\n").unwrap();
    assert_eq!(next(), "409");
    assert_eq!(client.get("/add").await.text(), "3");
}
