//! What the tests of endings share: an app, a world to run it in, futures that are dropped at a
//! chosen moment, and the sweep over all moments.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "not every test uses everything, and a test fails by panicking"
)]

pub(crate) mod app;
pub(crate) mod case;
pub(crate) mod moment;
pub(crate) mod scenario;
pub(crate) mod stored;
pub(crate) mod sweep;
pub(crate) mod world;

use std::sync::Once;
use std::time::{Duration, Instant};

/// The message of a panic that a test has asked for.
pub(crate) const PLANNED: &str = "planned by the test";

/// Keeps planned panics, and those that a test store injects, out of the output.
pub(crate) fn hide_planned_panics() {
    static HIDE: Once = Once::new();
    HIDE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<&str>().copied();
            let owned = info.payload().downcast_ref::<String>();
            let message = text.or(owned.map(String::as_str)).unwrap_or_default();
            if message != PLANNED && !message.starts_with("injected:") {
                default(info);
            }
        }));
    });
}

/// The seeds from `first` on: `count` of them, or with `KEEP_HEAVY=1` as many as can be tried in
/// `KEEP_TEST_MINUTES` minutes (10 if that is not set).
pub(crate) fn campaign(first: u64, count: u64) -> impl Iterator<Item = u64> {
    let heavy = std::env::var_os("KEEP_HEAVY").is_some_and(|value| value == "1");
    let minutes = std::env::var("KEEP_TEST_MINUTES").ok();
    let minutes: u64 = minutes.map_or(10, |minutes| minutes.parse().unwrap());
    let (start, limit) = (Instant::now(), Duration::from_secs(60 * minutes));
    (first..).take_while(move |seed| {
        if heavy {
            start.elapsed() < limit
        } else {
            *seed < first + count
        }
    })
}
