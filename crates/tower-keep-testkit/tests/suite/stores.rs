//! Stores that are right pass the suite, each in its way of telling the time.

use crate::mistake::Mistake;
use crate::simple::Simple;
use tower_keep_testkit::conformance::Harness;
use tower_keep_testkit::{FaultStore, NetworkStore, TestClock};

/// One that overrides every verb.
mod steps {
    use crate::mistake::Mistake;
    use crate::simple::harness;

    tower_keep_testkit::conformance_tests!(|| harness(Mistake::None));
}

/// One that has but the required verbs, the rest being provided on top.
mod look_and_cas {
    use super::*;
    use tower_keep_core::{
        Expect, Looked, Record, Scope, SessionId, SessionStore, StoreError, Sweep, Swept,
    };

    struct Bare(Simple);

    impl SessionStore for Bare {
        async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
            self.0.look(id).await
        }
        async fn cas(
            &self,
            id: SessionId,
            expect: Expect,
            record: &Record,
        ) -> Result<bool, StoreError> {
            self.0.cas(id, expect, record).await
        }
        async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
            self.0.sweep(sweep).await
        }
        fn scope(&self) -> Scope {
            self.0.scope()
        }
    }

    async fn harness() -> Harness {
        let clock = TestClock::new();
        let store = Bare(Simple::new(clock.clone(), Mistake::None));
        Harness::new(store).with_clock(move |span| clock.advance(span))
    }

    tower_keep_testkit::conformance_tests!(harness);
}

/// One whose clock cannot be moved.
mod real_time {
    use super::*;
    use tower_keep_core::SystemClock;

    async fn harness() -> Harness {
        Harness::new(Simple::new(SystemClock::default(), Mistake::None))
    }

    tower_keep_testkit::conformance_tests!(harness);
}

/// One with a queue.
mod queueing {
    use crate::queueing::{Mistake, harness};

    tower_keep_testkit::conformance_tests!(|| harness(Mistake::None));
}

mod behind_faults {
    use super::*;

    async fn harness() -> Harness {
        let clock = TestClock::new();
        let store = FaultStore::new(Simple::new(clock.clone(), Mistake::None)).detached();
        Harness::new(store).with_clock(move |span| clock.advance(span))
    }

    tower_keep_testkit::conformance_tests!(harness);
}

mod behind_a_network {
    use super::*;

    async fn harness() -> Harness {
        let clock = TestClock::new();
        let store = Simple::new(clock.clone(), Mistake::None);
        let store = NetworkStore::new(store, 1).with_wakeups();
        Harness::new(store).with_clock(move |span| clock.advance(span))
    }

    tower_keep_testkit::conformance_tests!(harness);
}
