//! Between Rust values and JSON text.

use std::io;

use serde_core::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde_core::{Serialize, de};

use super::error::{DataError, Kind};
use super::nested;
use super::raw::{self, Buf, MAX_DEPTH};

/// A new value.
#[derive(Clone)]
pub(super) struct Encoded {
    pub(super) json: Buf,
    /// Its levels of arrays and objects.
    depth: usize,
}

impl Encoded {
    /// `array` with the value as one more element.
    pub(super) fn pushed_onto(self, array: &[u8]) -> Self {
        Self {
            json: nested::push(array, &self.json),
            depth: self.depth + 1,
        }
    }

    /// Refuses a value that would be too deep `levels` below a top-level key.
    pub(super) fn check_depth(&self, key: &str, levels: usize) -> Result<(), DataError> {
        if self.depth + levels > MAX_DEPTH {
            return Err(DataError::TooDeep {
                key: key.to_owned(),
                max: MAX_DEPTH,
            });
        }
        Ok(())
    }
}

/// Writes a value as compact JSON.
pub(super) fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Encoded, DataError> {
    let mut json = Buf::new();
    serde_json::to_writer(Sink(&mut json), value).map_err(|source| DataError::Encode {
        key: key.to_owned(),
        source,
    })?;
    let shape = raw::measure(&json);
    // The serializer adds no whitespace, but copies what a `RawValue` contains.
    if shape.spaced {
        json = Buf::from_vec(raw::compact(&json));
    }
    let encoded = Encoded {
        json,
        depth: shape.depth,
    };
    encoded.check_depth(key, 0)?;
    Ok(encoded)
}

struct Sink<'a>(&'a mut Buf);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a value.
pub(super) fn decode<T: DeserializeOwned>(key: &str, json: &[u8]) -> Result<T, DataError> {
    // The parser's own message is dropped because it can quote the value.
    serde_json::from_slice(json).map_err(|_| {
        let (key, expected) = (key.to_owned(), std::any::type_name::<T>());
        let found = raw::kind(json);
        if accepts::<T>(found) {
            DataError::Value { key, expected }
        } else {
            DataError::WrongType {
                key,
                expected,
                found,
            }
        }
    })
}

/// Whether a type is written as this kind of value, told by what it first asks a deserializer for.
fn accepts<T: DeserializeOwned>(found: Kind) -> bool {
    let mut accepts = true;
    let probe = Probe {
        found,
        accepts: &mut accepts,
    };
    // It always fails; only the question matters.
    let _ = T::deserialize(probe);
    accepts
}

struct Probe<'a> {
    found: Kind,
    accepts: &'a mut bool,
}

impl Probe<'_> {
    fn asked<T>(self, kinds: &[Kind]) -> Result<T, de::value::Error> {
        *self.accepts = kinds.contains(&self.found);
        Err(Error::custom("only asked"))
    }
}

macro_rules! ask {
    ($($method:ident($($arg:ident: $type:ty),*): $($kind:ident)|+;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* _: V) -> Result<V::Value, Self::Error> {
            $(let _ = $arg;)*
            self.asked(&[$(Kind::$kind),+])
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = de::value::Error;

    ask! {
        deserialize_any(): Null | Boolean | Number | String | Array | Object;
        deserialize_ignored_any(): Null | Boolean | Number | String | Array | Object;
        deserialize_bool(): Boolean;
        deserialize_i8(): Number;
        deserialize_i16(): Number;
        deserialize_i32(): Number;
        deserialize_i64(): Number;
        deserialize_i128(): Number;
        deserialize_u8(): Number;
        deserialize_u16(): Number;
        deserialize_u32(): Number;
        deserialize_u64(): Number;
        deserialize_u128(): Number;
        deserialize_f32(): Number;
        deserialize_f64(): Number;
        deserialize_char(): String;
        deserialize_str(): String;
        deserialize_string(): String;
        deserialize_identifier(): String;
        deserialize_bytes(): String | Array;
        deserialize_byte_buf(): String | Array;
        deserialize_unit(): Null;
        deserialize_unit_struct(_name: &'static str): Null;
        deserialize_seq(): Array;
        deserialize_tuple(_len: usize): Array;
        deserialize_tuple_struct(_name: &'static str, _len: usize): Array;
        deserialize_map(): Object;
        deserialize_struct(_name: &'static str, _fields: &'static [&'static str]): Object | Array;
        deserialize_enum(_name: &'static str, _variants: &'static [&'static str]): Object | String;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Cart {
        #[allow(dead_code, reason = "only decoded")]
        items: Vec<u8>,
    }

    #[derive(Debug, Deserialize)]
    struct Id(#[allow(dead_code, reason = "only decoded")] u64);

    #[derive(Debug, Deserialize)]
    enum Role {
        Admin,
    }

    /// Whether the error is about the kind of the value; `None` if it decodes.
    fn is_wrong_type<T: DeserializeOwned>(json: &str) -> Option<bool> {
        match decode::<T>("k", json.as_bytes()) {
            Ok(_) => None,
            Err(DataError::WrongType { found, .. }) => {
                assert_eq!(found, raw::kind(json.as_bytes()));
                Some(true)
            }
            Err(DataError::Value { .. }) => Some(false),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn another_kind_is_told_from_a_value_that_does_not_fit() {
        assert_eq!(is_wrong_type::<u64>("1"), None);
        assert_eq!(is_wrong_type::<u64>("\"1\""), Some(true));
        assert_eq!(is_wrong_type::<u64>("null"), Some(true));
        assert_eq!(is_wrong_type::<u8>("300"), Some(false));
        assert_eq!(is_wrong_type::<u8>("1.5"), Some(false));
        assert_eq!(is_wrong_type::<i128>("true"), Some(true));
        assert_eq!(is_wrong_type::<bool>("1"), Some(true));
        assert_eq!(is_wrong_type::<char>("\"ab\""), Some(false));
        assert_eq!(is_wrong_type::<String>("[]"), Some(true));
        assert_eq!(is_wrong_type::<String>(r#""\ud800""#), Some(false));
        assert_eq!(is_wrong_type::<Option<u8>>("null"), None);
        assert_eq!(is_wrong_type::<Option<u8>>("\"\""), Some(true));
        assert_eq!(is_wrong_type::<Option<u8>>("-1"), Some(false));
        assert_eq!(is_wrong_type::<Vec<u8>>("{}"), Some(true));
        assert_eq!(is_wrong_type::<Vec<u8>>("[-1]"), Some(false));
        assert_eq!(is_wrong_type::<(u8, u8)>("[1]"), Some(false));
        assert_eq!(is_wrong_type::<HashMap<String, u8>>("[]"), Some(true));
        assert_eq!(
            is_wrong_type::<HashMap<String, u8>>(r#"{"a":""}"#),
            Some(false)
        );
        assert_eq!(is_wrong_type::<Cart>("3"), Some(true));
        assert_eq!(is_wrong_type::<Cart>("{}"), Some(false));
        assert_eq!(is_wrong_type::<Cart>(r#"{"items":[1]}"#), None);
        assert_eq!(is_wrong_type::<Id>("\"7\""), Some(true));
        assert_eq!(is_wrong_type::<Id>("-7"), Some(false));
        assert_eq!(is_wrong_type::<Role>("\"Root\""), Some(false));
        assert_eq!(is_wrong_type::<Role>("1"), Some(true));
        assert!(matches!(decode("k", b"\"Admin\""), Ok(Role::Admin)));
        assert_eq!(is_wrong_type::<()>("1"), Some(true));
        assert_eq!(is_wrong_type::<serde_json::Value>("1e400"), Some(false));
    }

    #[test]
    fn an_error_names_key_and_type_but_no_value() {
        let error = decode::<u64>("cart.total", b"\"hunter2\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "session key `cart.total` holds a string, which is not a valid u64"
        );
        let error = decode::<Role>("role", b"\"hunter2\"").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_encoded_is_compact() {
        let spaced = RawValue::from_string("{ \"a\" : [ 1.0 ] }".to_owned()).unwrap();
        assert_eq!(*encode("k", &spaced).unwrap().json, *br#"{"a":[1.0]}"#);
        let nested = [Some(&spaced), None];
        assert_eq!(
            *encode("k", &nested).unwrap().json,
            *br#"[{"a":[1.0]},null]"#
        );
    }

    #[test]
    fn what_cannot_be_encoded_or_read_back_is_refused() {
        let map = BTreeMap::from([(vec![1], 1)]);
        assert!(matches!(encode("k", &map), Err(DataError::Encode { .. })));
        let nested = |levels| {
            let text = "[".repeat(levels) + &"]".repeat(levels);
            RawValue::from_string(text).unwrap()
        };
        let encoded = encode("k", &nested(MAX_DEPTH)).unwrap();
        assert!(decode::<serde_json::Value>("k", &encoded.json).is_ok());
        assert!(encoded.check_depth("k", 1).is_err());
        let error = encode("k", &nested(MAX_DEPTH + 1)).err().unwrap();
        assert!(matches!(error, DataError::TooDeep { max: MAX_DEPTH, .. }));
    }
}
