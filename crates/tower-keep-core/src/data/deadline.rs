//! Values that are gone from a moment on.
//!
//! Which keys have such a deadline stands in one entry of the library's own: `{"name":5000}` is
//! 5,000 ms after the session's creation, `{"name":[1700000000000]}` that many after the epoch. A
//! span is counted from the creation because a new session does not know the store's time yet; an
//! instant needs no such detour. A session without deadlines does not have the entry.
//!
//! What is over is taken out of the data as they are opened, so nothing else here has to know of
//! it. It is removed from what is stored with the next commit that changes data.

use std::time::Duration;

use serde_core::Serialize;

use super::blob::Data;
use super::decode::{Encoded, encode};
use super::edit::{DataLimits, Edit};
use super::error::DataError;
use super::patch::Patch;
use super::path::{AsKey, Key};
use super::raw::{self, Buf};
use crate::time::Timestamp;

const DEADLINES: &str = "\u{1}deadlines";

/// When the data were opened.
#[derive(Clone, Copy, Default)]
pub(super) struct Moment {
    /// Milliseconds since the session was created; none for a new one.
    age: u64,
    /// The store's time, where it is known.
    now: Option<Timestamp>,
}

/// What is stored, and the removal of what is over.
#[derive(Clone)]
pub(super) struct Hidden {
    stored: Data,
    removal: Patch,
}

impl Hidden {
    /// What is stored, and `changes` of what could be seen of it as changes of all of it.
    pub(super) fn join(self, mut changes: Patch) -> (Data, Patch) {
        if !changes.is_empty() {
            for (key, value) in self.removal.iter() {
                let again = changes.value(key, || None);
                if again.is_some_and(|new| self.stored.get(key) == Some(new)) {
                    changes.forget(key);
                } else if !changes.has(key) {
                    changes.put(key, value.map(Buf::from_slice));
                }
            }
        }
        (self.stored, changes)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Deadline {
    /// Milliseconds after the session's creation.
    After(u64),
    At(Timestamp),
}

impl Deadline {
    fn read(json: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(json).ok()?;
        match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            Some(at) => Some(Self::At(Timestamp::from_millis(at.parse().ok()?))),
            None => Some(Self::After(text.parse().ok()?)),
        }
    }

    fn text(self) -> String {
        match self {
            Self::After(age) => age.to_string(),
            Self::At(instant) => format!("[{}]", instant.as_millis()),
        }
    }

    fn is_over(self, moment: Moment) -> bool {
        match self {
            Self::After(age) => age <= moment.age,
            Self::At(instant) => moment.now.is_some_and(|now| instant <= now),
        }
    }
}

/// A key, and its deadline as it is written.
struct Mark {
    key: String,
    text: String,
}

impl Mark {
    /// One that cannot be read is over: what should be gone must not stay for ever.
    fn is_over(&self, moment: Moment) -> bool {
        Deadline::read(self.text.as_bytes()).is_none_or(|deadline| deadline.is_over(moment))
    }
}

/// # Deadlines
///
/// From its deadline on a value is absent for everything that looks at the data, and the next
/// commit that changes data removes it from the store; that it is over is no change by itself. It
/// is judged once, by the store's time when the data were opened.
///
/// A deadline belongs to one whole top-level value. [`insert`](Edit::insert),
/// [`flash`](Edit::flash) and [`remove`](Edit::remove) of exactly this key end it; changes of the
/// value or inside of it by `increment`, `push` and longer paths leave it.
impl Edit {
    /// Starts to work on data as they were loaded from a session that was created then, at the
    /// store's time `now`.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use tower_keep_core::Timestamp;
    /// # use tower_keep_core::data::{Data, DataError, DataLimits, Edit};
    ///
    /// let limits = DataLimits::default();
    /// let mut new = Edit::new(Data::default(), limits);
    /// new.insert_for("code", "1234", Duration::from_secs(60))?;
    /// let stored = new.into_data()?;
    ///
    /// let created = Timestamp::from_millis(1_700_000_000_000);
    /// let just_before = created.plus(Duration::from_millis(59_999));
    /// assert!(Edit::opened(stored.clone(), limits, created, just_before).has("code"));
    /// let then = created.plus(Duration::from_secs(60));
    /// assert!(!Edit::opened(stored, limits, created, then).has("code"));
    /// # Ok::<(), DataError>(())
    /// ```
    #[must_use]
    pub fn opened(base: Data, limits: DataLimits, created_at: Timestamp, now: Timestamp) -> Self {
        let mut edit = Self::new(base, limits);
        edit.moment = Moment {
            age: millis(now.since(created_at)),
            now: Some(now),
        };
        edit.hide_what_is_over();
        edit
    }

    /// Sets a value that is gone this long after the data were opened; at once if that is no time
    /// at all. Parts of a millisecond are dropped.
    ///
    /// In a new session the time counts from its creation, which is the commit.
    ///
    /// # Errors
    ///
    /// [`DataError::NestedDeadline`] if the key is a path into a value; [`DataError::InvalidKey`],
    /// [`DataError::Encode`] or [`DataError::TooDeep`].
    pub fn insert_for<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        value: &T,
        ttl: Duration,
    ) -> Result<(), DataError> {
        self.insert_until_deadline(key, value, self.deadline_in(ttl))
    }

    pub(super) fn deadline_in(&self, ttl: Duration) -> Deadline {
        Deadline::After(self.moment.age.saturating_add(millis(ttl)))
    }

    /// Sets a value that is gone from this instant on, by the store's clock.
    ///
    /// # Errors
    ///
    /// As [`insert_for`](Self::insert_for).
    pub fn insert_until<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        value: &T,
        until: Timestamp,
    ) -> Result<(), DataError> {
        self.insert_until_deadline(key, value, Deadline::At(until))
    }

    /// For the library: the time by which instants are judged in a new session, which has not met
    /// the store's.
    pub fn assume_now(&mut self, now: Timestamp) {
        self.moment.now = self.moment.now.or(Some(now));
    }

    /// For the library: what is to be read after all of this was saved.
    ///
    /// # Errors
    ///
    /// As [`check_size`](Self::check_size).
    pub fn saved(&self) -> Result<Self, DataError> {
        self.check_size()?;
        let mut saved = self.clone();
        saved.drop_now();
        saved.hidden = None;
        saved.base.apply(&std::mem::take(&mut saved.patch));
        Ok(saved)
    }

    fn insert_until_deadline<T: Serialize + ?Sized>(
        &mut self,
        key: impl AsKey,
        value: &T,
        deadline: Deadline,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        let value = encode(key.text(), value)?;
        self.insert_dated(key, value, deadline)
    }

    pub(super) fn insert_dated(
        &mut self,
        key: Key<'_>,
        value: Encoded,
        deadline: Deadline,
    ) -> Result<(), DataError> {
        self.check(key)?;
        if self.parent(key).is_some() {
            return Err(DataError::NestedDeadline {
                key: key.text().to_owned(),
            });
        }
        if deadline.is_over(self.moment) {
            self.drop_value(key);
            return Ok(());
        }
        self.set(key.text(), value.json);
        self.unmark(key.text());
        let mut marks = self.deadlines();
        marks.push(Mark {
            key: key.text().to_owned(),
            text: deadline.text(),
        });
        self.set_deadlines(&marks);
        Ok(())
    }

    /// Takes out what is over, so that it neither is seen nor counts as changed.
    fn hide_what_is_over(&mut self) {
        if self.system(DEADLINES).is_none() {
            return;
        }
        let moment = self.moment;
        let mut marks = self.deadlines();
        let mut any = false;
        for mark in marks.extract_if(.., |mark| mark.is_over(moment)) {
            any = true;
            self.unset(&mark.key);
        }
        if !any {
            return;
        }
        self.set_deadlines(&marks);
        let removal = std::mem::take(&mut self.patch);
        let mut seen = self.base.clone();
        seen.apply(&removal);
        let stored = std::mem::replace(&mut self.base, seen);
        self.hidden = Some(Box::new(Hidden { stored, removal }));
    }

    /// Lets what is under a key stay for as long as the session.
    pub(super) fn forget_deadline(&mut self, key: &str) {
        if self.system(DEADLINES).is_some() {
            let mut marks = self.deadlines();
            marks.retain(|mark| mark.key != key);
            self.set_deadlines(&marks);
        }
    }

    pub(super) fn forget_deadlines(&mut self) {
        self.set_deadlines(&[]);
    }

    fn deadlines(&self) -> Vec<Mark> {
        let json = self.system(DEADLINES).unwrap_or_default();
        let text = |place| json.get(place).map(String::from_utf8_lossy);
        raw::items(json, 0)
            .map(|item| Mark {
                key: item.decoded_name(),
                text: text(item.value).unwrap_or_default().into_owned(),
            })
            .collect()
    }

    fn set_deadlines(&mut self, marks: &[Mark]) {
        if marks.is_empty() {
            return self.unset(DEADLINES);
        }
        let mut json = Buf::new();
        for (index, mark) in marks.iter().enumerate() {
            json.extend_from_slice(if index == 0 { b"{\"" } else { b",\"" });
            json.extend_from_slice(&raw::escaped(mark.key.as_bytes()));
            json.extend_from_slice(b"\":");
            json.extend_from_slice(mark.text.as_bytes());
        }
        json.push(b'}');
        self.set(DEADLINES, json);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
