//! Stores that are right pass the suite, each in its way of telling the time.

mod common;

use common::{Mistake, Simple};
use tower_keep_testkit::conformance::Harness;
use tower_keep_testkit::{FaultStore, NetworkStore, TestClock};

mod steps {
    use super::common::{Mistake, harness};

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
