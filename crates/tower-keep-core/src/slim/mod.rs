//! A record in little room, for stores that keep millions of them in memory.

mod fields;
mod millis;
mod palette;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::data::{Data, Patch};
use crate::id::SessionId;
use crate::record::{Client, Commits, Head, Lease, Limits, Record};
use crate::rules;
use crate::store::{Finish, Finished, Op, Open, Opened, Revision};
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::Owner;

use fields::Parts;
use millis::Millis;
pub use palette::Palette;

/// A [`Record`] as a store in memory keeps it: 112 bytes for a session that was only created and
/// touched since, another 152 from its first lock, user or rotation on, and its data.
///
/// It has no rules of its own. [`step`](Self::step) makes a whole record of it, for a decision of
/// the record's own methods, and takes the result back; what it takes, it gives back exactly.
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
/// let mut palette = Palette::default();
/// let mut slim = Slim::new(Record::create(&new, now), &mut palette);
/// let destroyed = slim.step(&mut palette, |record| {
///     let destroyed = record.destroy(now);
///     (destroyed, destroyed)
/// });
/// assert!(destroyed);
/// assert_eq!(slim.revision(), Revision(2));
/// ```
// In the order in which it is used: opening a session reads all but the last 16 bytes.
#[repr(C)]
pub struct Slim {
    id: SessionId,
    secret: SecretHash,
    data: Data,
    rest: Option<Box<Rest>>,
    version: u32,
    revision: u32,
    idle_deadline: Millis,
    absolute_deadline: Millis,
    /// Milliseconds after the instant that the id names.
    created_after: i16,
    /// Where in the palette.
    limits: u8,
    mark: Mark,
    commit: u128,
}

/// A `u128` that needs no alignment.
type Packed = [u8; 16];

/// What is seldom or changes often: there from the first time that it is needed.
#[derive(Default)]
struct Rest {
    older: [Packed; 3],
    owner: Packed,
    leased_until: Option<Timestamp>,
    waiting_until: Option<Timestamp>,
    rotated_at: Option<Timestamp>,
    generation: u64,
    /// If it is not the obvious one.
    last_seen: Option<Timestamp>,
    authenticated_at: Option<Timestamp>,
    user: Option<Arc<str>>,
    client: Option<Arc<Client>>,
    gone_at: Option<Timestamp>,
    wide: Option<Box<Wide>>,
}

/// What does not fit its place. If there is one, it has the last word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wide {
    version: u64,
    created_at: Timestamp,
    limits: Limits,
    idle_deadline: Timestamp,
    absolute_deadline: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Plain,
    Remembered,
    Gone,
    GoneRemembered,
}

impl Slim {
    /// Takes a record in, as its first revision.
    pub fn new(record: Record, palette: &mut Palette) -> Self {
        let mut slim = Self {
            id: record.head.id,
            secret: record.secret,
            data: Data::default(),
            rest: None,
            version: 0,
            revision: 1,
            idle_deadline: Millis::MAX,
            absolute_deadline: Millis::MAX,
            created_after: 0,
            limits: 0,
            mark: Mark::Plain,
            commit: 0,
        };
        slim.pack(record, palette);
        slim
    }

    /// Whose record it is.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// How often it was written, modulo 2³².
    pub fn revision(&self) -> Revision {
        Revision(self.revision.into())
    }

    /// The whole record.
    pub fn record(&mut self, palette: &mut Palette) -> Record {
        self.step(palette, |record| (record.clone(), false))
    }

    /// Decides on the record and changes it; `decide` also tells whether it did, which makes the
    /// next revision. The palette must be the one that the record was taken in with.
    pub fn step<T>(
        &mut self,
        palette: &mut Palette,
        decide: impl FnOnce(&mut Record) -> (T, bool),
    ) -> T {
        let mut record = self.unpack(palette);
        let (answer, changed) = decide(&mut record);
        self.pack(record, palette);
        self.revision = self.revision.wrapping_add(changed.into());
        answer
    }

    /// Decides as [`Record::open`].
    pub fn open(&mut self, palette: &mut Palette, open: &Open, now: Timestamp) -> Opened {
        let (opened, changed) = rules::open(&mut Parts(self, palette), open, now);
        self.revision = self.revision.wrapping_add(changed.into());
        opened
    }

    /// Decides as [`Record::finish`]; if that commits an [`Op::Put`], the data change by the patch
    /// too.
    pub fn finish(
        &mut self,
        palette: &mut Palette,
        finish: &Finish,
        patch: &Patch,
        now: Timestamp,
    ) -> Finished {
        let (finished, changed) = rules::finish(&mut Parts(self, palette), finish, now);
        if changed && matches!(finish.op, Op::Put(_)) {
            self.data.apply(patch);
        }
        self.revision = self.revision.wrapping_add(changed.into());
        finished
    }

    /// Not before this instant may a sweep remove it.
    pub fn due(&self) -> Timestamp {
        let gone_at = match self.mark {
            Mark::Gone | Mark::GoneRemembered => self.rest.as_ref().and_then(|rest| rest.gone_at),
            Mark::Plain | Mark::Remembered => None,
        };
        gone_at.unwrap_or_else(|| self.deadline())
    }

    /// The earlier deadline, or an instant before it.
    #[inline]
    fn deadline(&self) -> Timestamp {
        self.idle_deadline.min(self.absolute_deadline).time()
    }

    /// The head, without what it shares.
    #[inline]
    fn head(&self, palette: &Palette) -> Head {
        let mut head = Head {
            id: self.id,
            version: self.version.into(),
            generation: 0,
            created_at: from_id(self.id, self.created_after),
            last_seen: Timestamp::MAX,
            authenticated_at: None,
            limits: palette.get(self.limits),
            idle_deadline: self.idle_deadline.time(),
            absolute_deadline: self.absolute_deadline.time(),
            user: None,
            client: None,
            remember: matches!(self.mark, Mark::Remembered | Mark::GoneRemembered),
        };
        let mut last_seen = None;
        if let Some(rest) = &self.rest {
            if let Some(wide) = &rest.wide {
                wide.unpack(&mut head);
            }
            head.generation = rest.generation;
            head.authenticated_at = rest.authenticated_at;
            last_seen = rest.last_seen;
        }
        let obvious = || obvious_last_seen(head.idle_deadline, head.limits, head.created_at);
        head.last_seen = last_seen.unwrap_or_else(obvious);
        head
    }

    /// Moves what it shares into a record; only [`pack`](Self::pack) makes it whole again.
    fn unpack(&mut self, palette: &Palette) -> Record {
        let mut record = Record {
            head: self.head(palette),
            secret: self.secret,
            rotated_at: None,
            lease: None,
            waiting_until: None,
            commits: Commits::from_array([self.commit, 0, 0, 0]),
            gone_at: None,
            data: std::mem::take(&mut self.data),
        };
        if let Some(rest) = &mut self.rest {
            rest.unpack(&mut record);
        }
        record
    }

    fn pack(&mut self, record: Record, palette: &mut Palette) {
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
        self.secret = secret;
        self.data = data;
        self.mark = match (gone_at.is_some(), head.remember) {
            (false, false) => Mark::Plain,
            (false, true) => Mark::Remembered,
            (true, false) => Mark::Gone,
            (true, true) => Mark::GoneRemembered,
        };
        let wide = self.pack_numbers(&head, palette);
        let obvious = obvious_last_seen(head.idle_deadline, head.limits, head.created_at);
        let last_seen = Some(head.last_seen).filter(|seen| *seen != obvious);
        let [commit, older @ ..] = commits.to_array();
        self.commit = commit;
        let rest = Rest {
            older: older.map(u128::to_ne_bytes),
            owner: lease.map_or(0, |lease| lease.owner.to_u128()).to_ne_bytes(),
            leased_until: lease.map(|lease| lease.until),
            waiting_until,
            rotated_at,
            generation: head.generation,
            last_seen,
            authenticated_at: head.authenticated_at,
            user: head.user,
            client: head.client,
            gone_at,
            wide,
        };
        match &mut self.rest {
            // Once it is there it stays: the next lock needs it again.
            Some(old) => **old = rest,
            None if rest.is_empty() => {}
            None => self.rest = Some(Box::new(rest)),
        }
    }

    /// Packs what is inline, and returns it whole if something does not fit.
    fn pack_numbers(&mut self, head: &Head, palette: &mut Palette) -> Option<Box<Wide>> {
        let created_after = after_id(self.id, head.created_at);
        let version = u32::try_from(head.version);
        let limits = palette.place(head.limits, self.limits);
        let idle = Millis::exact(head.idle_deadline);
        let absolute = Millis::exact(head.absolute_deadline);
        self.idle_deadline = idle.unwrap_or(Millis::LAST);
        self.absolute_deadline = absolute.unwrap_or(Millis::LAST);
        self.created_after = created_after.unwrap_or(0);
        self.version = version.unwrap_or(0);
        self.limits = limits.unwrap_or(0);
        let fits = created_after.is_some()
            && version.is_ok()
            && limits.is_some()
            && idle.is_some()
            && absolute.is_some();
        (!fits).then(|| {
            Box::new(Wide {
                version: head.version,
                created_at: head.created_at,
                limits: head.limits,
                idle_deadline: head.idle_deadline,
                absolute_deadline: head.absolute_deadline,
            })
        })
    }
}

impl Wide {
    fn unpack(&self, head: &mut Head) {
        head.version = self.version;
        head.created_at = self.created_at;
        head.limits = self.limits;
        head.idle_deadline = self.idle_deadline;
        head.absolute_deadline = self.absolute_deadline;
    }
}

impl Rest {
    /// Moves in what is not in the head yet.
    fn unpack(&mut self, record: &mut Record) {
        record.head.user = self.user.take();
        record.head.client = self.client.take();
        record.rotated_at = self.rotated_at;
        record.lease = self.lease();
        record.waiting_until = self.waiting_until;
        let [first, ..] = record.commits.to_array();
        let [second, third, fourth] = self.older.map(u128::from_ne_bytes);
        record.commits = Commits::from_array([first, second, third, fourth]);
        record.gone_at = self.gone_at;
    }

    fn lease(&self) -> Option<Lease> {
        self.leased_until.map(|until| Lease {
            owner: Owner::from_u128(u128::from_ne_bytes(self.owner)),
            until,
        })
    }

    fn is_empty(&self) -> bool {
        let Self {
            older,
            // Means nothing without the instant.
            owner: _,
            leased_until,
            waiting_until,
            rotated_at,
            generation,
            last_seen,
            authenticated_at,
            user,
            client,
            gone_at,
            wide,
        } = self;
        *older == [[0; 16]; 3]
            && leased_until.is_none()
            && waiting_until.is_none()
            && rotated_at.is_none()
            && *generation == 0
            && last_seen.is_none()
            && authenticated_at.is_none()
            && user.is_none()
            && client.is_none()
            && gone_at.is_none()
            && wide.is_none()
    }
}

/// When a session was last seen that nothing but touches has kept alive: an idle limit before its
/// idle deadline; at its creation if it has none, for then nothing is touched.
#[inline]
fn obvious_last_seen(idle: Timestamp, limits: Limits, created_at: Timestamp) -> Timestamp {
    if idle == Timestamp::MAX {
        created_at
    } else {
        idle.minus(limits.idle)
    }
}

#[inline]
fn from_id(id: SessionId, after: i16) -> Timestamp {
    Timestamp::from_millis(id.millis().saturating_add_signed(after.into()))
}

#[inline]
fn after_id(id: SessionId, time: Timestamp) -> Option<i16> {
    let [id, time] = [id.millis(), time.as_millis()].map(i64::try_from);
    i16::try_from(time.ok()?.checked_sub(id.ok()?)?).ok()
}

impl fmt::Debug for Slim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slim")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
