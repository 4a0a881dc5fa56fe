//! What operators see of sessions beside the traces: counts and durations.
//!
//! Everything is noted here, so that the rest of the crate need not know whether anybody counts.
//! Without the feature `metrics` nothing is done, and nothing is looked at.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
mod none;
#[cfg(feature = "metrics")]
mod table;

use tower_keep_core::{Opened, StoreError, Swept};

use crate::error::{Conflict, Error};
use crate::events::EventKind;

#[cfg(not(feature = "metrics"))]
use none as sink;

#[cfg(feature = "metrics")]
use self::metrics as sink;
#[cfg(feature = "metrics")]
pub use table::{METRICS, Metric, MetricKind, describe_metrics};

pub(crate) use sink::IS_COUNTED;

/// What a commit was for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CommitKind {
    Create,
    Save,
    /// Of who did not hold the session.
    Merge,
    Destroy,
}

/// The name of the store is a label of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observer {
    store: &'static str,
}

impl Observer {
    pub(crate) const fn new(store: &'static str) -> Self {
        Self { store }
    }

    /// Somebody asked for a session, to read or to write it.
    pub(crate) fn loaded<T>(self, writes: bool, answer: Result<Result<&T, &Opened>, &Error>) {
        let mode = if writes { "write" } else { "read" };
        let outcome = match answer {
            Ok(Ok(_) | Err(Opened::Granted(_))) => "granted",
            Ok(Err(Opened::Stale)) => "stale",
            Ok(Err(Opened::Absent)) => "absent",
            Ok(Err(Opened::Expired)) => "expired",
            Ok(Err(Opened::Busy(_))) | Err(Error::LockTimeout) => "timeout",
            Err(Error::TooManyWaiting) => "full",
            Err(_) => "failed",
        };
        sink::loaded(self.store, mode, outcome);
    }

    /// It was waited for as long as this.
    pub(crate) fn waited(self, span: std::time::Duration) {
        sink::waited(self.store, span);
    }

    /// A commit came to its end.
    pub(crate) fn committed<T>(self, kind: CommitKind, outcome: Result<&T, &Error>) {
        let kind = match kind {
            CommitKind::Create => "create",
            CommitKind::Save => "save",
            CommitKind::Merge => "merge",
            CommitKind::Destroy => "destroy",
        };
        let outcome = match outcome {
            Ok(_) => "done",
            Err(Error::Conflict(conflict)) => {
                self.conflict(*conflict);
                "conflict"
            }
            Err(Error::OutcomeUnknown) => "unknown",
            Err(_) => "failed",
        };
        sink::committed(self.store, kind, outcome);
    }

    /// Somebody else's change came between.
    pub(crate) fn conflict(self, conflict: Conflict) {
        let reason = match conflict {
            Conflict::Lost => "lost",
            Conflict::Gone => "gone",
            Conflict::Stale => "stale",
            Conflict::Changed => "changed",
            Conflict::Outdated => "outdated",
            Conflict::Ambiguous => "ambiguous",
            Conflict::Mismatch => "mismatch",
        };
        sink::conflict(self.store, reason);
    }

    /// A sweep came to its end.
    pub(crate) fn swept(self, swept: Result<&Swept, &StoreError>) {
        match swept {
            Ok(swept) => sink::swept(self.store, swept.expired.len(), swept.tombstones),
            Err(_) => sink::sweep_failed(self.store),
        }
    }

    /// Something became of a session.
    pub(crate) fn event(self, kind: EventKind) {
        sink::event(self.store, kind.as_str());
    }
}
