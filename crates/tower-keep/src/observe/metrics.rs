//! The facade of the `metrics` crate.

use std::time::Duration;

use metrics::{counter, histogram};

use super::table::{COMMITS, CONFLICTS, EVENTS, LOADS, LOCK_WAIT, SWEEPS, SWEPT};

pub(crate) const IS_COUNTED: bool = true;

pub(super) fn loaded(store: &'static str, mode: &'static str, outcome: &'static str) {
    counter!(LOADS.name, "store" => store, "mode" => mode, "outcome" => outcome).increment(1);
}

pub(super) fn waited(store: &'static str, span: Duration) {
    histogram!(LOCK_WAIT.name, "store" => store).record(span);
}

pub(super) fn committed(store: &'static str, kind: &'static str, outcome: &'static str) {
    counter!(COMMITS.name, "store" => store, "kind" => kind, "outcome" => outcome).increment(1);
}

pub(super) fn conflict(store: &'static str, reason: &'static str) {
    counter!(CONFLICTS.name, "store" => store, "reason" => reason).increment(1);
}

pub(super) fn swept(store: &'static str, expired: usize, tombstones: usize) {
    counter!(SWEEPS.name, "store" => store, "outcome" => "done").increment(1);
    for (kind, removed) in [("expired", expired), ("tombstone", tombstones)] {
        counter!(SWEPT.name, "store" => store, "kind" => kind).increment(removed as u64);
    }
}

pub(super) fn sweep_failed(store: &'static str) {
    counter!(SWEEPS.name, "store" => store, "outcome" => "failed").increment(1);
}

pub(super) fn event(store: &'static str, event: &'static str) {
    counter!(EVENTS.name, "store" => store, "event" => event).increment(1);
}
