//! What the cases share: sessions to test with, and ways to say what was expected.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Created, DynStore, Finish, Finished, HeadChange, Limits, NewSession, Op, Open,
    Opened, Owner, Put, Record, Revision, SecretHash, SessionId, SessionStore, StoreError, Sweep,
    Timestamp, View,
};

use super::same;
use crate::calls::Answer;

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
pub(super) const MILLI: Duration = Duration::from_millis(1);
/// How long a store that removes what is over by itself may take.
pub(super) const REMOVED_WITHIN: Duration = Duration::from_secs(60);

/// What a store did wrong.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(seen: impl Into<String>) -> Self {
        Self(seen.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        Self(format!("an error: {error}: {}", source.unwrap_or_default()))
    }
}

pub(super) type Result<T = ()> = std::result::Result<T, Failure>;

/// How time passes for the store.
pub(super) enum Time {
    /// As this moves its clock.
    Moved(Arc<dyn Fn(Duration) + Send + Sync>),
    /// By itself; short spans are multiples of this.
    Real(Duration),
}

pub(crate) struct Context {
    pub(super) store: DynStore,
    pub(super) via_local: bool,
    /// Whether the store removes what is over by itself, and not by `sweep`.
    pub(super) by_itself: bool,
    time: Time,
}

impl Context {
    pub(super) fn new(store: DynStore, time: Time, via_local: bool, by_itself: bool) -> Self {
        Self {
            store,
            via_local,
            by_itself,
            time,
        }
    }

    /// Whether instants can be met to the millisecond.
    pub(super) fn exact(&self) -> bool {
        matches!(self.time, Time::Moved(_))
    }

    /// A short span.
    pub(super) fn unit(&self) -> Duration {
        match self.time {
            Time::Moved(_) => Duration::from_secs(1),
            Time::Real(unit) => unit,
        }
    }

    /// The store's time.
    pub(super) async fn now(&self) -> Result<Timestamp> {
        let nobody = SessionId::new(Timestamp::from_millis(0));
        Ok(self.store.look(nobody).await?.now)
    }

    /// Lets the store's time reach `at`, exactly if it can be moved.
    pub(super) async fn reach(&self, at: Timestamp) -> Result {
        match &self.time {
            Time::Moved(advance) => {
                advance(at.since(self.now().await?));
                let now = self.now().await?;
                ensure!(
                    now == at,
                    "the clock was moved to {at:?}, the store's shows {now:?}"
                );
            }
            Time::Real(_) => loop {
                let left = at.since(self.now().await?);
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left).await;
            },
        }
        Ok(())
    }

    /// Lets at least `span` pass, exactly that if the clock can be moved.
    pub(super) async fn pass(&self, span: Duration) -> Result {
        self.reach(self.now().await?.plus(span)).await
    }

    /// What is stored under an id.
    pub(super) async fn record(&self, id: SessionId) -> Result<(Record, Revision)> {
        let record = self.store.look(id).await?.record;
        record.ok_or_else(|| Failure::new("`look` finds no record any more"))
    }

    /// Fails if the record is not as it was.
    pub(super) async fn unchanged(&self, before: &Record, by: &str) -> Result {
        let (after, _) = self.record(before.head.id).await?;
        same::records(before, &after).map_err(|seen| Failure::new(format!("{by} changed {seen}")))
    }

    /// Fails if there is anything under this id.
    pub(super) async fn nothing(&self, id: SessionId, after: &str) -> Result {
        let found = self.store.look(id).await?.record.is_some();
        ensure!(!found, "there is a record after {after}");
        Ok(())
    }

    /// Sweeps what is over; where the store removes it by itself, waits until it has.
    pub(super) async fn swept(&self, id: SessionId, sweep: Sweep) -> Result {
        self.store.sweep(sweep).await?;
        if self.by_itself {
            let end = self.now().await?.plus(REMOVED_WITHIN);
            while self.store.look(id).await?.record.is_some() && self.now().await? < end {
                self.pass(self.unit()).await?;
            }
        }
        self.nothing(id, "it was over and `sweep` was called").await
    }

    /// Creates a session.
    pub(super) async fn create(&self, new: &NewSession) -> Result<Timestamp> {
        match self.store.create(new).await? {
            Created::Done(now) => Ok(now),
            other => Err(Failure::new(format!(
                "`create` of a new id: {}",
                other.word()
            ))),
        }
    }

    /// Creates a session that outlives the case.
    pub(super) async fn session(&self) -> Result<NewSession> {
        let new = new_session();
        self.create(&new).await?;
        Ok(new)
    }

    /// Creates a session with this idle limit.
    pub(super) async fn idle_session(&self, idle: Duration) -> Result<NewSession> {
        let mut new = new_session();
        new.limits.idle = idle;
        self.create(&new).await?;
        Ok(new)
    }

    /// Opens and expects to be granted.
    pub(super) async fn granted(&self, open: Open) -> Result<View> {
        match self.store.open(&open).await? {
            Opened::Granted(view) => Ok(view),
            other => Err(unexpected("open", "granted", &other)),
        }
    }

    /// Opens and expects this answer.
    pub(super) async fn opened(&self, open: Open, expected: &str) -> Result<Opened> {
        let opened = self.store.open(&open).await?;
        if opened.word() == expected {
            Ok(opened)
        } else {
            Err(unexpected("open", expected, &opened))
        }
    }

    /// Takes the lease for a new owner.
    pub(super) async fn lock(&self, new: &NewSession, lease: Duration) -> Result<Held> {
        let owner = Owner::unique();
        let view = self.granted(leasing(new, owner, lease)).await?;
        Ok(Held { owner, view })
    }

    /// As [`lock`](Self::lock), whatever the secret is.
    pub(super) async fn lock_by_id(&self, new: &NewSession, lease: Duration) -> Result<Held> {
        let owner = Owner::unique();
        let open = Open {
            secret: None,
            ..leasing(new, owner, lease)
        };
        let view = self.granted(open).await?;
        Ok(Held { owner, view })
    }

    /// Finishes and expects to be done.
    pub(super) async fn done(&self, finish: &Finish) -> Result<Done> {
        match self.store.finish(finish).await? {
            Finished::Done {
                version,
                now,
                waiting,
            } => Ok(Done {
                version,
                now,
                waiting,
            }),
            other => Err(unexpected("finish", "done", &other)),
        }
    }

    /// Finishes and expects this answer.
    pub(super) async fn finished(&self, finish: &Finish, expected: &str) -> Result {
        let finished = self.store.finish(finish).await?;
        if finished.word() == expected {
            Ok(())
        } else {
            Err(unexpected("finish", expected, &finished))
        }
    }

    /// Opens with a lease and commits `put`.
    pub(super) async fn commit(&self, new: &NewSession, put: Put) -> Result<Done> {
        let held = self.lock(new, LONG).await?;
        self.done(&held.finish(Op::Put(put))).await
    }
}

/// A lease that was granted.
pub(super) struct Held {
    pub(super) owner: Owner,
    pub(super) view: View,
}

impl Held {
    /// The end of the exclusive section that began with it.
    pub(super) fn finish(&self, op: Op) -> Finish {
        Finish {
            id: self.view.head.id,
            owner: self.owner,
            version: self.view.head.version,
            commit: CommitId::unique(),
            op,
            next: None,
        }
    }

    pub(super) fn put(&self, value: u64) -> Finish {
        self.finish(put(value))
    }
}

/// The fields of [`Finished::Done`].
pub(super) struct Done {
    pub(super) version: u64,
    pub(super) now: Timestamp,
    pub(super) waiting: bool,
}

pub(super) fn unexpected(verb: &str, expected: &str, seen: &impl Answer) -> Failure {
    Failure::new(format!(
        "`{verb}` should be {expected} and is {}",
        seen.word()
    ))
}

pub(super) fn secret() -> SecretHash {
    let mut bytes = [0; 32];
    let (left, right) = bytes.split_at_mut(16);
    left.copy_from_slice(&CommitId::unique().to_u128().to_be_bytes());
    right.copy_from_slice(&CommitId::unique().to_u128().to_be_bytes());
    SecretHash::from_bytes(bytes)
}

/// Data with one number in it.
pub(super) fn data(value: u64) -> Data {
    from_json(&format!(r#"{{"data":{{"n":{value}}}}}"#))
}

pub(super) fn from_json(json: &str) -> Data {
    // What the cases pass here is well-formed and short.
    Data::from_json(json.as_bytes(), usize::MAX).unwrap_or_default()
}

/// The number that [`data`] has put there.
pub(super) fn value(data: &Data) -> Option<u64> {
    std::str::from_utf8(data.get("n")?).ok()?.parse().ok()
}

pub(super) fn put(value: u64) -> Op {
    Op::Put(Put {
        data: Some(data(value)),
        ..Put::default()
    })
}

pub(super) fn put_head(head: HeadChange) -> Put {
    Put { head, data: None }
}

/// A session that lives longer than any case.
pub(super) fn new_session() -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_700_000_000_000)),
        secret: secret(),
        commit: CommitId::unique(),
        limits: Limits {
            idle: LONG,
            absolute: 24 * LONG,
        },
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: data(0),
    }
}

/// To read, with the right secret, a moment after it arrived.
pub(super) fn reading(new: &NewSession) -> Open {
    Open {
        id: new.id,
        secret: Some(new.secret),
        age: Duration::ZERO,
        touch: None,
        lease: None,
    }
}

pub(super) fn leasing(new: &NewSession, owner: Owner, lease: Duration) -> Open {
    Open {
        lease: Some((owner, lease)),
        ..reading(new)
    }
}
