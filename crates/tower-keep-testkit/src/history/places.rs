//! Operations in the order that they must have taken effect in, against the times of their calls.

use super::Operation;
use super::anomaly::Kind;

/// An operation at its place.
pub(super) struct Placed<'a> {
    operation: &'a Operation,
    place: usize,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Reading,
    /// The write that is next after so many.
    Writing(usize),
    Ending,
    AfterEnd,
    /// Its place is here, or anywhere later.
    ShutOut,
}

impl Role {
    /// Whether what comes after must wait for it. One end is enough to end a session, and who ends
    /// it once more does so at any time later.
    const fn holds_up(self) -> bool {
        !matches!(self, Self::ShutOut | Self::Ending)
    }
}

impl<'a> Placed<'a> {
    /// Sees `at` writes.
    pub(super) const fn reading(operation: &'a Operation, at: usize) -> Self {
        Self::new(operation, 2 * at, Role::Reading)
    }

    /// Comes next after `at` writes.
    pub(super) const fn writing(operation: &'a Operation, at: usize) -> Self {
        Self::new(operation, 2 * at + 1, Role::Writing(at))
    }

    /// Ends a session of `len` writes that somebody saw.
    pub(super) const fn ending(operation: &'a Operation, len: usize) -> Self {
        Self::new(operation, 2 * len + 2, Role::Ending)
    }

    /// Found that it had ended.
    pub(super) const fn after_end(operation: &'a Operation, len: usize) -> Self {
        Self::new(operation, 2 * len + 3, Role::AfterEnd)
    }

    /// Found its secret replaced, after `at` writes or later.
    pub(super) const fn shut_out(operation: &'a Operation, at: usize) -> Self {
        Self::new(operation, 2 * at, Role::ShutOut)
    }

    const fn new(operation: &'a Operation, place: usize, role: Role) -> Self {
        Self {
            operation,
            place,
            role,
        }
    }

    /// It returned before `later` was called, which has a lower place. Of the list, `seen` writes
    /// were seen by anybody.
    const fn overtaken_by(&self, later: &Self, seen: usize) -> Kind {
        let (this, later) = (self.operation.call.id, later.operation.call.id);
        match self.role {
            Role::Ending | Role::AfterEnd => Kind::Resurrected(later, this),
            Role::Writing(at) if at >= seen => Kind::Lost(this),
            _ => Kind::Stale(later, this),
        }
    }
}

/// Finds those that returned before one with a lower place was called.
pub(super) fn in_order(mut placed: Vec<Placed<'_>>, seen: usize, kinds: &mut Vec<Kind>) {
    placed.sort_by_key(|one| one.place);
    // Of all with a lower place, the one that was called last.
    let mut last: Option<&Placed<'_>> = None;
    for same in placed.chunk_by(|a, b| a.place == b.place) {
        for one in same {
            if let Some(last) = last
                && one.operation.returned < last.operation.called
            {
                kinds.push(one.overtaken_by(last, seen));
            }
        }
        let counted = same.iter().filter(|one| one.role.holds_up());
        last = counted.chain(last).max_by_key(|one| one.operation.called);
    }
}
