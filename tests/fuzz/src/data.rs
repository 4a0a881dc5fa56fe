//! A session's data as stores keep them, in every codec. The first byte is the codec's number.

use serde_json::{Map, Value};
use tower_keep_core::StoreErrorKind;
use tower_keep_core::data::{Codec, Data, DataLimits, Edit};

use crate::{said, tells};

const MAX: usize = 64 * 1024;

pub(crate) fn check(input: &[u8]) {
    let data = match Data::from_body(input, MAX) {
        Ok(data) => data,
        Err(error) => {
            let known = [
                StoreErrorKind::Corrupt,
                StoreErrorKind::Unsupported,
                StoreErrorKind::TooLarge,
            ];
            assert!(known.contains(&error.kind()), "{error:?}");
            assert!(!tells(&said(&error)), "{error:?}");
            return;
        }
    };
    let json = data.to_json();
    assert_eq!(data.size(), json.len());
    assert!(json.len() <= MAX);
    assert!(!tells(&format!("{data:?}")));
    for codec in Codec::ALL {
        let again = Data::from_body(&data.to_body(*codec), MAX).unwrap();
        assert_eq!(again, data, "{codec:?}");
        assert_eq!(again.to_json(), json, "{codec:?}");
    }
    if let [1, text @ ..] = input {
        as_json(&data, text);
    }
    nobody_changed(&data);
}

/// The parser of JSON finds the same in the text, where it can hold it.
fn as_json(data: &Data, text: &[u8]) {
    let Ok(Value::Object(theirs)) = serde_json::from_slice(text) else {
        return;
    };
    let theirs = members(&theirs, "data");
    let ours: Map<_, _> = data
        .users()
        .map(|(key, json)| (key.to_owned(), serde_json::from_slice(json).unwrap()))
        .collect();
    assert_eq!(ours, theirs);
}

fn members(object: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let member = object.get(name).and_then(Value::as_object);
    member.cloned().unwrap_or_default()
}

/// To look is not to change.
fn nobody_changed(data: &Data) {
    let edit = Edit::new(data.clone(), DataLimits::default());
    for key in edit.keys() {
        assert!(edit.get_raw(tower_keep_core::data::Literal(&key)).is_some());
    }
    let _ = (edit.all(), edit.len(), edit.flashes());
    assert!(!edit.is_changed());
    let (same, patch) = edit.into_parts().unwrap();
    assert!(patch.is_empty());
    assert_eq!(&same, data);
}
