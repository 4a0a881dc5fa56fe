//! Values that need to be unique but not secret: lease owners, commits, the random bits of ids.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use crate::sync::RandomState;

/// 64 well-mixed bits that no other call returns, in this process or another.
///
/// The standard library seeds its hash maps' keys from the operating system once a thread and
/// varies them for every map; `SipHash` of nothing under such a key is all that is needed here,
/// without a system call. Nothing that must not be guessed comes from this function.
pub(crate) fn unique_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn unique_u128() -> u128 {
    // Zero means "none" in `Commits`.
    ((u128::from(unique_u64()) << 64) | u128::from(unique_u64())).max(1)
}

macro_rules! unique_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(u128);

        impl $name {
            /// A value that no other call returns, in any process.
            pub fn unique() -> Self {
                Self(unique_u128())
            }

            /// The value as a store writes it down. Never zero for a [`unique`](Self::unique) one.
            pub const fn to_u128(self) -> u128 {
                self.0
            }

            /// The value as a store reads it back.
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    };
}

unique_id! {
    /// Who holds a session's lease: made by the client before it asks, so that a reply that got
    /// lost can be asked for again and a lock nobody heard of can be given back.
    Owner
}

unique_id! {
    /// The identity of one commit, by which a retry finds out that it was already applied.
    CommitId
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn values_do_not_repeat_within_or_across_threads() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| (0..10_000).map(|_| Owner::unique()).collect::<Vec<_>>())
            })
            .collect();
        let all: HashSet<_> = threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect();
        assert_eq!(all.len(), 40_000);
    }

    #[test]
    fn both_halves_are_unique() {
        let values: Vec<_> = (0..1_000).map(|_| unique_u128()).collect();
        for shift in [0, 64] {
            let halves: HashSet<_> = values.iter().map(|value| (value >> shift) << 64).collect();
            assert_eq!(halves.len(), 1_000, "shifted by {shift}");
        }
    }
}
