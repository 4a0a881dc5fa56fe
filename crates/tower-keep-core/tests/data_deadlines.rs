//! Values that are gone from a moment on.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::time::Duration;

use tower_keep_core::Timestamp;
use tower_keep_core::data::{Data, DataError, DataLimits, Edit, Literal, MergeLog};

const CREATED: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// The last instant in front of it.
fn just_before(span: Duration) -> Duration {
    span.saturating_sub(MILLI)
}

/// The data as a request opens them so long after the session's creation.
fn open(data: &Data, age: Duration) -> Edit {
    let now = CREATED.plus(age);
    Edit::opened(data.clone(), DataLimits::default(), CREATED, now)
}

/// What a request makes of the data so long after the session's creation.
fn change(data: &Data, age: Duration, request: impl FnOnce(&mut Edit)) -> Data {
    let mut edit = open(data, age);
    request(&mut edit);
    edit.into_data().unwrap()
}

/// `a` is over at 105 s, `b` at 107 s.
fn two() -> Data {
    change(&Data::default(), 100 * SECOND, |edit| {
        edit.insert_for("a", &1, 5 * SECOND).unwrap();
        let until = CREATED.plus(107 * SECOND);
        edit.insert_until("b", &2, until).unwrap();
    })
}

fn keys(data: &Data) -> Vec<&str> {
    data.iter().map(|(key, _)| key).collect()
}

#[test]
fn a_value_is_there_up_to_its_deadline_and_not_at_it() {
    let data = two();
    for (age, there) in [
        (just_before(105 * SECOND), &["a", "b"][..]),
        (105 * SECOND, &["b"]),
        (just_before(107 * SECOND), &["b"]),
        (107 * SECOND, &[]),
    ] {
        let edit = open(&data, age);
        assert_eq!(edit.keys(), there, "{age:?}");
        assert_eq!(edit.has("a"), there.contains(&"a"));
    }
}

#[test]
fn what_is_over_is_no_change_and_goes_with_the_next_one() {
    let data = two();
    let mut edit = open(&data, 106 * SECOND);
    assert!(!edit.is_changed());
    let (stored, patch) = edit.take_parts().unwrap();
    assert!(patch.is_empty());
    assert_eq!(stored, data, "the patch is to what is stored");
    let data = change(&data, 106 * SECOND, |edit| edit.insert("c", &3).unwrap());
    assert_eq!(keys(&data), ["\u{1}deadlines", "b", "c"]);
    let data = change(&data, 108 * SECOND, |edit| edit.insert("c", &4).unwrap());
    assert_eq!(keys(&data), ["c"]);
}

#[test]
fn what_is_over_can_be_set_again() {
    for value in [1, 2] {
        let again = change(&two(), 106 * SECOND, |edit| {
            edit.insert("a", &value).unwrap();
        });
        let later = open(&again, 1_000 * SECOND);
        assert_eq!(later.get::<u32>("a").unwrap(), Some(value));
        assert_eq!(later.keys(), ["a"]);
        let dated = change(&two(), 106 * SECOND, |edit| {
            edit.insert_for("a", &value, 2 * SECOND).unwrap();
        });
        assert_eq!(open(&dated, just_before(108 * SECOND)).keys(), ["a"]);
        assert!(open(&dated, 108 * SECOND).is_empty());
    }
}

#[test]
fn another_way_to_set_a_value_takes_its_deadline_away() {
    let late = 1_000 * SECOND;
    let after = |request: fn(&mut Edit)| change(&two(), 101 * SECOND, request);
    let permanent = after(|edit| edit.insert("a", &1).unwrap());
    assert_eq!(open(&permanent, late).keys(), ["a"]);
    let flash = after(|edit| edit.flash("a", &1).unwrap());
    assert_eq!(open(&flash, late).keys(), ["a"]);
    let moved = after(|edit| edit.insert_for("a", &1, 9 * SECOND).unwrap());
    assert_eq!(open(&moved, just_before(110 * SECOND)).keys(), ["a"]);
    assert!(open(&moved, 110 * SECOND).is_empty());
    let removed = after(|edit| assert_eq!(edit.remove::<u32>("a").unwrap(), Some(1)));
    assert_eq!(keys(&removed), ["\u{1}deadlines", "b"]);
    assert!(after(Edit::clear).is_empty());
    // What is changed inside keeps it.
    let counted = after(|edit| assert_eq!(edit.increment("a", 1).unwrap(), 2));
    assert_eq!(open(&counted, 105 * SECOND).keys(), ["b"]);
}

#[test]
fn a_deadline_that_has_passed_removes_the_value() {
    let data = two();
    let now = CREATED.plus(101 * SECOND);
    let at_once = change(&data, 101 * SECOND, |edit| {
        edit.insert_for("a", &1, Duration::ZERO).unwrap();
        edit.insert_until("b", &2, now).unwrap();
    });
    assert!(at_once.is_empty());
    let just = change(&data, 101 * SECOND, |edit| {
        edit.insert_for("a", &1, MILLI).unwrap();
        edit.insert_until("b", &2, now.plus(MILLI)).unwrap();
    });
    assert_eq!(open(&just, 101 * SECOND).keys(), ["a", "b"]);
}

#[test]
fn a_new_session_takes_the_instant_that_it_is_told() {
    let new = || Edit::new(Data::default(), DataLimits::default());
    let mut edit = new();
    edit.insert_until("a", &1, CREATED).unwrap();
    assert!(edit.has("a"), "it does not know the time");
    let mut edit = new();
    edit.assume_now(CREATED);
    edit.assume_now(CREATED.minus(SECOND));
    edit.insert_until("a", &1, CREATED).unwrap();
    assert!(!edit.has("a"), "it is told once");
}

#[test]
fn only_what_stands_at_the_top_has_a_deadline() {
    let mut edit = open(&Data::default(), SECOND);
    let refused = edit.insert_for("p.x", &1, SECOND);
    assert!(matches!(refused, Err(DataError::NestedDeadline { key }) if key == "p.x"));
    edit.insert_for(Literal("p.x"), &1, SECOND).unwrap();
    // Now there is one of exactly this text.
    edit.insert_for("p.x", &2, SECOND).unwrap();
    assert_eq!(edit.get::<u32>("p.x").unwrap(), Some(2));
    assert!(edit.insert_for("", &1, SECOND).is_err());
}

#[test]
fn a_deadline_that_cannot_be_read_is_over() {
    for deadline in ["true", "[]", "[1", "-1", "\"5000\""] {
        let json = format!(r#"{{"data":{{"a":1}},"keep":{{"deadlines":{{"a":{deadline}}}}}}}"#);
        if let Ok(data) = Data::from_json(json.as_bytes(), 1_000) {
            assert!(open(&data, Duration::ZERO).is_empty(), "{deadline}");
        }
    }
}

#[test]
fn a_copy_as_saved_has_what_will_be_there() {
    let mut edit = open(&two(), 106 * SECOND);
    edit.insert("c", &3).unwrap();
    edit.flash_now("d", &4).unwrap();
    let saved = edit.saved().unwrap();
    assert_eq!(saved.keys(), ["b", "c"]);
    assert!(!saved.is_changed() && edit.has("d"));
    let small = DataLimits {
        max_size: 10,
        ..DataLimits::default()
    };
    let mut full = Edit::new(Data::default(), small);
    full.insert("a", &"too much").unwrap();
    assert!(matches!(full.saved(), Err(DataError::TooLarge { .. })));
}

#[test]
fn a_merge_dates_what_it_sets_by_its_own_time() {
    let mut log = MergeLog::default();
    let was = open(&Data::default(), 10 * SECOND);
    let mut edit = was.clone();
    log.insert_for(&mut edit, "a", &1, 5 * SECOND).unwrap();
    let until = CREATED.plus(16 * SECOND);
    log.insert_until(&mut edit, "b", &2, until).unwrap();
    assert!(log.writes());
    assert_eq!(edit.keys(), ["a", "b"]);
    let newest = change(&Data::default(), 11 * SECOND, |edit| {
        edit.insert_for("c", &3, 60 * SECOND).unwrap();
    });
    let merged = log
        .replay(was, open(&newest, 12 * SECOND))
        .unwrap()
        .unwrap();
    let merged = merged.into_data().unwrap();
    assert_eq!(
        open(&merged, just_before(15 * SECOND)).keys(),
        ["a", "b", "c"]
    );
    assert_eq!(open(&merged, 15 * SECOND).keys(), ["b", "c"]);
    assert_eq!(open(&merged, 16 * SECOND).keys(), ["c"]);
}
