//! What the `Typed` values of a request owe to its commit.

use crate::error::Error;

/// The changed values that are not written back yet. A commit with any of them would lose them.
#[derive(Default)]
pub(crate) struct Pending {
    /// The keys of the values, each as often as there are changed ones of it.
    keys: Vec<&'static str>,
    /// Why the first of those that were dropped could not be written.
    failed: Option<Error>,
}

impl Pending {
    pub(super) fn begin(&mut self, key: &'static str) {
        self.keys.push(key);
    }

    pub(super) fn end(&mut self, key: &'static str) {
        if let Some(at) = self.keys.iter().position(|changed| *changed == key) {
            self.keys.swap_remove(at);
        }
    }

    /// It stays pending, for nobody will write it any more.
    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Refuses a commit that would lose something.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.keys.first() {
            Some(key) => Err(Error::Unsaved { key }),
            None => Ok(()),
        }
    }
}
