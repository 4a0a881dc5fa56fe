//! Several nodes with real keepers on one store, on one thread: every delay, loss, crash and jump
//! of a clock, and the order in which tasks get their turns, follows from a seed.
//!
//! - [`server`] is the store, which repeats calls, and watches that no lease is given twice;
//! - [`node`] is a process: a keeper behind a network that loses and delays, until it crashes;
//! - [`request`] is one request, and what it writes into the history;
//! - [`run`] plays a seed, [`seeds`] many of them; [`mistakes`] shows that mistakes are found.
//!
//! Time is tokio's, paused: it goes on when nobody has anything to do. The scheduler of one thread
//! is a queue; what is by chance is how many turns, and milliseconds, each call takes each way. The
//! random numbers of the keepers come from the seed too ([`chance`]); their tokens do not, and
//! nothing depends on what they are.

mod mistakes;
mod node;
mod request;
mod run;
mod seeds;
mod server;

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tower_keep_core::SessionId;
use tower_keep_testkit::Rng;
use tower_keep_testkit::history::{Call, History, Outcome};

thread_local! {
    static CHANCE: RefCell<Option<Rng>> = const { RefCell::new(None) };
}

/// A random number of the simulation that this thread plays, if any.
#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
pub(in crate::lock) fn chance() -> Option<u32> {
    CHANCE.with_borrow_mut(|rng| rng.as_mut().map(|rng| rng.next_u64() as u32))
}

/// What happened, in its order. Clones are the same.
#[derive(Clone)]
pub(super) struct Story(Arc<Mutex<Told>>);

struct Told {
    begin: Instant,
    history: History,
    /// How many events there were: the time of the history.
    events: u64,
    lines: Vec<(Duration, String)>,
    /// Names of secrets that were heard of, by session, the newest last.
    secrets: Vec<Vec<u64>>,
}

impl Story {
    fn new(sessions: usize) -> Self {
        Self(Arc::new(Mutex::new(Told {
            begin: Instant::now(),
            history: History::default(),
            events: 0,
            lines: Vec::new(),
            secrets: vec![vec![0]; sessions],
        })))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Told) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    fn tell(&self, line: impl fmt::Display) {
        self.with(|told| told.lines.push((told.begin.elapsed(), line.to_string())));
    }

    fn called(&self, call: Call) {
        self.tell(format_args!(
            "{} by {:?}: {:?}",
            call.id, call.secret, call.action
        ));
        self.with(|told| {
            told.events += 1;
            told.history.called(told.events, call);
        });
    }

    fn returned(&self, id: u64, outcome: Outcome) {
        self.tell(format_args!("{id}: {outcome}"));
        self.with(|told| {
            told.events += 1;
            told.history.returned(told.events, id, outcome);
        });
    }
}

/// The sessions have ids that are always the same.
fn session(number: usize) -> SessionId {
    let text = format!("0190a5d0-0000-7000-8000-00000000000{number}");
    text.parse().unwrap()
}
