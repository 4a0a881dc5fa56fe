//! What can go wrong with a session's data.

use std::fmt;

/// What can go wrong when a session's data is read, changed or decoded.
///
/// A message may name the key; it never contains a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The value is of another JSON kind than the one asked for. Read it as the type it was
    /// written with, or remove it first.
    #[error("session key `{key}` holds {found}, which is not a valid {expected}")]
    WrongType {
        /// The key, or for a nested value the path up to the value that is in the way.
        key: String,
        /// What was asked for: a Rust type, or a JSON kind such as `array`.
        expected: &'static str,
        /// What is there.
        found: Kind,
    },
    /// The value has a fitting JSON kind, but does not decode: a number out of range, a missing
    /// field, an unknown variant.
    #[error("the value of session key `{key}` does not decode as {expected}")]
    Value {
        /// The key.
        key: String,
        /// What was asked for.
        expected: &'static str,
    },
    /// The value cannot be written as JSON, for example because it is a map whose keys are not
    /// strings.
    #[error("the new value of session key `{key}` cannot be written as JSON")]
    Encode {
        /// The key.
        key: String,
        /// Why not, in the words of the serializer.
        source: serde_json::Error,
    },
    /// The value is nested more deeply than can be read back.
    #[error("the new value of session key `{key}` is nested more than {max} levels deep")]
    TooDeep {
        /// The key.
        key: String,
        /// The number of levels of arrays and objects allowed below a top-level key.
        max: usize,
    },
    /// An increment or decrement would leave the range of `i64`. The value stays as it was.
    #[error("session key `{key}` would leave the range of a 64-bit integer")]
    Overflow {
        /// The key.
        key: String,
    },
    /// The key may not be written to.
    #[error("{key:?} is not a valid session key: {fault}")]
    InvalidKey {
        /// The key, shortened if it is very long.
        key: String,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// A deadline belongs to a whole top-level value. Give it to that one, or wrap the key in
    /// `Literal` if its dots belong to the name.
    #[error(
        "session key `{key}` leads into a value and cannot have a deadline of its own: give one to \
         the whole value, or wrap the key in `Literal` if the dots belong to the name"
    )]
    NestedDeadline {
        /// The key.
        key: String,
    },
    /// An array index is more than one past the last element. Append at `len`, or use `push`.
    #[error("session key `{key}` holds {len} elements, so nothing can be written at index {index}")]
    Index {
        /// The path of the array.
        key: String,
        /// The index asked for; `usize::MAX` stands for any number beyond that.
        index: usize,
        /// The number of elements of the array.
        len: usize,
    },
    /// The data is larger than the limit allows. Store less, or raise the limit.
    #[error("the session's data is {size} bytes long, more than the limit of {max}")]
    TooLarge {
        /// The size of the data in its JSON form, in bytes.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// Stored data is not what this library writes. It is left alone.
    #[error("the session's stored data is damaged: {reason}")]
    Corrupt {
        /// What is wrong with it, without any of its content.
        reason: &'static str,
    },
}

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is longer than [`DataLimits::max_key`](super::DataLimits::max_key).
    #[error("it is {len} bytes long, and at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// It contains a control character.
    #[error("it contains a control character")]
    Control,
    /// It is a dotted path with nothing before, between or after its dots.
    #[error(
        "a part between its dots is empty; wrap it in `Literal` if the dots belong to the name"
    )]
    EmptySegment,
}

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number, with or without a fraction.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object, that is a map or a struct.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_wrong() {
        let error = DataError::WrongType {
            key: "cart".into(),
            expected: "u64",
            found: Kind::Array,
        };
        assert_eq!(
            error.to_string(),
            "session key `cart` holds an array, which is not a valid u64"
        );
        let error = DataError::InvalidKey {
            key: "a\u{7}".into(),
            fault: KeyFault::Control,
        };
        assert_eq!(
            error.to_string(),
            r#""a\u{7}" is not a valid session key: it contains a control character"#
        );
    }
}
