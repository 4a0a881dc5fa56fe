//! The one record of a world.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Finish, Finished, HeadChange, Limits, NewSession, Op, Open, Opened, Owner, Put,
    Record, SecretHash, SessionId, Timestamp,
};

use super::world::{Reply, Verb};
use crate::lock::line::Ending;

/// The store's time, which stands still; a lease runs out by being cut short.
const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const SPAN: Duration = Duration::from_secs(10);
const SECRET: SecretHash = SecretHash::from_bytes([1; 32]);

/// The record, which decides as every store does.
#[derive(Debug, Clone)]
pub(super) struct Store(Record);

impl Store {
    pub(super) fn new() -> Self {
        let new = NewSession {
            id: SessionId::new(NOW),
            secret: SECRET,
            commit: CommitId::from_u128(1),
            limits: Limits::default(),
            extend: None,
            user: None,
            cap: None,
            authenticated: false,
            client: None,
            remember: false,
            data: Data::default(),
        };
        Self(Record::create(&new, NOW))
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        self.0.lease.map(|lease| lease.owner)
    }

    pub(super) fn token(&mut self) -> Option<&mut Owner> {
        self.0.lease.as_mut().map(|lease| &mut lease.owner)
    }

    /// The lease runs out; whose it was.
    pub(super) fn lapse(&mut self) -> Option<Owner> {
        let lease = self.0.lease.as_mut()?;
        lease.until = NOW;
        Some(lease.owner)
    }

    pub(super) fn is_rotated(&self) -> bool {
        !self.0.secret.matches(&SECRET)
    }

    pub(super) fn has_live_lease(&self) -> bool {
        self.0.lease.is_some_and(|lease| lease.until > NOW)
    }

    pub(super) fn version(&self) -> u64 {
        self.0.head.version
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.gone_at.is_some() || self.0.head.is_expired(NOW)
    }

    pub(super) fn destroy(&mut self) {
        self.0.destroy(NOW);
    }

    pub(super) fn expire(&mut self) {
        self.0.head.idle_deadline = NOW;
    }

    pub(super) fn apply(&mut self, verb: Verb) -> Reply {
        let id = self.0.head.id;
        match verb {
            Verb::Open { owner, age } => {
                let open = Open {
                    id,
                    secret: Some(SECRET),
                    age: Duration::from_secs(u64::from(age)),
                    touch: None,
                    lease: Some((owner, SPAN)),
                };
                match self.0.open(&open, NOW).0 {
                    Opened::Granted(view) => Reply::Granted(view.head.version),
                    Opened::Busy(_) => Reply::Busy,
                    Opened::Stale => Reply::Stale,
                    Opened::Absent => Reply::Absent,
                    Opened::Expired => Reply::Expired,
                }
            }
            Verb::Finish {
                owner,
                version,
                request,
                next,
            } => {
                let secret = Some(SecretHash::from_bytes([2; 32]));
                let put = |secret| {
                    let head = HeadChange {
                        secret,
                        ..HeadChange::default()
                    };
                    Op::Put(Put { head, data: None })
                };
                let finish = Finish {
                    id,
                    owner,
                    version,
                    commit: CommitId::from_u128(request.map_or(99, |(r, _)| 100 + u128::from(r))),
                    op: match request {
                        Some((_, Ending::Commit)) => put(None),
                        Some((_, Ending::Invalidate)) => put(secret),
                        Some((_, Ending::Release)) | None => Op::Release,
                    },
                    next: next.map(|next| (next, SPAN)),
                };
                match self.0.finish(&finish, NOW).0 {
                    Finished::Done {
                        version, waiting, ..
                    } => Reply::Done {
                        version,
                        waiting,
                        handed: next.is_some() && self.owner() == next,
                    },
                    Finished::Lost => Reply::Lost,
                    Finished::Gone => Reply::Gone,
                    Finished::Unknown => Reply::Unknown,
                }
            }
        }
    }

    fn key(&self) -> impl Hash + Eq + use<> {
        let record = &self.0;
        (
            record.lease.map(|lease| (lease.owner, lease.until > NOW)),
            record.waiting_until.is_some(),
            record.head.version,
            record.commits.to_array(),
            (record.gone_at.is_some(), record.head.is_expired(NOW)),
            *record.secret.as_bytes(),
        )
    }
}

impl PartialEq for Store {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Store {}

impl Hash for Store {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
