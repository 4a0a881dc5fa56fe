//! The store contract: what a store must do, word for word.
//!
//! [`SessionStore`] has the rules, [`Record`] the decisions.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::data::Data;
use crate::error::StoreError;
use crate::id::SessionId;
use crate::local::LocalStore;
use crate::provided;
use crate::record::{Head, HeadChange, NewSession, Record};
use crate::scan::Scan;
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::{CommitId, Owner};
use crate::users::{UserCap, Users};

/// How far a store reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This process only: its locks do not exclude other processes.
    Process,
    /// Every process that uses the same store.
    Shared,
}

/// The physical revision of a record, which changes with every write, also of a lease or a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(pub u64);

/// What [`SessionStore::look`] found.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The record, tombstone or not, expired or not, with its revision.
    pub record: Option<(Record, Revision)>,
    /// The store's time.
    pub now: Timestamp,
}

/// What [`SessionStore::cas`] must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing under this id.
    Absent,
    /// A record of exactly this revision.
    Revision(Revision),
}

/// A request to open a session.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// Which session.
    pub id: SessionId,
    /// The digest of the secret presented; `None` opens by id alone, for administration.
    pub secret: Option<SecretHash>,
    /// How long ago the request arrived. The store's `now` less this is when it arrived.
    pub age: Duration,
    /// Extend the idle deadline, if that moves it by at least this much.
    pub touch: Option<Duration>,
    /// Take the lease for this owner and this long; `None` only reads.
    pub lease: Option<(Owner, Duration)>,
}

/// What a request sees of an opened session.
#[derive(Debug, Clone)]
pub struct View {
    /// All but the data.
    pub head: Head,
    /// The data.
    pub data: Data,
    /// The store's time when it was opened.
    pub now: Timestamp,
}

/// The answer to [`Open`].
#[derive(Debug, Clone)]
pub enum Opened {
    /// The newest committed state; with the lease, if it was asked for.
    Granted(View),
    /// Another owner holds the lease for this much longer, unless it is renewed.
    Busy(Duration),
    /// The secret was replaced, or the session destroyed, while or shortly before the request was
    /// under way: it must neither see the session nor start another by accident.
    Stale,
    /// No such session, or not with this secret.
    Absent,
    /// It was there and its time is over.
    Expired,
}

/// The end of an exclusive section.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which session.
    pub id: SessionId,
    /// Who was granted the lease, except for a [merge](Op::Merge).
    pub owner: Owner,
    /// The version that was opened.
    pub version: u64,
    /// The identity of this commit, the same in every retry.
    pub commit: CommitId,
    /// What to do beside giving up the lease.
    pub op: Op,
    /// Whom to hand the lease to, instead of leaving it free.
    pub next: Option<(Owner, Duration)>,
}

impl Finish {
    /// The user that the commit makes the session's, and how many sessions they may have.
    pub fn joins(&self) -> Option<(&str, Option<UserCap>)> {
        match &self.op {
            Op::Put(Put { head, .. }) => {
                let user = head.user.as_ref()?.as_deref()?;
                Some((user, head.cap))
            }
            Op::Release | Op::Merge(_) | Op::Destroy => None,
        }
    }

    /// Whether the session may be another user's afterwards, or nobody's.
    pub const fn changes_user(&self) -> bool {
        match &self.op {
            Op::Put(Put { head, .. }) => head.user.is_some(),
            Op::Release | Op::Merge(_) => false,
            Op::Destroy => true,
        }
    }
}

/// What a [`Finish`] does.
#[derive(Debug, Clone)]
pub enum Op {
    /// Nothing but giving up (or handing on) the lease. Looks at the owner alone.
    Release,
    /// Commit changes.
    Put(Put),
    /// Commit this new data where nobody holds the lease: whoever merges was never granted it, so
    /// [`Finish::owner`] and [`Finish::next`] are not looked at. With the version unchanged, what
    /// was read and what is written are one step.
    Merge(Data),
    /// Replace the record by a tombstone.
    Destroy,
}

/// The changes of one commit.
#[derive(Debug, Clone, Default)]
pub struct Put {
    /// Changes of the head.
    pub head: HeadChange,
    /// The whole new data, if it changed.
    pub data: Option<Data>,
}

/// The answer to [`Finish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is done, now or in an earlier try.
    Done {
        /// The version it made, or still has.
        version: u64,
        /// The store's time.
        now: Timestamp,
        /// Whether somebody was refused the lease lately and seems to wait for it.
        waiting: bool,
    },
    /// Nothing was applied: the lease has another owner, or for a [merge](Op::Merge) any.
    Lost,
    /// Nothing was applied: the session was destroyed, is expired or is not there.
    Gone,
    /// The version is not the expected one and the commit is not among the last four: nothing was
    /// applied if this was the first try, and if it was not, nobody can tell any more.
    Unknown,
}

/// The answer to [`SessionStore::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there, made now or in an earlier try; the store's time.
    Done(Timestamp),
    /// Another live session has this id.
    Collision,
    /// It was made by an earlier try and destroyed since, or it was another's tombstone.
    Gone,
}

/// How much a [`sweep`](SessionStore::sweep) may do.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// Remove at most this many records.
    pub limit: usize,
    /// Keep tombstones this long.
    pub keep_tombstones: Duration,
}

impl Default for Sweep {
    /// A thousand records, tombstones kept for 10 minutes.
    fn default() -> Self {
        Self {
            limit: 1_000,
            keep_tombstones: Duration::from_secs(600),
        }
    }
}

/// What a [`sweep`](SessionStore::sweep) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired sessions removed: which they were. Each is told by one sweep, or by none if that
    /// failed after removing it.
    pub expired: Vec<SessionId>,
    /// Tombstones removed.
    pub tombstones: usize,
    /// Whether the limit was reached before the end.
    pub more: bool,
}

impl Swept {
    /// How many records were removed.
    pub fn removed(&self) -> usize {
        self.expired.len() + self.tombstones
    }
}

/// What a store holds, by its own clock; see [`SessionStore::stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Live sessions.
    pub live: u64,
    /// Those of them that belong to a user.
    pub with_user: u64,
    /// Expired sessions that were not swept yet.
    pub expired: u64,
    /// Tombstones that were not swept yet.
    pub tombstones: u64,
}

impl Stats {
    /// Counts one more record.
    pub fn count(&mut self, record: &Record, now: Timestamp) {
        if record.gone_at.is_some() {
            self.tombstones += 1;
        } else if record.head.is_expired(now) {
            self.expired += 1;
        } else {
            self.live += 1;
            self.with_user += u64::from(record.head.user.is_some());
        }
    }
}

/// A store that tells when a lease was given up (optional ability, see
/// [`SessionStore::wakeups`]).
pub trait Wakeups: Send + Sync {
    /// Completes when a lease on `id` may have been given up since this method was called, or
    /// never. Waiters poll as well, so a lost wake-up costs time only.
    fn released(&self, id: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Where sessions are kept: records by id, and a few verbs, each one atomic step on one record.
///
/// [`look`](Self::look) and [`cas`](Self::cas) are enough for a correct store. The other verbs are
/// provided on top of them; a store that can do one in a single round trip overrides it and then
/// decides exactly as the method of the same name on [`Record`] does.
///
/// # Rules that hold for every verb
///
/// 1. *Atomic.* A verb takes effect completely or not at all, at one point between its call and
///    its answer, and two verbs on one id as if one had come after the other.
/// 2. *One clock.* Every instant is the store's, taken once a step. Callers pass spans.
/// 3. *Update only.* Only [`create`](Self::create) (and `cas` expecting
///    [`Expect::Absent`]) makes a record. No other verb brings back a record that expired, was
///    destroyed or was swept.
/// 4. *An error is not an answer.* A store that cannot tell returns a
///    [`StoreError`]; it never answers `Absent` because it failed to look.
/// 5. *Late effects.* After an error, or when the returned future is dropped, the verb may
///    still take effect, at most once.
/// 6. *Confidential.* Digests, data and users do not appear in errors and logs.
///
/// # A correct store
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use tower_keep_core::*;
///
/// #[derive(Default)]
/// struct Simple {
///     records: Mutex<HashMap<SessionId, (Record, u64)>>,
///     clock: SystemClock,
/// }
///
/// impl SessionStore for Simple {
///     async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
///         let records = self.records.lock().unwrap();
///         let record = records.get(&id).map(|(r, revision)| (r.clone(), Revision(*revision)));
///         Ok(Looked { record, now: self.clock.now() })
///     }
///
///     async fn cas(&self, id: SessionId, expect: Expect, record: &Record) -> Result<bool, StoreError> {
///         let mut records = self.records.lock().unwrap();
///         let found = records.get(&id).map(|(_, revision)| Revision(*revision));
///         let fits = match expect {
///             Expect::Absent => found.is_none(),
///             Expect::Revision(revision) => found == Some(revision),
///         };
///         if fits {
///             let next = found.map_or(1, |r| r.0 + 1);
///             records.insert(id, (record.clone(), next));
///         }
///         Ok(fits)
///     }
///
///     async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
///         let (now, mut swept) = (self.clock.now(), Swept::default());
///         self.records.lock().unwrap().retain(|id, (record, _)| {
///             if !record.is_sweepable(now, sweep.keep_tombstones) {
///                 return true;
///             }
///             if swept.removed() == sweep.limit {
///                 swept.more = true;
///                 return true;
///             }
///             match record.gone_at {
///                 Some(_) => swept.tombstones += 1,
///                 None => swept.expired.push(*id),
///             }
///             false
///         });
///         Ok(swept)
///     }
///
///     fn scope(&self) -> Scope {
///         Scope::Process
///     }
/// }
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Reads a record as it is, whatever its state.
    ///
    /// # Errors
    /// As for every verb: the store could not answer.
    fn look(&self, id: SessionId) -> impl Future<Output = Result<Looked, StoreError>> + Send;

    /// Replaces the record if it is as expected, and tells whether it was. Never an upsert: with
    /// [`Expect::Revision`] a record that is not there stays not there.
    fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes records that are expired and tombstones that are older than asked; never a live
    /// one, nor one that was renewed just now ([`Record::is_sweepable`]).
    fn sweep(&self, sweep: Sweep) -> impl Future<Output = Result<Swept, StoreError>> + Send;

    /// Whether other processes share the sessions and the locks.
    fn scope(&self) -> Scope;

    /// What kind of store it is, in a lower-case word, for traces and metrics. One that stands in
    /// front of another has that one's name.
    fn name(&self) -> &'static str {
        "other"
    }

    /// Opens a session: checks the secret, touches, and takes the lease if asked, in one step.
    /// Decides as [`Record::open`].
    fn open(&self, open: &Open) -> impl Future<Output = Result<Opened, StoreError>> + Send {
        provided::open(self, open)
    }

    /// Ends an exclusive section: commits or destroys, and gives up or hands on the lease, in one
    /// step. Decides as [`Record::finish`].
    fn finish(&self, finish: &Finish) -> impl Future<Output = Result<Finished, StoreError>> + Send {
        provided::finish(self, finish)
    }

    /// Extends a lease that is still owned to end `lease` from now; tells whether it was.
    /// Decides as [`Record::renew`].
    fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        provided::renew(self, id, owner, lease)
    }

    /// Creates a session. Decides as [`Record::meet_create`] where the id is taken.
    fn create(&self, new: &NewSession) -> impl Future<Output = Result<Created, StoreError>> + Send {
        provided::create(self, new)
    }

    /// Destroys a session by its id, whoever holds its lease, and tells whether there was a live
    /// one. The holder's `finish` will be [`Finished::Gone`].
    fn destroy(&self, id: SessionId) -> impl Future<Output = Result<bool, StoreError>> + Send {
        provided::destroy(self, id)
    }

    /// Whether the store answers at all.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send {
        // Any id will do; this one cannot belong to a session.
        async {
            let nobody = SessionId::new(Timestamp::from_millis(0));
            self.look(nobody).await.map(drop)
        }
    }

    /// Counts what the store holds. It may look at every record: for administration, not for
    /// requests. `None` if the store cannot count.
    fn stats(&self) -> impl Future<Output = Result<Option<Stats>, StoreError>> + Send {
        async { Ok(None) }
    }

    /// The ability to tell waiters when a lease is given up.
    fn wakeups(&self) -> Option<&dyn Wakeups> {
        None
    }

    /// The ability to find the sessions of a user.
    fn users(&self) -> Option<&dyn Users> {
        None
    }

    /// The ability to be walked over.
    fn scan(&self) -> Option<&dyn Scan> {
        None
    }

    /// The ability to do every step at once, without waiting for anything.
    fn local(&self) -> Option<&dyn LocalStore> {
        None
    }
}

#[cfg(test)]
mod tests;
