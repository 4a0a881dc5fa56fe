//! The rules of reading and changing a session's data, one by one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_keep_core::data::{Data, DataError, DataLimits, Edit, KeyFault, Kind, Literal};

fn edit(data: &Value) -> Edit {
    let stored = json!({ "data": data }).to_string();
    let data = Data::from_json(stored.as_bytes(), usize::MAX).unwrap();
    Edit::new(data, DataLimits::default())
}

/// What would be saved, without the library's own entries.
fn saved(edit: &Edit) -> Value {
    let json = edit.clone().into_data().unwrap().to_json();
    let mut stored: Value = serde_json::from_slice(&json).unwrap();
    stored["data"].take()
}

fn next_request(edit: Edit) -> Edit {
    let json = edit.into_data().unwrap().to_json();
    let data = Data::from_json(&json, usize::MAX).unwrap();
    let mut edit = Edit::new(data, DataLimits::default());
    edit.age_flash();
    edit
}

mod reading {
    use super::*;

    #[test]
    fn get_decodes_or_says_what_is_there() {
        let edit = edit(&json!({"views": 3, "name": "Ann", "none": null}));
        assert_eq!(edit.get::<u64>("views").unwrap(), Some(3));
        assert_eq!(edit.get::<u64>("missing").unwrap(), None);
        assert_eq!(edit.get::<Option<u64>>("none").unwrap(), Some(None));
        let error = edit.get::<u64>("name").unwrap_err();
        assert!(
            matches!(&error, DataError::WrongType { key, expected: "u64", found: Kind::String } if key == "name"),
            "{error:?}"
        );
        let error = edit.get::<i8>(Literal("none")).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::WrongType {
                    found: Kind::Null,
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn defaults_stand_in_for_what_is_missing_only() {
        let edit = edit(&json!({"views": 3, "name": "Ann"}));
        assert_eq!(edit.get_or("views", 9).unwrap(), 3);
        assert_eq!(edit.get_or("missing", 9).unwrap(), 9);
        assert_eq!(edit.get_or_default::<String>("missing").unwrap(), "");
        assert!(edit.get_or("name", 9).is_err());
        assert!(edit.get_or_default::<u8>("name").is_err());
    }

    #[test]
    fn raw_text_is_as_stored() {
        let data = Data::from_json(br#"{"data":{"a":{"b":[1.0,18446744073709551616]}}}"#, 999);
        let edit = Edit::new(data.unwrap(), DataLimits::default());
        assert_eq!(edit.get_raw("a.b.1"), Some(&b"18446744073709551616"[..]));
        assert_eq!(edit.get_raw("a.b.0"), Some(&b"1.0"[..]));
        assert_eq!(edit.get::<u128>("a.b.1").unwrap(), Some(1 << 64));
    }

    #[test]
    fn has_is_present_and_not_null_contains_key_is_present() {
        let edit = edit(&json!({"a": 0, "n": null, "m": {"n": null}}));
        assert!(edit.has("a") && edit.has(["a", "m"]) && edit.has(Literal("a")));
        assert!(!edit.has("n") && !edit.has("m.n") && !edit.has(["a", "n"]) && !edit.has("x"));
        assert!(edit.contains_key("n") && edit.contains_key(vec!["a", "m.n"]));
        assert!(!edit.contains_key(&["a", "x"][..]));
        let none: [&str; 0] = [];
        assert!(edit.has(none) && edit.contains_key(none));
    }

    #[test]
    fn all_keys_and_len_show_the_users_data() {
        let mut edit = edit(&json!({"b": 1, "a": [true]}));
        edit.system_insert("csrf", "token").unwrap();
        edit.flash("f", &1).unwrap();
        edit.flash_now("g", &2).unwrap();
        edit.remove_all("b");
        assert_eq!(
            Value::from(edit.all().unwrap()),
            json!({"a": [true], "f": 1, "g": 2})
        );
        assert_eq!(edit.keys(), ["a", "f", "g"]);
        assert_eq!((edit.len(), edit.is_empty()), (3, false));
        edit.clear();
        assert_eq!(
            (edit.len(), edit.is_empty(), edit.keys()),
            (0, true, vec![])
        );
    }

    #[test]
    fn what_no_value_can_hold_is_an_error_not_a_guess() {
        let data = Data::from_json(br#"{"data":{"a":1e400}}"#, 99).unwrap();
        let edit = Edit::new(data, DataLimits::default());
        assert!(matches!(edit.all(), Err(DataError::Value { .. })));
    }

    #[test]
    fn invalid_keys_are_absent() {
        let mut edit = edit(&json!({"a": {"": {"b": 1}}}));
        edit.system_insert("csrf", &json!({"x": 1})).unwrap();
        for key in ["", ".", "a.", "a..b", ".a", "\u{1}csrf", "\u{1}csrf.x"] {
            assert_eq!(edit.get::<Value>(key).unwrap(), None, "{key:?}");
            assert_eq!(edit.get::<Value>(Literal(key)).unwrap(), None, "{key:?}");
            assert!(!edit.contains_key(key), "{key:?}");
            assert_eq!(edit.remove::<Value>(key).unwrap(), None, "{key:?}");
            assert_eq!(edit.remove_all(key), 0, "{key:?}");
        }
        assert_eq!(
            edit.system_get::<Value>("csrf").unwrap(),
            Some(json!({"x": 1}))
        );
    }
}

mod paths {
    use super::*;

    #[test]
    fn a_literal_top_level_key_wins_in_every_accessor() {
        let stored = json!({"a.b": 1, "a": {"b": 2, "c": 3}});
        let mut edit = edit(&stored);
        assert_eq!(edit.get::<u8>("a.b").unwrap(), Some(1));
        assert_eq!(edit.increment("a.b", 4).unwrap(), 5);
        edit.insert("a.b", &json!([])).unwrap();
        edit.push("a.b", &6).unwrap();
        assert!(edit.has("a.b"));
        assert_eq!(saved(&edit), json!({"a.b": [6], "a": {"b": 2, "c": 3}}));
        assert_eq!(edit.remove::<Vec<u8>>("a.b").unwrap(), Some(vec![6]));
        assert_eq!(saved(&edit), json!({"a": {"b": 2, "c": 3}}));
        assert_eq!(edit.get::<u8>("a.b").unwrap(), Some(2));
        assert_eq!(edit.remove_all("a.b"), 1);
        assert_eq!(saved(&edit), json!({"a": {"c": 3}}));
    }

    #[test]
    fn a_literal_key_never_leads_anywhere() {
        let mut edit = edit(&json!({"a": {"b": 2}}));
        assert!(!edit.contains_key(Literal("a.b")));
        assert_eq!(edit.remove_all(Literal("a.b")), 0);
        edit.insert(Literal("a.b"), &1).unwrap();
        edit.insert(Literal("x..y"), &1).unwrap();
        edit.insert("x..y", &2).unwrap();
        assert_eq!(saved(&edit), json!({"a": {"b": 2}, "a.b": 1, "x..y": 2}));
    }

    #[test]
    fn insert_creates_maps_and_replaces_scalars() {
        let mut edit = edit(&json!({"s": "text", "n": null, "l": [{"q": 1}]}));
        edit.insert("m.a.b", &1).unwrap();
        edit.insert("s.a", &2).unwrap();
        edit.insert("n.0", &3).unwrap();
        edit.insert("l.0.q", &4).unwrap();
        edit.insert("l.1.q", &5).unwrap();
        assert_eq!(
            saved(&edit),
            json!({
                "m": {"a": {"b": 1}}, "s": {"a": 2}, "n": {"0": 3}, "l": [{"q": 4}, {"q": 5}],
            })
        );
    }

    #[test]
    fn arrays_are_kept() {
        let mut edit = edit(&json!({"l": [1, 2]}));
        let error = edit.insert("l.3", &0).unwrap_err();
        assert!(
            matches!(&error, DataError::Index { key, index: 3, len: 2 } if key == "l"),
            "{error:?}"
        );
        let error = edit.insert("l.name", &0).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::WrongType {
                    found: Kind::Array,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!edit.is_changed());
    }

    #[test]
    fn removing_a_leaf_keeps_its_parent_and_shifts_arrays() {
        let mut edit = edit(&json!({"a": {"b": 1}, "l": [1, 2, 3]}));
        assert_eq!(edit.remove::<u8>("a.b").unwrap(), Some(1));
        assert_eq!(edit.remove::<u8>("l.0").unwrap(), Some(1));
        assert_eq!(edit.remove_all(["l.1", "l.1", "x.y", "a.b.c"]), 1);
        assert_eq!(saved(&edit), json!({"a": {}, "l": [2]}));
    }

    #[test]
    fn what_is_beside_a_change_stays_byte_for_byte() {
        let json = br#"{"data":{"a":{"big":18446744073709551616,"f":1.0,"n":1}}}"#;
        let data = Data::from_json(json, 999).unwrap();
        let mut edit = Edit::new(data, DataLimits::default());
        edit.increment("a.n", 1).unwrap();
        assert_eq!(
            edit.into_data().unwrap().to_json(),
            br#"{"data":{"a":{"big":18446744073709551616,"f":1.0,"n":2}}}"#
        );
    }

    #[test]
    fn keys_are_checked_on_writing() {
        fn fault(result: Result<(), DataError>) -> KeyFault {
            match result {
                Err(DataError::InvalidKey { fault, .. }) => fault,
                other => panic!("{other:?}"),
            }
        }
        let mut edit = edit(&json!({}));
        let long = "k".repeat(256);
        let too_long = KeyFault::TooLong { len: 256, max: 255 };
        assert_eq!(fault(edit.insert("", &1)), KeyFault::Empty);
        assert_eq!(fault(edit.insert(&long, &1)), too_long);
        assert_eq!(fault(edit.push("a\0", &1)), KeyFault::Control);
        assert_eq!(fault(edit.flash("\u{1}flash", &1)), KeyFault::Control);
        assert_eq!(
            fault(edit.increment("a..b", 1).map(drop)),
            KeyFault::EmptySegment
        );
        assert_eq!(fault(edit.insert("a.", &1)), KeyFault::EmptySegment);
        assert_eq!(fault(edit.flash_now(Literal(""), &1)), KeyFault::Empty);
        edit.insert(&long[1..], &1).unwrap();
        assert_eq!(edit.len(), 1);
    }

    #[test]
    fn the_error_shows_of_a_long_key_its_beginning() {
        let limits = DataLimits {
            max_key: 9,
            ..DataLimits::default()
        };
        let mut edit = Edit::new(Data::default(), limits);
        for (len, end) in [(64, ""), (65, "…")] {
            let Err(DataError::InvalidKey { key, .. }) = edit.insert("k".repeat(len), &1) else {
                panic!("{len} are too many");
            };
            assert_eq!(key, "k".repeat(64) + end);
        }
    }

    #[test]
    fn a_key_from_outside_has_room_up_to_the_last_byte() {
        for (len, fits) in [(65_534, true), (65_535, false)] {
            let json = format!(r#"{{"data":{{"{}":1}}}}"#, "k".repeat(len));
            let data = Data::from_json(json.as_bytes(), usize::MAX);
            assert_eq!(data.is_ok(), fits, "{len}");
        }
    }

    #[test]
    fn what_is_side_by_side_is_not_deep() {
        for one in ["[]", "{}"] {
            let json = format!(r#"{{"data":{{"a":[{}]}}}}"#, vec![one; 200].join(","));
            assert!(Data::from_json(json.as_bytes(), usize::MAX).is_ok());
        }
    }

    #[test]
    fn depth_is_limited_where_it_arises() {
        let mut edit = Edit::new(
            Data::default(),
            DataLimits {
                max_key: 999,
                ..DataLimits::default()
            },
        );
        let path = |parts: usize| vec!["a"; parts].join(".");
        edit.insert(path(101), &1).unwrap();
        assert!(edit.all().is_ok());
        let too_deep = |result| matches!(result, Err(DataError::TooDeep { max: 100, .. }));
        assert!(too_deep(edit.insert(path(102), &1)));
        assert!(too_deep(edit.insert(path(101), &json!([]))));
        edit.insert(path(100), &json!([])).unwrap();
        assert!(too_deep(edit.push(path(100), &json!([]))));
        edit.push(path(100), &1).unwrap();
        let json = edit.into_data().unwrap().to_json();
        assert!(Data::from_json(&json, 9999).is_ok());
    }
}

mod writing {
    use super::*;

    #[test]
    fn an_equal_value_is_no_change() {
        let mut edit = edit(&json!({"n": 1, "m": {"a": 1, "b": {"c": [1, 2]}}, "s": "x"}));
        edit.insert("n", &1).unwrap();
        edit.insert("s", "x").unwrap();
        edit.insert("m.b.c.1", &2).unwrap();
        edit.increment("n", 0).unwrap();
        let map: HashMap<&str, Value> = [("b", json!({"c": [1, 2]})), ("a", json!(1))].into();
        edit.insert("m", &map).unwrap();
        assert!(!edit.is_changed());
        assert!(edit.into_patch().unwrap().is_empty());
    }

    #[test]
    fn large_numbers_that_look_alike_as_floats_are_different() {
        let mut edit = edit(&json!({}));
        edit.insert("n", &[u128::MAX - 1]).unwrap();
        let mut edit = Edit::new(edit.into_data().unwrap(), DataLimits::default());
        edit.insert("n", &[u128::MAX]).unwrap();
        assert!(edit.is_changed());
    }

    #[test]
    fn a_patch_counts_the_keys_that_change() {
        let mut edit = edit(&json!({"a": 1, "b": 2, "c": 3}));
        assert_eq!(edit.clone().into_patch().unwrap().len(), 0);
        edit.insert("a", &7).unwrap();
        edit.remove_all("b");
        assert_eq!(edit.into_patch().unwrap().len(), 2);
    }

    #[test]
    fn debug_shows_no_content() {
        let mut edit = edit(&json!({"password": "hunter1"}));
        edit.insert("password", "hunter2").unwrap();
        let shown = format!("{edit:?}");
        assert!(shown.starts_with("Edit { base: Data"), "{shown}");
        assert!(!shown.contains("password") && !shown.contains("hunter"));
    }

    #[test]
    fn a_change_taken_back_is_no_change() {
        let mut edit = edit(&json!({"n": 1, "l": [1]}));
        edit.increment("n", 1).unwrap();
        edit.decrement("n", 1).unwrap();
        edit.push("l", &2).unwrap();
        edit.remove_all(["l.1", "n"]);
        edit.insert("n", &1).unwrap();
        edit.insert("new", &1).unwrap();
        edit.remove_all("new");
        edit.flash("f", &1).unwrap();
        edit.remove_all("f");
        assert!(!edit.is_changed());
    }

    #[test]
    fn insert_all_is_all_or_nothing() {
        let mut edit = edit(&json!({"a": 1}));
        edit.flash_now("now", &1).unwrap();
        edit.flash("next", &1).unwrap();
        let before = edit.all().unwrap();
        let values = [("a", 2), ("b.c", 3), ("now", 4), ("next", 5), ("b..c", 6)];
        assert!(edit.insert_all(values).is_err());
        assert_eq!(edit.all().unwrap(), before);
        assert_eq!(edit.flashes().unwrap().len(), 2);
        let owned: HashMap<String, i32> = [("a".to_owned(), 2), ("b.c".to_owned(), 3)].into();
        edit.insert_all(&owned).unwrap();
        edit.insert_all([(Literal("ann@example.com"), "x")])
            .unwrap();
        let expected = json!({"a": 2, "b": {"c": 3}, "next": 1, "ann@example.com": "x"});
        assert_eq!(saved(&edit), expected);
    }

    #[test]
    fn remove_with_a_wrong_type_removes_nothing() {
        let mut edit = edit(&json!({"a": "text"}));
        assert!(edit.remove::<u8>("a").is_err());
        assert!(!edit.is_changed());
        assert_eq!(edit.remove::<String>("a").unwrap().as_deref(), Some("text"));
        assert_eq!(edit.remove::<String>("a").unwrap(), None);
    }

    #[test]
    fn push_appends_to_arrays_only() {
        let mut edit = edit(&json!({"l": [1], "n": null, "s": "x", "m": {}}));
        edit.push("l", "two").unwrap();
        edit.push("n", &1).unwrap();
        edit.push("new", &1).unwrap();
        edit.push("m.deep.list", &1).unwrap();
        edit.push("m.deep.list", &json!({"a": 1})).unwrap();
        for key in ["s", "m"] {
            let error = edit.push(key, &1).unwrap_err();
            assert!(
                matches!(
                    error,
                    DataError::WrongType {
                        expected: "array",
                        ..
                    }
                ),
                "{error:?}"
            );
        }
        assert_eq!(
            saved(&edit),
            json!({
                "l": [1, "two"], "n": [1], "new": [1], "s": "x",
                "m": {"deep": {"list": [1, {"a": 1}]}},
            })
        );
    }

    #[test]
    fn increment_and_decrement_calculate_exactly() {
        let mut edit = edit(&json!({"n": 1, "null": null, "max": i64::MAX, "min": i64::MIN}));
        assert_eq!(edit.increment("n", 41).unwrap(), 42);
        assert_eq!(edit.decrement("n", 50).unwrap(), -8);
        assert_eq!(edit.increment("null", 2).unwrap(), 2);
        assert_eq!(edit.increment("new", 0).unwrap(), 0);
        assert_eq!(edit.decrement("deep.count", 3).unwrap(), -3);
        assert_eq!(edit.increment("min", i64::MAX).unwrap(), -1);
        assert_eq!(edit.decrement("max", i64::MAX).unwrap(), 0);
        assert_eq!(
            edit.decrement("deep.count", i64::MIN).unwrap(),
            i64::MAX - 2
        );
        assert_eq!(
            saved(&edit),
            json!({
                "n": -8, "null": 2, "new": 0, "min": -1, "max": 0, "deep": {"count": i64::MAX - 2},
            })
        );
    }

    #[test]
    fn increment_refuses_what_is_no_integer() {
        let mut edit = edit(&json!({
            "max": i64::MAX, "large": u64::MAX, "float": 1.0, "text": "1", "list": [1],
        }));
        let error = edit.increment("max", 1).unwrap_err();
        assert!(matches!(error, DataError::Overflow { .. }), "{error:?}");
        let error = edit.decrement("new", i64::MIN).unwrap_err();
        assert!(matches!(error, DataError::Overflow { .. }), "{error:?}");
        for key in ["large", "float"] {
            let error = edit.increment(key, 1).unwrap_err();
            assert!(matches!(error, DataError::Value { .. }), "{error:?}");
        }
        for key in ["text", "list"] {
            let error = edit.increment(key, 1).unwrap_err();
            assert!(matches!(error, DataError::WrongType { .. }), "{error:?}");
        }
        assert!(!edit.is_changed());
    }

    #[test]
    fn structs_go_in_and_come_out() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Item {
            sku: String,
            qty: u32,
        }
        let item = Item {
            sku: "x \" y".into(),
            qty: 2,
        };
        let mut edit = edit(&json!({}));
        edit.push("cart.items", &item).unwrap();
        edit.increment("cart.items.0.qty", 1).unwrap();
        assert_eq!(
            edit.get::<Item>("cart.items.0").unwrap(),
            Some(Item { qty: 3, ..item })
        );
    }

    #[test]
    fn the_librarys_own_entries_survive_clear() {
        let mut edit = edit(&json!({"a": 1}));
        edit.system_insert("csrf", "token").unwrap();
        edit.flash("f", &1).unwrap();
        edit.clear();
        let json = edit.clone().into_data().unwrap().to_json();
        assert_eq!(json, br#"{"data":{},"keep":{"csrf":"token"}}"#);
        assert!(edit.system_remove("csrf"));
        assert!(!edit.system_remove("csrf"));
        assert!(edit.into_data().unwrap().is_empty());
    }

    #[test]
    fn the_size_is_judged_as_saved() {
        let limits = DataLimits {
            max_size: 100,
            ..DataLimits::default()
        };
        let mut edit = Edit::new(Data::default(), limits);
        // `{"data":{"a":"…"}}` is 17 bytes around the text.
        edit.insert("a", &"x".repeat(83)).unwrap();
        edit.flash_now("now", &"x".repeat(500)).unwrap();
        edit.check_size().unwrap();
        edit.insert("a", &"x".repeat(84)).unwrap();
        let error = edit.clone().into_patch().unwrap_err();
        assert!(
            matches!(
                error,
                DataError::TooLarge {
                    size: 101,
                    max: 100
                }
            ),
            "{error:?}"
        );
        assert!(edit.clone().into_data().is_err());
        edit.remove_all("a");
        edit.check_size().unwrap();
    }

    #[test]
    fn the_size_counts_what_was_there() {
        let json = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(80));
        let stored = Data::from_json(json.as_bytes(), 100).unwrap();
        assert!(!stored.is_empty());
        // `,"b":1` is 6 bytes.
        for (max_size, fits) in [(json.len() + 6, true), (json.len() + 5, false)] {
            let limits = DataLimits {
                max_size,
                ..DataLimits::default()
            };
            let mut edit = Edit::new(stored.clone(), limits);
            edit.insert("b", &1).unwrap();
            assert_eq!(edit.check_size().is_ok(), fits);
        }
    }

    #[test]
    fn the_size_counts_escapes() {
        let key = "\"".repeat(50);
        let max_size = format!("{{\"data\":{{{key:?}:1}}}}").len();
        for (max_size, fits) in [(max_size, true), (max_size - 1, false)] {
            let limits = DataLimits {
                max_size,
                ..DataLimits::default()
            };
            let mut edit = Edit::new(Data::default(), limits);
            edit.insert(&key, &1).unwrap();
            assert_eq!(edit.check_size().is_ok(), fits);
        }
    }

    #[test]
    fn a_lowered_limit_does_not_trouble_who_only_reads() {
        let stored = Data::from_json(br#"{"data":{"a":"0123456789"}}"#, 99).unwrap();
        let limits = DataLimits {
            max_size: 20,
            ..DataLimits::default()
        };
        let mut edit = Edit::new(stored, limits);
        assert!(edit.clone().into_patch().unwrap().is_empty());
        edit.insert("b", &1).unwrap();
        assert!(edit.into_patch().is_err());
    }
}

mod flash {
    use super::*;

    #[test]
    fn a_flash_lives_for_this_request_and_the_next() {
        let mut first = edit(&json!({"a": 1}));
        first.flash("status.text", "saved").unwrap();
        assert!(first.has("status.text"));
        let second = next_request(first);
        assert_eq!(
            second.get::<String>("status.text").unwrap().as_deref(),
            Some("saved")
        );
        assert_eq!(
            Value::from(second.flashes().unwrap()),
            json!({"status.text": "saved"})
        );
        assert!(second.is_changed());
        let third = next_request(second);
        assert!(!third.contains_key("status.text") && third.flashes().unwrap().is_empty());
        assert!(third.is_changed());
        let json = third.into_data().unwrap().to_json();
        assert_eq!(json, br#"{"data":{"a":1}}"#);
    }

    #[test]
    fn without_flashes_ageing_changes_nothing() {
        let mut edit = edit(&json!({"a": 1}));
        assert!(!edit.has_flash());
        edit.age_flash();
        edit.reflash();
        edit.keep(["a", "b"]);
        assert!(!edit.is_changed());
        assert!(!next_request(next_request(edit)).is_changed());
    }

    #[test]
    fn who_does_not_age_only_looks() {
        let mut first = edit(&json!({}));
        first.flash("f", &1).unwrap();
        assert!(first.has_flash());
        let stored = first.into_data().unwrap();
        let peek = Edit::new(stored.clone(), DataLimits::default());
        assert!(peek.has("f") && !peek.is_changed());
        assert_eq!(peek.into_data().unwrap(), stored);
    }

    #[test]
    fn flash_now_is_never_saved() {
        let mut edit = edit(&json!({"hidden": 1, "same": 2}));
        edit.flash_now("now", &0).unwrap();
        assert_eq!(edit.get::<u8>("now").unwrap(), Some(0));
        assert!(!edit.is_changed());
        assert!(edit.clone().into_patch().unwrap().is_empty());
        edit.flash_now("hidden", &1).unwrap();
        assert!(edit.is_changed());
        edit.flash_now("same", &3).unwrap();
        edit.flash_now("same", &4).unwrap();
        edit.increment("same", 1).unwrap();
        assert_eq!(
            Value::from(edit.all().unwrap()),
            json!({"hidden": 1, "same": 5, "now": 0})
        );
        assert_eq!(saved(&edit), json!({}));
    }

    #[test]
    fn reflash_and_keep_extend_by_one_request() {
        let mut edit = edit(&json!({}));
        for key in ["a", "b", "c"] {
            edit.flash(key, &1).unwrap();
        }
        let mut edit = next_request(edit);
        edit.keep(["a", "unknown"]);
        let mut edit = next_request(edit);
        assert_eq!(edit.keys(), ["a"]);
        edit.flash_now("now", &1).unwrap();
        edit.flash_now("gone", &1).unwrap();
        edit.keep("now");
        edit.reflash();
        edit.flash_now("gone", &1).unwrap();
        let edit = next_request(edit);
        assert_eq!(edit.keys(), ["a", "now"]);
        assert!(next_request(edit).is_empty());
    }

    #[test]
    fn insert_makes_permanent_and_remove_forgets() {
        let mut edit = edit(&json!({}));
        for key in ["a", "b", "c"] {
            edit.flash(key, &1).unwrap();
            edit.flash_now(format!("now-{key}"), &1).unwrap();
        }
        edit.insert_all([("a", 1), ("now-a", 1)]).unwrap();
        edit.remove_all(["b", "now-b"]);
        assert_eq!(edit.flashes().unwrap().len(), 2);
        let edit = next_request(edit);
        assert_eq!(edit.keys(), ["a", "c", "now-a"]);
        let mut edit = next_request(edit);
        assert_eq!(edit.keys(), ["a", "now-a"]);
        edit.insert("b", &2).unwrap();
        assert_eq!(next_request(next_request(edit)).keys(), ["a", "b", "now-a"]);
    }

    #[test]
    fn a_change_inside_a_flash_leaves_it_one() {
        let mut edit = edit(&json!({}));
        edit.flash("errors", &json!({"name": "?"})).unwrap();
        edit.flash("count", &1).unwrap();
        edit.insert("errors.mail", "?").unwrap();
        edit.increment("count", 1).unwrap();
        let edit = next_request(edit);
        let expected = json!({"errors": {"name": "?", "mail": "?"}, "count": 2});
        assert_eq!(Value::from(edit.flashes().unwrap()), expected);
        assert!(next_request(edit).is_empty());
    }

    #[test]
    fn a_flash_may_change_its_lifetime() {
        let mut edit = edit(&json!({"a": 1, "b": 1}));
        edit.flash("a", &1).unwrap();
        edit.flash_now("a", &1).unwrap();
        edit.flash_now("b", &1).unwrap();
        edit.flash("b", &1).unwrap();
        let edit = next_request(edit);
        assert_eq!(edit.keys(), ["b"]);
        assert!(next_request(edit).is_empty());
    }

    #[test]
    fn clear_drops_flashes() {
        let mut edit = edit(&json!({"a": 1}));
        edit.flash("f", &1).unwrap();
        edit.flash_now("g", &1).unwrap();
        edit.clear();
        assert!(edit.flashes().unwrap().is_empty());
        edit.insert("f", &1).unwrap();
        edit.insert("g", &1).unwrap();
        assert_eq!(next_request(next_request(edit)).keys(), ["f", "g"]);
    }
}
