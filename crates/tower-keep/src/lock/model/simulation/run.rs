//! Plays a seed.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::sleep;
use tower_keep_core::data::Data;
use tower_keep_core::{Clock, CommitId, Created, Limits, NewSession, Open, Opened, SessionStore};
use tower_keep_testkit::history::{Action, Call, Outcome};
use tower_keep_testkit::{Rng, TestClock};

use super::node::Node;
use super::request::{Plan, hash, state};
use super::server::{Mistake, Server};
use super::{CHANCE, Story, session};
use crate::lock::model::scene::{SECOND, is_idle};

/// Long enough that no jump of the clock ends a session.
const LONG: Limits = Limits {
    idle: Duration::from_secs(30 * 24 * 3_600),
    absolute: Duration::from_secs(60 * 24 * 3_600),
};
const HOUR: i64 = 3_600_000;

/// What a run has shown.
pub(super) struct Played {
    pub(super) trace: String,
    pub(super) wrong: Vec<String>,
    pub(super) operations: usize,
}

/// Plays this seed, with a mistake or without.
pub(super) fn play(seed: u64, mistake: Option<Mistake>) -> Played {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    CHANCE.set(Some(Rng::new(seed ^ 0x5eed)));
    let played = runtime.block_on(scene(seed, mistake));
    drop(runtime);
    CHANCE.set(None);
    played
}

async fn scene(seed: u64, mistake: Option<Mistake>) -> Played {
    let mut rng = Rng::new(seed);
    let sessions = 1 + rng.below(2);
    let (clock, story) = (
        TestClock::following_tokio(),
        Story::new(usize::try_from(sessions).unwrap()),
    );
    let server = Server::new(&clock, &story, &mut rng, mistake);
    for number in 0..usize::try_from(sessions).unwrap() {
        create(&server, number).await;
    }
    let count = 2 + rng.below(2);
    let nodes: Vec<_> = (0..count)
        .map(|_| Arc::new(Node::new(&server, &mut rng)))
        .collect();
    let mut requests = Vec::new();
    for id in 1..=8 + rng.below(10) {
        let plan = Plan::any(id, sessions, &mut rng);
        let node = rng.pick(&nodes).unwrap().clone();
        requests.push(tokio::spawn(plan.run(node, story.clone())));
    }
    let went_back = trouble(&clock, &nodes, &story, &mut rng).await;
    // Everybody has had an answer by now, or will never get one.
    sleep(60 * SECOND).await;
    for request in &requests {
        request.abort();
    }
    let mut wrong = Vec::new();
    for request in requests {
        if request.await.is_err_and(|error| error.is_panic()) {
            wrong.push("a request panicked".to_owned());
        }
    }
    for (number, node) in nodes.iter().enumerate() {
        if !node.way.is_cut() && !is_idle(&node.keeper) {
            wrong.push(format!("node {number} has something left to do"));
        }
    }
    for number in 0..usize::try_from(sessions).unwrap() {
        let lease = server
            .memory
            .record(session(number))
            .and_then(|record| record.lease);
        if lease.is_some_and(|lease| lease.until > clock.now()) && !went_back {
            wrong.push(format!("session {number} is stuck"));
        }
        look(&server, number, 100 + number as u64).await;
    }
    let (history, lines) = story.with(|told| (told.history.clone(), told.lines.clone()));
    wrong.extend(history.check().iter().map(ToString::to_string));
    let told = lines.iter().filter(|(_, line)| line.starts_with("WRONG"));
    wrong.extend(told.map(|(_, line)| line.clone()));
    let mut trace = String::new();
    for (at, line) in lines {
        writeln!(trace, "{at:?} {line}").unwrap();
    }
    Played {
        trace,
        wrong,
        operations: history.len(),
    }
}

/// Crashes nodes and sets the clock, at times by chance; tells whether it was ever set back.
async fn trouble(clock: &TestClock, nodes: &[Arc<Node>], story: &Story, rng: &mut Rng) -> bool {
    let mut went_back = false;
    for _ in 0..rng.below(4) {
        sleep(rng.up_to(3 * SECOND)).await;
        match rng.below(3) {
            0 => {
                story.tell("the clock goes on by an hour");
                clock.jump_wall(HOUR);
            }
            1 => {
                story.tell("the clock goes back by an hour");
                clock.jump_wall(-HOUR);
                went_back = true;
            }
            _ => {
                // One is left, in any case.
                let (_, mortal) = nodes.split_first().unwrap();
                if let Some(node) = rng.pick(mortal) {
                    story.tell("a node crashes");
                    node.crash();
                }
            }
        }
    }
    went_back
}

async fn create(server: &Server, number: usize) {
    let new = NewSession {
        id: session(number),
        secret: hash(0),
        commit: CommitId::unique(),
        limits: LONG,
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    };
    let created = server.create(&new).await;
    assert!(matches!(created, Ok(Created::Done(_))), "{created:?}");
}

/// Notes what the store has at the end.
async fn look(server: &Server, number: usize, id: u64) {
    let open = Open {
        id: session(number),
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: None,
    };
    server.story.called(Call {
        id,
        session: open.id,
        secret: None,
        action: Action::Read,
    });
    let outcome = match server.memory.open(&open).await {
        Ok(Opened::Granted(view)) => Outcome::saw(state(&view)),
        _ => Outcome::Absent,
    };
    server.story.returned(id, outcome);
}
