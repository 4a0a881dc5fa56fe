//! A session's data in its stored form.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::blob::{Data, MAX_KEY, SYSTEM, is_system};
use super::error::DataError;
use super::raw;

impl Data {
    /// The stored form: `{"data":{…}}`, followed by `"keep":{…}` with the library's own entries if
    /// there are any. Values are copied as they are.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        out.extend_from_slice(br#"{"data":{"#);
        write_entries(&mut out, self.entries().filter(|(key, _)| !is_system(key)));
        if self.has_system() {
            out.extend_from_slice(br#"},"keep":{"#);
            let system = self.entries().filter(|(key, _)| is_system(key));
            let named = system.map(|(key, value)| (key.get(1..).unwrap_or_default(), value));
            write_entries(&mut out, named);
        }
        out.extend_from_slice(b"}}");
        out
    }

    /// Reads the stored form.
    ///
    /// The values stay as they are, numbers to the last digit; only whitespace around their parts
    /// is dropped. Of several values under one key the last one counts.
    ///
    /// # Errors
    ///
    /// [`DataError::TooLarge`] if the text is longer than `max` bytes, which is judged before
    /// anything is decoded; [`DataError::Corrupt`] if it is not the stored form of a session.
    pub fn from_json(json: &[u8], max: usize) -> Result<Self, DataError> {
        let max = max.min(super::edit::MAX_SIZE);
        if json.len() > max {
            return Err(DataError::TooLarge {
                size: json.len(),
                max,
            });
        }
        let stored: Stored<'_> = serde_json::from_slice(json).map_err(|_| DataError::Corrupt {
            reason: "it is not a JSON object with the members `data` and `keep`",
        })?;
        let mut entries = Vec::with_capacity(stored.data.0.len() + stored.keep.0.len());
        for (name, value) in stored.keep.0 {
            check_name(&name)?;
            entries.push((Cow::Owned(format!("{SYSTEM}{name}")), tidy(value)?));
        }
        for (name, value) in stored.data.0 {
            check_name(&name)?;
            entries.push((name, tidy(value)?));
        }
        // Stable, so that the last of several stays the last, which `dedup_by` then keeps.
        entries.reverse();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        Ok(Self::build(
            entries
                .iter()
                .map(|(key, value)| (key.as_bytes(), value.as_ref())),
        ))
    }
}

fn write_entries<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    for (index, (key, value)) in entries.enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(&raw::escaped(key));
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
}

fn check_name(name: &str) -> Result<(), DataError> {
    let reason = if name.is_empty() {
        "a key is empty"
    } else if name.chars().any(char::is_control) {
        "a key contains a control character"
    } else if name.len() > MAX_KEY {
        "a key is too long"
    } else {
        return Ok(());
    };
    Err(DataError::Corrupt { reason })
}

fn tidy(value: &RawValue) -> Result<Cow<'_, [u8]>, DataError> {
    let json = value.get().as_bytes();
    let shape = raw::measure(json);
    if shape.depth > raw::MAX_DEPTH {
        return Err(DataError::Corrupt {
            reason: "a value is nested too deeply",
        });
    }
    Ok(if shape.spaced {
        Cow::Owned(raw::compact(json))
    } else {
        Cow::Borrowed(json)
    })
}

/// The members of a stored session.
struct Stored<'a> {
    data: Members<'a>,
    keep: Members<'a>,
}

impl<'de> Deserialize<'de> for Stored<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StoredVisitor)
    }
}

struct StoredVisitor;

impl<'de> Visitor<'de> for StoredVisitor {
    type Value = Stored<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored session")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut data, mut keep) = (None, None);
        while let Some(Name(name)) = map.next_key()? {
            let section = match &*name {
                "data" => &mut data,
                "keep" => &mut keep,
                _ => return Err(A::Error::custom("unknown member")),
            };
            if section.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(Stored {
            data: data.ok_or_else(|| A::Error::missing_field("data"))?,
            keep: keep.unwrap_or_default(),
        })
    }
}

/// The members of an object in the order of the text, values undecoded.
#[derive(Default)]
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(Members(members))
    }
}

/// A name, borrowed where it is written without escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(json: &str) -> String {
        let data = Data::from_json(json.as_bytes(), 4096).unwrap();
        String::from_utf8(data.to_json()).unwrap()
    }

    #[test]
    fn values_are_copied_byte_for_byte() {
        let json = r#"{"data":{"a":1.0,"b":1e400,"c":18446744073709551616,"d":"\u0041\/é","e":[-0.0,{"z":1,"a":1E+2}]}}"#;
        assert_eq!(roundtrip(json), json);
    }

    #[test]
    fn whitespace_order_and_repetition_are_settled() {
        let json = "{ \"keep\" : { \"y\":\n1 } ,\t\"data\" : {\"b\" : [ 1 , \" \" ] , \"a\":1, \"b\":{ }, \"\\u0061\":2 } } ";
        assert_eq!(roundtrip(json), r#"{"data":{"a":2,"b":{}},"keep":{"y":1}}"#);
    }

    #[test]
    fn names_keep_their_escapes() {
        let json = r#"{"data":{"a\"b\\":1},"keep":{"x\"":2}}"#;
        assert_eq!(roundtrip(json), json);
    }

    #[test]
    fn the_size_is_judged_first() {
        let error = Data::from_json(b"not json at all", 14).unwrap_err();
        assert!(
            matches!(error, DataError::TooLarge { size: 15, max: 14 }),
            "{error:?}"
        );
        assert!(Data::from_json(br#"{"data":{}}"#, 11).is_ok());
    }

    #[test]
    fn what_is_not_a_session_is_corrupt() {
        let long = format!(r#"{{"data":{{"{}":1}}}}"#, "k".repeat(MAX_KEY + 1));
        let deep = |levels| {
            format!(
                r#"{{"data":{{"a":{}{}}}}}"#,
                "[".repeat(levels),
                "]".repeat(levels)
            )
        };
        let texts = [
            "",
            "null",
            "[]",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":[]}"#,
            r#"{"keep":{}}"#,
            r#"{"data":{},"more":1}"#,
            r#"{"data":{},"data":{}}"#,
            r#"{"data":{}}x"#,
            r#"{"data":{"a":1,}}"#,
            r#"{"data":{"a":01}}"#,
            r#"{"data":{"a":"\x"}}"#,
            r#"{"data":{"":1}}"#,
            r#"{"data":{"\u0001flash":1}}"#,
            r#"{"data":{},"keep":{"\n":1}}"#,
            r#"{"data":{"\ud800":1}}"#,
            &long,
            &deep(raw::MAX_DEPTH + 1),
            &deep(200_000),
        ];
        for text in texts {
            let result = Data::from_json(text.as_bytes(), usize::MAX);
            assert!(
                matches!(result, Err(DataError::Corrupt { .. })),
                "{text:.40}"
            );
        }
        let not_utf8 = b"{\"data\":{\"a\":\"\xff\"}}";
        assert!(Data::from_json(not_utf8, 1024).is_err());
        assert!(Data::from_json(deep(raw::MAX_DEPTH).as_bytes(), 1024).is_ok());
    }
}
