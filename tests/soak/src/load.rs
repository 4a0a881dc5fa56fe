//! All visitors, at a fixed pace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::plan::Plan;
use crate::visitor::{PATIENCE, Tally, Visitor};

/// How many requests were answered, of whomever.
pub(crate) type Answered = Arc<AtomicU64>;

pub(crate) struct Load {
    visitors: Vec<Visitor>,
    /// Of each.
    pace: Duration,
    answered: Answered,
}

impl Load {
    pub(crate) fn new(plan: &Plan, address: SocketAddr, seed: u64, answered: Answered) -> Self {
        let visitor = |number| Visitor::new(number, address, seed);
        Self {
            visitors: (1..=plan.visitors).map(visitor).collect(),
            pace: plan.pace(),
            answered,
        }
    }

    /// All of them visit; what became of their requests meanwhile.
    pub(crate) async fn visits(&mut self, until: Instant) -> Tally {
        let (start, pace) = (Instant::now(), self.pace);
        let step = pace / u32::try_from(self.visitors.len()).unwrap();
        let mut visits = JoinSet::new();
        for (visitor, number) in self.visitors.drain(..).zip(0..) {
            let answered = self.answered.clone();
            visits.spawn(visit(visitor, start + step * number, pace, until, answered));
        }
        let mut tally = Tally::default();
        while let Some(visitor) = visits.join_next().await {
            let mut visitor = visitor.unwrap();
            tally.add(std::mem::take(&mut visitor.tally));
            self.visitors.push(visitor);
        }
        tally
    }

    pub(crate) fn hangs_up(&mut self) {
        for visitor in &mut self.visitors {
            visitor.hangs_up();
        }
    }

    /// Everybody looks whether all is there that was acknowledged. How much that is.
    pub(crate) async fn all_is_there(&mut self) -> u64 {
        for visitor in &mut self.visitors {
            let start = Instant::now();
            // Connections that were killed show once each.
            while !visitor.counts().await {
                assert!(start.elapsed() < PATIENCE, "the store does not answer");
            }
        }
        self.visitors.iter().map(Visitor::counted).sum()
    }
}

/// One request a tick. What is late is made up for, and is late by its tick: an answer that others
/// had to wait for makes all of them slow, not one.
async fn visit(
    mut visitor: Visitor,
    start: Instant,
    pace: Duration,
    until: Instant,
    answered: Answered,
) -> Visitor {
    let mut ticks = interval_at(start, pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        let due = ticks.tick().await;
        if Instant::now() >= until {
            return visitor;
        }
        if visitor.goes_on().await {
            visitor.tally.latencies.add(due.elapsed());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
