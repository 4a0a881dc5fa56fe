//! What a request does to data that others may change meanwhile, so that it can be done again.
//!
//! # Invariant
//! Whatever [`MergeLog::replay`] returns is what the request would have made of the newest data
//! had it run on them: the same steps, and everything that it has seen on the way was the same.
//! So a commit of it is as if the request had begun after the other's commit.

use std::time::Duration;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

use super::deadline::Deadline;
use super::decode::{Encoded, encode};
use super::edit::{Edit, system_key};
use super::error::{DataError, Kind};
use super::flash::Mark;
use super::path::{AsKey, Key, Keys, Literal};
use super::raw::{self, Buf};
use crate::time::Timestamp;

/// What one request has read and written, in order.
///
/// Its methods change the request's [`Edit`] as the methods of the same names there do, and note
/// what they did. What is only read is noted by [`read`](Self::read) and its like.
///
/// ```
/// use tower_keep_core::data::{Data, DataError, DataLimits, Edit, MergeLog};
///
/// let edit_of = |json: &[u8]| -> Result<Edit, DataError> {
///     Ok(Edit::new(Data::from_json(json, 1024)?, DataLimits::default()))
/// };
/// let mut edit = edit_of(br#"{"data":{"views":1,"theme":"dark"}}"#)?;
/// let mut log = MergeLog::default();
/// log.increment(&mut edit, "views", 1)?;
///
/// // Meanwhile another request has committed.
/// let was = || edit_of(br#"{"data":{"views":1,"theme":"dark"}}"#);
/// let is = || edit_of(br#"{"data":{"views":7,"theme":"light"}}"#);
/// let merged = log.replay(was()?, is()?)?.map(Edit::into_data).transpose()?;
/// assert_eq!(merged.unwrap().to_json(), br#"{"data":{"theme":"light","views":8}}"#);
///
/// // What it has read must not have changed.
/// log.read(&edit, "theme");
/// assert!(log.replay(was()?, is()?)?.is_none());
/// # Ok::<(), DataError>(())
/// ```
#[derive(Default)]
pub struct MergeLog {
    steps: Vec<Step>,
}

enum Step {
    Read(Name),
    /// All of the array that a path leads to; the path is no literal key.
    ReadArray(Box<str>),
    ReadAll,
    Insert(Name, Encoded),
    InsertDated(Name, Encoded, Deadline),
    /// An entry of the library's own, as it is then.
    System(Box<str>, Option<Buf>),
    Remove(Name),
    Push(Name, Encoded),
    Add(Name, i64),
    Flash(Name, Encoded),
    FlashNow(Name, Encoded),
    Reflash,
    Keep(Vec<Name>),
    AgeFlash(Vec<Mark>),
}

/// A key that is kept.
struct Name {
    text: Box<str>,
    literal: bool,
}

impl Name {
    fn of(key: Key<'_>) -> Self {
        Self {
            text: key.text().into(),
            literal: key.is_literal(),
        }
    }

    fn key(&self) -> Key<'_> {
        if self.literal {
            Literal(&self.text).into()
        } else {
            (&*self.text).into()
        }
    }
}

/// # Reading
impl MergeLog {
    /// Notes that the values under these keys were looked at, be it whether there are any.
    pub fn read(&mut self, edit: &Edit, keys: impl Keys) {
        keys.every(&mut |key| {
            self.saw(edit, key);
            true
        });
    }

    /// Notes that all of the user's data were looked at, be it how many there are.
    pub fn read_all(&mut self) {
        self.steps.push(Step::ReadAll);
    }

    /// Notes that the flash values that can be read now were looked at. Others may come: they stay
    /// for the next request.
    pub fn read_flashes(&mut self, edit: &Edit) {
        let flashes = edit.flash_keys();
        self.steps
            .extend(flashes.map(|key| Step::Read(Name::of(Literal(&key).into()))));
    }

    fn saw(&mut self, edit: &Edit, key: Key<'_>) {
        self.saw_place(edit, key);
        self.steps.push(Step::Read(Name::of(key)));
    }

    /// An element of an array is known by its place, which depends on the whole array.
    fn saw_place(&mut self, edit: &Edit, key: Key<'_>) {
        if let Some(array) = edit.array_on_the_way(key) {
            self.steps.push(Step::ReadArray(array.into()));
        }
    }
}

/// # Writing
impl MergeLog {
    /// Sets the value under a key, also an equal one: it may have changed meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Edit::insert`]. What was in the way has been seen then.
    pub fn insert<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        value: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        let value = encode(key.text(), value)?;
        self.saw_place(edit, key);
        self.step(edit, Some(key), Step::Insert(Name::of(key), value))
    }

    /// Sets a value that is gone this long after the data were opened.
    ///
    /// # Errors
    ///
    /// As [`Edit::insert_for`].
    pub fn insert_for<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        value: &T,
        ttl: Duration,
    ) -> Result<(), DataError> {
        self.insert_dated(edit, key.as_key(), value, edit.deadline_in(ttl))
    }

    /// Sets a value that is gone from this instant on, by the store's clock.
    ///
    /// # Errors
    ///
    /// As [`Edit::insert_for`].
    pub fn insert_until<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        value: &T,
        until: Timestamp,
    ) -> Result<(), DataError> {
        self.insert_dated(edit, key.as_key(), value, Deadline::At(until))
    }

    fn insert_dated<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: Key<'_>,
        value: &T,
        deadline: Deadline,
    ) -> Result<(), DataError> {
        let value = encode(key.text(), value)?;
        let step = Step::InsertDated(Name::of(key), value, deadline);
        self.step(edit, Some(key), step)
    }

    /// For the library: notes that one of its own entries was set or removed, and how it is now.
    pub fn wrote_system(&mut self, edit: &Edit, name: &str) {
        let key = system_key(name);
        let json = edit.system(&key).map(Buf::from_slice);
        self.steps.push(Step::System(key.into(), json));
    }

    /// Sets several values in turn, all of them or, on an error, none.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_all<K: AsKey, V: Serialize>(
        &mut self,
        edit: &mut Edit,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), DataError> {
        let (before, steps) = (edit.clone(), self.steps.len());
        for (key, value) in values {
            if let Err(error) = self.insert(edit, &key, &value) {
                *edit = before;
                self.steps.truncate(steps);
                self.saw(edit, key.as_key());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes the value under a key and returns it, which is reading it.
    ///
    /// # Errors
    ///
    /// As [`Edit::remove`].
    pub fn remove<T: DeserializeOwned>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
    ) -> Result<Option<T>, DataError> {
        let key = key.as_key();
        self.saw(edit, key);
        let value = edit.get(key)?;
        if value.is_some() {
            self.step(edit, None, Step::Remove(Name::of(key)))?;
        }
        Ok(value)
    }

    /// Removes the values under the keys, whether there are any or not.
    pub fn remove_all(&mut self, edit: &mut Edit, keys: impl Keys) {
        keys.every(&mut |key| {
            self.saw_place(edit, key);
            // Removing never fails.
            let _ = self.step(edit, None, Step::Remove(Name::of(key)));
            true
        });
    }

    /// Appends an element to an array; who else appends does not matter.
    ///
    /// # Errors
    ///
    /// As [`Edit::push`].
    pub fn push<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        element: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        let element = encode(key.text(), element)?;
        self.saw_place(edit, key);
        self.step(edit, Some(key), Step::Push(Name::of(key), element))
    }

    /// Adds to an integer; who else adds does not matter.
    ///
    /// # Errors
    ///
    /// As [`Edit::increment`].
    pub fn increment(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        by: i64,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        self.saw_place(edit, key);
        self.step(edit, Some(key), Step::Add(Name::of(key), by))
    }

    /// Sets a flash value; see [`Edit::flash`].
    ///
    /// # Errors
    ///
    /// As [`Edit::flash`].
    pub fn flash<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        value: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        let value = encode(key.text(), value)?;
        self.step(edit, Some(key), Step::Flash(Name::of(key), value))
    }

    /// Sets a value for this request only; see [`Edit::flash_now`].
    ///
    /// # Errors
    ///
    /// As [`Edit::flash`].
    pub fn flash_now<T: Serialize + ?Sized>(
        &mut self,
        edit: &mut Edit,
        key: impl AsKey,
        value: &T,
    ) -> Result<(), DataError> {
        let key = key.as_key();
        let value = encode(key.text(), value)?;
        self.step(edit, Some(key), Step::FlashNow(Name::of(key), value))
    }

    /// Keeps all flash values; see [`Edit::reflash`].
    pub fn reflash(&mut self, edit: &mut Edit) {
        let _ = self.step(edit, None, Step::Reflash);
    }

    /// Keeps these flash values; see [`Edit::keep`].
    pub fn keep(&mut self, edit: &mut Edit, keys: impl Keys) {
        let mut names = Vec::new();
        keys.every(&mut |key| {
            names.push(Name::of(key));
            true
        });
        let _ = self.step(edit, None, Step::Keep(names));
    }

    /// For the library: see [`Edit::age_flash`]. Those that came meanwhile do not age.
    pub fn age_flash(&mut self, edit: &mut Edit) {
        let marks = edit.marks();
        if !marks.is_empty() {
            let _ = self.step(edit, None, Step::AgeFlash(marks));
        }
    }

    /// Makes a step and notes it. That one failed tells something of what is under `key`.
    fn step(&mut self, edit: &mut Edit, key: Option<Key<'_>>, step: Step) -> Result<(), DataError> {
        match (step.make(edit), key) {
            (Err(error), Some(key)) => {
                self.saw(edit, key);
                Err(error)
            }
            (made, _) => {
                self.steps.push(step);
                made
            }
        }
    }
}

/// # Committing
impl MergeLog {
    /// Whether anything was written.
    pub fn writes(&self) -> bool {
        let reads =
            |step: &Step| matches!(step, Step::Read(_) | Step::ReadArray(_) | Step::ReadAll);
        !self.steps.iter().all(reads)
    }

    /// Does everything again on what `is`, the data as they are now; `was` has them as the request
    /// loaded them. `None` if the request has seen something that is otherwise now.
    ///
    /// # Errors
    ///
    /// What a step fails with now that did not fail then.
    pub fn replay(&self, mut was: Edit, mut is: Edit) -> Result<Option<Edit>, DataError> {
        for step in &self.steps {
            let same = match step {
                Step::Read(name) => equal(was.lookup(name.key()), is.lookup(name.key())),
                Step::ReadArray(path) => equal(was.lookup_path(path), is.lookup_path(path)),
                Step::ReadAll => {
                    let (mut was, mut is) = (was.users(), is.users());
                    std::iter::from_fn(|| match (was.next(), is.next()) {
                        (None, None) => None,
                        (Some((key, a)), Some((other, b))) => {
                            Some(key == other && raw::equal(a, b))
                        }
                        _ => Some(false),
                    })
                    .all(|same| same)
                }
                _ => {
                    step.make(&mut was)?;
                    step.make(&mut is)?;
                    true
                }
            };
            if !same {
                return Ok(None);
            }
        }
        Ok(Some(is))
    }
}

impl Step {
    fn make(&self, edit: &mut Edit) -> Result<(), DataError> {
        match self {
            Self::Read(_) | Self::ReadArray(_) | Self::ReadAll => Ok(()),
            Self::InsertDated(name, value, deadline) => {
                edit.insert_dated(name.key(), value.clone(), *deadline)
            }
            Self::System(key, json) => {
                match json {
                    Some(json) => edit.set(key, json.clone()),
                    None => edit.unset(key),
                }
                Ok(())
            }
            Self::Insert(name, value) => edit.insert_encoded(name.key(), value.clone()),
            Self::Remove(name) => {
                edit.drop_value(name.key());
                Ok(())
            }
            Self::Push(name, value) => edit.push_encoded(name.key(), value.clone()),
            Self::Add(name, by) => edit.increment(name.key(), *by).map(drop),
            Self::Flash(name, value) => edit.flash_encoded(name.key(), value.clone()),
            Self::FlashNow(name, value) => edit.flash_now_encoded(name.key(), value.clone()),
            Self::Reflash => {
                edit.reflash();
                Ok(())
            }
            Self::Keep(names) => {
                let keys: Vec<_> = names.iter().map(Name::key).collect();
                edit.keep(keys);
                Ok(())
            }
            Self::AgeFlash(seen) => {
                edit.age_those(seen);
                Ok(())
            }
        }
    }
}

fn equal(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => raw::equal(a, b),
        _ => false,
    }
}

impl Edit {
    /// The first array that a path leads into.
    fn array_on_the_way<'k>(&self, key: Key<'k>) -> Option<&'k str> {
        key.parent().filter(|_| self.top(key.text()).is_none())?;
        let text = key.text();
        let mut prefixes = text.match_indices('.').filter_map(|(at, _)| text.get(..at));
        prefixes.find(|prefix| {
            let value = self.lookup_path(prefix);
            value.is_some_and(|json| raw::kind(json) == Kind::Array)
        })
    }
}

/// Shows how much there is, never what.
impl std::fmt::Debug for MergeLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MergeLog")
            .field("steps", &self.steps.len())
            .finish()
    }
}
