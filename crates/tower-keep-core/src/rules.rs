//! The rules of the store's verbs, as pure functions of a record, a request and an instant.

mod fields;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::data::Data;
use crate::record::{Lease, Record};
use crate::store::{Created, Finish, Finished, Op, Open, Opened, View};
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::{CommitId, Owner};
use crate::{STALE_WINDOW, WAIT_MARK};

pub(crate) use fields::Fields;

/// [`Record::refuses`].
#[inline]
fn refuses(
    record: &impl Fields,
    secret: Option<&SecretHash>,
    age: Duration,
    now: Timestamp,
) -> Option<Opened> {
    let arrived = now.minus(age);
    if let Some(gone_at) = record.gone_at() {
        return Some(stale_if(arrived <= gone_at));
    }
    if secret.is_some_and(|secret| !secret.matches(record.secret())) {
        let rotated_at = record.rotated_at();
        return Some(stale_if(
            rotated_at.is_some_and(|at| arrived <= at.plus(STALE_WINDOW)),
        ));
    }
    (now >= record.deadline()).then_some(Opened::Expired)
}

/// [`Record::open`].
#[inline]
pub(crate) fn open(record: &mut impl Fields, open: &Open, now: Timestamp) -> (Opened, bool) {
    if let Some(refusal) = refuses(record, open.secret.as_ref(), open.age, now) {
        return (refusal, false);
    }
    let mut changed = false;
    if let Some((owner, span)) = open.lease {
        let lease = record.lease();
        if let Some(held) = lease.filter(|l| l.owner != owner && l.until > now) {
            record.set_waiting_until(Some(now.plus(WAIT_MARK)));
            return (Opened::Busy(held.until.since(now)), true);
        }
        if lease.is_none_or(|lease| lease.owner != owner) {
            // Whoever else waits will say so again.
            record.set_waiting_until(None);
        }
        let until = now.plus(span);
        record.set_lease(Some(Lease { owner, until }));
        changed = true;
    }
    changed |= open.touch.is_some_and(|due| touch(record, due, now));
    (Opened::Granted(record.view(now)), changed)
}

/// [`Record::touch`].
#[inline]
fn touch(record: &mut impl Fields, due: Duration, now: Timestamp) -> bool {
    let deadline = now.plus(record.idle_limit());
    let moves = deadline.since(record.idle_deadline());
    if moves.is_zero() || moves < due {
        return false;
    }
    record.live_on(deadline, now);
    true
}

/// [`Record::finish`].
#[inline]
pub(crate) fn finish(
    record: &mut impl Fields,
    finish: &Finish,
    now: Timestamp,
) -> (Finished, bool) {
    if record.knows(finish.commit) {
        return (done(record, now), false);
    }
    let lease = record.lease();
    let owned = lease.is_some_and(|lease| lease.owner == finish.owner);
    if record.gone_at().is_some() {
        return (Finished::Gone, false);
    }
    match &finish.op {
        Op::Release if !owned => return (Finished::Lost, false),
        Op::Release => {}
        _ if now >= record.deadline() => return (Finished::Gone, false),
        _ if record.version() != finish.version => return (Finished::Unknown, false),
        Op::Merge(_) if lease.is_some_and(|lease| lease.until > now) => {
            return (Finished::Lost, false);
        }
        Op::Merge(data) => {
            record.set_data(data.clone());
            record.commit(finish.commit);
            record.set_lease(None);
            return (done(record, now), true);
        }
        _ if !owned => return (Finished::Lost, false),
        Op::Destroy => {
            record.commit(finish.commit);
            let done = done(record, now);
            record.change(|record| record.bury(now));
            return (done, true);
        }
        Op::Put(put) => {
            if !put.head.is_empty() {
                record.change(|record| {
                    put.head.apply(&mut record.head, now);
                    if let Some(secret) = put.head.secret {
                        record.secret = secret;
                        record.rotated_at = Some(now);
                    }
                });
            }
            if let Some(data) = &put.data {
                record.set_data(data.clone());
            }
            record.commit(finish.commit);
        }
    }
    record.set_lease(finish.next.map(|(owner, span)| Lease {
        owner,
        until: now.plus(span),
    }));
    (done(record, now), true)
}

/// [`Record::is_sweepable`].
#[inline]
pub(crate) fn is_sweepable(record: &impl Fields, now: Timestamp, keep: Duration) -> bool {
    match record.gone_at() {
        Some(gone_at) => now >= gone_at.plus(keep),
        None => now >= record.deadline(),
    }
}

#[inline]
fn done(record: &impl Fields, now: Timestamp) -> Finished {
    Finished::Done {
        version: record.version(),
        now,
        waiting: record.waiting_until().is_some_and(|until| until > now),
    }
}

impl Record {
    /// Why `open` may not open this record at `now`, if it may not, the lease aside.
    ///
    /// The secret is judged first: who does not have it learns nothing else.
    pub fn refuses(
        &self,
        secret: Option<&SecretHash>,
        age: Duration,
        now: Timestamp,
    ) -> Option<Opened> {
        refuses(self, secret, age, now)
    }

    /// What a request sees of this record.
    pub fn view(&self, now: Timestamp) -> View {
        Fields::view(self, now)
    }

    /// Decides on [`SessionStore::open`](crate::SessionStore::open) and makes its changes; tells
    /// whether there were any.
    ///
    /// - A tombstone is [`Stale`](Opened::Stale) for a request that arrived no later than the
    ///   destruction, else [`Absent`](Opened::Absent).
    /// - A wrong secret is `Stale` for a request that arrived no later than [`STALE_WINDOW`] after
    ///   the last rotation, else `Absent`.
    /// - From the deadline on it is [`Expired`](Opened::Expired).
    /// - A live lease of another owner is [`Busy`](Opened::Busy) and marks the record as waited
    ///   for. The owner itself is granted again: its first reply got lost.
    /// - What is granted is also touched, if that is due. Deadlines never move backwards.
    pub fn open(&mut self, open: &Open, now: Timestamp) -> (Opened, bool) {
        self::open(self, open, now)
    }

    /// Extends the idle deadline if that moves it by at least `due`; tells whether it did.
    pub fn touch(&mut self, due: Duration, now: Timestamp) -> bool {
        touch(self, due, now)
    }

    /// Decides on [`SessionStore::finish`](crate::SessionStore::finish) and makes its changes;
    /// tells whether there were any.
    ///
    /// In this order: a known commit is [`Done`](Finished::Done) again, whoever owns the lease by
    /// now; a tombstone or an expired record is [`Gone`](Finished::Gone); another version than
    /// the expected one is [`Unknown`](Finished::Unknown); another owner is
    /// [`Lost`](Finished::Lost), even if it wrote nothing. A lease that ran out and that nobody
    /// took is still owned. [`Op::Release`] looks at the owner alone. [`Op::Merge`] is `Lost` as
    /// long as a lease lasts, and takes the place of one that ran out.
    pub fn finish(&mut self, finish: &Finish, now: Timestamp) -> (Finished, bool) {
        self::finish(self, finish, now)
    }

    /// Decides on [`SessionStore::renew`](crate::SessionStore::renew): a lease that is still
    /// owned now ends `span` from now, never earlier than before. That the session has expired
    /// meanwhile is for `finish` to find.
    pub fn renew(&mut self, owner: Owner, span: Duration, now: Timestamp) -> bool {
        match &mut self.lease {
            Some(lease) if lease.owner == owner && self.gone_at.is_none() => {
                lease.until = lease.until.max(now.plus(span));
                true
            }
            _ => false,
        }
    }

    /// Decides on [`SessionStore::create`](crate::SessionStore::create) where this record has the
    /// id already: made by the same commit it is [`Done`](Created::Done) (a lost reply is asked
    /// again), a tombstone is [`Gone`](Created::Gone), anything else a
    /// [`Collision`](Created::Collision).
    pub fn meet_create(&self, commit: CommitId, now: Timestamp) -> Created {
        if self.gone_at.is_some() {
            Created::Gone
        } else if self.commits.contains(commit) {
            Created::Done(now)
        } else {
            Created::Collision
        }
    }

    /// Destroys the record whoever holds its lease; tells whether it was alive.
    pub fn destroy(&mut self, now: Timestamp) -> bool {
        if self.gone_at.is_some() || self.head.is_expired(now) {
            return false;
        }
        self.bury(now);
        true
    }

    /// Whether a sweep may remove the record: expired, or a tombstone older than `keep`.
    pub fn is_sweepable(&self, now: Timestamp, keep: Duration) -> bool {
        is_sweepable(self, now, keep)
    }

    /// Leaves nothing but the id, the instant and the commits.
    fn bury(&mut self, now: Timestamp) {
        self.gone_at = Some(now);
        self.secret = SecretHash::from_bytes([0; 32]);
        self.data = Data::default();
        self.head.user = None;
        self.head.client = None;
        self.lease = None;
        self.waiting_until = None;
    }
}

fn stale_if(under_way: bool) -> Opened {
    if under_way {
        Opened::Stale
    } else {
        Opened::Absent
    }
}
