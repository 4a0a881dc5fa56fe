//! A record in little room, for stores that keep millions of them in memory.

mod fields;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::data::{Data, Patch};
use crate::id::SessionId;
use crate::record::{Client, Commits, Head, Lease, Limits, Record};
use crate::rules;
use crate::store::{Finish, Finished, Op, Open, Opened, Revision};
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::Owner;

/// A [`Record`] as a store in memory keeps it: 168 bytes, another 72 from its first lock on, 88
/// from its first user, rotation or contention on, and its data.
///
/// It has no rules of its own: it decides as the methods of [`Record`] do, and gives back exactly
/// the record that it took.
///
/// ```
/// # use std::time::Duration;
/// # use tower_keep_core::*;
/// # let now = Timestamp::from_millis(1_700_000_000_000);
/// # let new = NewSession {
/// #     id: SessionId::new(now), secret: Secret::generate().unwrap().hash(),
/// #     commit: CommitId::unique(), limits: Limits::default(), extend: None, user: None, cap: None,
/// #     authenticated: false, client: None, remember: false, data: data::Data::default(),
/// # };
/// let mut slim = Slim::new(Record::create(&new, now));
/// let destroyed = slim.change(|record| {
///     let destroyed = record.destroy(now);
///     (destroyed, destroyed)
/// });
/// assert!(destroyed && slim.record().gone_at.is_some());
/// assert_eq!(slim.revision(), Revision(2));
/// ```
pub struct Slim {
    id: SessionId,
    secret: SecretHash,
    data: Data,
    lock: Option<Box<Lock>>,
    rare: Option<Box<Rare>>,
    version: u64,
    revision: u64,
    gone_at: Option<Timestamp>,
    idle_deadline: Timestamp,
    absolute_deadline: Timestamp,
    created_at: Timestamp,
    last_seen: Timestamp,
    commit: Packed,
    limits: Seconds,
    remember: bool,
}

/// A `u128` that needs no alignment.
type Packed = [u8; 16];

/// Limits of whole seconds, as nearly all are; others are kept whole in [`Rare`].
#[derive(Clone, Copy, Default)]
struct Seconds {
    idle: u32,
    absolute: u32,
}

/// What a lock needs, and the commits under it leave behind.
#[derive(Default)]
struct Lock {
    older: [Packed; 3],
    owner: Packed,
    until: Option<Timestamp>,
}

/// What most sessions never have.
#[derive(Default)]
struct Rare {
    user: Option<Arc<str>>,
    client: Option<Arc<Client>>,
    generation: u64,
    authenticated_at: Option<Timestamp>,
    rotated_at: Option<Timestamp>,
    waiting_until: Option<Timestamp>,
    limits: Option<Limits>,
}

impl Slim {
    /// Takes a record in, as its first revision.
    pub fn new(record: Record) -> Self {
        let mut slim = Self {
            id: record.head.id,
            secret: record.secret,
            data: Data::default(),
            lock: None,
            rare: None,
            version: 0,
            revision: 1,
            gone_at: None,
            idle_deadline: record.head.idle_deadline,
            absolute_deadline: record.head.absolute_deadline,
            created_at: record.head.created_at,
            last_seen: record.head.last_seen,
            commit: [0; 16],
            limits: Seconds::default(),
            remember: false,
        };
        slim.set(record);
        slim
    }

    /// Whose record it is.
    #[inline]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// How often it was written.
    #[inline]
    pub const fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// Whom the session belongs to.
    #[inline]
    pub fn user(&self) -> Option<&Arc<str>> {
        self.rare.as_ref()?.user.as_ref()
    }

    /// The lock.
    #[inline]
    pub fn lease(&self) -> Option<Lease> {
        let lock = self.lock.as_ref()?;
        lock.until.map(|until| Lease {
            owner: Owner::from_u128(u128::from_ne_bytes(lock.owner)),
            until,
        })
    }

    /// Whether it is a tombstone.
    #[inline]
    pub const fn is_gone(&self) -> bool {
        self.gone_at.is_some()
    }

    /// Whether the session can be opened: it is neither over nor destroyed.
    #[inline]
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.is_gone() && now < rules::Fields::deadline(self)
    }

    /// Decides as [`Record::is_sweepable`].
    #[inline]
    pub fn is_sweepable(&self, now: Timestamp, keep: Duration) -> bool {
        rules::is_sweepable(self, now, keep)
    }

    /// Decides as [`Record::open`].
    #[inline]
    pub fn open(&mut self, open: &Open, now: Timestamp) -> Opened {
        let (opened, changed) = rules::open(self, open, now);
        self.revision += u64::from(changed);
        opened
    }

    /// Decides as [`Record::finish`]; if that commits an [`Op::Put`], the data change by the patch
    /// too.
    #[inline]
    pub fn finish(&mut self, finish: &Finish, patch: &Patch, now: Timestamp) -> (Finished, bool) {
        let (finished, changed) = rules::finish(self, finish, now);
        if changed && matches!(finish.op, Op::Put(_)) && !patch.is_empty() {
            self.data.apply(patch);
        }
        self.revision += u64::from(changed);
        (finished, changed)
    }

    /// Takes the lock from whoever has it, as part of the change before.
    #[inline]
    pub fn unlock(&mut self) {
        rules::Fields::set_lease(self, None);
    }

    /// Makes any other change; `change` also tells whether it made one.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Record) -> (T, bool)) -> T {
        let mut record = self.record();
        let (answer, changed) = change(&mut record);
        if changed {
            self.set(record);
            self.revision += 1;
        }
        answer
    }

    /// The whole record.
    pub fn record(&self) -> Record {
        let (lock, rare) = (self.lock.as_deref(), self.rare.as_deref());
        let [first, second, third] = lock.map_or([[0; 16]; 3], |lock| lock.older);
        let commits = [self.commit, first, second, third].map(u128::from_ne_bytes);
        Record {
            head: self.head(),
            secret: self.secret,
            rotated_at: rare.and_then(|rare| rare.rotated_at),
            lease: self.lease(),
            waiting_until: rare.and_then(|rare| rare.waiting_until),
            commits: Commits::from_array(commits),
            gone_at: self.gone_at,
            data: self.data.clone(),
        }
    }

    /// The record without its secret, its lock and its data.
    #[inline]
    pub fn head(&self) -> Head {
        let mut head = Head {
            id: self.id,
            version: self.version,
            generation: 0,
            created_at: self.created_at,
            last_seen: self.last_seen,
            authenticated_at: None,
            limits: self.limits.whole(),
            idle_deadline: self.idle_deadline,
            absolute_deadline: self.absolute_deadline,
            user: None,
            client: None,
            remember: self.remember,
        };
        if let Some(rare) = &self.rare {
            head.generation = rare.generation;
            head.authenticated_at = rare.authenticated_at;
            head.limits = rare.limits.unwrap_or(head.limits);
            head.user.clone_from(&rare.user);
            head.client.clone_from(&rare.client);
        }
        head
    }

    fn set(&mut self, record: Record) {
        let Record {
            head,
            secret,
            rotated_at,
            lease,
            waiting_until,
            commits,
            gone_at,
            data,
        } = record;
        let Head {
            id: _,
            version,
            generation,
            created_at,
            last_seen,
            authenticated_at,
            limits,
            idle_deadline,
            absolute_deadline,
            user,
            client,
            remember,
        } = head;
        self.secret = secret;
        self.data = data;
        self.version = version;
        self.gone_at = gone_at;
        self.idle_deadline = idle_deadline;
        self.absolute_deadline = absolute_deadline;
        self.created_at = created_at;
        self.last_seen = last_seen;
        self.remember = remember;
        let seconds = Seconds::exact(limits);
        self.limits = seconds.unwrap_or_default();
        let [commit, older @ ..] = commits.to_array().map(u128::to_ne_bytes);
        self.commit = commit;
        let lock = Lock {
            older,
            owner: lease.map_or(0, |lease| lease.owner.to_u128()).to_ne_bytes(),
            until: lease.map(|lease| lease.until),
        };
        self.lock = lock.is_needed().then(|| Box::new(lock));
        let rare = Rare {
            user,
            client,
            generation,
            authenticated_at,
            rotated_at,
            waiting_until,
            limits: seconds.is_none().then_some(limits),
        };
        self.rare = rare.is_needed().then(|| Box::new(rare));
    }
}

impl Lock {
    fn is_needed(&self) -> bool {
        // The owner means nothing without the instant.
        self.until.is_some() || self.older != [[0; 16]; 3]
    }
}

impl Rare {
    fn is_needed(&self) -> bool {
        let Self {
            user,
            client,
            generation,
            authenticated_at,
            rotated_at,
            waiting_until,
            limits,
        } = self;
        user.is_some()
            || client.is_some()
            || *generation != 0
            || authenticated_at.is_some()
            || rotated_at.is_some()
            || waiting_until.is_some()
            || limits.is_some()
    }
}

impl Seconds {
    fn exact(limits: Limits) -> Option<Self> {
        let [idle, absolute] = [limits.idle, limits.absolute].map(|span| {
            let seconds = u32::try_from(span.as_secs());
            seconds.ok().filter(|_| span.subsec_nanos() == 0)
        });
        Some(Self {
            idle: idle?,
            absolute: absolute?,
        })
    }

    #[inline]
    fn whole(self) -> Limits {
        Limits {
            idle: Duration::from_secs(self.idle.into()),
            absolute: Duration::from_secs(self.absolute.into()),
        }
    }
}

impl fmt::Debug for Slim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slim")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
