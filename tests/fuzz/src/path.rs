//! Dotted paths: the first line of the input is one, what follows is the JSON of a session.

use serde_json::{Map, Value, json};
use tower_keep_core::data::{Data, DataLimits, Edit};

use crate::{said, split, tells};

pub(crate) fn check(input: &[u8]) {
    let (path, text) = split(input, b'\n');
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    let Ok(data) = Data::from_json(text, 64 * 1024) else {
        return;
    };
    // Flash values and deadlines are rules of their own.
    if data.iter().count() != data.users().count() {
        return;
    }
    let edit = || Edit::new(data.clone(), DataLimits::default());
    let Ok(all) = edit().all() else {
        return;
    };
    read(&edit(), &all, path);
    write(edit(), &all, path);
    remove(edit(), &all, path);
}

/// Where a path leads, by its definition.
fn find<'a>(all: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = all.get(path) {
        return Some(value);
    }
    let (top, rest) = path.split_once('.')?;
    rest.split('.')
        .try_fold(all.get(top)?, |value, part| match value {
            Value::Object(members) if !part.is_empty() => members.get(part),
            Value::Array(items) if part.bytes().all(|byte| byte.is_ascii_digit()) => {
                items.get(part.parse::<usize>().ok()?)
            }
            _ => None,
        })
}

fn read(edit: &Edit, all: &Map<String, Value>, path: &str) {
    let found = find(all, path);
    let raw = edit.get_raw(path);
    assert_eq!(raw.is_some(), found.is_some(), "{path:?}");
    if let (Some(raw), Some(found)) = (raw, found) {
        assert_eq!(&serde_json::from_slice::<Value>(raw).unwrap(), found);
    }
    assert_eq!(edit.contains_key(path), found.is_some());
    assert_eq!(edit.has(path), found.is_some_and(|value| !value.is_null()));
}

/// What is written is there, and all else as it was.
fn write(mut edit: Edit, before: &Map<String, Value>, path: &str) {
    let new = json!({ "new": [path.len()] });
    match edit.insert(path, &new) {
        Ok(()) => {
            let all = edit.all().unwrap();
            assert_eq!(find(&all, path), Some(&new), "{path:?}");
            others_stay(before, &all, path);
            let saved = edit.into_data().unwrap();
            let json = saved.to_json();
            assert_eq!(Data::from_json(&json, usize::MAX).unwrap(), saved);
        }
        Err(error) => {
            assert!(!tells(&said(&error)) || tells(path), "{error:?}");
            assert!(!edit.is_changed(), "{path:?}: {error}");
        }
    }
}

fn remove(mut edit: Edit, before: &Map<String, Value>, path: &str) {
    let was = find(before, path).cloned();
    match edit.remove::<Value>(path) {
        Ok(removed) => {
            assert_eq!(removed, was, "{path:?}");
            let all = edit.all().unwrap();
            others_stay(before, &all, path);
            if was.is_none() {
                assert_eq!(&all, before);
            } else {
                assert!(edit.is_changed());
                saved_without(edit);
            }
        }
        Err(error) => panic!("{path:?}: {error}"),
    }
}

fn saved_without(edit: Edit) {
    let saved = edit.into_data().unwrap();
    assert_eq!(
        Data::from_json(&saved.to_json(), usize::MAX).unwrap(),
        saved
    );
}

/// A path changes one value below one top-level key.
fn others_stay(before: &Map<String, Value>, after: &Map<String, Value>, path: &str) {
    let top = if before.contains_key(path) {
        path
    } else {
        path.split('.').next().unwrap_or(path)
    };
    for (key, value) in before.iter().filter(|(key, _)| *key != top) {
        assert_eq!(after.get(key), Some(value), "{path:?} changed {key:?}");
    }
    for key in after.keys().filter(|key| *key != top) {
        assert!(before.contains_key(key), "{path:?} made {key:?}");
    }
}
