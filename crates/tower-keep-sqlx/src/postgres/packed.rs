//! A record's columns in three arrays, one for each type.
//!
//! For each column that a statement returns the server looks up its type and how it is sent, every
//! time the statement is run. Of 27 columns that was the larger part of what an `UPDATE` takes.

use sqlx::Row;
use sqlx::postgres::PgRow;
use tower_keep_core::{StoreError, Timestamp};

use super::driver::driver_error;
use crate::error::{corrupt, unavailable};
use crate::row::{COLUMNS, Columns, LEFT};
use crate::statement::Reads;

/// Of each of [`COLUMNS`] whether it is of bytes, a whole number or text.
const KINDS: &[u8; 27] = b"bbiiibbbbbiiiiiiiiiiitttiit";

/// Of each of [`COLUMNS`] its place in its array.
const PLACES: [usize; KINDS.len()] = {
    let mut places = [0; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        let mut before = 0;
        while before < at {
            if KINDS[before] == KINDS[at] {
                places[at] += 1;
            }
            before += 1;
        }
        at += 1;
    }
    places
};

/// What a statement returns: the time and the numbers, the bytes, the texts. The time is the value
/// of `now`; where there is no row, all else is null.
pub(super) fn packed(reads: Reads, now: &str) -> String {
    match reads {
        Reads::Nothing => return format!("ARRAY[{now}]"),
        Reads::Left => return format!("ARRAY[{now}, {LEFT}]"),
        Reads::Whole | Reads::Head => {}
    }
    let all = |kind: u8| {
        let columns = COLUMNS.split(", ").zip(KINDS);
        let columns = columns.filter(|(name, is)| {
            **is == kind && (reads == Reads::Whole || !matches!(*name, "data"))
        });
        let columns: Vec<_> = columns
            .map(|(name, _)| if name == "id" { "uuid_send(id)" } else { name })
            .collect();
        columns.join(", ")
    };
    format!(
        "ARRAY[{now}, {}], ARRAY[{}], ARRAY[{}]",
        all(b'i'),
        all(b'b'),
        all(b't')
    )
}

pub(super) struct Packed {
    numbers: Vec<Option<i64>>,
    bytes: Vec<Option<Vec<u8>>>,
    texts: Vec<Option<String>>,
}

impl Packed {
    pub(super) fn new(row: &PgRow) -> Result<Self, StoreError> {
        Ok(Self {
            numbers: row.try_get(0).map_err(driver_error)?,
            bytes: row.try_get(1).map_err(driver_error)?,
            texts: row.try_get(2).map_err(driver_error)?,
        })
    }

    pub(super) fn now(&self) -> Result<Timestamp, StoreError> {
        instant(place(&self.numbers, 0))
    }

    /// Whether there is a row.
    pub(super) fn found(&self) -> bool {
        self.bytes.first().is_some_and(Option::is_some)
    }
}

/// What a statement returns that reads no record: the time and, if asked for, what is left.
pub(super) struct Brief(Vec<Option<i64>>);

impl Brief {
    pub(super) fn new(row: &PgRow) -> Result<Self, StoreError> {
        row.try_get(0).map(Self).map_err(driver_error)
    }

    pub(super) fn now(&self) -> Result<Timestamp, StoreError> {
        instant(place(&self.0, 0))
    }
}

impl Columns for Brief {
    fn id(&self, _: usize) -> Result<[u8; 16], StoreError> {
        Err(corrupt("it has no id"))
    }

    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        Ok(place(&self.0, at))
    }

    fn bytes(&self, _: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn text(&self, _: usize) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

fn instant(now: Option<i64>) -> Result<Timestamp, StoreError> {
    let now = now.and_then(|now| u64::try_from(now).ok());
    now.map(Timestamp::from_millis)
        .ok_or_else(|| unavailable("its clock is before 1970"))
}

fn place<T: Clone>(values: &[Option<T>], at: usize) -> Option<T> {
    values.get(at).cloned().flatten()
}

impl Columns for Packed {
    fn id(&self, _: usize) -> Result<[u8; 16], StoreError> {
        let id = self.bytes(0)?.and_then(|id| <[u8; 16]>::try_from(id).ok());
        id.ok_or_else(|| corrupt("it has no id"))
    }

    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        // The first number is the time.
        Ok(place(&self.numbers, PLACES[at] + 1))
    }

    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(place(&self.bytes, PLACES[at]))
    }

    fn text(&self, at: usize) -> Result<Option<String>, StoreError> {
        Ok(place(&self.texts, PLACES[at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_kind_and_its_place() {
        let names: Vec<_> = COLUMNS.split(", ").collect();
        assert_eq!(names.len(), KINDS.len());
        let place = |name| {
            let at = names.iter().position(|column| *column == name).unwrap();
            (KINDS[at], PLACES[at])
        };
        assert_eq!(place("id"), (b'b', 0));
        assert_eq!(place("owner"), (b'b', 6));
        assert_eq!(place("version"), (b'i', 0));
        assert_eq!(place("codec"), (b'i', 15));
        assert_eq!(place("data"), (b't', 3));
        assert!(packed(Reads::Whole, "t.now").contains("user_agent, data]"));
        assert!(!packed(Reads::Head, "t.now").contains("data"));
    }
}
