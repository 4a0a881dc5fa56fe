//! A record as the rules see it.

use std::time::Duration;

use crate::data::Data;
use crate::record::{Lease, Record};
use crate::store::View;
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::CommitId;

/// What the rules that every request goes through read and write of a record, however it is kept.
pub(crate) trait Fields {
    fn secret(&self) -> &SecretHash;
    fn gone_at(&self) -> Option<Timestamp>;
    fn rotated_at(&self) -> Option<Timestamp>;
    fn version(&self) -> u64;
    fn knows(&self, commit: CommitId) -> bool;
    /// [`Head::deadline`](crate::Head::deadline).
    fn deadline(&self) -> Timestamp;
    fn idle_limit(&self) -> Duration;
    fn idle_deadline(&self) -> Timestamp;
    /// Moves the idle deadline and says that the session was seen at this instant, unless it was
    /// later.
    fn live_on(&mut self, idle_deadline: Timestamp, seen: Timestamp);
    fn lease(&self) -> Option<Lease>;
    fn set_lease(&mut self, lease: Option<Lease>);
    fn waiting_until(&self) -> Option<Timestamp>;
    fn set_waiting_until(&mut self, until: Option<Timestamp>);
    fn set_data(&mut self, data: Data);
    /// Counts a commit and remembers it.
    fn commit(&mut self, commit: CommitId);
    fn view(&self, now: Timestamp) -> View;
    /// Makes any other change.
    fn change(&mut self, change: impl FnOnce(&mut Record));
}

impl Fields for Record {
    #[inline]
    fn secret(&self) -> &SecretHash {
        &self.secret
    }

    #[inline]
    fn gone_at(&self) -> Option<Timestamp> {
        self.gone_at
    }

    #[inline]
    fn rotated_at(&self) -> Option<Timestamp> {
        self.rotated_at
    }

    #[inline]
    fn version(&self) -> u64 {
        self.head.version
    }

    #[inline]
    fn knows(&self, commit: CommitId) -> bool {
        self.commits.contains(commit)
    }

    #[inline]
    fn deadline(&self) -> Timestamp {
        self.head.deadline()
    }

    #[inline]
    fn idle_limit(&self) -> Duration {
        self.head.limits.idle
    }

    #[inline]
    fn idle_deadline(&self) -> Timestamp {
        self.head.idle_deadline
    }

    #[inline]
    fn live_on(&mut self, idle_deadline: Timestamp, seen: Timestamp) {
        self.head.idle_deadline = idle_deadline;
        self.head.last_seen = self.head.last_seen.max(seen);
    }

    #[inline]
    fn lease(&self) -> Option<Lease> {
        self.lease
    }

    #[inline]
    fn set_lease(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    #[inline]
    fn waiting_until(&self) -> Option<Timestamp> {
        self.waiting_until
    }

    #[inline]
    fn set_waiting_until(&mut self, until: Option<Timestamp>) {
        self.waiting_until = until;
    }

    #[inline]
    fn set_data(&mut self, data: Data) {
        self.data = data;
    }

    #[inline]
    fn commit(&mut self, commit: CommitId) {
        self.head.version += 1;
        self.commits.push(commit);
    }

    #[inline]
    fn view(&self, now: Timestamp) -> View {
        View {
            head: self.head.clone(),
            data: self.data.clone(),
            now,
        }
    }

    #[inline]
    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        change(self);
    }
}
