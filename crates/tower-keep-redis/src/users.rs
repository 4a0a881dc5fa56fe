//! Whose sessions are whose: a sorted set a user, in a slot of its own.
//!
//! An index and a record may be on two servers, so joining a user takes three steps: *enter* the
//! index, change the record, *confirm* that the entry is still there.
//!
//! Invariants:
//! 1. An entry is there before its record says so, and stays for as long as it does: it is
//!    forgotten only where its record was seen to be over or another's, and only as it was then.
//! 2. An entry whose session has not joined yet is marked. It takes a place, and nobody takes it
//!    for dead; who needs its place takes the entry, and then its confirmation fails.
//! 3. Whoever confirms in vain destroys the record. So of those that are answered no more live than
//!    there are entries, and there are no more entries than may be.
//! 4. A mark is forgotten after ten minutes. So the record is not changed later than a minute after
//!    entering, and what a crash leaves behind takes a place for no longer than that.
//!
//! Keys are named after a digest of the user: what users call themselves appears in no key.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Cmd;
use tokio::time::Instant;
use tower_keep_core::data::Data;
use tower_keep_core::{
    Looked, Record, SessionId, SessionStore, StoreError, StoreErrorKind, Timestamp, UserCap,
    UserPage, Users, UsersFuture, View,
};

use crate::error::unexpected;
use crate::format::instant;
use crate::store::RedisStore;

/// How long after entering a record may still be changed.
const LATEST: Duration = Duration::from_secs(60);
/// Others made progress each time that there was no place again.
const TRIES: usize = 256;
/// How many commands of one call are under way at once.
const AT_ONCE: usize = 64;

/// An entry as it was read.
#[derive(Clone)]
struct Entry {
    id: SessionId,
    score: Vec<u8>,
    /// Empty once it was confirmed.
    mark: Vec<u8>,
}

impl Entry {
    fn is_under_way(&self) -> bool {
        !self.mark.is_empty()
    }
}

impl RedisStore {
    /// Has a session join a user by this step, which tells the record's absolute deadline where it
    /// did. `applied` tells a record to which an earlier try has done that already. `None`: it had
    /// to make room, or was revoked, before it had joined.
    pub(crate) async fn join<T>(
        &self,
        user: &str,
        id: SessionId,
        cap: Option<UserCap>,
        applied: impl Fn(&Record) -> bool,
        step: impl Future<Output = Result<(T, Option<Timestamp>), StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let began = Instant::now();
        self.enter(user, id, cap, applied).await?;
        if began.elapsed() > LATEST {
            let late = "it took too long to enter the index of the user's sessions";
            return Err(StoreError::new(StoreErrorKind::Unavailable, late));
        }
        let (answer, deadline) = step.await?;
        let Some(deadline) = deadline else {
            return Ok(Some(answer));
        };
        let inner = &*self.inner;
        let key = inner.user_key(user);
        let confirmed = inner.step_on(&inner.scripts.confirm, &key, true, |cmd| {
            cmd.arg(id.as_bytes()).arg(instant(deadline));
        });
        if confirmed.await?.yes()? {
            return Ok(Some(answer));
        }
        self.destroy_record(id, Some(user)).await?;
        Ok(None)
    }

    async fn enter(
        &self,
        user: &str,
        id: SessionId,
        cap: Option<UserCap>,
        applied: impl Fn(&Record) -> bool,
    ) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let key = inner.user_key(user);
        let mut forget = Vec::new();
        for _ in 0..TRIES {
            let args = |cmd: &mut Cmd| {
                cmd.arg(id.as_bytes());
                match cap {
                    Some(cap) => cmd.arg(cap.most.get()),
                    None => cmd.arg(""),
                };
                arguments(cmd, &forget);
            };
            let entered = inner.step_on(&inner.scripts.enter, &key, true, args);
            let mut reply = entered.await?;
            match (reply.word(), cap) {
                (b"entered", _) => return Ok(()),
                (b"full", Some(cap)) => {
                    // Nobody makes room for what had to make room itself before it was answered.
                    if let Some((record, _)) = self.look(id).await?.record
                        && applied(&record)
                    {
                        return Ok(());
                    }
                    forget = self.make_room(user, cap, parse(reply.list()?)?).await?;
                }
                _ => return Err(unexpected()),
            }
        }
        let why = "others kept taking the places of the user's sessions";
        Err(StoreError::new(StoreErrorKind::Unavailable, why))
    }

    /// Which of all the user's entries may be forgotten so that one more can enter. Those of
    /// sessions that had to be destroyed for it are among them.
    async fn make_room(
        &self,
        user: &str,
        cap: UserCap,
        mut entries: Vec<Entry>,
    ) -> Result<Vec<Entry>, StoreError> {
        let looks = entries
            .iter()
            .map(|entry| self.view_of(user, entry.id, false));
        let views = try_join_all(looks).await?;
        let mut others = Vec::new();
        for (entry, view) in entries.iter().zip(views) {
            match view {
                Some(view) => others.push((view.head.authenticated_at, entry.id)),
                // It logs in just now.
                None if entry.is_under_way() => others.push((Some(Timestamp::MAX), entry.id)),
                None => {}
            }
        }
        let evicted = cap.make_room(others.iter().copied())?;
        for id in &evicted {
            self.destroy_record(*id, Some(user)).await?;
        }
        let stays = |id| others.iter().any(|(_, other)| *other == id) && !evicted.contains(&id);
        entries.retain(|entry| !stays(entry.id));
        Ok(entries)
    }

    /// The session, if it is alive and this user's. One that is damaged is nobody's.
    async fn view_of(
        &self,
        user: &str,
        id: SessionId,
        data: bool,
    ) -> Result<Option<View>, StoreError> {
        let Looked { record, now } = match self.look(id).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => return Ok(None),
            looked => looked?,
        };
        let theirs = record.map(|(record, _)| record).filter(|record| {
            let theirs = record.head.user.as_deref() == Some(user);
            theirs && record.gone_at.is_none() && !record.head.is_expired(now)
        });
        Ok(theirs.map(|record| View {
            head: record.head,
            data: if data { record.data } else { Data::default() },
            now,
        }))
    }

    async fn entries(&self, user: &str) -> Result<Vec<Entry>, StoreError> {
        let inner = &*self.inner;
        let key = inner.user_key(user);
        let reply = inner.step_on(&inner.scripts.entries, &key, false, |_| {});
        parse(reply.await?.list()?)
    }

    /// Saves others a look at what is dead. That it fails costs only that.
    async fn forget(&self, user: &str, dead: &[Entry]) {
        if dead.is_empty() {
            return;
        }
        let inner = &*self.inner;
        let key = inner.user_key(user);
        let args = |cmd: &mut Cmd| arguments(cmd, dead);
        let _ = inner
            .step_on(&inner.scripts.forget, &key, false, args)
            .await;
    }

    async fn page(&self, user: &str, page: UserPage) -> Result<Vec<View>, StoreError> {
        let mut entries = self.entries(user).await?;
        entries.retain(|entry| page.before.is_none_or(|before| entry.id < before));
        entries.sort_unstable_by_key(|entry| Reverse(entry.id));
        let (mut views, mut dead) = (Vec::new(), Vec::new());
        for some in entries.chunks(page.limit.clamp(1, AT_ONCE)) {
            let looks = some
                .iter()
                .map(|entry| self.view_of(user, entry.id, page.data));
            for (entry, view) in some.iter().zip(try_join_all(looks).await?) {
                match view {
                    Some(view) => views.push(view),
                    None if entry.is_under_way() => {}
                    None => dead.push(entry.clone()),
                }
            }
            if views.len() >= page.limit {
                break;
            }
        }
        views.truncate(page.limit);
        self.forget(user, &dead).await;
        Ok(views)
    }

    async fn revoke_but(
        &self,
        user: &str,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut entries = self.entries(user).await?;
        entries.retain(|entry| Some(entry.id) != except);
        let mut revoked = Vec::new();
        for some in entries.chunks(AT_ONCE) {
            let destroy = some
                .iter()
                .map(|entry| self.destroy_record(entry.id, Some(user)));
            let destroyed = try_join_all(destroy).await?;
            let destroyed = some
                .iter()
                .zip(destroyed)
                .filter(|(_, destroyed)| *destroyed);
            revoked.extend(destroyed.map(|(entry, _)| entry.id));
        }
        // Also those that are joining: they cannot be confirmed, unless they were by now.
        self.forget(user, &entries).await;
        Ok(revoked)
    }
}

impl Users for RedisStore {
    fn list<'a>(&'a self, user: &'a str, page: UserPage) -> UsersFuture<'a, Vec<View>> {
        Box::pin(self.page(user, page))
    }

    fn revoke<'a>(&'a self, user: &'a str, id: SessionId) -> UsersFuture<'a, bool> {
        Box::pin(self.destroy_record(id, Some(user)))
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        except: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>> {
        Box::pin(self.revoke_but(user, except))
    }
}

/// Entries from members and scores in turn, ids and marks in no order.
fn parse(list: Vec<Vec<u8>>) -> Result<Vec<Entry>, StoreError> {
    let (mut entries, mut marks) = (Vec::new(), HashMap::new());
    let mut list = list.into_iter();
    while let (Some(member), Some(score)) = (list.next(), list.next()) {
        let (id, marks_it) = match *member {
            [b'p', ref id @ ..] if id.len() == 16 => (id, true),
            ref id => (id, false),
        };
        let id: [u8; 16] = id.try_into().map_err(|_| unexpected())?;
        let id = SessionId::from_bytes(id).map_err(|_| unexpected())?;
        if marks_it {
            marks.insert(id, score);
        } else {
            let mark = Vec::new();
            entries.push(Entry { id, score, mark });
        }
    }
    for entry in &mut entries {
        entry.mark = marks.remove(&entry.id).unwrap_or_default();
    }
    Ok(entries)
}

fn arguments(cmd: &mut Cmd, entries: &[Entry]) {
    for Entry { id, score, mark } in entries {
        cmd.arg(id.as_bytes()).arg(score).arg(mark);
    }
}

#[cfg(test)]
#[path = "../tests/suite/server.rs"]
#[allow(dead_code, reason = "the suite of this crate uses the rest")]
mod server;

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tower_keep_core::{CommitId, Created, Limits, NewSession, SecretHash};

    use super::server::Server;
    use super::*;

    fn session_of(user: &str) -> NewSession {
        NewSession {
            id: SessionId::new(Timestamp::from_millis(1_700_000_000_000)),
            secret: SecretHash::from_bytes([7; 32]),
            commit: CommitId::unique(),
            limits: Limits::default(),
            extend: None,
            user: Some(user.into()),
            cap: Some(UserCap::evict_oldest(1)),
            authenticated: true,
            client: None,
            remember: false,
            data: Data::default(),
        }
    }

    /// Who else takes its place, or revokes it, while a login has entered the index and its record
    /// is not there yet.
    async fn overtaken(store: &RedisStore, takes: impl AsyncFnOnce()) -> bool {
        let slow = session_of("ada");
        let id = slow.id;
        let (go, gone) = oneshot::channel();
        let login = tokio::spawn({
            let store = store.clone();
            async move {
                let step = async {
                    gone.await.unwrap();
                    store.create_record(&slow).await
                };
                let join = store.join("ada", id, slow.cap, |_| true, step);
                let joined = Box::pin(join).await;
                joined.unwrap().is_some()
            }
        });
        while store.entries("ada").await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        takes().await;
        go.send(()).unwrap();
        let joined = login.await.unwrap();
        let record = store.look(id).await.unwrap().record.unwrap().0;
        assert_eq!(joined, record.gone_at.is_none());
        joined
    }

    #[tokio::test]
    async fn who_lost_its_place_on_the_way_does_not_join() {
        let server = Server::start(&[]);
        let store = RedisStore::connect(&server.url()).await.unwrap();
        let fast = session_of("ada");
        let joined = overtaken(&store, async || {
            let created = store.create(&fast).await.unwrap();
            assert!(matches!(created, Created::Done(_)));
        });
        assert!(!joined.await, "it joined without a place");
        let listed = store.list("ada", UserPage::default()).await.unwrap();
        assert!(listed.iter().map(|view| view.head.id).eq([fast.id]));
        store.revoke_all("ada", None).await.unwrap();
        let joined = overtaken(&store, async || {
            let revoked = store.revoke_all("ada", None).await.unwrap();
            assert!(revoked.is_empty());
        });
        assert!(!joined.await, "it joined and nobody could find it");
        let joined = overtaken(&store, async || {});
        assert!(joined.await);
    }

    #[tokio::test]
    async fn an_entry_on_its_way_takes_a_place_and_is_not_taken_for_dead() {
        let server = Server::start(&[]);
        let store = RedisStore::connect(&server.url()).await.unwrap();
        let joined = overtaken(&store, async || {
            let refused = NewSession {
                cap: Some(UserCap::refuse(1)),
                ..session_of("ada")
            };
            let error = store.create(&refused).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::UserFull);
            let listed = store.list("ada", UserPage::default()).await.unwrap();
            assert!(listed.is_empty());
        });
        assert!(joined.await);
    }
}
