//! The fields that the rules ask for, where they are.

use std::time::Duration;

use super::{Millis, Palette, Rest, Slim, Wide};
use crate::data::Data;
use crate::record::{Lease, Record};
use crate::rules::Fields;
use crate::store::View;
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::CommitId;

/// A slim record with its palette.
pub(super) struct Parts<'a>(pub(super) &'a mut Slim, pub(super) &'a mut Palette);

impl Parts<'_> {
    fn rest(&self) -> Option<&Rest> {
        self.0.rest.as_deref()
    }

    fn rest_mut(&mut self) -> &mut Rest {
        self.0.rest.get_or_insert_default()
    }

    fn wide(&self) -> Option<&Wide> {
        self.rest()?.wide.as_deref()
    }
}

impl Fields for Parts<'_> {
    #[inline]
    fn secret(&self) -> &SecretHash {
        &self.0.secret
    }

    #[inline]
    fn gone_at(&self) -> Option<Timestamp> {
        self.rest()?.gone_at
    }

    #[inline]
    fn rotated_at(&self) -> Option<Timestamp> {
        self.rest()?.rotated_at
    }

    #[inline]
    fn version(&self) -> u64 {
        match self.wide() {
            Some(wide) => wide.version,
            None => self.0.version.into(),
        }
    }

    #[inline]
    fn knows(&self, commit: CommitId) -> bool {
        let commit = commit.to_u128();
        let older = |rest: &Rest| rest.older.contains(&commit.to_ne_bytes());
        commit != 0 && (self.0.commit == commit || self.rest().is_some_and(older))
    }

    #[inline]
    fn deadline(&self) -> Timestamp {
        match self.wide() {
            Some(wide) => wide.idle_deadline.min(wide.absolute_deadline),
            None => self.0.deadline(),
        }
    }

    #[inline]
    fn idle_limit(&self) -> Duration {
        match self.wide() {
            Some(wide) => wide.limits.idle,
            None => self.1.get(self.0.limits).idle,
        }
    }

    #[inline]
    fn idle_deadline(&self) -> Timestamp {
        match self.wide() {
            Some(wide) => wide.idle_deadline,
            None => self.0.idle_deadline.time(),
        }
    }

    fn live_on(&mut self, idle_deadline: Timestamp, seen: Timestamp) {
        let last_seen = self.0.head(self.1).last_seen.max(seen);
        let usual = last_seen == idle_deadline.minus(self.idle_limit());
        match Millis::exact(idle_deadline) {
            Some(deadline) if usual && deadline != Millis::MAX && self.wide().is_none() => {
                self.0.idle_deadline = deadline;
                if let Some(rest) = &mut self.0.rest {
                    rest.last_seen = None;
                }
            }
            _ => self.change(|record| {
                record.head.idle_deadline = idle_deadline;
                record.head.last_seen = last_seen;
            }),
        }
    }

    #[inline]
    fn lease(&self) -> Option<Lease> {
        self.rest()?.lease()
    }

    #[inline]
    fn set_lease(&mut self, lease: Option<Lease>) {
        let Some(Lease { owner, until }) = lease else {
            if let Some(rest) = &mut self.0.rest {
                rest.leased_until = None;
            }
            return;
        };
        let rest = self.rest_mut();
        rest.owner = owner.to_u128().to_ne_bytes();
        rest.leased_until = Some(until);
    }

    #[inline]
    fn waiting_until(&self) -> Option<Timestamp> {
        self.rest()?.waiting_until
    }

    #[inline]
    fn set_waiting_until(&mut self, until: Option<Timestamp>) {
        if until.is_some() || self.0.rest.is_some() {
            self.rest_mut().waiting_until = until;
        }
    }

    fn set_data(&mut self, data: Data) {
        self.0.data = data;
    }

    #[inline]
    fn commit(&mut self, commit: CommitId) {
        match self.0.version.checked_add(1) {
            Some(version) if self.wide().is_none() => self.0.version = version,
            _ => self.change(|record| record.head.version += 1),
        }
        let last = std::mem::replace(&mut self.0.commit, commit.to_u128());
        let older = &mut self.rest_mut().older;
        older.rotate_right(1);
        older[0] = last.to_ne_bytes();
    }

    #[inline]
    fn view(&self, now: Timestamp) -> View {
        let mut head = self.0.head(self.1);
        if let Some(rest) = self.rest() {
            head.user.clone_from(&rest.user);
            head.client.clone_from(&rest.client);
        }
        View {
            head,
            data: self.0.data.clone(),
            now,
        }
    }

    #[cold]
    fn change(&mut self, change: impl FnOnce(&mut Record)) {
        let mut record = self.0.unpack(self.1);
        change(&mut record);
        self.0.pack(record, self.1);
    }
}
