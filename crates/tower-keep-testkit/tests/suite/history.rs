//! The checker of histories: every planted anomaly is found, and told by its name.

use tower_keep_core::SessionId;
use tower_keep_testkit::history::{Action, Call, Effect, Event, History, Kind, Outcome, State};

pub(crate) fn session() -> SessionId {
    "0190a5d0-0000-7000-8000-000000000001".parse().unwrap()
}

const ADD: Action = write(false);
const BLIND: Action = write(true);
const ROTATE: Action = Action::Write {
    effect: Effect {
        add: 0,
        note: false,
        user: false,
        secret: true,
    },
    blind: false,
};

const fn write(blind: bool) -> Action {
    let effect = Effect::add(1);
    Action::Write { effect, blind }
}

/// What those see who come after these increments.
fn after(list: &[u64]) -> Outcome {
    Outcome::saw(State {
        list: list.to_vec(),
        count: i64::try_from(list.len()).unwrap(),
        ..State::default()
    })
}

const BLINDLY: Outcome = Outcome::Done {
    saw: None,
    secret: None,
};

fn rotated(list: &[u64], name: u64) -> Outcome {
    let Outcome::Done { saw, .. } = after(list) else {
        panic!("they see");
    };
    Outcome::Done {
        saw,
        secret: Some(name),
    }
}

/// Operations with their numbers, secrets, actions, times and outcomes.
type Row = (u64, Option<u64>, Action, u64, u64, Outcome);

fn found(rows: &[Row]) -> Vec<Kind> {
    let mut history = History::default();
    for (id, secret, action, called, returned, outcome) in rows.iter().cloned() {
        let session = session();
        let call = Call {
            id,
            session,
            secret,
            action,
        };
        // As processes write it down.
        for event in [
            Event::Called(called, call),
            Event::Returned(returned, id, outcome),
        ] {
            history.add(event.to_string().parse().unwrap());
        }
    }
    let anomalies = history.check();
    for anomaly in &anomalies {
        println!("{anomaly}");
    }
    anomalies.into_iter().map(|anomaly| anomaly.kind).collect()
}

#[test]
fn a_lost_update_is_found() {
    let rows = [
        (1, None, ADD, 0, 1, after(&[])),
        (2, None, BLIND, 2, 3, BLINDLY),
        (3, None, ADD, 4, 5, after(&[1])),
        (4, None, Action::Read, 6, 7, after(&[1, 3])),
    ];
    assert_eq!(found(&rows), [Kind::Stale(3, 2)].map(|_| Kind::Lost(2)));
}

#[test]
fn two_winners_are_found() {
    let rows = [
        (1, None, ADD, 0, 10, after(&[])),
        (2, None, ADD, 0, 10, after(&[])),
        (3, None, Action::Read, 20, 30, after(&[2])),
    ];
    assert_eq!(found(&rows), [Kind::TwoWinners(1, 2)]);
}

#[test]
fn a_duplicated_append_is_found() {
    let rows = [
        (1, None, ADD, 0, 1, after(&[])),
        (2, None, Action::Read, 2, 3, after(&[1, 1])),
    ];
    assert_eq!(found(&rows), [Kind::Duplicated(1, 2)]);
    let rows = [
        (1, None, ADD, 0, 1, after(&[])),
        (2, None, ADD, 2, 3, after(&[1])),
        (3, None, Action::Read, 4, 5, after(&[1, 2, 1])),
    ];
    assert_eq!(found(&rows), [Kind::Duplicated(1, 3)]);
}

#[test]
fn a_read_that_is_stale_after_an_acknowledged_write_is_found() {
    let rows = [
        (1, None, ADD, 0, 1, after(&[])),
        (2, None, Action::Read, 2, 3, after(&[])),
        (3, None, Action::Read, 4, 5, after(&[1])),
    ];
    assert_eq!(found(&rows), [Kind::Stale(2, 1)]);
}

#[test]
fn a_read_that_was_rolled_back_is_found() {
    // The write has no outcome: it may be there or not, but not go again.
    let rows = [
        (1, None, ADD, 0, 1, Outcome::Unknown),
        (2, None, Action::Read, 2, 3, after(&[1])),
        (3, None, Action::Read, 4, 5, after(&[])),
    ];
    assert_eq!(found(&rows), [Kind::Stale(3, 2)]);
}

#[test]
fn a_resurrection_after_destroy_is_found() {
    let end = (2, None, Action::End, 2, 3, BLINDLY);
    for back in [
        (3, None, Action::Read, 4, 5, after(&[1])),
        (3, None, ADD, 4, 5, after(&[1])),
        (3, None, BLIND, 4, 5, BLINDLY),
    ] {
        let rows = [(1, None, ADD, 0, 1, after(&[])), end.clone(), back];
        let found = found(&rows);
        assert!(found.contains(&Kind::Resurrected(3, 2)), "{found:?}");
    }
    // Nobody heard of the end, and somebody saw it.
    let rows = [
        (1, None, Action::End, 0, 1, Outcome::Unknown),
        (2, None, Action::Read, 2, 3, Outcome::Absent),
        (3, None, Action::Read, 4, 5, after(&[])),
    ];
    assert_eq!(found(&rows), [Kind::Resurrected(3, 2)]);
}

#[test]
fn a_missing_acknowledged_write_is_found() {
    let rows = [
        (1, None, ADD, 0, 1, after(&[])),
        (2, None, ADD, 2, 3, after(&[1])),
        (3, None, Action::Read, 4, 5, after(&[1])),
    ];
    assert_eq!(found(&rows), [Kind::Lost(2)]);
    let rows = [
        (1, None, BLIND, 0, 1, BLINDLY),
        (2, None, Action::Read, 4, 5, after(&[])),
    ];
    assert_eq!(found(&rows), [Kind::Lost(1)]);
}

#[test]
fn reordered_appends_are_found() {
    let rows = [
        (1, None, BLIND, 0, 9, BLINDLY),
        (2, None, BLIND, 0, 9, BLINDLY),
        (3, None, Action::Read, 0, 9, after(&[1, 2])),
        (4, None, Action::Read, 0, 9, after(&[2, 1])),
    ];
    assert!(matches!(found(&rows)[..], [Kind::Reordered(3 | 4, 3 | 4)]));
    // The list has one order, and the clock another.
    let rows = [
        (1, None, BLIND, 0, 1, BLINDLY),
        (2, None, BLIND, 2, 3, BLINDLY),
        (3, None, Action::Read, 4, 5, after(&[2, 1])),
    ];
    assert_eq!(found(&rows), [Kind::Stale(2, 1)]);
}

#[test]
fn a_counter_that_does_not_go_with_the_list_is_found() {
    let mut wrong = after(&[1]);
    if let Outcome::Done { saw: Some(saw), .. } = &mut wrong {
        saw.count = 2;
    }
    let rows = [
        (1, None, ADD, 0, 1, after(&[])),
        (2, None, Action::Read, 2, 3, wrong),
    ];
    assert_eq!(found(&rows), [Kind::Inconsistent(2)]);
}

#[test]
fn what_nobody_wrote_and_what_was_refused_is_found() {
    let rows = [
        (1, None, ADD, 0, 1, Outcome::Refused),
        (2, None, Action::Read, 2, 3, after(&[1, 7])),
    ];
    assert_eq!(
        found(&rows),
        [Kind::RefusedIsThere(1), Kind::Invented(7, 2)]
    );
}

#[test]
fn a_secret_that_was_replaced_opens_nothing() {
    let count = |n| {
        Outcome::saw(State {
            list: (1..=n).collect(),
            ..State::default()
        })
    };
    let rows = [
        (1, Some(10), ROTATE, 0, 1, rotated(&[], 11)),
        (2, Some(10), Action::Read, 2, 3, Outcome::Absent),
        (3, Some(11), Action::Read, 2, 3, count(1)),
    ];
    assert_eq!(found(&rows), []);
    let rows = [
        (1, Some(10), ROTATE, 0, 1, rotated(&[], 11)),
        (2, Some(10), Action::Read, 2, 3, count(1)),
    ];
    assert_eq!(found(&rows), [Kind::WrongSecret(2)]);
    let rows = [
        (1, Some(10), ROTATE, 0, 1, rotated(&[], 11)),
        (2, Some(11), Action::Read, 2, 3, Outcome::Absent),
    ];
    assert_eq!(found(&rows), [Kind::Vanished(2)]);
    // It was told before anybody had asked for a new secret.
    let rows = [
        (2, Some(10), Action::Read, 0, 1, Outcome::Absent),
        (1, Some(10), ROTATE, 2, 3, rotated(&[], 11)),
    ];
    assert_eq!(found(&rows), [Kind::Stale(1, 2)]);
}

#[test]
fn an_end_that_missed_a_write_is_found() {
    let rows = [
        (1, None, ADD, 0, 9, after(&[])),
        (2, None, Action::End, 0, 9, after(&[])),
    ];
    assert_eq!(found(&rows), [Kind::Stale(2, 1)]);
}

#[test]
fn lines_that_were_cut_off_are_told() {
    let event = Event::Returned(1, 12, after(&[1, 23]));
    let line = event.to_string();
    assert_eq!(line.parse(), Ok(event));
    for cut in 0..line.len() {
        assert!(line[..cut].parse::<Event>().is_err(), "{}", &line[..cut]);
    }
}
