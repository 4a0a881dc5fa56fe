//! Moving to another store while sessions live.
//!
//! Invariants:
//! 1. The new store alone locks and decides. The old one is only asked for sessions of which the new
//!    one has nothing, not even a tombstone.
//! 2. A session moves by being *put* into the new store, where nothing is, and then *taken* from the
//!    old one, by a destruction. Whoever destroys a session that has not moved puts its tombstone
//!    into the new store, where nothing is. So of both at once one comes first.
//! 3. A session that ended has ended in the old store before that is answered, so it cannot come back
//!    when its tombstone in the new one is swept.

mod scan;

use std::fmt;
use std::time::Duration;

use tower_keep_core::{
    Created, Expect, Finish, Finished, Looked, NewSession, Op, Open, Opened, Owner, Record, Scan,
    Scope, SessionId, SessionStore, Stats, StoreError, StoreErrorKind, Sweep, Swept, UserPage,
    Users, UsersFuture, View, Wakeups,
};

/// A store in front of the one that it replaces: sessions move over when they are first opened.
///
/// Put it in the place of the old store in every server at once: servers that go on with the old
/// store alone see moved sessions as ended. When the longest absolute timeout has passed, nothing is
/// left in the old store, and the new one can do without it.
///
/// To go back, swap the two, when the tombstones that moving left in the old store have been swept.
///
/// Until then both must be there: what the new store does not know is looked for in the old one,
/// and an outage of either is an error, never "no session". Sessions that have moved cost nothing
/// extra, except that ending one asks the old store too; an unknown id costs one look there.
/// Listing and revoking a user's sessions, and walking over all, looks in both. A
/// [`UserCap`](crate::UserCap) counts only sessions that have moved.
///
/// ```
/// # async fn f() -> Result<(), tower_keep::StoreError> {
/// use tower_keep::{MemoryStore, MigratingStore, SessionLayer};
///
/// let (new, old) = (MemoryStore::new(), MemoryStore::new());
/// let layer = SessionLayer::new(MigratingStore::new(new, old));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MigratingStore<N, O> {
    new: N,
    old: O,
}

impl<N: SessionStore, O: SessionStore> MigratingStore<N, O> {
    /// Moves sessions from `old` to `new`.
    pub fn new(new: N, old: O) -> Self {
        Self { new, old }
    }

    /// The store that sessions move to.
    pub const fn inner(&self) -> &N {
        &self.new
    }

    /// Moves a session that only the old store has, unless it would refuse this request there. Tells
    /// what the old store says of it; `None` if the new store has something to say by now.
    async fn import(&self, open: &Open) -> Result<Option<Opened>, StoreError> {
        let Looked { record, now } = self.old.look(open.id).await?;
        let Some((mut record, _)) = record else {
            return Ok(Some(Opened::Absent));
        };
        if record.gone_at.is_some() {
            // It has moved, perhaps since the new store was asked.
            return Ok(None);
        }
        if let Some(refusal) = record.refuses(open.secret.as_ref(), open.age, now) {
            return Ok(Some(refusal));
        }
        // Leases of the old store bind nobody any more.
        record.lease = None;
        record.waiting_until = None;
        let put = self.new.cas(open.id, Expect::Absent, &record).await?;
        if put && !self.old.destroy(open.id).await? {
            // It ended so long ago that its tombstone was swept: this mover was asleep.
            self.new.destroy(open.id).await?;
        }
        Ok(None)
    }

    /// Ends a session that the new store does not have, if it is alive in the old one and, if a user
    /// is given, theirs; tells whether it was.
    async fn end_old(&self, of: Option<&str>, id: SessionId) -> Result<bool, StoreError> {
        let Looked { record, now } = self.old.look(id).await?;
        let theirs = |record: &Record| of.is_none() || of == record.head.user.as_deref();
        let Some((mut record, _)) = record.filter(|(record, _)| theirs(record)) else {
            return Ok(false);
        };
        if !record.destroy(now) {
            return Ok(false);
        }
        let ended = self.new.cas(id, Expect::Absent, &record).await?
            // It has moved meanwhile, or ended, or an earlier try came as far as this.
            || match of {
                Some(user) => self.both()?.0.revoke(user, id).await?,
                None => self.new.destroy(id).await?,
            };
        // The mover may have taken it by now.
        Ok(self.old.destroy(id).await? || ended)
    }

    /// Both abilities, if both stores have it.
    fn both(&self) -> Result<(&dyn Users, &dyn Users), StoreError> {
        self.new.users().zip(self.old.users()).ok_or_else(|| {
            let why = "only one of both stores can find the sessions of a user";
            StoreError::new(StoreErrorKind::Unavailable, why)
        })
    }
}

fn by_id(id: SessionId) -> Open {
    Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: None,
    }
}

impl<N: fmt::Debug, O: fmt::Debug> fmt::Debug for MigratingStore<N, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigratingStore")
            .field("new", &self.new)
            .field("old", &self.old)
            .finish()
    }
}

impl<N: SessionStore, O: SessionStore> SessionStore for MigratingStore<N, O> {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let looked = self.new.look(id).await?;
        if looked.record.is_some() {
            return Ok(looked);
        }
        // Moved, so that its revision is one of the new store's; unless it is over.
        match self.import(&by_id(id)).await? {
            None => self.new.look(id).await,
            Some(_) => self.old.look(id).await,
        }
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        self.new.cas(id, expect, record).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let mut swept = self.new.sweep(sweep).await?;
        let limit = sweep.limit.saturating_sub(swept.removed());
        if limit == 0 {
            swept.more = true;
            return Ok(swept);
        }
        let old = match self.old.sweep(Sweep { limit, ..sweep }).await {
            Ok(old) => old,
            // What is removed already is told; the next batch meets the error again.
            Err(_) if swept.removed() > 0 => {
                swept.more = true;
                return Ok(swept);
            }
            Err(error) => return Err(error),
        };
        swept.expired.extend(old.expired);
        swept.tombstones += old.tombstones;
        swept.more |= old.more;
        Ok(swept)
    }

    fn name(&self) -> &'static str {
        self.new.name()
    }

    fn scope(&self) -> Scope {
        self.new.scope()
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        let opened = self.new.open(open).await?;
        if !matches!(opened, Opened::Absent) {
            return Ok(opened);
        }
        match self.import(open).await? {
            None => self.new.open(open).await,
            Some(opened) => Ok(opened),
        }
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        if matches!(finish.op, Op::Destroy) {
            // One who moved it may have died before taking it.
            self.old.destroy(finish.id).await?;
        }
        let finished = self.new.finish(finish).await?;
        if finished == Finished::Gone
            && matches!(finish.op, Op::Merge(_))
            && self.import(&by_id(finish.id)).await?.is_none()
        {
            // It had not moved yet, and needs no lease to be changed.
            return self.new.finish(finish).await;
        }
        Ok(finished)
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.new.renew(id, owner, lease).await
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        self.new.create(new).await
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        let moved = self.new.destroy(id).await?;
        Ok(self.end_old(None, id).await? || moved)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.new.ping().await?;
        self.old.ping().await
    }

    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        let (new, old) = (self.new.stats().await?, self.old.stats().await?);
        Ok(new.zip(old).map(|(new, old)| Stats {
            live: new.live + old.live,
            with_user: new.with_user + old.with_user,
            expired: new.expired + old.expired,
            tombstones: new.tombstones + old.tombstones,
        }))
    }

    fn wakeups(&self) -> Option<&dyn Wakeups> {
        self.new.wakeups()
    }

    fn users(&self) -> Option<&dyn Users> {
        self.both().is_ok().then_some(self as &dyn Users)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.walks().is_ok().then_some(self as &dyn Scan)
    }
}

impl<N: SessionStore, O: SessionStore> Users for MigratingStore<N, O> {
    fn list<'a>(&'a self, user: &'a str, page: UserPage) -> UsersFuture<'a, Vec<View>> {
        Box::pin(async move {
            let (new, old) = self.both()?;
            // The old store first: what moves in between is seen twice rather than never.
            let mut views = old.list(user, page).await?;
            let moved = new.list(user, page).await?;
            let ids: Vec<_> = moved.iter().map(|view| view.head.id).collect();
            views.retain(|view| !ids.contains(&view.head.id));
            views.extend(moved);
            views.sort_by_key(|view| std::cmp::Reverse(view.head.id));
            views.truncate(page.limit);
            Ok(views)
        })
    }

    fn revoke<'a>(&'a self, user: &'a str, id: SessionId) -> UsersFuture<'a, bool> {
        Box::pin(async move {
            let moved = self.both()?.0.revoke(user, id).await?;
            Ok(self.end_old(Some(user), id).await? || moved)
        })
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        except: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>> {
        Box::pin(async move {
            let (new, old) = self.both()?;
            let mut revoked = Vec::new();
            let mut page = UserPage::default();
            loop {
                let views = old.list(user, page).await?;
                let Some(last) = views.last() else { break };
                page.before = Some(last.head.id);
                for id in views.iter().map(|view| view.head.id) {
                    if Some(id) != except && self.end_old(Some(user), id).await? {
                        revoked.push(id);
                    }
                }
            }
            // What has moved in between is there by now.
            revoked.extend(new.revoke_all(user, except).await?);
            Ok(revoked)
        })
    }
}
