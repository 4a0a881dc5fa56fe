//! Merge mode: a request that never holds the session, and is committed where it stands by then.
//!
//! # Invariant
//! What is committed is the newest state with the request's steps done on it, everything the
//! request has read being the same there; never over a live lease, never on a session that ended
//! or changed hands. Either the session is still of the version that was loaded, and one
//! conditional step says so and commits; or the request queues for the lease like any writer,
//! does its steps again, and commits as a holder. Where the store does I/O, those of one process
//! queue together and commit as one (`merges`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_keep_core::data::{Data, Edit, MergeLog, Patch};
use tower_keep_core::{
    CommitId, Finish, Finished, Head, HeadChange, Op, Opened, Owner, SessionStore, StoreErrorKind,
    Timestamp, View,
};
use tracing::debug;

use super::commit::Saved;
use super::merges;
use super::work::{Origin, Work};
use super::{Mode, Slot};
use crate::error::{Conflict, Error};
use crate::lock::{Commit, Committed, Grant, call};
use crate::observe::CommitKind;
use crate::shared::{Shared, Which};

/// What is needed to do it all again.
pub(super) struct Merging {
    pub(super) log: MergeLog,
    which: Which,
}

impl Slot {
    /// From here on the steps of the request are noted.
    pub(super) fn start_merging(&self, work: &mut Work, only_peeks: bool) -> Result<(), Error> {
        let which = Which {
            id: work.head().ok_or(Error::Closed)?.id,
            secret: work.token.as_ref().map(|token| token.secret().hash()),
            arrived: self.arrived,
        };
        // A reader has aged the flash messages it sees, without a note.
        let (data, _) = work.edit.clone().into_parts()?;
        let Origin::Live(head, now) = &work.origin else {
            return Err(Error::Closed);
        };
        work.edit = edit_of(&self.shared, data, head, *now);
        let mut log = MergeLog::default();
        if !only_peeks {
            log.age_flash(&mut work.edit);
        }
        work.mode = Mode::Merge;
        work.merging = Some(Box::new(Merging { log, which }));
        Ok(())
    }

    /// Does on `work`, which holds the session, what was done `before` without holding it.
    pub(super) fn take_over(&self, work: &mut Work, before: &mut Work) -> Result<(), Error> {
        let Some(merging) = &before.merging else {
            return Ok(());
        };
        let (was, _) = before.edit.clone().into_parts()?;
        let (is, _) = work.edit.clone().into_parts()?;
        let (Origin::Live(loaded, now), Some(head)) = (&before.origin, work.head()) else {
            return Err(Conflict::Changed.into());
        };
        // What is over is judged at one moment for the whole request.
        let was = edit_of(&self.shared, was, loaded, *now);
        let is = edit_of(&self.shared, is, head, *now);
        let merged = merging.log.replay(was, is)?;
        work.edit = merged.ok_or_else(|| self.shared.conflict(Conflict::Outdated))?;
        work.discarded = before.discarded;
        if !before.seen.is_empty() {
            work.seen = std::mem::take(&mut before.seen);
        }
        work.print = before.print.take().or(work.print.take());
        work.info = before.info.take().or(work.info.take());
        Ok(())
    }
}

/// Commits what a merging request has done.
pub(super) async fn save(
    shared: &Arc<Shared>,
    mut work: Box<Work>,
    wait: Duration,
) -> Result<Saved, Error> {
    let (Origin::Live(head, now), Some(merging)) = (&work.origin, work.merging.take()) else {
        return Err(Error::Closed);
    };
    let cookie = None;
    if !merging.log.writes() {
        return Ok(Saved { work, cookie });
    }
    let edit = Edit::new(Data::default(), shared.data);
    let merge = Merge {
        merging,
        head: head.clone(),
        now: *now,
        edit: std::mem::replace(&mut work.edit, edit),
    };
    let (head, now) = if shared.is_local() {
        merge.alone(shared, wait).await?
    } else {
        merges::commit(shared, merge, wait).await?
    };
    debug!(session.id = %head.id, version = head.version, "session merged");
    shared.draw();
    work.origin = Origin::Live(head, now);
    Ok(Saved { work, cookie })
}

/// The data of a stored session, to be changed by a request that opened it at this moment.
pub(super) fn edit_of(shared: &Shared, data: Data, head: &Head, now: Timestamp) -> Edit {
    Edit::opened(data, shared.data, head.created_at, now).at_version(head.version)
}

/// What one request wants to be done.
pub(super) struct Merge {
    merging: Box<Merging>,
    /// As it was loaded.
    head: Head,
    now: Timestamp,
    edit: Edit,
}

impl Merge {
    pub(super) const fn which(&self) -> Which {
        self.merging.which
    }

    /// Commits in one step, if nobody holds the session and nothing has changed since it was
    /// loaded.
    pub(super) async fn at_once(&self, shared: &Shared) -> Result<Option<Committed>, Error> {
        let finish = Finish {
            id: self.head.id,
            owner: Owner::unique(),
            version: self.head.version,
            commit: CommitId::unique(),
            op: Op::Merge(self.edit.clone().into_data()?),
            next: None,
        };
        let done = match finish_surely(shared, &finish).await {
            Ok((Finished::Done { version, now, .. }, _)) => {
                let mut head = self.head.clone();
                head.version = version;
                Ok((head, now))
            }
            // Whether the first try was applied and forgotten since, or may still arrive and be,
            // nobody can tell. So it must not be done in another way.
            Ok((_, true)) => Err(Error::OutcomeUnknown),
            Ok((Finished::Gone, false)) => Err(Conflict::Gone.into()),
            Ok((Finished::Unknown | Finished::Lost, false)) => return Ok(None),
            Err(error) => Err(error),
        };
        let observer = shared.observer;
        observer.committed(CommitKind::Merge, done.as_ref());
        done.map(Some)
    }

    /// Queues like any writer, and does everything again on what it is given.
    async fn alone(self, shared: &Shared, wait: Duration) -> Result<Committed, Error> {
        let (view, grant) = acquire(shared, self.which(), wait).await?;
        let View { head, data, now } = view;
        let (data, patch) = self.done_on(shared, &head, data)?;
        // Nobody else may hold on to the data.
        drop(self);
        if patch.is_empty() {
            return Ok((head, now));
        }
        let put = Commit::Put(HeadChange::default(), patch);
        grant.finish(View { head, data, now }, put).await
    }

    /// What is to be changed of `data`, which are the session's as they are now.
    pub(super) fn done_on(
        &self,
        shared: &Shared,
        head: &Head,
        data: Data,
    ) -> Result<(Data, Patch), Error> {
        if head.generation != self.head.generation || head.user != self.head.user {
            return Err(shared.conflict(Conflict::Changed));
        }
        let (was, _) = self.edit.clone().into_parts()?;
        let was = edit_of(shared, was, &self.head, self.now);
        let is = edit_of(shared, data, head, self.now);
        let merged = self.merging.log.replay(was, is)?;
        let merged = merged.ok_or_else(|| shared.conflict(Conflict::Outdated))?;
        Ok(merged.into_parts()?)
    }
}

/// Waits for the session like any writer.
pub(super) async fn acquire(
    shared: &Shared,
    which: Which,
    wait: Duration,
) -> Result<(View, Grant), Error> {
    match shared.acquire(which, wait).await? {
        Ok(granted) => Ok(granted),
        Err(Opened::Stale) => Err(shared.conflict(Conflict::Stale)),
        Err(_) => Err(shared.conflict(Conflict::Gone)),
    }
}

/// Asks again under the same commit id while no answer comes, at most as long as a lease; tells
/// whether it had to.
async fn finish_surely(shared: &Shared, finish: &Finish) -> Result<(Finished, bool), Error> {
    let until = Instant::now() + shared.locks.lease;
    let (mut pause, mut again) = (shared.locks.poll, false);
    loop {
        let verb = async { shared.store.finish(finish).await };
        match call(shared.locks.store_timeout, verb).await {
            Ok(finished) => return Ok((finished, again)),
            Err(error) if error.kind() != StoreErrorKind::Unavailable => return Err(error.into()),
            Err(error) if Instant::now() + pause < until => {
                debug!(session.id = %finish.id, %error, "a merge was not answered; asking again");
                again = true;
                sleep(pause).await;
                pause *= 2;
            }
            Err(_) => return Err(Error::OutcomeUnknown),
        }
    }
}
