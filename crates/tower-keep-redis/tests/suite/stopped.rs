//! A process that stands still for longer than its lease.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use tower_keep::{Error, Session, SessionLayer};
use tower_keep_testkit::TestClient;

use crate::app::{COOKIE, client, locks};
use crate::processes::{heard, runtime, say, spawn, store};
use crate::server::prefix;

const PREFIX: &str = "KEEP_HOLDER_PREFIX";

/// A process that is killed if the test fails, also while it stands still.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Holder {
    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
    }
}

/// Writes, and holds the session until it is told to go on.
async fn hold(session: Session) -> Result<(), Error> {
    session.increment("n", 100)?;
    say("held");
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
    line.await.unwrap().unwrap().unwrap();
    Ok(())
}

async fn holder(prefix: &str) {
    let layer = SessionLayer::builder(store(prefix).await).locks(locks());
    let routes = Router::new().route("/hold", get(hold));
    let client = TestClient::new(routes.layer(layer.build().unwrap()));
    client.set_cookie(COOKIE, &std::env::var("KEEP_HOLDER_COOKIE").unwrap());
    let answer = client.get("/hold").await;
    assert!(answer.set_cookies().is_empty(), "{answer:?}");
    say(answer.status().as_str());
}

#[test]
fn a_stopped_holder_cannot_overwrite_its_successor() {
    if let Ok(prefix) = std::env::var(PREFIX) {
        return runtime().block_on(holder(&prefix));
    }
    let (prefix, runtime) = (prefix(), runtime());
    let client = runtime.block_on(async { client(&store(&prefix).await, locks()) });
    assert_eq!(runtime.block_on(client.get("/add")).text(), "1");
    let cookie = client.cookie(COOKIE).unwrap();
    let name = "stopped::a_stopped_holder_cannot_overwrite_its_successor";
    let environment = [(PREFIX, &*prefix), ("KEEP_HOLDER_COOKIE", &cookie)];
    let mut holder = Holder(spawn(name, &environment));
    let mut stdin = holder.0.stdin.take().unwrap();
    let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
    let mut next = || loop {
        let line = lines.next().expect("the holder goes on").unwrap();
        if let Some(said) = heard(&line) {
            break said.to_owned();
        }
    };
    assert_eq!(next(), "held");
    holder.signal("STOP");
    // Waits until the lease is over.
    let answer = runtime.block_on(client.get("/add"));
    assert_eq!(answer.text(), "2", "{answer:?}");
    holder.signal("CONT");
    stdin.write_all(b"go\n").unwrap();
    assert_eq!(next(), StatusCode::CONFLICT.as_str());
    assert_eq!(runtime.block_on(client.get("/add")).text(), "3");
}
