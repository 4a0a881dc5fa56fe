//! What a head and its changes say and do.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[test]
fn the_ring_remembers_four_commits() {
    let ids: Vec<_> = (1..=6).map(CommitId::from_u128).collect();
    let mut ring = Commits::default();
    for id in &ids {
        ring.push(*id);
    }
    assert_eq!(ring.to_array(), [6, 5, 4, 3]);
    assert!(ring.contains(ids[2]) && !ring.contains(ids[1]));
    assert!(!Commits::default().contains(CommitId::from_u128(0)));
}

fn head() -> Head {
    let new = NewSession {
        id: SessionId::new(NOW),
        secret: SecretHash::from_bytes([1; 32]),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: Some("ada".into()),
        cap: None,
        authenticated: true,
        client: None,
        remember: false,
        data: Data::default(),
    };
    Record::create(&new, NOW).head
}

#[test]
fn a_session_ends_at_the_earlier_deadline() {
    let mut head = head();
    assert_eq!(head.deadline(), head.idle_deadline);
    head.idle_deadline = head.absolute_deadline.plus(SECOND);
    assert_eq!(head.deadline(), head.absolute_deadline);
    assert!(!head.is_expired(head.deadline().minus(Duration::from_millis(1))));
    assert!(head.is_expired(head.deadline()));
}

#[test]
fn every_change_counts_and_changes_what_it_names() {
    let (old, now) = (head(), NOW.plus(SECOND));
    let none = HeadChange::default;
    let changed = |change: HeadChange| {
        assert!(!change.is_empty(), "{change:?}");
        let mut head = old.clone();
        change.apply(&mut head, now);
        assert_eq!(head.version, old.version, "that is the commit's");
        head
    };
    let secret = Some(SecretHash::from_bytes([2; 32]));
    assert_eq!(changed(HeadChange { secret, ..none() }).generation, 1);
    let left = changed(HeadChange {
        user: Some(None),
        ..none()
    });
    assert_eq!((left.user, left.authenticated_at), (None, None));
    assert_eq!(left.generation, 0, "without a new secret");
    let proved = changed(HeadChange {
        authenticated: true,
        ..none()
    });
    assert_eq!(proved.authenticated_at, Some(now));
    let anchored = changed(HeadChange {
        anchor: true,
        ..none()
    });
    let absolute = now.plus(old.limits.absolute);
    assert_eq!(anchored.absolute_deadline, absolute);
    let limits = Limits {
        idle: SECOND,
        absolute: 2 * SECOND,
    };
    let limited = changed(HeadChange {
        limits: Some(limits),
        ..none()
    });
    assert_eq!(limited.limits, limits);
    assert_eq!(limited.idle_deadline, now.plus(SECOND));
    assert_eq!(limited.absolute_deadline, old.absolute_deadline);
    for (extend, moves) in [(9_000 * SECOND, true), (SECOND, false)] {
        let extended = changed(HeadChange {
            extend: Some(extend),
            ..none()
        });
        let far = if moves {
            now.plus(extend)
        } else {
            old.idle_deadline
        };
        assert_eq!(extended.idle_deadline, far);
    }
    let client = Some(Arc::new(Client::default()));
    assert!(changed(HeadChange { client, ..none() }).client.is_some());
    let remember = Some(true);
    assert!(changed(HeadChange { remember, ..none() }).remember);
}

#[test]
fn no_change_is_empty_and_a_cap_alone_is_none() {
    assert!(HeadChange::default().is_empty());
    let capped = HeadChange {
        cap: Some(UserCap::refuse(1)),
        ..HeadChange::default()
    };
    assert!(capped.is_empty());
}

#[test]
fn what_is_printed_names_the_session_and_neither_user_nor_client() {
    let shown = format!("{:?}", head());
    assert!(
        shown.contains("version: 1") && !shown.contains("ada"),
        "{shown}"
    );
    let client = Client {
        ip: None,
        user_agent: Some("browser".into()),
    };
    assert_eq!(format!("{client:?}"), "Client(..)");
    let commits = Commits::from_array([0xab, 0, 0, 0]);
    assert_eq!(format!("{commits:?}"), format!("[{:032x}]", 0xab));
}
