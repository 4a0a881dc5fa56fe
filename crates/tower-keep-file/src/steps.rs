//! The verbs, each one step that blocks: lock, load, decide as [`Record`] does, write, unlock.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tower_keep_core::data::Codec;
use tower_keep_core::{
    Clock, Created, Expect, Finish, Finished, Looked, NewSession, Op, Open, Opened, Owner, Record,
    Revision, SessionId, StoreError, StoreErrorKind, Timestamp,
};

use crate::file::Stored;
use crate::shard::{SHARDS, Shard};
use crate::store::Durability;

/// The store without the threads it runs on.
pub(crate) struct Steps {
    pub(crate) root: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) max_data: usize,
    pub(crate) codec: Codec,
    pub(crate) clock: Arc<dyn Clock>,
    /// The shard where the next sweep begins.
    pub(crate) swept: AtomicUsize,
}

/// Whose session it is.
pub(crate) type User = Option<Arc<str>>;

/// What a step did to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// A lease or a touch: nobody misses it after a power cut, which ends every request. The file
    /// must be complete, but which of both it is does not matter.
    Passing,
    /// What may not be lost once it is answered.
    ///
    /// Also the answer to a retry, whose record is there already: the first try may have failed
    /// in its last sync, and to sync again what failed to be synced proves nothing. Written anew,
    /// it does.
    Lasting,
}

impl Change {
    const fn passing(changed: bool) -> Self {
        if changed {
            Self::Passing
        } else {
            Self::Nothing
        }
    }

    const fn lasting(changed: bool) -> Self {
        if changed {
            Self::Lasting
        } else {
            Self::Nothing
        }
    }
}

impl Steps {
    pub(crate) fn shard(&self, index: u8) -> Shard {
        Shard::new(&self.root, index)
    }

    /// All shards once, from the one at `start` modulo their number.
    pub(crate) fn shards_from(&self, start: usize) -> impl Iterator<Item = Shard> {
        let all = (0..=u8::MAX).cycle().skip(start % SHARDS).take(SHARDS);
        all.map(|index| self.shard(index))
    }

    pub(crate) fn load(&self, shard: &Shard, id: SessionId) -> Result<Option<Stored>, StoreError> {
        let bytes = shard.read(id)?;
        bytes
            .map(|bytes| Stored::from_bytes(&bytes, id, self.max_data))
            .transpose()
    }

    /// One step under the shard's lock.
    fn step<A>(
        &self,
        id: SessionId,
        decide: impl FnOnce(&mut Option<Stored>, Timestamp) -> (A, Change),
    ) -> Result<A, StoreError> {
        let shard = self.shard(Shard::index_of(id));
        let locked = shard.lock()?;
        let now = self.clock.now();
        let mut stored = self.load(&shard, id)?;
        let (answer, change) = decide(&mut stored, now);
        let Some(stored) = stored.as_mut().filter(|_| change != Change::Nothing) else {
            return Ok(answer);
        };
        if change == Change::Lasting && stored.record.data.size() > self.max_data {
            return Err(StoreError::new(
                StoreErrorKind::TooLarge,
                format!("more than {} bytes of data", self.max_data),
            ));
        }
        stored.revision += 1;
        let sync = self.durability == Durability::Full;
        locked.replace(id, &stored.to_bytes(self.codec), sync)?;
        if sync && change == Change::Lasting {
            locked.sync()?;
        }
        Ok(answer)
    }

    /// The record and the time. The time comes first: what is read then is as new as it or newer,
    /// so a session that was renewed just now is never taken to be expired.
    fn peek(&self, id: SessionId) -> Result<(Option<Stored>, Timestamp), StoreError> {
        let now = self.clock.now();
        let stored = self.load(&self.shard(Shard::index_of(id)), id)?;
        Ok((stored, now))
    }

    pub(crate) fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let (stored, now) = self.peek(id)?;
        Ok(Looked {
            record: stored.map(Stored::into_looked),
            now,
        })
    }

    /// Opens without a lock if that changes nothing.
    pub(crate) fn read(&self, open: &Open) -> Result<Option<Opened>, StoreError> {
        let (stored, now) = self.peek(open.id)?;
        let Some(mut stored) = stored else {
            return Ok(Some(Opened::Absent));
        };
        let (opened, changed) = stored.record.open(open, now);
        Ok((!changed).then_some(opened))
    }

    pub(crate) fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        self.step(open.id, |stored, now| match stored {
            None => (Opened::Absent, Change::Nothing),
            Some(stored) => {
                let (opened, changed) = stored.record.open(open, now);
                (opened, Change::passing(changed))
            }
        })
    }

    /// Also tells whose session it was, if it may be another's now or nobody's.
    pub(crate) fn finish(&self, finish: &Finish) -> Result<(Finished, User), StoreError> {
        let mut user = None;
        let finished = self.step(finish.id, |stored, now| {
            let Some(stored) = stored else {
                return (Finished::Gone, Change::Nothing);
            };
            if finish.changes_user() {
                user.clone_from(&stored.record.head.user);
            }
            let (finished, changed) = stored.record.finish(finish, now);
            let change = match finish.op {
                Op::Release => Change::passing(changed),
                Op::Put(_) | Op::Merge(_) | Op::Destroy => {
                    Change::lasting(matches!(finished, Finished::Done { .. }))
                }
            };
            (finished, change)
        })?;
        Ok((finished, user))
    }

    pub(crate) fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.step(id, |stored, now| {
            let renewed = stored
                .as_mut()
                .is_some_and(|stored| stored.record.renew(owner, lease, now));
            (renewed, Change::passing(renewed))
        })
    }

    pub(crate) fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        self.step(new.id, |stored, now| {
            let created = if let Some(stored) = stored {
                stored.record.meet_create(new.commit, now)
            } else {
                *stored = Some(Stored::new(Record::create(new, now)));
                Created::Done(now)
            };
            let done = matches!(created, Created::Done(_));
            (created, Change::lasting(done))
        })
    }

    /// Destroys a session, if a user is given only one of theirs; tells whether it was alive, and
    /// whose it was.
    pub(crate) fn bury(&self, of: Option<&str>, id: SessionId) -> Result<(bool, User), StoreError> {
        let mut user = None;
        let destroyed = self.step(id, |stored, now| match stored {
            None => (false, Change::Nothing),
            // An earlier try may have failed in its last sync, whoever it was that tried.
            Some(stored) if stored.record.gone_at.is_some() => (false, Change::Lasting),
            Some(stored) if of.is_some() && of != stored.record.head.user.as_deref() => {
                (false, Change::Nothing)
            }
            Some(stored) => {
                user.clone_from(&stored.record.head.user);
                let destroyed = stored.record.destroy(now);
                (destroyed, Change::lasting(destroyed))
            }
        })?;
        Ok((destroyed, user))
    }

    pub(crate) fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: Record,
    ) -> Result<bool, StoreError> {
        self.step(id, |stored, _| {
            let found = stored.as_ref().map(|stored| stored.revision);
            let fits = match expect {
                Expect::Absent => found.is_none(),
                Expect::Revision(Revision(revision)) => found == Some(revision),
            };
            if fits {
                *stored = Some(Stored {
                    record,
                    revision: found.unwrap_or_default(),
                });
            }
            (fits, Change::lasting(fits))
        })
    }
}
