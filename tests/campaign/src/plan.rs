//! Which operation is next.

use tower_keep_testkit::Rng;
use tower_keep_testkit::history::{Action, Effect};

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    ReadById,
    Extend,
    Push,
    Add,
    Note,
    Rotate,
    User,
    AddById,
    Merge,
    Discard,
    Destroy,
    Revoke,
}

/// How many of a thousand.
const MIX: [(Kind, u64); 13] = [
    (Kind::Read, 270),
    (Kind::ReadById, 30),
    (Kind::Extend, 60),
    (Kind::Push, 110),
    (Kind::Add, 180),
    (Kind::Note, 70),
    (Kind::Rotate, 35),
    (Kind::User, 25),
    (Kind::AddById, 30),
    (Kind::Merge, 130),
    (Kind::Discard, 40),
    (Kind::Destroy, 10),
    (Kind::Revoke, 10),
];

impl Kind {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let mut left = rng.below(MIX.iter().map(|(_, share)| share).sum());
        for (kind, share) in MIX {
            match left.checked_sub(share) {
                Some(more) => left = more,
                None => return kind,
            }
        }
        Self::Read
    }

    /// Whether it names the session by its id, and needs no secret.
    pub(crate) const fn is_by_id(self) -> bool {
        matches!(self, Self::ReadById | Self::AddById | Self::Revoke)
    }

    /// Of those that write under the lock, its name in the application.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Add | Self::AddById => "add",
            Self::Note => "note",
            Self::Rotate => "rotate",
            Self::User => "user",
            _ => "push",
        }
    }

    pub(crate) fn path(self, id: u64) -> String {
        match self {
            Self::Extend => "/extend".to_owned(),
            Self::Merge => format!("/merge/{id}"),
            Self::Discard => format!("/discard/{id}"),
            Self::Destroy => "/destroy".to_owned(),
            Self::Read | Self::ReadById | Self::AddById | Self::Revoke => "/read".to_owned(),
            Self::Push | Self::Add | Self::Note | Self::Rotate | Self::User => {
                format!("/write/{}/{id}", self.name())
            }
        }
    }

    pub(crate) fn action(self) -> Action {
        let effect = Effect {
            add: i64::from(matches!(self, Self::Add | Self::AddById | Self::Merge)),
            note: self == Self::Note,
            user: self == Self::User,
            secret: matches!(self, Self::Rotate | Self::User),
        };
        match self {
            Self::Read | Self::ReadById | Self::Extend => Action::Read,
            Self::Destroy | Self::Revoke => Action::End,
            _ => Action::Write {
                effect,
                blind: self == Self::Merge,
            },
        }
    }
}
