//! What can go wrong, and what the process says then.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use tower_keep::keys::KeyError;
use tower_keep::{DataError, StoreError};
use tower_keep_connect::ConnectError;

/// Why a command did not do all that it was asked for. No message shows a URL's password, a
/// session's data or what opens it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The arguments contradict each other or one is missing.
    #[error("{0}")]
    Usage(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store lacks an ability that the command needs.
    #[error("a `{store}` store cannot {what}")]
    Unable {
        /// The store's name.
        store: &'static str,
        /// What it cannot do.
        what: &'static str,
    },
    /// Sessions that were asked for are not there.
    #[error("{0}")]
    NotFound(String),
    /// It was done in part.
    #[error("{0}")]
    Incomplete(String),
    /// Ctrl-C; the text says how far it came.
    #[error("stopped: {0}")]
    Stopped(String),
    /// The file with the keys cannot be read.
    #[error("cannot read the keys in {}", path.display())]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in the file with the keys is none.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A session's data are damaged.
    #[error("the session's data cannot be read")]
    Data(#[from] DataError),
    /// The answer cannot be written.
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
    /// There are no threads or no signals to be had.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl Failure {
    /// The status that the process ends with: 2 for wrong arguments, 3 where something was not
    /// found, 130 after Ctrl-C, and 1 for everything else. Arguments that cannot be read at all end
    /// the process before, with 2.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Stopped(_) => 130,
            _ => 1,
        }
    }

    /// The message with all its causes.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Writing into a string cannot fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_keep::StoreErrorKind;

    #[test]
    fn a_message_has_its_causes() {
        let error = StoreError::new(StoreErrorKind::Unavailable, "nobody listens");
        let failure = Failure::from(error);
        let text = "the session store is unavailable: nobody listens";
        assert_eq!(failure.in_full(), text);
        assert_eq!(failure.exit_code(), 1);
    }
}
