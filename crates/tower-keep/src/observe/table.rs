//! The metrics, in one table.

use std::fmt;

/// A metric of the feature `metrics`; see [`METRICS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// What a [`Metric`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Counts something; only grows.
    Counter,
    /// Spans of time, in seconds.
    Seconds,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Seconds => "histogram, seconds",
        })
    }
}

pub(super) const LOADS: Metric = Metric {
    name: "tower_keep_loads_total",
    kind: MetricKind::Counter,
    labels: &["store", "mode", "outcome"],
    help: "sessions asked for; mode: read, write; outcome: granted, stale, absent, expired, \
           timeout (it stayed taken), full (too many wait), failed",
};

pub(super) const LOCK_WAIT: Metric = Metric {
    name: "tower_keep_lock_wait_seconds",
    kind: MetricKind::Seconds,
    labels: &["store"],
    help: "from asking for a session to write it until it was granted; merges that commit together ask once",
};

pub(super) const COMMITS: Metric = Metric {
    name: "tower_keep_commits_total",
    kind: MetricKind::Counter,
    labels: &["store", "kind", "outcome"],
    help: "commits of requests that changed something; kind: create, save, merge (without the lock), destroy; \
           outcome: done, conflict, unknown (the store did not say), failed",
};

pub(super) const CONFLICTS: Metric = Metric {
    name: "tower_keep_conflicts_total",
    kind: MetricKind::Counter,
    labels: &["store", "reason"],
    help: "requests that somebody else's change came before; reason: lost (the lease), gone (the \
           session), stale (the cookie), changed (between reading and locking), ambiguous (two cookies)",
};

pub(super) const SWEEPS: Metric = Metric {
    name: "tower_keep_sweeps_total",
    kind: MetricKind::Counter,
    labels: &["store", "outcome"],
    help: "batches of sweeping; outcome: done, failed",
};

pub(super) const SWEPT: Metric = Metric {
    name: "tower_keep_swept_total",
    kind: MetricKind::Counter,
    labels: &["store", "kind"],
    help: "records removed by sweeps; kind: expired, tombstone",
};

pub(super) const EVENTS: Metric = Metric {
    name: "tower_keep_events_total",
    kind: MetricKind::Counter,
    labels: &["store", "event"],
    help: "session events; event: created, rotated, destroyed, revoked, expired",
};

/// Everything that this crate measures (feature `metrics`), all of it through the facade of the
/// [`metrics`](https://docs.rs/metrics) crate; nothing where no recorder is installed. No label says
/// anything of a session or a user.
pub const METRICS: &[Metric] = &[LOADS, LOCK_WAIT, COMMITS, CONFLICTS, SWEEPS, SWEPT, EVENTS];

/// Tells the recorder that is installed what the [`METRICS`] mean. To be called once, after installing
/// it; exporters show it beside the numbers.
///
/// ```
/// // Install a recorder of your choice first.
/// tower_keep::describe_metrics();
/// ```
pub fn describe_metrics() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => {
                metrics::describe_counter!(metric.name, metrics::Unit::Count, metric.help);
            }
            MetricKind::Seconds => {
                metrics::describe_histogram!(metric.name, metrics::Unit::Seconds, metric.help);
            }
        }
    }
}
