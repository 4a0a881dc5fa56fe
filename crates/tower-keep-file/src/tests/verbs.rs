//! Steps that write, each with the state before it and what tells the state after it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    Clock, CommitId, Created, Finish, Finished, HeadChange, Limits, NewSession, Op, Open, Opened,
    Owner, Put, SecretHash, SessionId, StoreError, Sweep, Timestamp, UserCap,
};

use super::NOW;
use crate::file::Stored;
use crate::shard::Shard;
use crate::steps::Steps;
use crate::{Durability, FileStore};

pub(crate) const OWNER: Owner = Owner::from_u128(1);
const CREATION: CommitId = CommitId::from_u128(2);
const COMMIT: CommitId = CommitId::from_u128(3);
/// Who logs in, with one session at most.
pub(crate) const USER: &str = "ada";
const LEASE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Lease,
    Renew,
    Commit,
    Login,
    Release,
    FinishDestroy,
    Destroy,
    Sweep,
}

pub(crate) const VERBS: [Verb; 9] = [
    Verb::Create,
    Verb::Lease,
    Verb::Renew,
    Verb::Commit,
    Verb::Login,
    Verb::Release,
    Verb::FinishDestroy,
    Verb::Destroy,
    Verb::Sweep,
];

/// A clock that stands still.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A store whose time is `after` the creation of its sessions.
fn at(dir: &Path, after: Duration, durability: Durability) -> Steps {
    let clock = Arc::new(Still(NOW.plus(after)));
    let builder = FileStore::builder(dir).clock(clock).durability(durability);
    builder.make().unwrap()
}

pub(crate) fn new_session(id: SessionId) -> NewSession {
    NewSession {
        id,
        secret: SecretHash::from_bytes([7; 32]),
        commit: CREATION,
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::from_json(br#"{"data":{"n":1}}"#, 1024).unwrap(),
    }
}

fn leasing(id: SessionId) -> Open {
    Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((OWNER, LEASE)),
    }
}

fn finish(id: SessionId, op: Op) -> Finish {
    Finish {
        id,
        owner: OWNER,
        version: 1,
        commit: COMMIT,
        op,
        next: None,
    }
}

impl Verb {
    /// The store for the verb.
    pub(crate) fn steps(self, dir: &Path, durability: Durability) -> Steps {
        let after = match self {
            Self::Sweep => Duration::from_secs(1_000_000),
            _ => Duration::from_secs(1),
        };
        at(dir, after, durability)
    }

    /// Makes the state before the verb.
    pub(crate) fn prepare(self, dir: &Path, id: SessionId) {
        let steps = at(dir, Duration::ZERO, Durability::NoSync);
        if self != Self::Create {
            steps.create(&new_session(id)).unwrap();
        }
        if matches!(
            self,
            Self::Renew | Self::Commit | Self::Login | Self::Release | Self::FinishDestroy
        ) {
            let opened = steps.open(&leasing(id)).unwrap();
            assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
        }
    }

    /// Does it, and tells whether the answer is that of who is the first to do it.
    pub(crate) fn run(self, steps: &Steps, id: SessionId) -> Result<bool, StoreError> {
        let done = |finished| matches!(finished, Finished::Done { .. });
        Ok(match self {
            Self::Create => matches!(steps.create(&new_session(id))?, Created::Done(_)),
            Self::Lease => matches!(steps.open(&leasing(id))?, Opened::Granted(_)),
            Self::Renew => steps.renew(id, OWNER, LEASE)?,
            Self::Commit => {
                let data = Some(Data::from_json(br#"{"data":{"n":2}}"#, 1024).unwrap());
                let put = Put {
                    data,
                    ..Put::default()
                };
                done(steps.commit(&finish(id, Op::Put(put)))?)
            }
            Self::Login => {
                let head = HeadChange {
                    user: Some(Some(USER.into())),
                    cap: Some(UserCap::refuse(1)),
                    ..HeadChange::default()
                };
                let put = Op::Put(Put { head, data: None });
                done(steps.commit(&finish(id, put))?)
            }
            Self::Release => done(steps.commit(&finish(id, Op::Release))?),
            Self::FinishDestroy => done(steps.commit(&finish(id, Op::Destroy))?),
            Self::Destroy => steps.destroy(None, id)?,
            Self::Sweep => steps.sweep(Sweep::default())?.expired.len() == 1,
        })
    }

    /// Whether a second try, made when the first had its effect, is answered like the first.
    pub(crate) fn can_be_retried(self) -> bool {
        !matches!(self, Self::Release | Self::Destroy | Self::Sweep)
    }

    /// Whether it is answered only when a power cut cannot undo it.
    pub(crate) fn lasts(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Commit | Self::Login | Self::FinishDestroy | Self::Destroy
        )
    }

    /// Whether this is the state after it; that before it is known to the byte.
    pub(crate) fn has_happened(self, stored: Option<&Stored>) -> bool {
        let record = stored.map(|stored| &stored.record);
        match self {
            Self::Sweep => record.is_none(),
            _ => record.is_some_and(|record| match self {
                Self::Lease => record.lease.is_some_and(|lease| lease.owner == OWNER),
                Self::Renew => record
                    .lease
                    .is_some_and(|lease| lease.until > NOW.plus(LEASE)),
                Self::Release => record.lease.is_none(),
                Self::Login => record.head.user.as_deref() == Some(USER),
                Self::Commit => record.head.version == 2 && record.data.get("n") == Some(&b"2"[..]),
                Self::FinishDestroy | Self::Destroy => record.gone_at.is_some(),
                Self::Create | Self::Sweep => record.head.version == 1,
            }),
        }
    }
}

/// What is stored, which must be readable.
pub(crate) fn stored(steps: &Steps, id: SessionId) -> Option<Stored> {
    let shard = steps.shard(Shard::index_of(id));
    steps.load(&shard, id).unwrap()
}
