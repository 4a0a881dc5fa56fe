//! `keep sweep`.

use std::io::Write;

use serde::Serialize;
use tower_keep::core::Sweep;
use tower_keep::{DynStore, SessionStore};

use crate::error::Failure;
use crate::json;
use crate::progress::Progress;
use crate::stop::Stop;

/// What was removed.
#[derive(Serialize, Default)]
struct Removed {
    expired: usize,
    ended: usize,
    stopped: bool,
}

impl Removed {
    fn text(&self) -> String {
        let Self { expired, ended, .. } = self;
        format!("{expired} expired and {ended} ended sessions removed")
    }
}

pub(super) async fn run(
    store: &DynStore,
    json: bool,
    stop: &Stop,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let progress = Progress::new(None);
    let mut removed = Removed::default();
    let result = batches(store, stop, &progress, &mut removed).await;
    drop(progress);
    // Also what was done before it failed.
    if json {
        json::line(out, &removed)?;
    } else {
        writeln!(out, "{}", removed.text())?;
        if store.name() == "redis" {
            writeln!(out, "Redis removes what is over by itself")?;
        }
    }
    result?;
    if removed.stopped {
        return Err(Failure::Stopped(removed.text()));
    }
    Ok(())
}

async fn batches(
    store: &DynStore,
    stop: &Stop,
    progress: &Progress,
    removed: &mut Removed,
) -> Result<(), Failure> {
    loop {
        let swept = store.sweep(Sweep::default()).await?;
        removed.expired += swept.expired.len();
        removed.ended += swept.tombstones;
        progress.show(0, removed.text());
        if !swept.more || swept.removed() == 0 {
            return Ok(());
        }
        if stop.is_set() {
            removed.stopped = true;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use tower_keep::{MemoryStore, SessionLayer};
    use tower_keep_testkit::TestClock;

    #[tokio::test]
    async fn f6_a_sweep_stops_between_two_batches_and_says_how_far_it_came() {
        let clock = TestClock::new();
        let memory = MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone()));
        let sessions = SessionLayer::new(memory.clone()).sessions();
        for _ in 0..1_500 {
            sessions.create(None, [("n", 1)]).await.unwrap();
        }
        clock.advance(Duration::from_hours(3));
        assert_eq!(memory.len(), 1_500);
        let (store, stop, mut out) = (DynStore::new(memory.clone()), Stop::default(), Vec::new());
        stop.set();
        let failure = run(&store, false, &stop, &mut out).await.unwrap_err();
        assert_eq!(failure.exit_code(), 130);
        assert_eq!(out, b"1000 expired and 0 ended sessions removed\n");
        assert_eq!(memory.len(), 500);
        out.clear();
        run(&store, true, &Stop::default(), &mut out).await.unwrap();
        assert_eq!(out, b"{\"expired\":500,\"ended\":0,\"stopped\":false}\n");
        assert!(memory.is_empty());
    }
}
