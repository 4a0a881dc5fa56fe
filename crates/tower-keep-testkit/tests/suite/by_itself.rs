//! Stores that remove what is over by themselves, right or wrong, and have no sweep.

use std::time::Duration;

use tower_keep_core::{
    Expect, Looked, Record, Scope, SessionId, SessionStore, StoreError, Sweep, Swept, Timestamp,
};
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::{Harness, cases, run_case};

use crate::mistake::Mistake;
use crate::simple::Simple;

const GRACE: Duration = Duration::from_secs(5);

type Over = fn(&Record, Timestamp) -> bool;

struct ByItself(Simple, Over);

impl SessionStore for ByItself {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.0.forget(self.1);
        self.0.look(id).await
    }
    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        self.0.forget(self.1);
        self.0.cas(id, expect, record).await
    }
    async fn sweep(&self, _: Sweep) -> Result<Swept, StoreError> {
        Ok(Swept::default())
    }
    fn scope(&self) -> Scope {
        self.0.scope()
    }
}

fn harness(over: Over) -> Harness {
    let clock = TestClock::new();
    let store = ByItself(Simple::new(clock.clone(), Mistake::None), over);
    let harness = Harness::new(store).with_clock(move |span| clock.advance(span));
    harness.expires_by_itself()
}

fn right(record: &Record, now: Timestamp) -> bool {
    record.is_sweepable(now.minus(GRACE), Duration::ZERO)
}

/// Cases that jump from deadlines, or write such as are long past, by more than [`GRACE`].
const JUMPS: [&str; 2] = ["physical::every_field_survives", "stale::after_a_rotation"];

#[tokio::test]
async fn one_that_is_right_passes() {
    for (case, _) in cases().filter(|(case, _)| !JUMPS.contains(case)) {
        run_case(case, async || harness(right)).await.unwrap();
    }
}

fn never(_: &Record, _: Timestamp) -> bool {
    false
}

fn by_the_first_deadline(record: &Record, now: Timestamp) -> bool {
    let head = &record.head;
    now >= head.created_at.plus(head.limits.idle).plus(GRACE)
}

fn tombstones_at_once(record: &Record, now: Timestamp) -> bool {
    record.gone_at.is_some() || right(record, now)
}

/// The mistakes, each with a case that must find it.
const MISTAKES: &[(Over, &str)] = &[
    (never, "sweep::removes_what_is_over"),
    (never, "sweep::keeps_what_was_renewed"),
    (never, "sweep::keeps_tombstones_for_a_while"),
    (never, "sweep::is_final"),
    (never, "create::after_a_sweep"),
    (never, "destroy::is_final"),
    (by_the_first_deadline, "sweep::keeps_what_was_renewed"),
    (tombstones_at_once, "sweep::keeps_tombstones_for_a_while"),
];

#[tokio::test]
async fn their_mistakes_are_found() {
    for (number, (over, case)) in MISTAKES.iter().enumerate() {
        let found = run_case(case, async || harness(*over)).await;
        assert!(found.is_err(), "{case} misses mistake {number}");
    }
}

#[tokio::test]
async fn what_sweep_counts_is_not_asked_of_them() {
    run_case("sweep::obeys_the_limit", async || harness(never))
        .await
        .unwrap();
}
