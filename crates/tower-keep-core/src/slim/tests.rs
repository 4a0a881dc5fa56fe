//! What goes in comes out, whatever it is.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::record::{HeadChange, NewSession};
use crate::store::Put;
use crate::unique::{CommitId, Owner};

const NOW: u64 = 1_700_000_000_000;

fn plain() -> Record {
    let now = Timestamp::from_millis(NOW);
    let new = NewSession {
        id: SessionId::new(now),
        secret: SecretHash::from_bytes([7; 32]),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    };
    Record::create(&new, now)
}

/// Often near each other, sometimes at the edges of what there is.
fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (NOW - 40_000..NOW + 40_000).prop_map(Timestamp::from_millis),
        1 => any::<u64>().prop_map(Timestamp::from_millis),
        1 => ((1_u64 << 48) - 3..(1_u64 << 48) + 3).prop_map(Timestamp::from_millis),
        1 => Just(Timestamp::MAX),
        1 => Just(Timestamp::from_millis(0)),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let span = prop_oneof![
        4 => (0_u64..3).prop_map(Duration::from_secs),
        1 => Just(Duration::MAX),
        1 => any::<u32>().prop_map(|n| Duration::from_nanos(n.into())),
    ];
    [span.clone(), span].prop_map(|[idle, absolute]| Limits { idle, absolute })
}

fn data() -> impl Strategy<Value = Data> {
    proptest::option::of(0_u32..100).prop_map(|n| {
        let json = n.map_or("{}".to_owned(), |n| format!(r#"{{"data":{{"n":{n}}}}}"#));
        Data::from_json(json.as_bytes(), 100).unwrap_or_default()
    })
}

prop_compose! {
    fn head()(
        version in prop_oneof![0_u64..5, any::<u64>()],
        generation in prop_oneof![Just(0_u64), any::<u64>()],
        [created_at, last_seen, idle_deadline, absolute_deadline] in
            [time(), time(), time(), time()],
        authenticated_at in proptest::option::of(time()),
        limits in limits(),
        user in proptest::option::of("[a-c]{0,3}"),
        client in any::<bool>(),
        remember in any::<bool>(),
    ) -> Head {
        Head {
            id: plain().head.id,
            version,
            generation,
            created_at,
            last_seen,
            authenticated_at,
            limits,
            idle_deadline,
            absolute_deadline,
            user: user.map(Arc::from),
            client: client.then(Arc::default),
            remember,
        }
    }
}

prop_compose! {
    fn record()(
        head in head(),
        secret in any::<[u8; 32]>(),
        [rotated_at, waiting_until, gone_at] in
            [(); 3].map(|()| proptest::option::of(time())),
        lease in proptest::option::of((any::<u128>(), time())),
        commits in prop_oneof![any::<u128>().prop_map(|n| [n, 0, 0, 0]), any::<[u128; 4]>()],
        data in data(),
    ) -> Record {
        Record {
            head,
            secret: SecretHash::from_bytes(secret),
            rotated_at,
            lease: lease.map(|(owner, until)| Lease { owner: Owner::from_u128(owner), until }),
            waiting_until,
            commits: Commits::from_array(commits),
            gone_at,
            data,
        }
    }
}

proptest! {
    /// Each overwrites the one before, so that nothing of that one may be left.
    #[test]
    fn records_come_out_as_they_went_in(records in proptest::collection::vec(record(), 1..6)) {
        let mut slim = Slim::new(plain());
        for (round, mut record) in (2..).zip(records) {
            record.head.id = slim.id();
            slim.change(|old| {
                *old = record.clone();
                ((), true)
            });
            let out = slim.record();
            prop_assert_eq!(out.to_bytes(), record.to_bytes());
            prop_assert_eq!(out.head.limits, record.head.limits);
            prop_assert_eq!(slim.revision(), Revision(round));
            let keep = Duration::from_secs(5);
            prop_assert_eq!(slim.is_sweepable(now(), keep), record.is_sweepable(now(), keep));
            prop_assert_eq!(slim.user(), record.head.user.as_ref());
            prop_assert_eq!(slim.lease(), record.lease);
            prop_assert_eq!(slim.is_gone(), record.gone_at.is_some());
            let is_live = record.gone_at.is_none() && !record.head.is_expired(now());
            prop_assert_eq!(slim.is_live(now()), is_live);
        }
    }
}

#[test]
fn it_is_as_small_as_the_documentation_says() {
    assert_eq!(size_of::<Slim>(), 168);
    assert_eq!((size_of::<Lock>(), size_of::<Rare>()), (72, 88));
}

#[test]
fn what_is_rare_has_no_room_before_it_is_needed() {
    let mut slim = Slim::new(plain());
    let boxes = |slim: &Slim| (slim.lock.is_some(), slim.rare.is_some());
    let touched = slim.change(|record| {
        let touched = record.touch(Duration::ZERO, now().plus(Duration::from_secs(60)));
        (touched, touched)
    });
    assert!(touched);
    assert_eq!(boxes(&slim), (false, false));
    // What nobody holds nobody needs to give up.
    slim.unlock();
    assert_eq!(boxes(&slim), (false, false));
    let open = |owner| Open {
        id: slim.id(),
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((Owner::from_u128(owner), Duration::from_secs(10))),
    };
    let [first, second] = [1, 2].map(open);
    assert!(matches!(slim.open(&first, now()), Opened::Granted(_)));
    assert_eq!(boxes(&slim), (true, false));
    assert!(matches!(slim.open(&second, now()), Opened::Busy(_)));
    assert_eq!(boxes(&slim), (true, true));
}

#[test]
fn limits_of_whole_seconds_are_usual() {
    let limits = |idle, absolute| Limits { idle, absolute };
    let [second, nano] = [Duration::from_secs(1), Duration::from_nanos(1)];
    let cases = [
        (limits(Duration::ZERO, second), true),
        (limits(second, u32::MAX * second), true),
        (limits(u32::MAX * second, second), true),
        (limits(second, u32::MAX * second + second), false),
        (limits(second, Duration::MAX), false),
        (limits(Duration::MAX, second), false),
        (limits(second + nano, second), false),
        (limits(second, second + nano), false),
    ];
    for (limits, usual) in cases {
        let mut record = plain();
        record.head.limits = limits;
        let slim = Slim::new(record);
        assert_eq!(slim.record().head.limits, limits);
        assert_eq!(slim.rare.is_none(), usual, "{limits:?}");
    }
}

/// The instants that [`time`] gives are around this one.
fn now() -> Timestamp {
    Timestamp::from_millis(NOW)
}

fn owner() -> impl Strategy<Value = Owner> {
    (1_u128..4).prop_map(Owner::from_u128)
}

fn lease() -> impl Strategy<Value = Option<(Owner, Duration)>> {
    proptest::option::of((owner(), Just(Duration::from_secs(10))))
}

prop_compose! {
    fn opens()(
        secret in proptest::option::of(0_u8..2),
        age in 0_u64..30,
        touch in proptest::option::of(0_u64..3),
        lease in lease(),
    ) -> Open {
        Open {
            id: plain().head.id,
            secret: secret.map(|n| SecretHash::from_bytes([n; 32])),
            age: Duration::from_secs(age),
            touch: touch.map(Duration::from_secs),
            lease,
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let change = || {
        (proptest::option::of(any::<bool>()), any::<bool>()).prop_map(|(remember, rotates)| {
            HeadChange {
                remember,
                secret: rotates.then(|| SecretHash::from_bytes([1; 32])),
                ..HeadChange::default()
            }
        })
    };
    prop_oneof![
        Just(Op::Release),
        Just(Op::Destroy),
        data().prop_map(Op::Merge),
        proptest::option::of(data()).prop_map(|data| Op::Put(Put {
            data,
            ..Put::default()
        })),
        (change(), proptest::option::of(data()))
            .prop_map(|(head, data)| Op::Put(Put { head, data })),
    ]
}

prop_compose! {
    fn finishes()(
        owner in owner(),
        version in 0_u64..6,
        commit in 0_u128..5,
        op in op(),
        next in lease(),
    ) -> Finish {
        let commit = CommitId::from_u128(commit);
        Finish { id: plain().head.id, owner, version, commit, op, next }
    }
}

prop_compose! {
    /// One that the requests above have a chance with.
    fn open_record()(
        mut record in record(),
        secret in 0_u8..2,
        alive in any::<bool>(),
        lease in proptest::option::of((owner(), time())),
        version in prop_oneof![4 => 0_u64..6, 1 => Just(u32::MAX.into())],
    ) -> Record {
        record.secret = SecretHash::from_bytes([secret; 32]);
        record.lease = lease.map(|(owner, until)| Lease { owner, until });
        record.head.version = version;
        if alive {
            record.gone_at = None;
            record.head.idle_deadline = now().plus(Duration::from_millis(1 + version * 500));
            record.head.absolute_deadline = now().plus(Duration::from_secs(60));
        }
        record
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_decides_as_a_record_does(
        mut record in open_record(),
        open in opens(),
        finish in finishes(),
        follows in any::<bool>(),
    ) {
        let mut slim = Slim::new(record.clone());
        let mut finish = finish;
        if follows {
            finish.version = record.head.version;
            finish.owner = open.lease.map_or(finish.owner, |(owner, _)| owner);
        }
        let (expected, opened) = record.open(&open, now());
        let decided = slim.open(&open, now());
        prop_assert_eq!(format!("{decided:?}"), format!("{expected:?}"));
        prop_assert_eq!(slim.record().to_bytes(), record.to_bytes());
        let (expected, finished) = record.finish(&finish, now());
        let decided = slim.finish(&finish, &Patch::default(), now());
        prop_assert_eq!(decided, (expected, finished));
        prop_assert_eq!(slim.record().to_bytes(), record.to_bytes());
        let changes = 1 + u64::from(opened) + u64::from(finished);
        prop_assert_eq!(slim.revision(), Revision(changes));
    }
}

#[test]
fn it_is_live_until_its_deadline() {
    let mut record = plain();
    record.head.idle_deadline = now();
    let slim = Slim::new(record);
    assert!(slim.is_live(now().minus(Duration::from_millis(1))));
    assert!(!slim.is_live(now()));
}

#[test]
fn a_patch_is_part_of_a_commit_and_of_nothing_else() {
    use crate::data::{DataLimits, Edit};
    let mut edit = Edit::new(Data::default(), DataLimits::default());
    edit.insert("n", &1).unwrap();
    let patch = edit.into_patch().unwrap();
    let owner = Owner::from_u128(1);
    let finish = |op| Finish {
        id: plain().head.id,
        owner,
        version: 1,
        commit: CommitId::from_u128(9),
        op,
        next: None,
    };
    let held = || {
        let until = now().plus(Duration::from_secs(10));
        let lease = Some(Lease { owner, until });
        Slim::new(Record { lease, ..plain() })
    };
    for (op, is_there) in [
        (Op::Put(Put::default()), true),
        (Op::Release, false),
        (Op::Destroy, false),
    ] {
        let mut slim = held();
        assert!(slim.finish(&finish(op), &patch, now()).1);
        assert_eq!(slim.record().data.get("n").is_some(), is_there);
    }
    // A commit that is refused, and one that is known.
    let mut other = held();
    let mut late = finish(Op::Put(Put::default()));
    late.version = 7;
    assert!(!other.finish(&late, &patch, now()).1);
    assert_eq!(other.record().data, Data::default());
    assert_eq!(other.revision(), Revision(1));
    other.unlock();
    assert_eq!(other.lease(), None);
}

#[test]
fn it_knows_its_last_commits() {
    let owner = Owner::from_u128(1);
    let until = now().plus(Duration::from_secs(10));
    let mut slim = Slim::new(Record {
        lease: Some(Lease { owner, until }),
        ..plain()
    });
    let finish = |commit: u64, version| Finish {
        id: plain().head.id,
        owner,
        version,
        commit: CommitId::from_u128(commit.into()),
        op: Op::Put(Put::default()),
        next: Some((owner, Duration::from_secs(10))),
    };
    let mut commit =
        |number, version| slim.finish(&finish(number, version), &Patch::default(), now());
    for number in 1..=5 {
        assert!(commit(number, number).1);
    }
    // Four are known, which changes nothing; the one before them is not, and `0` is none.
    for (number, known) in [
        (0, false),
        (1, false),
        (2, true),
        (3, true),
        (4, true),
        (5, true),
    ] {
        let (finished, changed) = commit(number, number);
        assert!(!changed);
        assert_eq!(matches!(finished, Finished::Done { .. }), known, "{number}");
    }
}

#[test]
fn what_is_printed_is_its_name_and_its_revision() {
    let slim = Slim::new(plain());
    let shown = format!("{slim:?}");
    assert_eq!(
        shown,
        format!("Slim {{ id: {}, revision: 1, .. }}", slim.id())
    );
}
