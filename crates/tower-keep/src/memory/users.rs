//! Whose sessions are whose: an index beside the records.
//!
//! Invariants:
//! 1. A session joins a user, and makes room for itself, under that user's mutex, so the cap is
//!    exact. Its entry is there before its record says so (and so the index is never short), and
//!    goes after the record has said so for the last time.
//! 2. Order of the mutexes: one user's, then one shard's, and nothing else under either. What a
//!    step on a shard leaves to do for other users waits in [`After`] until both are free.
//!
//! Users are known by a keyed hash only. Two with the same one share an entry; that costs time and
//! nothing else, because a session's record has the last word.

#[cfg(keep_shuttle)]
pub mod threads;

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use tower_keep_core::{
    Created, Finish, Finished, NewSession, SessionId, StoreError, UserCap, UserPage, Users,
    UsersFuture, View,
};

use super::shard::{IdHasher, Shard};
use super::{Inner, MemoryStore};
use crate::sync::{Mutex, MutexGuard, RandomState};

const SHARDS: usize = 64;

type Sets = HashMap<u64, Ids, BuildHasherDefault<IdHasher>>;

/// Nearly always there is one, which then costs no allocation.
enum Ids {
    One(SessionId),
    Several(Vec<SessionId>),
}

pub(super) struct Index {
    hasher: RandomState,
    shards: Box<[Mutex<Sets>]>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Index {
    fn lock(&self, user: &str) -> Entry<'_> {
        let key = self.hasher.hash_one(user);
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose")]
        let shard = &self.shards[key as usize % SHARDS];
        let sets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        Entry { sets, key }
    }
}

/// One user's ids, under the mutex.
struct Entry<'a> {
    sets: MutexGuard<'a, Sets>,
    key: u64,
}

impl Entry<'_> {
    fn ids(&self) -> &[SessionId] {
        match self.sets.get(&self.key) {
            None => &[],
            Some(Ids::One(id)) => std::slice::from_ref(id),
            Some(Ids::Several(ids)) => ids,
        }
    }

    fn insert(&mut self, id: SessionId) {
        if self.ids().contains(&id) {
            return;
        }
        match self.sets.get_mut(&self.key) {
            None => {
                self.sets.insert(self.key, Ids::One(id));
            }
            Some(Ids::Several(ids)) => ids.push(id),
            Some(one @ Ids::One(_)) => {
                let Ids::One(first) = *one else { return };
                *one = Ids::Several(vec![first, id]);
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(SessionId) -> bool) {
        let empty = match self.sets.get_mut(&self.key) {
            None => false,
            Some(Ids::One(id)) => !keep(*id),
            Some(Ids::Several(ids)) => {
                ids.retain(|id| keep(*id));
                ids.is_empty()
            }
        };
        if empty {
            self.sets.remove(&self.key);
        }
    }
}

/// What a step on a shard leaves to do once no mutex is held.
#[derive(Default)]
pub(super) struct After {
    /// Whom to wake: a waker may run anything.
    pub(super) wake: Vec<Waker>,
    /// Sessions that left a user, or ended.
    pub(super) left: Vec<(Arc<str>, SessionId)>,
}

impl After {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.wake.is_empty() && self.left.is_empty()
    }

    #[cold]
    pub(super) fn append(&mut self, other: &mut Self) {
        self.wake.append(&mut other.wake);
        self.left.append(&mut other.left);
    }
}

impl Inner {
    /// Takes a step on a session's shard, and does what follows from it.
    pub(super) fn step<T>(&self, id: SessionId, step: impl FnOnce(&mut Shard) -> T) -> T {
        let mut after = After::default();
        let answer = self.shards.of(id).step(&mut after, step);
        if !after.is_empty() {
            self.follow(after);
        }
        answer
    }

    pub(super) fn follow(&self, after: After) {
        for (user, id) in after.left {
            let mut entry = self.users.lock(&user);
            entry.retain(|other| other != id || self.view_of(&user, id, false).is_some());
        }
        after.wake.into_iter().for_each(Waker::wake);
    }

    /// The session, if it is alive and this user's.
    fn view_of(&self, user: &str, id: SessionId, data: bool) -> Option<View> {
        let look = |shard: &mut Shard| shard.view_of(user, id, data, self.clock.now());
        self.shards.of(id).step(&mut After::default(), look)
    }

    /// Has a session join a user by this step, which tells whether it did.
    fn join<T>(
        &self,
        user: &str,
        id: SessionId,
        cap: Option<UserCap>,
        step: impl FnOnce(&mut Shard) -> (T, bool),
    ) -> Result<T, StoreError> {
        let mut after = After::default();
        let mut entry = self.users.lock(user);
        let room = match cap {
            Some(cap) => {
                let ids = entry.ids().iter().filter(|other| **other != id);
                let others: Vec<_> = ids
                    .filter_map(|id| self.view_of(user, *id, false))
                    .collect();
                cap.make_room(
                    others
                        .iter()
                        .map(|view| (view.head.authenticated_at, view.head.id)),
                )?
            }
            None => Vec::new(),
        };
        entry.insert(id);
        let (answer, joined) = self.shards.of(id).step(&mut after, step);
        if joined {
            for old in room {
                let destroy = |shard: &mut Shard| shard.destroy(old, Some(user), &*self.clock);
                self.shards.of(old).step(&mut after, destroy);
            }
        }
        if !joined {
            entry.retain(|other| other != id || self.view_of(user, id, false).is_some());
        }
        drop(entry);
        self.follow(after);
        Ok(answer)
    }

    /// Commits, on behalf of a user if it makes the session theirs.
    pub(super) fn commit(
        &self,
        finish: &Finish,
        step: impl FnOnce(&mut Shard) -> Finished,
    ) -> Result<Finished, StoreError> {
        let Some((user, cap)) = finish.joins() else {
            return Ok(self.step(finish.id, step));
        };
        self.join(user, finish.id, cap, |shard| {
            let finished = step(shard);
            (finished, matches!(finished, Finished::Done { .. }))
        })
    }

    /// Puts a record where none was, on behalf of its user if it has one; `step` tells whether.
    pub(super) fn put(
        &self,
        id: SessionId,
        user: Option<&str>,
        step: impl FnOnce(&mut Shard) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let Some(user) = user else {
            return self.step(id, step);
        };
        self.join(user, id, None, |shard| {
            let put = step(shard);
            let joined = matches!(put, Ok(true));
            (put, joined)
        })?
    }

    /// Creates, on behalf of its user if it has one.
    pub(super) fn start(
        &self,
        new: &NewSession,
        step: impl FnOnce(&mut Shard) -> Result<Created, StoreError>,
    ) -> Result<Created, StoreError> {
        let Some(user) = &new.user else {
            return self.step(new.id, step);
        };
        self.join(user, new.id, new.cap, |shard| {
            let created = step(shard);
            let joined = matches!(created, Ok(Created::Done(_)));
            (created, joined)
        })?
    }
}

#[cfg(test)]
impl Inner {
    /// How many sessions the index has under this user, whatever their records say.
    pub(super) fn indexed(&self, user: &str) -> usize {
        self.users.lock(user).ids().len()
    }
}

impl Users for MemoryStore {
    fn list<'a>(&'a self, user: &'a str, page: UserPage) -> UsersFuture<'a, Vec<View>> {
        Box::pin(async move {
            let inner = &*self.0;
            let mut ids = inner.users.lock(user).ids().to_vec();
            ids.retain(|id| page.before.is_none_or(|before| *id < before));
            ids.sort_unstable_by(|a, b| b.cmp(a));
            let views = ids
                .into_iter()
                .filter_map(|id| inner.view_of(user, id, page.data));
            Ok(views.take(page.limit).collect())
        })
    }

    fn revoke<'a>(&'a self, user: &'a str, id: SessionId) -> UsersFuture<'a, bool> {
        Box::pin(async move {
            let inner = &*self.0;
            Ok(inner.step(id, |shard| shard.destroy(id, Some(user), &*inner.clock)))
        })
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        except: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>> {
        Box::pin(async move {
            let mut ids = self.0.users.lock(user).ids().to_vec();
            ids.retain(|id| Some(*id) != except);
            let mut destroyed = Vec::new();
            for id in ids {
                if Users::revoke(self, user, id).await? {
                    destroyed.push(id);
                }
            }
            Ok(destroyed)
        })
    }
}
