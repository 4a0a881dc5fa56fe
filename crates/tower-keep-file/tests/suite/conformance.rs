//! The contract, by a clock that is moved and by the operating system's.

use tower_keep_file::Durability;
use tower_keep_testkit::conformance::Harness;

use crate::common::store_in_memory;

mod moved_clock {
    use super::*;
    use tower_keep_testkit::TestClock;

    async fn harness() -> Harness {
        let clock = TestClock::new();
        let store = store_in_memory(clock.clone(), Durability::NoSync);
        Harness::new(store).with_clock(move |span| clock.advance(span))
    }

    tower_keep_testkit::conformance_tests!(harness);
}

mod system_clock {
    use super::*;
    use tower_keep::core::SystemClock;

    async fn harness() -> Harness {
        Harness::new(store_in_memory(SystemClock::default(), Durability::Full))
    }

    tower_keep_testkit::conformance_tests!(harness);
}
