//! What the request whose future is dropped does, and what its commit makes of the session.

use super::world::Seen;

/// What the request whose future is dropped does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Writes for the first time.
    Create,
    Increment,
    /// Increments without waiting for anybody before it runs.
    Merge,
    /// Sets the user, which rotates, and writes.
    Login,
    Logout,
    /// Destroys its session and writes.
    Replace,
    /// Commits before its end.
    Early,
    EarlyLogin,
    /// The same, but it does not wait for that commit.
    HastyLogin,
    /// Reads first, and writes then.
    Upgrade,
    /// Writes through a handle, without a response.
    Handle,
    /// Others in the same process want the session as well.
    Neighbours,
    /// Others in another process want the session as well.
    Strangers,
}

pub(crate) const SCENARIOS: [Scenario; 13] = [
    Scenario::Create,
    Scenario::Increment,
    Scenario::Merge,
    Scenario::Login,
    Scenario::Logout,
    Scenario::Replace,
    Scenario::Early,
    Scenario::EarlyLogin,
    Scenario::HastyLogin,
    Scenario::Upgrade,
    Scenario::Handle,
    Scenario::Neighbours,
    Scenario::Strangers,
];

impl Scenario {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Create | Self::Increment | Self::Neighbours | Self::Strangers => "/increment",
            Self::Merge => "/merge",
            Self::Login => "/login",
            Self::Logout => "/logout",
            Self::Replace => "/replace",
            Self::Early => "/early",
            Self::EarlyLogin => "/early-login",
            Self::HastyLogin => "/hasty-login",
            Self::Upgrade => "/upgrade",
            Self::Handle => "/handle",
        }
    }

    /// The stored session after this request's commit.
    pub(crate) fn commits(self, seen: &mut Seen) {
        match self {
            Self::Create => return,
            Self::Logout | Self::Replace => {
                seen.gone = true;
                seen.n = None;
                seen.secret = [0; 32];
            }
            _ => seen.n = seen.n.map(|n| n + 1),
        }
        if self.rotates() {
            seen.generation += 1;
            seen.user = Some("ada".into());
        }
        seen.version += 1;
    }

    pub(crate) fn rotates(self) -> bool {
        matches!(self, Self::Login | Self::EarlyLogin | Self::HastyLogin)
    }

    /// The value in the session that it starts, if it does.
    pub(crate) fn starts(self) -> Option<i64> {
        match self {
            Self::Create => Some(1),
            Self::Replace => Some(100),
            _ => None,
        }
    }
}
