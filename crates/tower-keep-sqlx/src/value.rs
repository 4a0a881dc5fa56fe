//! What is bound to a statement's parameters, in the engine's types.

use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Owner, SecretHash, SessionId, StoreError, StoreErrorKind, Timestamp,
};

/// The value of one parameter.
#[derive(Clone)]
pub(crate) enum Value {
    Id(SessionId),
    Int(Option<i64>),
    Flag(bool),
    Bytes(Option<Vec<u8>>),
    Text(Option<String>),
}

/// So far that the sum of two still fits.
const FAR: i64 = 1 << 61;

/// Milliseconds as the engines count them. Spans and instants past the year 73 million are cut.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(FAR).min(FAR)
}

pub(crate) fn instant(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(FAR).min(FAR)
}

impl Value {
    pub(crate) fn span(span: Option<Duration>) -> Self {
        Self::Int(span.map(millis))
    }

    /// The least whole number of milliseconds that is at least `due`, and at least one.
    pub(crate) fn due(due: Option<Duration>) -> Self {
        Self::Int(due.map(|due| {
            let whole = millis(due);
            let part = i64::from(Duration::from_millis(whole.unsigned_abs()) < due);
            (whole + part).max(1)
        }))
    }

    pub(crate) fn at(at: Option<Timestamp>) -> Self {
        Self::Int(at.map(instant))
    }

    pub(crate) fn count(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// All zeros are the secret of a tombstone, which has none.
    pub(crate) fn secret(secret: Option<&SecretHash>) -> Self {
        let bytes = secret
            .map(SecretHash::as_bytes)
            .filter(|bytes| **bytes != [0; 32]);
        Self::Bytes(bytes.map(|bytes| bytes.to_vec()))
    }

    pub(crate) fn owner(owner: Option<Owner>) -> Self {
        Self::Bytes(owner.map(|owner| owner.to_u128().to_be_bytes().to_vec()))
    }

    /// Zero stands for no commit.
    pub(crate) fn commit(commit: CommitId) -> Self {
        let bits = commit.to_u128();
        Self::Bytes((bits != 0).then(|| bits.to_be_bytes().to_vec()))
    }

    /// The stored form of `data`, if it is not larger than `max` bytes.
    pub(crate) fn data(data: &Data, max: usize) -> Result<Self, StoreError> {
        let json = data.to_json();
        if json.len() > max {
            return Err(StoreError::new(
                StoreErrorKind::TooLarge,
                format!(
                    "its data take {} bytes, and the store accepts {max}",
                    json.len()
                ),
            ));
        }
        let text = String::from_utf8(json)
            .map_err(|_| StoreError::new(StoreErrorKind::Corrupt, "the data are not UTF-8"))?;
        Ok(Self::Text(Some(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touch_is_due_in_whole_milliseconds() {
        let due = |due| match Value::due(Some(due)) {
            Value::Int(Some(millis)) => millis,
            _ => panic!("not a number"),
        };
        assert_eq!(due(Duration::ZERO), 1);
        assert_eq!(due(Duration::from_millis(5)), 5);
        assert_eq!(due(Duration::from_micros(5_001)), 6);
        assert_eq!(due(Duration::MAX), FAR + 1);
    }

    #[test]
    fn what_is_too_far_is_cut_and_sums_fit() {
        let sum = instant(Timestamp::MAX).checked_add(millis(Duration::MAX));
        assert_eq!(sum, Some(1 << 62));
    }
}
