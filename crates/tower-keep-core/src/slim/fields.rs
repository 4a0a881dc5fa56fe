//! The fields that the rules ask for, where they are.

use std::time::Duration;

use super::{Rare, Slim};
use crate::data::Data;
use crate::record::{Lease, Record};
use crate::rules::Fields;
use crate::store::View;
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::CommitId;

impl Slim {
    #[inline]
    fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }
}

impl Fields for Slim {
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
        self.rare()?.rotated_at
    }

    #[inline]
    fn version(&self) -> u64 {
        self.version
    }

    #[inline]
    fn knows(&self, commit: CommitId) -> bool {
        let known = commit.to_u128().to_ne_bytes();
        let older = || {
            let lock = self.lock.as_ref();
            lock.is_some_and(|lock| lock.older.contains(&known))
        };
        commit.to_u128() != 0 && (self.commit == known || older())
    }

    #[inline]
    fn deadline(&self) -> Timestamp {
        self.idle_deadline.min(self.absolute_deadline)
    }

    #[inline]
    fn idle_limit(&self) -> Duration {
        let whole = self.rare().and_then(|rare| rare.limits);
        whole.unwrap_or_else(|| self.limits.whole()).idle
    }

    #[inline]
    fn idle_deadline(&self) -> Timestamp {
        self.idle_deadline
    }

    #[inline]
    fn live_on(&mut self, idle_deadline: Timestamp, seen: Timestamp) {
        self.idle_deadline = idle_deadline;
        self.last_seen = self.last_seen.max(seen);
    }

    #[inline]
    fn lease(&self) -> Option<Lease> {
        Slim::lease(self)
    }

    #[inline]
    fn set_lease(&mut self, lease: Option<Lease>) {
        if let Some(Lease { owner, until }) = lease {
            let lock = self.lock.get_or_insert_default();
            lock.owner = owner.to_u128().to_ne_bytes();
            lock.until = Some(until);
        } else if let Some(lock) = &mut self.lock {
            lock.until = None;
        }
    }

    #[inline]
    fn waiting_until(&self) -> Option<Timestamp> {
        self.rare()?.waiting_until
    }

    #[inline]
    fn set_waiting_until(&mut self, until: Option<Timestamp>) {
        if until.is_some() || self.rare.is_some() {
            self.rare.get_or_insert_default().waiting_until = until;
        }
    }

    #[inline]
    fn set_data(&mut self, data: Data) {
        self.data = data;
    }

    #[inline]
    fn commit(&mut self, commit: CommitId) {
        self.version += 1;
        let last = std::mem::replace(&mut self.commit, commit.to_u128().to_ne_bytes());
        let older = &mut self.lock.get_or_insert_default().older;
        let [first, second, _] = *older;
        *older = [last, first, second];
    }

    #[inline]
    fn view(&self, now: Timestamp) -> View {
        View {
            head: self.head(),
            data: self.data.clone(),
            now,
        }
    }

    #[cold]
    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record();
        change(&mut record);
        self.set(record);
    }
}
