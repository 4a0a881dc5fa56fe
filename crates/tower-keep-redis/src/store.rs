//! The verbs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tower_keep_core::{
    Created, Expect, Finish, Finished, HeadChange, Looked, NewSession, Op, Open, Opened, Owner,
    Record, Scan, Scope, SessionId, SessionStore, Stats, StoreError, StoreErrorKind, Sweep, Swept,
    Timestamp, Users, Wakeups,
};

use crate::error::unexpected;
use crate::format::{
    Fields, instant, now, pack_client, pack_data, pack_head, pack_user, span, unpack,
};
use crate::inner::{Inner, Page};
use crate::link::Node;
use crate::packed::{finished, opened, pack_finish, pack_open};
use crate::wakeups::Subscriber;

/// How many keys a page of a scan has, about.
const PAGE: usize = 1_000;

/// Sessions in Redis or Valkey.
///
/// Clones share everything: one connection for the commands, and one for wake-ups as soon as
/// somebody waits. See the [crate's documentation](crate) for what it promises.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
    pub(crate) subscriber: Option<Arc<Subscriber>>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.inner.prefix)
            .finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let inner = &*self.inner;
        let mut reply = inner.step(&inner.scripts.look, id, |_| {}).await?;
        let now = reply.instant()?;
        let fields = reply.fields()?;
        let record = fields
            .map(|fields| unpack(id, fields, inner.max_body))
            .transpose()?;
        Ok(Looked { record, now })
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let step = self.cas_record(id, expect, record);
        let Some(user) = record.head.user.as_deref() else {
            return step.await;
        };
        let step = async {
            let put = step.await?;
            Ok((put, put.then_some(record.head.absolute_deadline)))
        };
        let applied = |_: &Record| false;
        let put = Box::pin(self.join(user, id, None, applied, step)).await?;
        Ok(put.unwrap_or(false))
    }

    /// Does nothing: Redis removes what is over by itself, some time after the sessions' deadlines
    /// ([`keep_expired`](crate::RedisStoreBuilder::keep_expired)). With
    /// [`scan_to_sweep`](crate::RedisStoreBuilder::scan_to_sweep) it looks for such records and
    /// removes them now.
    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let inner = &*self.inner;
        let mut swept = Swept::default();
        if !inner.scan_to_sweep {
            return Ok(swept);
        }
        let mut cursor = 0;
        loop {
            let Page { next, keys, .. } = inner.page(&Node::Only, cursor, PAGE).await?;
            for key in keys {
                if swept.removed() == sweep.limit {
                    swept.more = true;
                    return Ok(swept);
                }
                let reply = inner
                    .step_on(&inner.scripts.sweep, &key, false, |cmd| {
                        cmd.arg(span(sweep.keep_tombstones));
                    })
                    .await?;
                match reply.word() {
                    // A key of another form is none of ours, and stays.
                    b"expired" => swept.expired.extend(inner.id_of(&key)),
                    b"tombstone" => swept.tombstones += 1,
                    _ => {}
                }
            }
            if next == 0 {
                return Ok(swept);
            }
            cursor = next;
        }
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        let inner = &*self.inner;
        if open.lease.is_none()
            && inner.link.is_one_server()
            && let Some(opened) = self.read(open).await?
        {
            return Ok(opened);
        }
        let given = pack_open(open, inner.grace);
        let args = |cmd: &mut Cmd| {
            cmd.arg(&given);
        };
        let script = &inner.scripts.open;
        let answer = inner.ask(script, &inner.key(open.id), false, args).await?;
        opened(answer, open, inner.max_body)
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let step = self.finish_record(finish);
        let Some((user, cap)) = finish.joins() else {
            return Ok(step.await?.0);
        };
        let applied = |record: &Record| record.commits.contains(finish.commit);
        let finished = Box::pin(self.join(user, finish.id, cap, applied, step)).await?;
        Ok(finished.unwrap_or(Finished::Gone))
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let inner = &*self.inner;
        let reply = inner
            .step(&inner.scripts.renew, id, |cmd| {
                cmd.arg(&owner_bytes(owner)).arg(span(lease));
            })
            .await?;
        reply.yes()
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        let step = self.create_record(new);
        let Some(user) = &new.user else {
            return Ok(step.await?.0);
        };
        // Whatever is there: it is not made anew.
        let applied = |_: &Record| true;
        let created = Box::pin(self.join(user, new.id, new.cap, applied, step)).await?;
        Ok(created.unwrap_or(Created::Gone))
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.destroy_record(id, None).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let pong: Value = inner.in_time(inner.link.ask(redis::cmd("PING"))).await?;
        drop(pong);
        Ok(())
    }

    /// Looks through all keys (`SCAN`) and at every session.
    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        let inner = &*self.inner;
        // A scan may show a key more than once.
        let mut ids = BTreeSet::new();
        for node in inner.in_time(inner.link.nodes()).await? {
            let mut cursor = 0;
            loop {
                let Page { next, keys, .. } = inner.page(&node, cursor, PAGE).await?;
                ids.extend(keys.iter().filter_map(|key| inner.id_of(key)));
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        let mut stats = Stats::default();
        for id in ids {
            match self.look(id).await {
                Ok(Looked { record, now }) => {
                    if let Some((record, _)) = record {
                        stats.count(&record, now);
                    }
                }
                Err(error) if error.kind() == StoreErrorKind::Unavailable => return Err(error),
                // Whatever it is, it is no session that this version can open.
                Err(_) => {}
            }
        }
        Ok(Some(stats))
    }

    fn wakeups(&self) -> Option<&dyn Wakeups> {
        self.subscriber.as_deref().map(|s| s as &dyn Wakeups)
    }

    fn users(&self) -> Option<&dyn Users> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

/// The steps on a record, whosever it is.
impl RedisStore {
    /// Opens without a script, which would take the server several times as long; `None` if
    /// something has to be written.
    async fn read(&self, open: &Open) -> Result<Option<Opened>, StoreError> {
        let inner = &*self.inner;
        let (fields, time) = inner.peek(open.id).await?;
        let Some(fields) = Fields::read(fields)? else {
            return Ok(Some(Opened::Absent));
        };
        let (mut record, _) = unpack(open.id, fields, inner.max_body)?;
        // Asked for behind the session, so that nothing in it is later.
        let (opened, changed) = record.open(open, now(time)?);
        Ok((!changed).then_some(opened))
    }

    async fn cas_record(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let inner = &*self.inner;
        let expected = match expect {
            Expect::Absent => vec![],
            Expect::Revision(revision) => revision.0.to_be_bytes().to_vec(),
        };
        let head = pack_head(record);
        let until = record.gone_at.unwrap_or(record.head.deadline());
        let user = pack_user(record.head.user.as_deref());
        let client = record.head.client.as_deref();
        let client = client.map_or_else(Vec::new, pack_client);
        let data = match record.gone_at {
            Some(_) => vec![],
            None => pack_data(&record.data, inner.codec, inner.max_body)?,
        };
        let reply = inner
            .commit(&inner.scripts.cas, id, |cmd| {
                cmd.arg(&expected).arg(&head).arg(span(inner.grace));
                cmd.arg(instant(until)).arg(&user).arg(&client).arg(&data);
            })
            .await?;
        reply.yes()
    }

    /// The step on the record, and its absolute deadline where that is done.
    async fn finish_record(
        &self,
        finish: &Finish,
    ) -> Result<(Finished, Option<Timestamp>), StoreError> {
        let inner = &*self.inner;
        let data = match &finish.op {
            Op::Put(put) => put.data.as_ref(),
            Op::Merge(data) => Some(data),
            Op::Release | Op::Destroy => None,
        };
        let data = data.map(|data| pack_data(data, inner.codec, inner.max_body));
        let data = data.transpose()?.unwrap_or_default();
        let given = pack_finish(finish, inner.grace, &inner.channel);
        let args = |cmd: &mut Cmd| {
            cmd.arg(&given).arg(&data);
            if let Op::Put(put) = &finish.op {
                head_args(&put.head, cmd);
            }
        };
        let script = &inner.scripts.finish;
        let confirm = !matches!(finish.op, Op::Release);
        let key = inner.key(finish.id);
        finished(inner.ask(script, &key, confirm, args).await?, finish)
    }

    /// As [`finish_record`](Self::finish_record).
    pub(crate) async fn create_record(
        &self,
        new: &NewSession,
    ) -> Result<(Created, Option<Timestamp>), StoreError> {
        let inner = &*self.inner;
        let data = pack_data(&new.data, inner.codec, inner.max_body)?;
        let user = pack_user(new.user.as_deref());
        let client = new.client.as_deref().map_or_else(Vec::new, pack_client);
        let first_idle = new.extend.unwrap_or_default().max(new.limits.idle);
        let mut reply = inner
            .commit(&inner.scripts.create, new.id, |cmd| {
                cmd.arg(&new.commit.to_u128().to_be_bytes());
                cmd.arg(new.secret.as_bytes());
                cmd.arg(span(new.limits.idle))
                    .arg(span(new.limits.absolute));
                cmd.arg(span(first_idle)).arg(u8::from(new.authenticated));
                cmd.arg(u8::from(new.remember)).arg(span(inner.grace));
                cmd.arg(&user).arg(&client).arg(&data);
            })
            .await?;
        Ok(match reply.word() {
            b"done" => {
                let now = reply.instant()?;
                (Created::Done(now), Some(now.plus(new.limits.absolute)))
            }
            b"collision" => (Created::Collision, None),
            b"gone" => (Created::Gone, None),
            _ => return Err(unexpected()),
        })
    }

    /// Destroys a session, if a user is given only one of theirs.
    pub(crate) async fn destroy_record(
        &self,
        id: SessionId,
        of: Option<&str>,
    ) -> Result<bool, StoreError> {
        let inner = &*self.inner;
        let user = pack_user(of);
        let reply = inner
            .commit(&inner.scripts.destroy, id, |cmd| {
                cmd.arg(span(inner.grace));
                cmd.arg(&inner.channel).arg(id.as_bytes()).arg(&user);
            })
            .await?;
        reply.yes()
    }
}

/// The changes of a head as `finish.lua` takes them: none where there are none.
fn head_args(head: &HeadChange, cmd: &mut Cmd) {
    if head.is_empty() {
        return;
    }
    let secret = head.secret.map(|secret| *secret.as_bytes());
    let user = match &head.user {
        None => vec![],
        Some(None) => b"-".to_vec(),
        Some(Some(user)) => pack_user(Some(user)),
    };
    let client = head.client.as_deref().map_or_else(Vec::new, pack_client);
    cmd.arg(bytes(secret.as_ref())).arg(&user);
    cmd.arg(u8::from(head.authenticated));
    cmd.arg(u8::from(head.anchor));
    optional(cmd, head.limits.map(|limits| span(limits.idle)));
    optional(cmd, head.limits.map(|limits| span(limits.absolute)));
    optional(cmd, head.extend.map(span));
    cmd.arg(&client);
    optional(cmd, head.remember.map(u64::from));
}

/// An argument that may be missing.
fn optional(cmd: &mut Cmd, number: Option<u64>) {
    match number {
        Some(number) => cmd.arg(number),
        None => cmd.arg(""),
    };
}

fn bytes<const N: usize>(bytes: Option<&[u8; N]>) -> &[u8] {
    bytes.map_or(&[], |bytes| bytes)
}

fn owner_bytes(owner: Owner) -> [u8; 16] {
    owner.to_u128().to_be_bytes()
}
