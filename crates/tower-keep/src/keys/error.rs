//! What can be wrong with a key.

use std::io;
use std::path::PathBuf;

/// Why there is no key. No message repeats anything of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is too easily guessed.
    #[error(
        "a key must have at least 32 random bytes, this one has {bytes}: make one with `openssl rand -hex 32`"
    )]
    TooShort {
        /// How many it has.
        bytes: usize,
    },
    /// It is text of another kind.
    #[error("a key must be written in hexadecimal or base64: make one with `openssl rand -hex 32`")]
    NotText,
    /// There is none.
    #[error("there is no key: at least one is needed")]
    Empty,
    /// Its file cannot be read.
    #[error("the file of keys {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
