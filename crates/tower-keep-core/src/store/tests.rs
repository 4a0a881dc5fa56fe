//! What requests and answers say about themselves, and what a store that adds nothing can do.

use std::sync::Mutex;

use super::*;
use crate::error::StoreErrorKind;
use crate::record::Limits;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn new_session(user: Option<&str>) -> NewSession {
    NewSession {
        id: SessionId::new(NOW),
        secret: SecretHash::from_bytes([1; 32]),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: user.map(Into::into),
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    }
}

fn finish(op: Op) -> Finish {
    Finish {
        id: SessionId::new(NOW),
        owner: Owner::unique(),
        version: 1,
        commit: CommitId::unique(),
        op,
        next: None,
    }
}

#[test]
fn a_finish_says_whose_the_session_becomes() {
    let cap = Some(UserCap::refuse(3));
    let put = |user| {
        let head = HeadChange {
            user,
            cap,
            ..HeadChange::default()
        };
        finish(Op::Put(Put { head, data: None }))
    };
    let joining = put(Some(Some("ada".into())));
    assert_eq!(joining.joins(), Some(("ada", cap)));
    let leaving = put(Some(None));
    for other in [
        &leaving,
        &put(None),
        &finish(Op::Destroy),
        &finish(Op::Release),
    ] {
        assert_eq!(other.joins(), None);
    }
    for changing in [&joining, &leaving, &finish(Op::Destroy)] {
        assert!(changing.changes_user());
    }
    for keeping in [
        put(None),
        finish(Op::Release),
        finish(Op::Merge(Data::default())),
    ] {
        assert!(!keeping.changes_user());
        assert_eq!(keeping.joins(), None);
    }
}

#[test]
fn every_record_is_counted_once() {
    let mut stats = Stats::default();
    let mut gone = Record::create(&new_session(Some("ada")), NOW);
    gone.destroy(NOW);
    let mut expired = Record::create(&new_session(Some("ada")), NOW);
    expired.head.idle_deadline = NOW;
    let live = Record::create(&new_session(None), NOW);
    let hers = Record::create(&new_session(Some("ada")), NOW);
    let counted = [(gone, 4), (expired, 3), (live, 2), (hers, 5)];
    for (record, times) in &counted {
        for _ in 0..*times {
            stats.count(record, NOW);
        }
    }
    let expected = Stats {
        live: 7,
        with_user: 5,
        expired: 3,
        tombstones: 4,
    };
    assert_eq!(stats, expected);
}

#[test]
fn a_sweep_is_of_a_thousand_and_says_how_many_it_took() {
    let sweep = Sweep::default();
    let kept = Duration::from_secs(600);
    assert_eq!((sweep.limit, sweep.keep_tombstones), (1_000, kept));
    let swept = Swept {
        expired: vec![SessionId::new(NOW); 3],
        tombstones: 4,
        more: false,
    };
    assert_eq!(swept.removed(), 7);
}

/// A store of `look` and `cas`, and of nothing else, which knows one record.
struct Shelf {
    record: Mutex<Option<(Record, Revision)>>,
    /// How often somebody else changes the record first.
    rivals: Mutex<usize>,
    fails: bool,
}

impl Shelf {
    fn new() -> Self {
        Self {
            record: Mutex::new(None),
            rivals: Mutex::new(0),
            fails: false,
        }
    }
}

impl SessionStore for Shelf {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        if self.fails {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "it is closed"));
        }
        let record = self.record.lock().unwrap().clone();
        let record = record.filter(|(record, _)| record.head.id == id);
        Ok(Looked { record, now: NOW })
    }

    async fn cas(&self, _: SessionId, expect: Expect, new: &Record) -> Result<bool, StoreError> {
        let mut record = self.record.lock().unwrap();
        let mut rivals = self.rivals.lock().unwrap();
        if *rivals > 0 {
            *rivals -= 1;
            if let Some((_, revision)) = &mut *record {
                revision.0 += 1;
            }
        }
        let next = match (&*record, expect) {
            (None, Expect::Absent) => Revision(1),
            (Some((_, found)), Expect::Revision(revision)) if *found == revision => {
                Revision(found.0 + 1)
            }
            _ => return Ok(false),
        };
        *record = Some((new.clone(), next));
        Ok(true)
    }

    async fn sweep(&self, _: Sweep) -> Result<Swept, StoreError> {
        Ok(Swept::default())
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }
}

#[tokio::test]
async fn every_verb_follows_from_look_and_cas() {
    let shelf = Shelf::new();
    let new = new_session(None);
    let (owner, lease) = (Owner::unique(), Duration::from_secs(10));
    let open = Open {
        id: new.id,
        secret: Some(new.secret),
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, lease)),
    };
    let put = Finish {
        id: new.id,
        owner,
        ..finish(Op::Put(Put::default()))
    };
    // Of what is not there nothing comes.
    assert!(matches!(shelf.open(&open).await.unwrap(), Opened::Absent));
    assert_eq!(shelf.finish(&put).await.unwrap(), Finished::Gone);
    assert!(!shelf.renew(new.id, owner, lease).await.unwrap());
    assert!(!shelf.destroy(new.id).await.unwrap());
    assert!(shelf.record.lock().unwrap().is_none());
    // Of what is there each verb decides as the record does, and writes down what it decided.
    let revision = || shelf.record.lock().unwrap().as_ref().map(|(_, r)| r.0);
    assert_eq!(shelf.create(&new).await.unwrap(), Created::Done(NOW));
    assert_eq!(shelf.create(&new).await.unwrap(), Created::Done(NOW));
    let other = NewSession {
        commit: CommitId::unique(),
        ..new.clone()
    };
    assert_eq!(shelf.create(&other).await.unwrap(), Created::Collision);
    assert_eq!(revision(), Some(1));
    assert!(matches!(
        shelf.open(&open).await.unwrap(),
        Opened::Granted(_)
    ));
    assert_eq!(revision(), Some(2));
    assert!(shelf.renew(new.id, owner, 2 * lease).await.unwrap());
    assert_eq!(revision(), Some(3));
    for _ in 0..2 {
        let done = shelf.finish(&put).await.unwrap();
        assert!(
            matches!(done, Finished::Done { version: 2, .. }),
            "{done:?}"
        );
        assert_eq!(revision(), Some(4), "the second time it is known");
    }
    assert!(!shelf.renew(new.id, owner, lease).await.unwrap());
    assert_eq!(revision(), Some(4));
    for alive in [true, false] {
        assert_eq!(shelf.destroy(new.id).await.unwrap(), alive);
        assert_eq!(revision(), Some(5));
    }
}

#[tokio::test]
async fn who_loses_against_others_tries_again_and_not_for_ever() {
    let mut shelf = Shelf::new();
    let new = new_session(None);
    shelf.create(&new).await.unwrap();
    for (rivals, gets_there) in [(255, true), (256, false)] {
        shelf.rivals = Mutex::new(rivals);
        let destroyed = shelf.destroy(new.id).await;
        match destroyed {
            Ok(destroyed) => assert!(destroyed && gets_there),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                assert!(!gets_there);
            }
        }
        shelf.record = Mutex::new(Some((Record::create(&new, NOW), Revision(1))));
    }
}

#[tokio::test]
async fn a_store_that_adds_nothing_has_no_abilities_and_answers_a_ping_by_looking() {
    let mut shelf = Shelf::new();
    assert_eq!(
        (shelf.name(), shelf.stats().await.unwrap()),
        ("other", None)
    );
    assert!(shelf.wakeups().is_none() && shelf.users().is_none());
    assert!(shelf.scan().is_none() && shelf.local().is_none());
    assert!(shelf.ping().await.is_ok());
    shelf.fails = true;
    let error = shelf.ping().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
