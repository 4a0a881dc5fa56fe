//! What their session has asked its store for, until the request's end.
//!
//! Their session has one way to say several things: `cycle_id` and `flush` both delete the record,
//! and both may be followed by a new one. What tells them apart is the id under which that comes:
//! `cycle_id` has drawn another, `flush` keeps the old one. Whoever deletes twice has done both.

use serde_json::{Map, Value};

use crate::theirs::Row;

pub(super) type Values = Map<String, Value>;

/// See the [module documentation](self).
#[derive(Default)]
pub(super) struct Ledger {
    /// What their session takes its id for.
    own: Option<i128>,
    /// What it took it for at first, from the request's token.
    claimed: Option<i128>,
    /// The values as they were loaded.
    base: Option<Values>,
    /// As they are to be.
    saved: Option<Values>,
    /// How often it was deleted since it was last written.
    deleted: usize,
    rotated: bool,
    destroyed: bool,
    /// The request is over, and whoever still has their session is told so.
    closed: bool,
}

/// What their session gets to see.
pub(super) enum Loading {
    /// What it has saved before in this request.
    Saved(Values),
    /// Nothing any more.
    Gone,
    /// What is stored.
    Stored,
}

/// What is to be done with the session at the request's end.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    Nothing,
    /// From what was loaded, if that was needed, to this.
    Change {
        base: Option<Values>,
        values: Values,
        rotated: bool,
    },
    /// Perhaps with another session in its place.
    Destroy {
        then: Option<Values>,
    },
}

impl Ledger {
    pub(super) fn new(claimed: Option<i128>) -> Self {
        Self {
            own: claimed,
            claimed,
            ..Self::default()
        }
    }

    pub(super) fn load(&mut self) -> Loading {
        match &self.saved {
            Some(values) => Loading::Saved(values.clone()),
            None if self.deleted > 0 => {
                // Who cycles the id keeps the values and does not ask.
                self.destroyed = true;
                Loading::Gone
            }
            None => Loading::Stored,
        }
    }

    pub(super) fn loaded(&mut self, id: i128, values: Values) {
        self.own = Some(id);
        self.base = Some(values);
    }

    pub(super) fn create(&mut self, row: Row) {
        if self.deleted == 1 && self.own != Some(row.id) {
            self.rotated = true;
            self.deleted = 0;
        }
        self.save(row);
    }

    pub(super) fn save(&mut self, row: Row) {
        if self.deleted > 0 {
            // What comes after is another session.
            self.destroyed = true;
            self.deleted = 0;
        }
        self.own = Some(row.id);
        self.saved = Some(row.data.into_iter().collect());
    }

    pub(super) fn delete(&mut self, id: i128) {
        if [self.own, self.claimed].contains(&Some(id)) {
            self.deleted += 1;
            self.saved = None;
        }
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.saved.is_none() && self.deleted == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes nothing more, and gives out what it has.
    pub(super) fn close(&mut self) -> Self {
        let closed = Self {
            closed: true,
            ..Self::default()
        };
        std::mem::replace(self, closed)
    }

    /// What it all comes to.
    pub(super) fn plan(self) -> Plan {
        match self.saved {
            then if self.destroyed || self.deleted > 0 => Plan::Destroy { then },
            Some(values) => Plan::Change {
                base: self.base,
                values,
                rotated: self.rotated,
            },
            None => Plan::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: i128 = 1;

    fn row(id: i128, key: &str) -> Row {
        Row {
            id,
            data: [(key.to_owned(), Value::Null)].into(),
            expiry_date: time::OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn values(key: &str) -> Values {
        [(key.to_owned(), Value::Null)].into_iter().collect()
    }

    fn opened() -> Ledger {
        let mut ledger = Ledger::new(Some(STORED));
        ledger.loaded(STORED, values("old"));
        ledger
    }

    fn changed(key: &str, rotated: bool) -> Plan {
        Plan::Change {
            base: Some(values("old")),
            values: values(key),
            rotated,
        }
    }

    fn destroyed(then: Option<&str>) -> Plan {
        Plan::Destroy {
            then: then.map(values),
        }
    }

    #[test]
    fn nothing_was_asked_for() {
        assert!(opened().is_untouched());
        assert_eq!(opened().plan(), Plan::Nothing);
        let mut ledger = opened();
        ledger.delete(7);
        assert_eq!(ledger.plan(), Plan::Nothing, "not this session");
    }

    #[test]
    fn what_was_saved_last_counts() {
        let mut ledger = opened();
        ledger.save(row(STORED, "a"));
        ledger.save(row(STORED, "b"));
        assert_eq!(ledger.plan(), changed("b", false));
    }

    #[test]
    fn cycling_the_id_rotates() {
        let mut ledger = opened();
        ledger.delete(STORED);
        ledger.create(row(7, "a"));
        // Again, after a save, and twice before one.
        ledger.delete(7);
        ledger.delete(8);
        ledger.create(row(9, "a"));
        assert_eq!(ledger.plan(), changed("a", true));
    }

    #[test]
    fn flushing_destroys() {
        let mut ledger = opened();
        ledger.delete(STORED);
        assert_eq!(ledger.plan(), destroyed(None));
        // It was looked for in vain, so what comes is new.
        let mut ledger = opened();
        ledger.delete(STORED);
        assert!(matches!(ledger.load(), Loading::Gone));
        ledger.create(row(7, "a"));
        assert_eq!(ledger.plan(), destroyed(Some("a")));
        let mut ledger = opened();
        ledger.delete(STORED);
        ledger.create(row(STORED, "a"));
        assert_eq!(ledger.plan(), destroyed(Some("a")));
    }

    #[test]
    fn flushing_and_cycling_destroys() {
        let mut ledger = opened();
        ledger.delete(STORED);
        ledger.delete(STORED);
        ledger.create(row(7, "a"));
        assert_eq!(ledger.plan(), destroyed(Some("a")));
        // The other way round, with a save in between.
        let mut ledger = opened();
        ledger.delete(STORED);
        ledger.create(row(7, "a"));
        ledger.delete(7);
        assert_eq!(ledger.plan(), destroyed(None));
    }

    #[test]
    fn saving_after_a_deletion_is_another_session() {
        let mut ledger = opened();
        ledger.delete(STORED);
        ledger.save(row(STORED, "a"));
        assert_eq!(ledger.plan(), destroyed(Some("a")));
    }
}
