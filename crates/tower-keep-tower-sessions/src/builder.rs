//! Configuration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::{Clock, SystemClock};

use crate::bridged::Bridged;
use crate::theirs::Theirs;

/// How to make a [`Bridged`]; from its `builder`.
#[must_use]
pub struct BridgedBuilder<T> {
    pub(crate) theirs: T,
    keep_expired: Duration,
    max_data: usize,
    clock: Arc<dyn Clock>,
}

impl<T: Theirs> BridgedBuilder<T> {
    pub(crate) fn over(theirs: T) -> Self {
        Self {
            theirs,
            keep_expired: Duration::from_secs(600),
            max_data: 1024 * 1024,
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// How long sessions stay after their deadline, told apart from such as never were, and
    /// tombstones after the destruction. Default 10 minutes. Not shorter than the oldest request
    /// that is to be recognised as begun before a logout (the layer's `max_request_age`), and
    /// longer than the clocks of this process and of their store may differ.
    pub fn keep_expired(mut self, span: Duration) -> Self {
        self.keep_expired = span;
        self
    }

    /// How many bytes the data of one session may have as JSON. Default 1 MiB. More is refused
    /// before anything is written, with [`BridgeError::TooLarge`](crate::BridgeError::TooLarge).
    /// Their store gets a third more, as base64, and may have limits of its own.
    pub fn max_data(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// The clock that sessions end by, for tests. Their store has its own. Default: the operating
    /// system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the store. Clones of it are the same store.
    pub fn build(self) -> Bridged<T> {
        Bridged::over(self.theirs, self.keep_expired, self.max_data, self.clock)
    }
}

impl<T> fmt::Debug for BridgedBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgedBuilder")
            .field("keep_expired", &self.keep_expired)
            .field("max_data", &self.max_data)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
