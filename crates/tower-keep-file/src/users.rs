//! Whose sessions are whose: a directory a user, with an empty file for each session.
//!
//! Invariants:
//! 1. A session joins a user, and makes room for itself, under the lock of that user's shelf, so
//!    the cap is exact between processes. Its entry is there, and survives a power cut, before the
//!    record says so, and goes after the record has said so for the last time.
//! 2. Order of the locks: one shelf's, then one shard's, and nothing else under either.
//! 3. The record has the last word: an entry whose record is not this user's, alive, was left by
//!    who died or failed half-way. Under the lock it can be told from one that is joining, and goes.
//!
//! Directories are named after a digest of the user, so there is no path from what a user calls
//! themselves.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tower_keep_core::data::Data;
use tower_keep_core::{
    Created, Expect, Finish, Finished, NewSession, Record, SessionId, StoreError, StoreErrorKind,
    UserCap, UserPage, View,
};

use crate::error::FileError;
use crate::shard::{Locked, SHARDS, Shard, make_dir};
use crate::steps::{Steps, User};
use crate::store::Durability;
use crate::sys;

const SHELVES: &str = "users";

/// Makes every directory that entries are spread over.
pub(crate) fn make(root: &Path) -> Result<(), FileError> {
    make_dir(&root.join(SHELVES))?;
    for index in 0..=u8::MAX {
        make_dir(Shelf::shard(root, index).path())?;
    }
    Ok(())
}

/// One user's directory, and the one it is in, which is also the lock.
struct Shelf {
    shard: Shard,
    dir: PathBuf,
}

impl Shelf {
    fn shard(root: &Path, index: u8) -> Shard {
        Shard::new(&root.join(SHELVES), index)
    }

    fn new(root: &Path, user: &str) -> Self {
        let digest = Sha256::digest(user.as_bytes());
        let name = digest.iter().fold(String::new(), |mut name, byte| {
            // Writing into a string cannot fail.
            let _ = write!(name, "{byte:02x}");
            name
        });
        let shard = Self::shard(root, index_of(user));
        let dir = shard.path().join(name);
        Self { shard, dir }
    }

    /// The entries at some instant, of which none is missing that was there all the time.
    fn ids(&self) -> Result<Vec<SessionId>, FileError> {
        let cannot = || FileError::io("list", &self.dir);
        let entries = match sys::list(&self.dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // As with a session: the shelf must be there for the user to have none.
                let path = self.shard.path();
                sys::metadata(path).map_err(FileError::io("find", path))?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(cannot()(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(cannot())?.file_name();
            ids.extend(
                name.to_str()
                    .and_then(|name| name.parse::<SessionId>().ok()),
            );
        }
        Ok(ids)
    }

    /// Puts an entry on the shelf; with `sync` a power cut leaves it there.
    fn enter(&self, locked: &Locked<'_>, id: SessionId, sync: bool) -> Result<(), FileError> {
        make_dir(&self.dir)?;
        let path = self.dir.join(id.to_string());
        sys::create(&path).map_err(FileError::io("create", &path))?;
        if sync {
            let dir = sys::open_dir(&self.dir).map_err(FileError::io("open", &self.dir))?;
            sys::sync_dir(&dir).map_err(FileError::io("sync", &self.dir))?;
            locked.sync()?;
        }
        Ok(())
    }

    /// Takes an entry off, and the directory with the last one. That it fails costs a look later.
    fn remove(&self, _: &Locked<'_>, id: SessionId) {
        let _ = sys::remove(&self.dir.join(id.to_string()));
        let _ = sys::remove_dir(&self.dir);
    }
}

/// The shelf of a user, which is also the turn to be waited for in this process.
pub(crate) fn index_of(user: &str) -> u8 {
    let digest: [u8; 32] = Sha256::digest(user.as_bytes()).into();
    let [first, ..] = digest;
    first
}

const _: () = assert!(SHARDS == 256, "a byte chooses the shelf");

impl Steps {
    /// The session, if it is alive and this user's. One that is damaged is nobody's, and one that
    /// this version cannot read may be.
    fn view_of(&self, user: &str, id: SessionId, data: bool) -> Result<Option<View>, StoreError> {
        let now = self.clock.now();
        let stored = match self.load(&self.shard(Shard::index_of(id)), id) {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => None,
            stored => stored?,
        };
        let theirs = stored.map(|stored| stored.record).filter(|record| {
            let theirs = record.head.user.as_deref() == Some(user);
            theirs && record.gone_at.is_none() && !record.head.is_expired(now)
        });
        Ok(theirs.map(|record| View {
            head: record.head,
            data: if data { record.data } else { Data::default() },
            now,
        }))
    }

    /// Commits, on behalf of a user if it makes the session theirs.
    pub(crate) fn commit(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let (finished, left) = match finish.joins() {
            None => self.finish(finish)?,
            Some((user, cap)) => self.join(user, finish.id, cap, || {
                let answer = self.finish(finish)?;
                let joined = matches!(answer.0, Finished::Done { .. });
                Ok((answer, joined))
            })?,
        };
        let joined = finish.joins().map(|(user, _)| user);
        self.leave(left.filter(|left| Some(&**left) != joined), finish.id);
        Ok(finished)
    }

    /// Creates, on behalf of its user if it has one.
    pub(crate) fn start(&self, new: &NewSession) -> Result<Created, StoreError> {
        let Some(user) = &new.user else {
            return self.create(new);
        };
        self.join(user, new.id, new.cap, || {
            let created = self.create(new)?;
            Ok((created, matches!(created, Created::Done(_))))
        })
    }

    /// Puts a record in place, on behalf of its user if it has one.
    pub(crate) fn put(
        &self,
        id: SessionId,
        expect: Expect,
        record: Record,
    ) -> Result<bool, StoreError> {
        let Some(user) = record.head.user.clone() else {
            return self.cas(id, expect, record);
        };
        self.join(&user, id, None, || {
            let put = self.cas(id, expect, record)?;
            Ok((put, put))
        })
    }

    /// Has a session join a user by a step that tells whether it did.
    fn join<T>(
        &self,
        user: &str,
        id: SessionId,
        cap: Option<UserCap>,
        step: impl FnOnce() -> Result<(T, bool), StoreError>,
    ) -> Result<T, StoreError> {
        let place = Shelf::new(&self.root, user);
        let locked = place.shard.lock()?;
        let mut room = Vec::new();
        if let Some(cap) = cap {
            let mut others = Vec::new();
            for other in place.ids()?.into_iter().filter(|other| *other != id) {
                if let Some(view) = self.view_of(user, other, false)? {
                    others.push((view.head.authenticated_at, other));
                } else {
                    self.settle(user, other)?;
                    place.remove(&locked, other);
                }
            }
            room = cap.make_room(others)?;
        }
        place.enter(&locked, id, self.durability == Durability::Full)?;
        let result = step();
        if let Ok((_, true)) = result {
            for old in room {
                self.bury(Some(user), old)?;
                place.remove(&locked, old);
            }
        } else if matches!(self.view_of(user, id, false), Ok(None)) {
            place.remove(&locked, id);
        }
        result.map(|(answer, _)| answer)
    }

    /// Makes sure that a session which made room for another in an earlier try does not come back
    /// with a power cut: its tombstone may not be on the disk.
    fn settle(&self, user: &str, id: SessionId) -> Result<(), StoreError> {
        match self.bury(Some(user), id) {
            // What is damaged is nobody's.
            Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(()),
            buried => buried.map(drop),
        }
    }

    /// Takes the entry off the shelf of the user whose session this was, if it is theirs no more.
    /// What has become of the session does not depend on it.
    pub(crate) fn leave(&self, user: User, id: SessionId) {
        let Some(user) = user else { return };
        let place = Shelf::new(&self.root, &user);
        if let Ok(locked) = place.shard.lock()
            && matches!(self.view_of(&user, id, false), Ok(None))
        {
            place.remove(&locked, id);
        }
    }

    /// Destroys a session, if a user is given only one of theirs; tells whether it was alive.
    pub(crate) fn destroy(&self, of: Option<&str>, id: SessionId) -> Result<bool, StoreError> {
        let (destroyed, user) = self.bury(of, id)?;
        self.leave(user.or_else(|| of.map(Arc::from)), id);
        Ok(destroyed)
    }

    pub(crate) fn list(&self, user: &str, page: UserPage) -> Result<Vec<View>, StoreError> {
        let mut ids = Shelf::new(&self.root, user).ids()?;
        ids.retain(|id| page.before.is_none_or(|before| *id < before));
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let mut views = Vec::new();
        for id in ids {
            if views.len() == page.limit {
                break;
            }
            views.extend(self.view_of(user, id, page.data)?);
        }
        Ok(views)
    }

    pub(crate) fn revoke_all(
        &self,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ids = Shelf::new(&self.root, user).ids()?;
        let mut destroyed = Vec::new();
        for id in ids.into_iter().filter(|id| Some(*id) != except) {
            if self.destroy(Some(user), id)? {
                destroyed.push(id);
            }
        }
        Ok(destroyed)
    }
}
