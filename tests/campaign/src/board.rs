//! Where the nodes leave the newest cookie of each session for one another.

use std::path::{Path, PathBuf};

/// A directory with a file for each place.
#[derive(Debug, Clone)]
pub(crate) struct Board(PathBuf);

impl Board {
    pub(crate) fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(crate) fn get(&self, place: u64) -> Option<String> {
        std::fs::read_to_string(self.file(place)).ok()
    }

    /// Puts `cookie` in the place of `old`; who came in between stays, as long as nobody is very
    /// quick.
    pub(crate) fn replace(&self, place: u64, old: Option<&str>, cookie: &str, by: u64) {
        if self.get(place).as_deref() == old {
            let new = self.0.join(format!("new-{by}"));
            std::fs::write(&new, cookie).unwrap();
            std::fs::rename(&new, self.file(place)).unwrap();
        }
    }

    fn file(&self, place: u64) -> PathBuf {
        self.0.join(format!("place-{place}"))
    }
}
