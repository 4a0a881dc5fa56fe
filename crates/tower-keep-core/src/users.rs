//! Whose sessions are whose.
//!
//! # Invariants
//! 1. *Never short.* From before the moment in which a [`create`](crate::SessionStore::create) or
//!    [`finish`](crate::SessionStore::finish) that sets a user is answered, and for as long as the
//!    record lives and belongs to that user, [`Users`] finds it.
//! 2. *Judged by the record.* What an index says more than that (of sessions that ended or changed
//!    hands) shows nowhere: whether a session belongs to a user is what its record says.
//! 3. *The cap is exact.* Of any number of sessions that join a user at the same time no more are
//!    answered and live than [`UserCap::most`].

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::store::View;
use crate::time::Timestamp;

/// How many sessions a user may have, and what happens to one more.
///
/// ```
/// use tower_keep_core::UserCap;
///
/// let three_devices = UserCap::evict_oldest(3);
/// let one_at_a_time = UserCap::refuse(1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserCap {
    /// At most so many.
    pub most: NonZeroUsize,
    /// What happens where there are as many.
    pub when_full: WhenFull,
}

/// What happens when a user has as many sessions as may and another one is to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The sessions in which the user logged in longest ago are destroyed.
    EvictOldest,
    /// It cannot join: [`StoreErrorKind::UserFull`].
    Refuse,
}

impl UserCap {
    /// At most so many; the oldest makes room for a new one. Zero is taken for one.
    pub const fn evict_oldest(most: usize) -> Self {
        Self::new(most, WhenFull::EvictOldest)
    }

    /// At most so many; one more is refused. Zero is taken for one.
    pub const fn refuse(most: usize) -> Self {
        Self::new(most, WhenFull::Refuse)
    }

    const fn new(most: usize, when_full: WhenFull) -> Self {
        let most = match NonZeroUsize::new(most) {
            Some(most) => most,
            None => NonZeroUsize::MIN,
        };
        Self { most, when_full }
    }

    /// Which of a user's other live sessions, each with the instant of its login
    /// ([`Head::authenticated_at`](crate::Head::authenticated_at)), must end so that one more can
    /// join them: those with the oldest login, of equal ones the one created first.
    ///
    /// # Errors
    /// [`StoreErrorKind::UserFull`] if none of them may be ended.
    pub fn make_room(
        &self,
        others: impl IntoIterator<Item = (Option<Timestamp>, SessionId)>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut others: Vec<_> = others.into_iter().collect();
        let surplus = (others.len() + 1).saturating_sub(self.most.get());
        if surplus > 0 && self.when_full == WhenFull::Refuse {
            return Err(self.full());
        }
        others.sort_unstable();
        Ok(others.into_iter().take(surplus).map(|(_, id)| id).collect())
    }

    /// The refusal.
    pub fn full(&self) -> StoreError {
        let text = format!("a user may have at most {} sessions", self.most);
        StoreError::new(StoreErrorKind::UserFull, text)
    }
}

/// Which of a user's sessions are asked for.
#[derive(Debug, Clone, Copy)]
pub struct UserPage {
    /// Only those that were created before this one: the last of the page before.
    pub before: Option<SessionId>,
    /// At most so many.
    pub limit: usize,
    /// Whether the data are wanted; without, [`View::data`] is empty.
    pub data: bool,
}

impl Default for UserPage {
    /// The newest hundred, without data.
    fn default() -> Self {
        Self {
            before: None,
            limit: 100,
            data: false,
        }
    }
}

/// What a call of [`Users`] comes to.
pub type UsersFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that knows whose sessions are whose (optional ability, see
/// [`SessionStore::users`](crate::SessionStore::users)).
///
/// A store that has it keeps its index up in [`create`](crate::SessionStore::create) and
/// [`finish`](crate::SessionStore::finish), and obeys [`NewSession::cap`](crate::NewSession::cap)
/// and [`HeadChange::cap`](crate::HeadChange::cap) there: the sessions that must go are destroyed
/// before the answer, and where none may go it is [`StoreErrorKind::UserFull`] and nothing was
/// applied. A session that belongs to the user already does not count against itself. A record
/// that [`cas`](crate::SessionStore::cas) puts where none is is found as well; one that it writes
/// over another need not be.
pub trait Users: Send + Sync {
    /// The user's live sessions, those with the largest id (created last) first.
    fn list<'a>(&'a self, user: &'a str, page: UserPage) -> UsersFuture<'a, Vec<View>>;

    /// Destroys a session if it is alive and belongs to this user, whoever holds its lease; tells
    /// whether it did.
    fn revoke<'a>(&'a self, user: &'a str, id: SessionId) -> UsersFuture<'a, bool>;

    /// Destroys every session of the user, but for the one excepted, and tells which they were.
    /// Of those whose creation or change of user was answered before the call none opens any more
    /// after it, on any node; one that is joining meanwhile is destroyed or is not.
    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        except: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others() -> [(Option<Timestamp>, SessionId); 4] {
        [(30, 1), (10, 2), (20, 3), (10, 1)].map(|(login, number)| {
            let id = SessionId::new(Timestamp::from_millis(number));
            (Some(Timestamp::from_millis(login)), id)
        })
    }

    #[test]
    fn the_oldest_logins_make_room() {
        let others = others();
        let room = |most| UserCap::evict_oldest(most).make_room(others).unwrap();
        assert_eq!(room(5), []);
        assert_eq!(room(4), [others[3].1]);
        assert_eq!(room(3), [others[3].1, others[1].1]);
        assert_eq!(room(0).len(), 4, "zero is taken for one");
    }

    #[test]
    fn a_full_user_is_refused() {
        assert_eq!(UserCap::refuse(5).make_room(others()).unwrap(), []);
        let error = UserCap::refuse(4).make_room(others()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::UserFull);
    }
}
