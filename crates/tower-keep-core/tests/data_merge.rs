//! A request's steps, done again on data that have changed meanwhile.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_keep_core::data::{Data, DataError, DataLimits, Edit, Literal, MergeLog};

fn data(json: &Value) -> Data {
    Data::from_json(json!({ "data": json }).to_string().as_bytes(), 1 << 16).unwrap()
}

fn edit(data: &Data) -> Edit {
    Edit::new(data.clone(), DataLimits::default())
}

fn text(edit: Edit) -> String {
    String::from_utf8(edit.into_data().unwrap().to_json()).unwrap()
}

/// What a request that ran on `was` makes of `is`; `None` for a conflict.
fn merged(
    was: &Value,
    is: &Value,
    request: impl FnOnce(&mut MergeLog, &mut Edit),
) -> Result<Option<Value>, DataError> {
    let (was, is) = (data(was), data(is));
    let (mut log, mut seen) = (MergeLog::default(), edit(&was));
    request(&mut log, &mut seen);
    let merged = log.replay(edit(&was), edit(&is))?;
    Ok(merged.map(|edit| Value::Object(edit.all().unwrap())))
}

#[test]
fn counters_and_pushes_commute() {
    let merged = merged(
        &json!({"n": 1, "list": [1]}),
        &json!({"n": 5, "list": [1, 2], "new": true}),
        |log, edit| {
            log.increment(edit, "n", 1).unwrap();
            log.increment(edit, "m.deep", -2).unwrap();
            log.push(edit, "list", &9).unwrap();
            log.push(edit, "fresh", &0).unwrap();
        },
    );
    assert_eq!(
        merged.unwrap().unwrap(),
        json!({"n": 6, "m": {"deep": -2}, "list": [1, 2, 9], "fresh": [0], "new": true})
    );
}

#[test]
fn nested_paths_under_one_key_merge() {
    let merged = merged(
        &json!({"cart": {"a": 1}}),
        &json!({"cart": {"a": 1, "b": 2}}),
        |log, edit| log.insert(edit, "cart.c", &3).unwrap(),
    );
    let expected = json!({"cart": {"a": 1, "b": 2, "c": 3}});
    assert_eq!(merged.unwrap().unwrap(), expected);
}

#[test]
fn an_equal_write_counts() {
    let merged = merged(&json!({"a": 1}), &json!({"a": 2}), |log, edit| {
        log.insert(edit, "a", &1).unwrap();
        assert!(!edit.is_changed() && log.writes());
    });
    assert_eq!(merged.unwrap().unwrap(), json!({"a": 1}));
}

/// What a request looks at.
type Look = fn(&mut MergeLog, &mut Edit);

#[test]
fn what_was_read_must_be_as_it_was() {
    let cases: [(Look, Value, Value, bool); 15] = [
        (
            |l, e| l.read(e, "a"),
            json!({"a": 1}),
            json!({"a": 2}),
            false,
        ),
        (
            |l, e| l.read(e, "a"),
            json!({"a": 1}),
            json!({"a": 1, "b": 2}),
            true,
        ),
        (|l, e| l.read(e, "a"), json!({}), json!({"a": null}), false),
        (
            |l, e| l.read(e, "a"),
            json!({"a": {"x": 1}}),
            json!({"a": {"x": 2}}),
            false,
        ),
        (
            |l, e| l.read(e, "a.x"),
            json!({"a": {"x": 1}}),
            json!({"a": {"x": 1, "y": 2}}),
            true,
        ),
        (
            |l, e| l.read(e, "a.x"),
            json!({"a": {"x": 1}}),
            json!({"a": 1}),
            false,
        ),
        // A literal key would have won.
        (
            |l, e| l.read(e, "a.x"),
            json!({"a": {"x": 1}}),
            json!({"a": {"x": 1}, "a.x": 2}),
            false,
        ),
        (
            |l, e| l.read(e, Literal("a.x")),
            json!({"a": {"x": 1}}),
            json!({"a": {"x": 2}}),
            true,
        ),
        // An element counts as its array.
        (
            |l, e| l.read(e, "a.0"),
            json!({"a": [1]}),
            json!({"a": [1, 2]}),
            false,
        ),
        (
            |l, e| l.insert(e, "a.0.x", &1).unwrap(),
            json!({"a": [{}]}),
            json!({"a": [{}, 2]}),
            false,
        ),
        (
            |l, e| l.push(e, "a", &1).unwrap(),
            json!({"a": []}),
            json!({"a": [2]}),
            true,
        ),
        (
            |l, _| l.read_all(),
            json!({"a": 1}),
            json!({"a": 1, "b": 2}),
            false,
        ),
        (|l, _| l.read_all(), json!({"a": 1}), json!({"a": 1}), true),
        // That something failed tells what is there.
        (
            |l, e| assert!(l.increment(e, "a", 1).is_err()),
            json!({"a": "x"}),
            json!({"a": 1}),
            false,
        ),
        (
            |l, e| assert_eq!(l.remove::<u8>(e, "a").unwrap(), Some(1)),
            json!({"a": 1}),
            json!({"a": 2}),
            false,
        ),
    ];
    for (index, (look, was, is, agrees)) in cases.into_iter().enumerate() {
        let merged = merged(&was, &is, look).unwrap();
        assert_eq!(merged.is_some(), agrees, "case {index}: {was} {is}");
    }
}

#[test]
fn what_was_written_before_is_not_what_others_wrote() {
    let merged = merged(&json!({"a": 1}), &json!({"a": 2}), |log, edit| {
        log.insert(edit, "a", &7).unwrap();
        log.read(edit, "a");
    });
    assert_eq!(merged.unwrap().unwrap(), json!({"a": 7}));
}

#[test]
fn a_step_that_fails_now_writes_nothing() {
    let request: Look = |log, edit| log.increment(edit, "a", 1).unwrap();
    let error = merged(&json!({"a": 1}), &json!({"a": "x"}), request).unwrap_err();
    assert!(matches!(error, DataError::WrongType { .. }));
    let error = merged(&json!({}), &json!({"a": i64::MAX}), request).unwrap_err();
    assert!(matches!(error, DataError::Overflow { .. }));
}

#[test]
fn all_or_none_of_several_values() {
    let merged = merged(&json!({}), &json!({"b": 1}), |log, edit| {
        assert!(log.insert_all(edit, [("a", 1), ("", 2)]).is_err());
        assert!(edit.is_empty() && !log.writes());
        log.insert_all(edit, [("a", 1), ("c", 2)]).unwrap();
    });
    assert_eq!(merged.unwrap().unwrap(), json!({"a": 1, "b": 1, "c": 2}));
}

/// The data after the steps of a request that opened them at this version.
fn after(data: &Data, version: u64, request: impl FnOnce(&mut Edit)) -> Data {
    let mut edit = edit(data).at_version(version);
    edit.age_flash();
    request(&mut edit);
    edit.into_data().unwrap()
}

#[test]
fn flash_values_age_once_for_requests_at_once() {
    let start = after(&Data::default(), 1, |edit| {
        edit.flash("status", "a").unwrap();
    });
    let merge = |base: &Data, newest: &Data| {
        let (mut log, mut edit) = (MergeLog::default(), edit(base).at_version(2));
        log.age_flash(&mut edit);
        assert_eq!(edit.get::<String>("status").unwrap().unwrap(), "a");
        log.read_flashes(&edit);
        let newest = Edit::new(newest.clone(), DataLimits::default()).at_version(3);
        log.replay(Edit::new(base.clone(), DataLimits::default()), newest)
            .unwrap()
            .map(|edit| edit.into_data().unwrap())
    };
    // Nobody else was there.
    let alone = merge(&start, &start).unwrap();
    assert!(after(&alone, 4, |_| {}).get("status").is_none());
    // Two requests show the same message; it is gone in the one after both.
    let first = after(&start, 2, |_| {});
    let both = merge(&start, &first).unwrap();
    assert_eq!(both.to_json(), first.to_json());
    assert!(after(&both, 4, |_| {}).get("status").is_none());
    // A message of the same name that came meanwhile was not shown yet.
    let newer = after(&first, 3, |edit| edit.flash("status", "a").unwrap());
    let merged = merge(&start, &newer).unwrap();
    let shown = after(&merged, 5, |_| {});
    assert_eq!(shown.get("status"), Some(&b"\"a\""[..]));
    assert!(after(&shown, 6, |_| {}).get("status").is_none());
}

#[test]
fn who_saw_flash_values_sees_the_same_ones() {
    let flash = |text: &str| after(&Data::default(), 1, |edit| edit.flash("f", text).unwrap());
    let (was, other) = (flash("a"), flash("b"));
    let mut log = MergeLog::default();
    log.read_flashes(&edit(&was));
    assert!(log.replay(edit(&was), edit(&was)).unwrap().is_some());
    assert!(log.replay(edit(&was), edit(&other)).unwrap().is_none());
}

/// What a request does through the log is what it would do to the data, there and in the merge.
#[test]
fn every_step_is_that_of_the_edit() {
    type Logged = fn(&mut MergeLog, &mut Edit);
    type Direct = fn(&mut Edit);
    let cases: [(&str, Logged, Direct); 10] = [
        ("nothing", |_, _| {}, |_| {}),
        (
            "insert",
            |log, edit| log.insert(edit, "a", &2).unwrap(),
            |edit| edit.insert("a", &2).unwrap(),
        ),
        (
            "remove_all",
            |log, edit| log.remove_all(edit, ["a", "list.0"]),
            |edit| {
                edit.remove_all(["a", "list.0"]);
            },
        ),
        (
            "flash",
            |log, edit| log.flash(edit, "f", &3).unwrap(),
            |edit| edit.flash("f", &3).unwrap(),
        ),
        (
            "flash_now",
            |log, edit| log.flash_now(edit, "a", &4).unwrap(),
            |edit| edit.flash_now("a", &4).unwrap(),
        ),
        (
            "reflash",
            |log, edit| log.reflash(edit),
            |edit| edit.reflash(),
        ),
        (
            "keep",
            |log, edit| log.keep(edit, "old"),
            |edit| edit.keep("old"),
        ),
        (
            "age_flash",
            |log, edit| log.age_flash(edit),
            |edit| edit.age_flash(),
        ),
        (
            "wrote_system, a value",
            |log, edit| {
                edit.system_insert("csrf", "x").unwrap();
                log.wrote_system(edit, "csrf");
            },
            |edit| edit.system_insert("csrf", "x").unwrap(),
        ),
        (
            "wrote_system, none any more",
            |log, edit| {
                edit.system_remove("ip");
                log.wrote_system(edit, "ip");
            },
            |edit| {
                edit.system_remove("ip");
            },
        ),
    ];
    // There is a flash value that goes with this request, and one that an earlier one has kept.
    let start = after(&data(&json!({"a": 1, "list": [1, 2]})), 1, |edit| {
        edit.system_insert("ip", "::1").unwrap();
        edit.flash("old", &1).unwrap();
    });
    let start = after(&start, 2, |_| {});
    let mut results = Vec::new();
    for (name, logged, direct) in cases {
        let (mut log, mut through, mut expected) =
            (MergeLog::default(), edit(&start), edit(&start));
        logged(&mut log, &mut through);
        direct(&mut expected);
        let merged = log.replay(edit(&start), edit(&start)).unwrap().unwrap();
        assert_eq!(through.all().unwrap(), expected.all().unwrap(), "{name}");
        assert_eq!(merged.all().unwrap(), expected.all().unwrap(), "{name}");
        let expected = text(expected);
        assert_eq!(text(through), expected, "{name}");
        assert_eq!(text(merged), expected, "{name}");
        assert_eq!(log.writes(), name != "nothing");
        results.push(expected);
    }
    // None of them is without effect.
    let nothing = results.remove(0);
    assert!(results.iter().all(|result| *result != nothing));
}

#[test]
fn debug_shows_no_content() {
    let (mut log, mut edit) = (MergeLog::default(), edit(&Data::default()));
    log.insert(&mut edit, "password", "hunter2").unwrap();
    assert_eq!(format!("{log:?}"), "MergeLog { steps: 1 }");
}

/// One step of a request.
#[derive(Debug, Clone)]
enum Step {
    Get(String),
    Keys,
    Insert(String, Value),
    Remove(String),
    Take(String),
    Push(String, u8),
    Add(String, i8),
    Flash(String, u8),
}

fn keys() -> impl Strategy<Value = String> {
    let keys = ["a", "b", "a.x", "a.x.y", "a.0", "a.1.x", "b.x"];
    prop::sample::select(keys.to_vec()).prop_map(str::to_owned)
}

fn values() -> impl Strategy<Value = Value> {
    let values = [
        json!(0),
        json!(1),
        json!("s"),
        json!({}),
        json!([]),
        json!({"x": 1}),
        json!({"x": {"y": 2}}),
        json!([1, {"x": 2}]),
        Value::Null,
    ];
    prop::sample::select(values.to_vec())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        keys().prop_map(Step::Get),
        Just(Step::Keys),
        (keys(), values()).prop_map(|(key, value)| Step::Insert(key, value)),
        keys().prop_map(Step::Remove),
        keys().prop_map(Step::Take),
        (keys(), 0..3_u8).prop_map(|(key, value)| Step::Push(key, value)),
        (keys(), -2..3_i8).prop_map(|(key, by)| Step::Add(key, by)),
        (keys(), 0..3_u8).prop_map(|(key, value)| Step::Flash(key, value)),
    ];
    prop::collection::vec(step, 0..6)
}

/// Runs a request, and tells everything that it has seen.
fn run(steps: &[Step], log: &mut MergeLog, edit: &mut Edit) -> Vec<String> {
    let mut seen = Vec::new();
    let failed = |result: Result<(), DataError>| result.is_err().to_string();
    for step in steps {
        seen.push(match step {
            Step::Get(key) => {
                log.read(edit, key);
                format!("{:?}", edit.get::<Value>(key).unwrap())
            }
            Step::Keys => {
                log.read_all();
                format!("{:?}", edit.all().unwrap())
            }
            Step::Insert(key, value) => failed(log.insert(edit, key, value)),
            Step::Remove(key) => {
                log.remove_all(edit, key);
                String::new()
            }
            Step::Take(key) => format!("{:?}", log.remove::<Value>(edit, key).unwrap()),
            Step::Push(key, value) => failed(log.push(edit, key, value)),
            Step::Add(key, by) => failed(log.increment(edit, key, i64::from(*by))),
            Step::Flash(key, value) => failed(log.flash(edit, key, value)),
        });
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// A merge is the request run on the newest data, and only if it sees the same there.
    #[test]
    fn a_merge_is_as_if_the_request_came_later(first in steps(), mine in steps(), others in steps()) {
        let mut start = edit(&Data::default());
        run(&first, &mut MergeLog::default(), &mut start);
        let start = start.into_data().unwrap();
        let newest = after(&start, 2, |edit| {
            run(&others, &mut MergeLog::default(), edit);
        });

        let (mut log, mut here) = (MergeLog::default(), edit(&start));
        let seen = run(&mine, &mut log, &mut here);
        let mut later = edit(&newest);
        let seen_later = run(&mine, &mut MergeLog::default(), &mut later);

        match log.replay(edit(&start), edit(&newest)) {
            Ok(Some(merged)) => {
                prop_assert_eq!(seen, seen_later);
                prop_assert_eq!(text(merged), text(later));
            }
            Ok(None) => {}
            // Only where the request would have been told.
            Err(_) => prop_assert_ne!(seen, seen_later),
        }
        // Nothing came between.
        let again = log.replay(edit(&start), edit(&start)).unwrap().unwrap();
        prop_assert_eq!(text(again), text(here));
    }
}
