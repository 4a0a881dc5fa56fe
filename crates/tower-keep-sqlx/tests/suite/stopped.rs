//! Processes that stand still for longer than their lease.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command};

use axum::http::StatusCode;

use crate::app::{COOKIE, client, locks};
use crate::place::{Engine, Place, soon};
use crate::processes::{given, heard, runtime, say, spawn, worker};

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

fn stopped(engine: Engine) {
    let name = format!("stopped::a_stopped_holder_on_{engine:?}_cannot_overwrite_its_successor");
    let name = name.to_lowercase();
    if let Some(place) = worker() {
        return runtime().block_on(async {
            let client = client(&place.store().await, locks());
            client.set_cookie(COOKIE, &given("COOKIE"));
            let answer = client.get("/hold").await;
            assert!(answer.set_cookies().is_empty(), "{answer:?}");
            say(answer.status().as_str());
        });
    }
    let (place, runtime) = (Place::new(engine), runtime());
    let client = runtime.block_on(async { client(&place.store().await, locks()) });
    assert_eq!(runtime.block_on(client.get("/add")).text(), "1");
    let cookie = client.cookie(COOKIE).unwrap();
    let mut holder = Holder(spawn(&name, &place, &[("COOKIE", &cookie)]));
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
    let answer = runtime.block_on(soon(client.get("/add")));
    assert_eq!(answer.text(), "2", "{engine:?}: {answer:?}");
    holder.signal("CONT");
    stdin.write_all(b"go\n").unwrap();
    assert_eq!(next(), StatusCode::CONFLICT.as_str(), "{engine:?}");
    assert_eq!(runtime.block_on(client.get("/add")).text(), "3");
}

#[test]
fn a_stopped_holder_on_sqlite_cannot_overwrite_its_successor() {
    stopped(Engine::Sqlite);
}

#[test]
fn a_stopped_holder_on_postgres_cannot_overwrite_its_successor() {
    stopped(Engine::Postgres);
}

#[test]
fn a_stopped_holder_on_mariadb_cannot_overwrite_its_successor() {
    stopped(Engine::MariaDb);
}
