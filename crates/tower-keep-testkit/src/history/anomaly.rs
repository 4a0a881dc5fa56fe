//! What can be wrong with a history.

use std::fmt;

use tower_keep_core::SessionId;

/// Something that no order of a session's operations explains. Operations are named by their
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly {
    /// The session.
    pub session: SessionId,
    /// What is wrong.
    pub kind: Kind,
}

/// The kinds of [`Anomaly`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Both writes were done upon the same state.
    TwoWinners(u64, u64),
    /// The write was done, and is missing in what was seen later.
    Lost(u64),
    /// The write is twice in a list that the second one saw.
    Duplicated(u64, u64),
    /// A list that the second one saw has something that nobody wrote.
    Invented(u64, u64),
    /// The write was refused, and is there.
    RefusedIsThere(u64),
    /// They saw the same writes in another order, or lists that do not go together.
    Reordered(u64, u64),
    /// Counter, note or user do not follow from the list that this one saw.
    Inconsistent(u64),
    /// The first one did not see the second one, which was done before it began.
    Stale(u64, u64),
    /// The first one was done after the second one had found or made the session ended.
    Resurrected(u64, u64),
    /// This one was let in by a secret that had been replaced.
    WrongSecret(u64),
    /// This one was told that there is no session, and there was.
    Vanished(u64),
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}: ", self.session)?;
        match self.kind {
            Kind::TwoWinners(a, b) => write!(f, "writes {a} and {b} were done upon the same state"),
            Kind::Lost(a) => write!(f, "write {a} was done and is missing"),
            Kind::Duplicated(a, b) => write!(f, "write {a} is there twice, as {b} saw"),
            Kind::Invented(a, b) => write!(f, "{b} saw {a}, which nobody wrote"),
            Kind::RefusedIsThere(a) => write!(f, "write {a} was refused and is there"),
            Kind::Reordered(a, b) => write!(f, "what {a} and {b} saw has no common order"),
            Kind::Inconsistent(a) => write!(f, "what {a} saw does not follow from the list"),
            Kind::Stale(a, b) => write!(f, "{a} did not see {b}, which was done before"),
            Kind::Resurrected(a, b) => write!(f, "{a} was done after {b}, when it had ended"),
            Kind::WrongSecret(a) => write!(f, "{a} was let in by a secret that was replaced"),
            Kind::Vanished(a) => write!(f, "{a} was told that there is no session"),
        }
    }
}
