//! Their store as ours.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tower_keep_core::{
    Clock, Expect, Looked, Record, Revision, Scope, SessionId, SessionStore, StoreError, Sweep,
    Swept,
};

use crate::entry;
use crate::error::BridgeError;
use crate::theirs::{Row, Theirs};
use crate::turns::Turns;

/// A store of tower-sessions as one of tower-keep, **for one process**.
///
/// Name it by the version of the contract that the store was written for: `Bridged14`, `Bridged15`.
/// The [crate's documentation](crate) says what it promises and what it cannot.
///
/// Clones are the same store. Two that were made from the same store of theirs are not: their
/// contract has no compare-and-set, so what excludes writers is in here. With two of them, or two
/// processes, updates get lost, a lease is granted twice, and a session that was destroyed may come
/// back. So make one and clone it, and run one process on what it stores.
///
/// It needs a tokio runtime: calls to their store run in tasks, so that none is ever dropped in the
/// middle.
pub struct Bridged<T>(Arc<Inner<T>>);

struct Inner<T> {
    theirs: T,
    turns: Turns,
    keep: Duration,
    max_data: usize,
    clock: Arc<dyn Clock>,
}

impl<T: Theirs> Bridged<T> {
    pub(crate) fn over(theirs: T, keep: Duration, max_data: usize, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            theirs,
            turns: Turns::new(),
            keep,
            max_data,
            clock,
        }))
    }
}

impl<T: Theirs> Inner<T> {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let row = self.theirs.load(entry::their_id(id)).await?;
        // After the call, because it may have taken its time.
        let now = self.clock.now();
        let record = match row {
            Some(row) => entry::from_row(id, &row, now, self.max_data)?,
            None => None,
        };
        Ok(Looked { record, now })
    }

    /// `cas`, for whoever has the turn.
    async fn swap(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let Looked { record: found, now } = self.look(id).await?;
        match (expect, found) {
            (Expect::Absent, None) => {
                let row = || entry::to_row(id, record, Revision(1), now, self.keep);
                if self.create(row()).await? {
                    return Ok(true);
                }
                // What is over and still in the way is of no use to anybody.
                self.theirs.delete(entry::their_id(id)).await?;
                if self.create(row()).await? {
                    return Ok(true);
                }
                Err(BridgeError::Taken.into())
            }
            (Expect::Revision(expected), Some((_, revision))) if expected == revision => {
                let next = Revision(revision.0.wrapping_add(1));
                let row = entry::to_row(id, record, next, now, self.keep);
                self.theirs.save(row).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Creates a record, or nothing if there is one under this id, shown by `load` or not.
    async fn create(&self, row: Row) -> Result<bool, BridgeError> {
        let asked = row.id;
        let got = self.theirs.create(row).await?;
        if got != asked {
            self.theirs.delete(got).await?;
        }
        Ok(got == asked)
    }
}

impl<T: Theirs> SessionStore for Bridged<T> {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let inner = self.0.clone();
        in_task(async move {
            let _turn = inner.turns.read(id).await;
            inner.look(id).await
        })
        .await
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let (size, max) = (record.data.size(), self.0.max_data);
        if size > max {
            return Err(BridgeError::TooLarge { size, max }.into());
        }
        let (inner, record) = (self.0.clone(), record.clone());
        in_task(async move {
            let _turn = inner.turns.write(id).await;
            inner.swap(id, expect, &record).await
        })
        .await
    }

    /// Calls their `delete_expired` if the builder was told to (`sweep_expired`), else does
    /// nothing. It counts nothing.
    async fn sweep(&self, _: Sweep) -> Result<Swept, StoreError> {
        self.0.theirs.delete_expired().await?;
        Ok(Swept::default())
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }
}

/// Runs a step with its turn to the end, whatever becomes of the caller.
///
/// One who leaves must not give up the turn before their store has answered, or a late write would
/// undo the next one. And one who is not polled must not keep a turn that others wait for.
async fn in_task<A: Send + 'static>(
    step: impl Future<Output = Result<A, StoreError>> + Send + 'static,
) -> Result<A, StoreError> {
    let runtime = Handle::try_current().map_err(|_| BridgeError::NoRuntime)?;
    let done = runtime.spawn(step).await;
    done.unwrap_or_else(|_| Err(BridgeError::Unfinished.into()))
}

impl<T> Clone for Bridged<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Bridged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridged")
            .field("keep_expired", &self.0.keep)
            .field("max_data", &self.0.max_data)
            .finish_non_exhaustive()
    }
}
