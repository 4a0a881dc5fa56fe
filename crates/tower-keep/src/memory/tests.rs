//! The store in memory: its queues, its capacity, and many threads at once.

mod capacity;
mod queue;
mod stress;
mod sweep;
mod users;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower_keep_core::data::{Data, Patch};
use tower_keep_core::{
    CommitId, Created, Finish, Finished, HeadChange, Limits, LocalOpened, LocalStore, NewSession,
    Op, Open, Opened, Owner, Put, SecretHash, SessionId, Timestamp, Turn,
};
use tower_keep_testkit::TestClock;

use super::MemoryStore;

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(10);
const SECRET: SecretHash = SecretHash::from_bytes([1; 32]);

fn store(capacity: usize) -> (MemoryStore, TestClock) {
    let clock = TestClock::new();
    let store = MemoryStore::with_clock(capacity, Arc::new(clock.clone()));
    (store, clock)
}

fn session(idle: Duration) -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_000)),
        secret: SECRET,
        commit: CommitId::unique(),
        limits: Limits {
            idle,
            ..Limits::default()
        },
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    }
}

impl MemoryStore {
    /// A new session that lasts so long.
    fn add(&self, idle: Duration) -> SessionId {
        let new = session(idle);
        let created = LocalStore::create(&*self.0, &new).unwrap();
        assert!(matches!(created, Created::Done(_)));
        new.id
    }

    fn ask(&self, id: SessionId, max_waiting: usize) -> (Owner, LocalOpened) {
        let owner = Owner::unique();
        let open = open(id, owner);
        (owner, self.0.acquire(&open, max_waiting))
    }

    fn hold(&self, id: SessionId) -> Owner {
        match self.ask(id, 64) {
            (owner, LocalOpened::Now(Opened::Granted(_))) => owner,
            (_, other) => panic!("{other:?}"),
        }
    }

    fn queue(&self, id: SessionId) -> Arc<Turn> {
        match self.ask(id, 64) {
            (_, LocalOpened::Queued(turn)) => turn,
            (_, other) => panic!("{other:?}"),
        }
    }

    fn end(&self, id: SessionId, owner: Owner, op: Op) -> Finished {
        let version = self.record(id).map_or(0, |record| record.head.version);
        let finish = Finish {
            id,
            owner,
            version,
            commit: CommitId::unique(),
            op,
            next: None,
        };
        LocalStore::finish(&*self.0, &finish, &Patch::default()).unwrap()
    }

    fn release(&self, id: SessionId, owner: Owner) {
        let finished = self.end(id, owner, Op::Release);
        assert!(matches!(finished, Finished::Done { .. }), "{finished:?}");
    }

    fn owner(&self, id: SessionId) -> Option<Owner> {
        self.record(id)?.lease.map(|lease| lease.owner)
    }
}

fn open(id: SessionId, owner: Owner) -> Open {
    Open {
        id,
        secret: Some(SECRET),
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, LEASE)),
    }
}

fn rotation() -> Op {
    let head = HeadChange {
        secret: Some(SecretHash::from_bytes([2; 32])),
        ..HeadChange::default()
    };
    Op::Put(Put { head, data: None })
}

fn asked_by(turn: &Turn) -> Option<Owner> {
    turn.open().lease.map(|(owner, _)| owner)
}

/// The answer, if there is one.
fn answer(turn: &Turn) -> Option<Opened> {
    match turn.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(opened) => Some(opened),
        Poll::Pending => None,
    }
}

fn is_granted(turn: &Turn) -> bool {
    matches!(answer(turn), Some(Opened::Granted(_)))
}
