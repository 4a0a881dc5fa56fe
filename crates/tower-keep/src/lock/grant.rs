//! A request's right to end its exclusive section: used once, by a commit or by being dropped.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tower_keep_core::data::{Data, Patch};
use tower_keep_core::{
    CommitId, DynStore, Finish, Finished, Head, HeadChange, LocalOpened, LocalStore, Op, Open,
    Opened, Owner, Put, SessionId, SessionStore, Timestamp, Turn, View,
};

use super::waiter::{End, EndOp};
use crate::error::{Conflict, Error};
use crate::events::Telling;
use crate::observe::{CommitKind, Observer};

/// How to end it.
#[expect(
    clippy::large_enum_variant,
    reason = "made once a request, and passed on at once"
)]
pub(crate) enum Commit {
    /// Nothing changed.
    Release,
    /// Save these changes.
    Put(HeadChange, Patch),
    /// Destroy the session.
    Destroy,
}

/// The head as it was committed, and the store's time then.
pub(crate) type Committed = (Head, Timestamp);

/// See the [module documentation](self).
pub(crate) struct Grant {
    kind: Kind,
    telling: Option<Telling>,
}

enum Kind {
    Local(Local),
    Kept(oneshot::Sender<End>),
}

/// What has become of a commit, now or soon.
pub(crate) enum Committing {
    Now(Result<Timestamp, Error>),
    Soon(oneshot::Receiver<Result<Committed, Error>>),
}

impl Grant {
    pub(super) const fn kept(end: oneshot::Sender<End>) -> Self {
        Self {
            kind: Kind::Kept(end),
            telling: None,
        }
    }

    /// Has this told if the commit succeeds.
    pub(crate) fn telling(self, telling: Option<Telling>) -> Self {
        Self { telling, ..self }
    }

    /// Ends the section. `head` and `data` are what was granted; the data are taken so that a store
    /// in memory can change them in place. Where the store does I/O the patch goes on the data that
    /// are given, so these may have been changed before.
    pub(crate) fn commit(self, head: &mut Head, data: Data, commit: Commit) -> Committing {
        let Self { kind, telling } = self;
        match kind {
            Kind::Local(local) => {
                let kind = match &commit {
                    Commit::Release => None,
                    Commit::Put(..) => Some(CommitKind::Save),
                    Commit::Destroy => Some(CommitKind::Destroy),
                };
                let observer = Observer::new(local.store.name());
                // Nobody else may hold on to them.
                drop(data);
                let outcome = local.commit(head, commit);
                if let Some(kind) = kind {
                    observer.committed(kind, outcome.as_ref());
                }
                if outcome.is_ok() {
                    tell(telling, head);
                }
                Committing::Now(outcome)
            }
            Kind::Kept(end) => {
                let (reply, outcome) = oneshot::channel();
                let op = match commit {
                    Commit::Release => EndOp::Release,
                    Commit::Destroy => EndOp::Destroy,
                    Commit::Put(head, patch) => {
                        let data = (!patch.is_empty()).then(|| {
                            let mut data = data;
                            data.apply(&patch);
                            data
                        });
                        EndOp::Put(Put { head, data })
                    }
                };
                // Should the keeper be gone, the reply's sender goes with the message.
                let _ = end.send(End { op, reply, telling });
                Committing::Soon(outcome)
            }
        }
    }

    /// As [`commit`](Self::commit), of a view as it was granted, and waits for the outcome.
    pub(crate) async fn finish(self, view: View, commit: Commit) -> Result<Committed, Error> {
        let View { mut head, data, .. } = view;
        let committing = self.commit(&mut head, data, commit);
        let now = committing.outcome(&mut head).await?;
        Ok((head, now))
    }
}

impl Committing {
    /// The store's time when it was done; `head` is as it was committed then.
    pub(crate) async fn outcome(self, head: &mut Head) -> Result<Timestamp, Error> {
        match self {
            Self::Now(outcome) => outcome,
            // The keeper went down with its runtime after it was told to commit.
            Self::Soon(outcome) => {
                let (committed, now) = outcome.await.unwrap_or(Err(Error::OutcomeUnknown))?;
                *head = committed;
                Ok(now)
            }
        }
    }
}

/// Tells of a commit where its outcome is learnt first.
pub(super) fn tell(telling: Option<Telling>, head: &Head) {
    if let Some(telling) = telling {
        telling.succeeded(head.id, head.generation);
    }
}

/// A lease in a store of this process.
struct Local {
    store: DynStore,
    id: SessionId,
    owner: Owner,
    ended: bool,
}

impl Local {
    fn commit(mut self, head: &mut Head, commit: Commit) -> Result<Timestamp, Error> {
        self.ended = true;
        let (op, patch) = match commit {
            Commit::Release => (Op::Release, Patch::default()),
            Commit::Destroy => (Op::Destroy, Patch::default()),
            Commit::Put(change, patch) => {
                let (head, data) = (change, None);
                (Op::Put(Put { head, data }), patch)
            }
        };
        let finish = self.finish(op, head.version);
        match self.local().map(|local| local.finish(&finish, &patch)) {
            Some(Ok(Finished::Done { version, now, .. })) => {
                if let Op::Put(put) = &finish.op {
                    put.head.apply(head, now);
                }
                head.version = version;
                Ok(now)
            }
            Some(Ok(Finished::Gone)) => Err(Conflict::Gone.into()),
            // Nothing was applied, so the lease is still there to be given back.
            Some(Err(error)) => {
                self.ended = false;
                Err(error.into())
            }
            _ => Err(Conflict::Lost.into()),
        }
    }

    fn local(&self) -> Option<&dyn LocalStore> {
        self.store.local()
    }

    fn finish(&self, op: Op, version: u64) -> Finish {
        Finish {
            id: self.id,
            owner: self.owner,
            version,
            // A reply cannot get lost here, so a commit is never recognised by its id; the owner's
            // token is as unique.
            commit: CommitId::from_u128(self.owner.to_u128()),
            op,
            next: None,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if !self.ended
            && let Some(local) = self.local()
        {
            // A release is never refused.
            let _ = local.finish(&self.finish(Op::Release, 0), &Patch::default());
        }
    }
}

/// Waits for the session and its lease in a store of this process. Dropping the future gives back
/// what it has, place or lease.
///
/// `open` has the lease to ask for; `wait` is how long from now.
pub(crate) async fn acquire_local(
    store: &DynStore,
    open: &Open,
    wait: Duration,
    max_waiting: usize,
) -> Result<Result<(View, Grant), Opened>, Error> {
    let Some(local) = store.local() else {
        return Err(Error::Closed);
    };
    let opened = match local.acquire(open, max_waiting) {
        LocalOpened::Now(opened) => opened,
        LocalOpened::Queued(turn) => Box::pin(Queued { store, turn }.wait(wait)).await?,
        LocalOpened::Full => return Err(Error::TooManyWaiting),
    };
    Ok(local_grant(store, open, opened))
}

/// As [`acquire_local`], unless somebody has the session.
pub(crate) fn acquire_free(store: &DynStore, open: &Open) -> Option<Result<(View, Grant), Opened>> {
    match store.local()?.acquire(open, 0) {
        LocalOpened::Now(opened) => Some(local_grant(store, open, opened)),
        LocalOpened::Queued(_) | LocalOpened::Full => None,
    }
}

#[expect(clippy::result_large_err, reason = "it is passed on at once")]
fn local_grant(store: &DynStore, open: &Open, opened: Opened) -> Result<(View, Grant), Opened> {
    match (opened, open.lease) {
        (Opened::Granted(view), Some((owner, _))) => {
            let kind = Kind::Local(Local {
                store: store.clone(),
                id: open.id,
                owner,
                ended: false,
            });
            let telling = None;
            Ok((view, Grant { kind, telling }))
        }
        (refusal, _) => Err(refusal),
    }
}

struct Queued<'a> {
    store: &'a DynStore,
    turn: Arc<Turn>,
}

impl Queued<'_> {
    async fn wait(self, wait: Duration) -> Result<Opened, Error> {
        let until = tokio::time::Instant::now() + wait;
        let id = self.turn.open().id;
        loop {
            // At the latest when the lease that is held ends by itself there may be news.
            let left = self.store.local().and_then(|local| local.expire_lease(id));
            let check = left.map_or(until, |left| {
                until.min(tokio::time::Instant::now() + left + Duration::from_millis(1))
            });
            let turn = poll_fn(|cx| self.turn.poll(cx));
            match tokio::time::timeout_at(check, turn).await {
                Ok(opened) => return Ok(opened),
                Err(_) if check == until => return Err(Error::LockTimeout),
                Err(_) => {}
            }
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(local) = self.store.local() {
            local.leave(&self.turn);
        }
    }
}
