//! The mistakes that are planted in the simple store.

use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{Commits, Finish, Finished, Op, Open, Opened, Record, Timestamp};

/// What the store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    /// `cas` writes where nothing is.
    CasUpserts,
    /// `cas` reads, lets others in, then writes.
    CasRaces,
    /// `cas` expecting absence overwrites.
    CasOverwrites,
    /// A touch leaves the revision.
    KeepsRevision,
    /// A commit is not looked for before owner and version.
    OwnerBeforeCommit,
    /// Only the last three commits are kept.
    ShortRing,
    /// A refused lease is taken for nothing to write, so nobody learns of the wait.
    NoWaitMark,
    /// Idle deadlines move backwards.
    TouchMovesBack,
    /// Every touch is due.
    TouchAlways,
    /// A touch with a lease is due a millisecond late.
    LateTouchWithLease,
    /// Who destroys is not told that somebody waits.
    DestroyForgetsWaiters,
    /// Expired one millisecond late.
    LateExpiry,
    /// A lease is still live at its end.
    LongLease,
    /// A release looks at the version.
    ReleaseNeedsVersion,
    /// A rotated session is absent for the old secret at once.
    NoStaleWindow,
    /// The old secret is stale for ever.
    EndlessStaleWindow,
    /// A request's age is not looked at.
    NoAge,
    /// The secret is not looked at.
    AnySecret,
    /// A wrong secret is told of an expired session.
    TellsOfExpiry,
    /// The next owner is dropped.
    DropsNextOwner,
    /// A holder whose lease ran out cannot commit.
    LeaseEndsCommit,
    /// A merge does not look at the lease.
    MergesUnderALease,
    /// A merge does not look at the version.
    MergesOnAnyVersion,
    /// A merge leaves a lease that ran out.
    MergeKeepsLease,
    /// A commit after the deadline is applied.
    CommitsExpired,
    /// A reader is kept out by a lease.
    BlocksReaders,
    /// `finish` on nothing makes a record.
    FinishRevives,
    /// A touch revives what expired.
    TouchRevives,
    /// A tombstone keeps the data.
    TombstoneKeepsData,
    /// A tombstone keeps the lease, so that the holder goes on.
    DestroyWaitsForLease,
    /// A destroyed session's id is free at once.
    NoTombstone,
    /// A sweep removes what was created long ago.
    SweepsLive,
    /// A sweep removes tombstones like expired sessions.
    SweepsTombstones,
    /// A sweep knows no limit.
    NoLimit,
    /// A sweep removes the right ones and tells of others.
    TellsWrongIds,
    /// A repeated create collides with itself.
    CreateForgets,
    /// A create overwrites.
    CreateOverwrites,
    /// A renewed lease may end earlier than before.
    RenewShortens,
    /// Anybody renews.
    AnybodyRenews,
    /// The data of a put without data are cleared.
    ClearsData,
    /// A rotation is no new generation.
    NoGeneration,
    /// The client is not stored.
    ForgetsClient,
    /// A walk leaves out the first session of each page but the first.
    WalkSkips,
    /// A walk begins each page with the last session of the one before.
    WalkRepeats,
    /// A walk shows tombstones.
    WalkShowsTombstones,
    /// A walk goes by position, so that sessions move in it when others end.
    WalkCounts,
}

const MILLI: Duration = Duration::from_millis(1);

pub(crate) fn mistaken_open(
    mistake: Mistake,
    mut record: Record,
    mut open: Open,
    now: Timestamp,
) -> (Opened, Option<Record>) {
    let before = record.clone();
    let held = record.lease.is_some_and(|lease| lease.until > now);
    match mistake {
        Mistake::AnySecret if record.gone_at.is_none() => open.secret = None,
        Mistake::NoAge => open.age = Duration::ZERO,
        Mistake::TellsOfExpiry if record.gone_at.is_none() && record.head.is_expired(now) => {
            return (Opened::Expired, None);
        }
        Mistake::NoStaleWindow => record.rotated_at = None,
        Mistake::EndlessStaleWindow => record.rotated_at = record.rotated_at.map(|_| now),
        Mistake::BlocksReaders if open.lease.is_none() && held => {
            return (Opened::Busy(MILLI), None);
        }
        Mistake::LateExpiry => {
            record.head.idle_deadline = record.head.idle_deadline.plus(MILLI);
        }
        Mistake::LongLease => {
            if let Some(lease) = &mut record.lease {
                lease.until = lease.until.plus(MILLI);
            }
        }
        Mistake::LateTouchWithLease if open.lease.is_some() => {
            open.touch = open.touch.map(|touch| touch + MILLI);
        }
        Mistake::TouchAlways => open.touch = open.touch.map(|_| Duration::ZERO),
        Mistake::TouchRevives if open.touch.is_some() && record.gone_at.is_none() => {
            record.head.idle_deadline = record.head.idle_deadline.max(now.plus(MILLI));
        }
        _ => {}
    }
    let (mut opened, mut changed) = record.open(&open, now);
    match (mistake, &mut opened) {
        (Mistake::NoWaitMark, Opened::Busy(_)) => changed = false,
        (Mistake::TouchMovesBack, Opened::Granted(view)) if open.touch.is_some() => {
            record.head.idle_deadline = now.plus(record.head.limits.idle);
            view.head.idle_deadline = record.head.idle_deadline;
            changed = true;
        }
        (Mistake::LongLease, Opened::Busy(_)) => record.lease = before.lease,
        (Mistake::LateExpiry, _) => record.head.idle_deadline = before.head.idle_deadline,
        _ => {}
    }
    (opened, changed.then_some(record))
}

pub(crate) fn mistaken_finish(
    mistake: Mistake,
    mut record: Record,
    finish: &Finish,
    now: Timestamp,
) -> (Finished, Option<Record>) {
    let before = record.clone();
    let mut finish = finish.clone();
    match mistake {
        Mistake::OwnerBeforeCommit
            if record
                .lease
                .is_some_and(|lease| lease.owner != finish.owner) =>
        {
            return (Finished::Lost, None);
        }
        Mistake::ShortRing => {
            let [a, b, c, _] = record.commits.to_array();
            record.commits = Commits::from_array([a, b, c, 0]);
        }
        Mistake::ReleaseNeedsVersion
            if matches!(finish.op, Op::Release) && finish.version != record.head.version =>
        {
            return (Finished::Lost, None);
        }
        Mistake::LeaseEndsCommit if record.lease.is_some_and(|lease| lease.until <= now) => {
            return (Finished::Lost, None);
        }
        Mistake::MergesUnderALease if matches!(finish.op, Op::Merge(_)) => record.lease = None,
        Mistake::MergesOnAnyVersion if matches!(finish.op, Op::Merge(_)) => {
            finish.version = record.head.version;
        }
        Mistake::DropsNextOwner => finish.next = None,
        Mistake::CommitsExpired => {
            record.head.idle_deadline = record.head.idle_deadline.max(now.plus(MILLI));
        }
        _ => {}
    }
    let (mut finished, changed) = record.finish(&finish, now);
    if let Finished::Done { waiting, .. } = &mut finished
        && matches!(finish.op, Op::Destroy)
        && mistake == Mistake::DestroyForgetsWaiters
    {
        *waiting = false;
    }
    if changed {
        if mistake == Mistake::MergeKeepsLease && matches!(finish.op, Op::Merge(_)) {
            record.lease = before.lease;
        }
        if let Op::Put(put) = &finish.op {
            match mistake {
                Mistake::ClearsData if put.data.is_none() => {
                    record.data = Data::default();
                }
                Mistake::NoGeneration => record.head.generation = before.head.generation,
                _ => {}
            }
        }
        if mistake == Mistake::TombstoneKeepsData && record.gone_at.is_some() {
            record.data = before.data;
        }
    }
    (finished, changed.then_some(record))
}
