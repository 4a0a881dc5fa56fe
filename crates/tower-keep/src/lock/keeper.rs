//! The actor that holds a session on behalf of the requests of this process.
//!
//! One task a live line. It owns the tokens and the calls to the store; a request holds channels
//! only, whose drop at any moment means "discard". So a dropped request never drops a call to the
//! store in the middle, and never overtakes one.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower_keep_core::{
    Clock, CommitId, DynStore, Finish, Finished, Head, Op, Open, Opened, Owner, SecretHash,
    SessionId, SessionStore, StoreError, StoreErrorKind, Timestamp, View,
};
use tracing::{debug, warn};

use super::call::call;
use super::config::LockConfig;
use super::grant::{Grant, tell};
use super::line::{Ending, FinishReply, Line, OpenReply, Step, Verdict};
use super::tasks::Tasks;
use super::waiter::{Answer, End, EndOp, Waiter};
use super::waiting::{Waiting, courtesy, jittered};
use crate::error::{Conflict, Error};
use crate::events::Telling;
use crate::observe::{CommitKind, Observer};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Requests with the same id and another secret must not queue behind one another, or knowing an
/// id would be enough to hold somebody up.
type Key = (SessionId, Option<[u8; 32]>);

type Lines = HashMap<Key, Line<Waiter>, BuildHasherDefault<DefaultHasher>>;

const SHARDS: usize = 16;

/// The lines of one layer on a store that does I/O.
pub(crate) struct Keeper {
    pub(super) store: DynStore,
    pub(super) config: LockConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) watching: AtomicBool,
    lines: [Mutex<Lines>; SHARDS],
}

impl Keeper {
    pub(crate) fn new(
        store: DynStore,
        config: LockConfig,
        clock: Arc<dyn Clock>,
        tasks: Arc<Tasks>,
    ) -> Self {
        Self {
            store,
            config,
            clock,
            tasks,
            watching: AtomicBool::new(false),
            lines: Default::default(),
        }
    }

    /// Waits for the session and its lease. Dropping the future leaves nothing behind.
    ///
    /// `wait` is how long from now; `touch` as in [`Open`].
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        open: &Open,
        wait: Duration,
    ) -> Result<Result<(View, Grant), Opened>, Error> {
        let (reply, answer) = oneshot::channel();
        let now = self.clock.monotonic();
        let waiter = Waiter {
            arrived: now.saturating_sub(open.age),
            deadline: now + wait,
            reply,
        };
        self.push(
            (open.id, open.secret.map(|s| *s.as_bytes())),
            waiter,
            open.touch,
        )?;
        match answer.await {
            Ok(Ok(Answer::Granted(view, end))) => Ok(Ok((view, Grant::kept(end)))),
            Ok(Ok(Answer::Not(opened))) => Ok(Err(opened)),
            Ok(Err(error)) => Err(error),
            // The actor is gone, with its runtime or in a panic.
            Err(_) => Err(Error::Store(StoreError::new(
                StoreErrorKind::Unavailable,
                "the session's keeper is gone",
            ))),
        }
    }

    fn push(
        self: &Arc<Self>,
        key: Key,
        waiter: Waiter,
        touch: Option<Duration>,
    ) -> Result<(), Error> {
        if self.tasks.is_closed() {
            return Err(Error::ShuttingDown);
        }
        let mut lines = self.lines(&key);
        if let Some(line) = lines.get_mut(&key) {
            line.join(waiter, self.config.max_waiting)
                .map_err(|_| Error::TooManyWaiting)?;
            drop(lines);
            // The line may have outlived its watchdog, which was on another runtime.
            return self.watch();
        }
        let mut line = Line::new(self.config.cohort);
        if line.join(waiter, self.config.max_waiting).is_err() {
            return Err(Error::TooManyWaiting);
        }
        lines.insert(key, line);
        drop(lines);
        // From here on the actor's own guard removes the line, whatever happens to it.
        let actor = Actor {
            keeper: self.clone(),
            key,
            touch,
            ended: AtomicBool::new(false),
        };
        self.tasks.spawn(actor.run())?;
        self.watch()
    }

    fn lines(&self, key: &Key) -> MutexGuard<'_, Lines> {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose")]
        let shard = key.0.random_bits() as usize % SHARDS;
        self.lines[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One round over all lines; tells whether there were any.
    pub(super) fn visit(&self, mut f: impl FnMut(SessionId, &mut Line<Waiter>)) -> bool {
        let mut any = false;
        for shard in &self.lines {
            let mut lines = shard.lock().unwrap_or_else(PoisonError::into_inner);
            any |= !lines.is_empty();
            for ((id, _), line) in lines.iter_mut() {
                f(*id, line);
            }
        }
        any
    }
}

/// One line's driver.
struct Actor {
    keeper: Arc<Keeper>,
    key: Key,
    touch: Option<Duration>,
    /// The line came to its end, and another one may be under the key by now.
    ended: AtomicBool,
}

impl Drop for Actor {
    /// Ends the line with the actor, after a panic or with the runtime: its waiters hear that
    /// their channels closed.
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let line = self.keeper.lines(&self.key).remove(&self.key);
        drop(line);
    }
}

/// What is committed and waits for the store's word.
struct Finishing {
    finish: Finish,
    reply: Option<oneshot::Sender<Result<(Head, Timestamp), Error>>>,
    telling: Option<Telling>,
    until: Instant,
    pause: Duration,
}

impl Actor {
    async fn run(self) {
        // What the holder sees; set when a lease is granted and after every commit.
        let mut view: Option<View> = None;
        let mut finishing: Option<Finishing> = None;
        let mut waiting = Waiting::default();
        let mut step = self.line(Line::next);
        loop {
            step = match step {
                Step::Exit => return,
                Step::Open { owner, arrived } => {
                    let keeper = &*self.keeper;
                    if waiting.refused {
                        waiting.listen(keeper, self.key.0);
                    }
                    let reply = match self.open(owner, arrived).await {
                        Ok(Opened::Granted(granted)) => {
                            view = Some(granted);
                            waiting = Waiting::default();
                            OpenReply::Granted
                        }
                        Ok(Opened::Busy(left)) => {
                            waiting.left = left;
                            OpenReply::Busy
                        }
                        Ok(Opened::Stale) => OpenReply::Stale,
                        Ok(Opened::Absent) => OpenReply::Absent,
                        Ok(Opened::Expired) => OpenReply::Expired,
                        Err(error) => OpenReply::Failed(error),
                    };
                    let now = keeper.clock.monotonic();
                    self.line(|line| line.opened(reply, now))
                }
                Step::Wait => {
                    waiting.pause(&self.keeper).await;
                    self.line(Line::woken)
                }
                Step::Yield => {
                    sleep(courtesy(&self.keeper)).await;
                    self.line(Line::next)
                }
                Step::Serve { waiter } => self.serve(waiter, view.as_ref(), &mut finishing).await,
                Step::Finish { owner, next } => {
                    if let (Some(finishing), Some(view)) = (&mut finishing, &view) {
                        finishing.finish.owner = owner;
                        finishing.finish.version = view.head.version;
                        finishing.finish.next = next.map(|next| (next, self.keeper.config.lease));
                    }
                    self.finish(&mut view, &mut finishing).await
                }
                Step::Retry => self.retry(&mut view, &mut finishing).await,
                Step::Release { owner } => {
                    self.release(owner).await;
                    self.line(Line::released)
                }
            };
        }
    }

    /// Lets `decide` move the line on; a line that has come to its end is removed in the same
    /// moment, so that the next request starts a new one.
    fn line(&self, decide: impl FnOnce(&mut Line<Waiter>) -> Step<Waiter>) -> Step<Waiter> {
        let mut lines = self.keeper.lines(&self.key);
        let Some(line) = lines.get_mut(&self.key) else {
            return Step::Exit;
        };
        let step = decide(line);
        if matches!(step, Step::Exit) {
            lines.remove(&self.key);
            self.ended.store(true, Ordering::Relaxed);
        }
        step
    }

    async fn open(&self, owner: Owner, arrived: Duration) -> Result<Opened, StoreError> {
        let keeper = &*self.keeper;
        let open = Open {
            id: self.key.0,
            secret: self.key.1.map(SecretHash::from_bytes),
            age: keeper.clock.monotonic().saturating_sub(arrived),
            touch: self.touch,
            lease: Some((owner, keeper.config.lease)),
        };
        call(keeper.config.store_timeout, async {
            keeper.store.open(&open).await
        })
        .await
    }

    /// Hands the session to `waiter` and waits for its end.
    async fn serve(
        &self,
        waiter: Waiter,
        view: Option<&View>,
        finishing: &mut Option<Finishing>,
    ) -> Step<Waiter> {
        let (end, ended) = oneshot::channel();
        let answer = match view {
            Some(view) => Ok(Answer::Granted(view.clone(), end)),
            None => Err(Error::Closed),
        };
        if waiter.reply.send(answer).is_err() {
            let now = self.keeper.clock.monotonic();
            return self.line(|line| line.abandoned(now));
        }
        let (op, reply, telling) = match ended.await {
            Ok(End { op, reply, telling }) => (op, Some(reply), telling),
            Err(_) => (EndOp::Release, None, None),
        };
        let (op, ending) = match op {
            EndOp::Release => (Op::Release, Ending::Release),
            EndOp::Put(put) => {
                let invalidates = put.head.secret.is_some() && self.key.1.is_some();
                let ending = if invalidates {
                    Ending::Invalidate
                } else {
                    Ending::Commit
                };
                (Op::Put(put), ending)
            }
            EndOp::Destroy => (Op::Destroy, Ending::Invalidate),
        };
        *finishing = Some(Finishing {
            finish: Finish {
                id: self.key.0,
                owner: Owner::from_u128(0),
                version: 0,
                commit: CommitId::unique(),
                op,
                next: None,
            },
            reply,
            telling,
            until: Instant::now() + self.keeper.config.lease,
            pause: self.keeper.config.poll,
        });
        self.line(|line| line.ended(ending))
    }

    /// One try of the finish, and what follows from its answer.
    async fn finish(
        &self,
        view: &mut Option<View>,
        finishing: &mut Option<Finishing>,
    ) -> Step<Waiter> {
        let keeper = &*self.keeper;
        let (Some(Finishing { finish, .. }), Some(seen)) = (&*finishing, view.as_mut()) else {
            return self.line(Line::give_up);
        };
        let answer = call(keeper.config.store_timeout, async {
            keeper.store.finish(finish).await
        });
        let mut refusal = None;
        let reply = match answer.await {
            Ok(Finished::Done {
                version,
                now,
                waiting,
            }) => {
                let mut expected = finish.version;
                if let Op::Put(put) = &finish.op {
                    expected += 1;
                    put.head.apply(&mut seen.head, now);
                    if let Some(data) = &put.data {
                        seen.data = data.clone();
                    }
                }
                seen.head.version = version;
                seen.now = now;
                // A release does not say upon which version. The lease may have been lost in the
                // meantime, others have committed, and an open of ours that came twice and late
                // have got it again.
                let moved = version != expected;
                let reopen = moved || self.must_reopen(&seen.head, now);
                FinishReply::Done { waiting, reopen }
            }
            Ok(Finished::Lost) => FinishReply::Lost,
            Ok(Finished::Gone) => FinishReply::Gone,
            Ok(Finished::Unknown) => FinishReply::Unknown,
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                let id = self.key.0;
                debug!(session.id = %id, error = %error, "a commit was not answered; asking again");
                FinishReply::Failed
            }
            Err(error) => {
                refusal = Some(error);
                FinishReply::Refused
            }
        };
        let done = matches!(reply, FinishReply::Done { .. }).then(|| (seen.head.clone(), seen.now));
        let mut verdict = Verdict::Undecided;
        let step = self.line(|line| {
            let step;
            (verdict, step) = line.finished(reply, keeper.clock.monotonic());
            step
        });
        let outcome = match (verdict, done) {
            (Verdict::Undecided, _) => return step,
            (Verdict::Done, Some(done)) => Ok(done),
            (Verdict::Done, None) => Ok((seen.head.clone(), seen.now)),
            (Verdict::Lost, _) => Err(Conflict::Lost.into()),
            (Verdict::Gone, _) => Err(Conflict::Gone.into()),
            (Verdict::Refused, _) => Err(refusal.map_or(Error::OutcomeUnknown, Error::from)),
            (Verdict::Unknown, _) => Err(Error::OutcomeUnknown),
        };
        answer_holder(keeper, finishing, outcome);
        step
    }

    /// Whether whoever is next must open the session itself: when it needs to be touched, or, for
    /// all that is known here, is over.
    fn must_reopen(&self, head: &Head, now: Timestamp) -> bool {
        let moves = now.plus(head.limits.idle).since(head.idle_deadline);
        let touches = |due| !moves.is_zero() && moves >= due;
        head.is_expired(now) || self.touch.is_some_and(touches)
    }

    /// Tries the same commit again after a pause, as long as the lease may last.
    async fn retry(
        &self,
        view: &mut Option<View>,
        finishing: &mut Option<Finishing>,
    ) -> Step<Waiter> {
        if let Some(again) = finishing
            && Instant::now() + again.pause < again.until
        {
            sleep(jittered(again.pause)).await;
            again.pause *= 2;
            return self.finish(view, finishing).await;
        }
        warn!(session.id = %self.key.0, "the store did not confirm a commit within its lease");
        answer_holder(&self.keeper, finishing, Err(Error::OutcomeUnknown));
        self.line(Line::give_up)
    }

    /// Gives back a lease that nobody wants any more; should that fail, it ends by itself.
    async fn release(&self, owner: Owner) {
        let keeper = &*self.keeper;
        let finish = Finish {
            id: self.key.0,
            owner,
            version: 0,
            commit: CommitId::unique(),
            op: Op::Release,
            next: None,
        };
        let mut pause = keeper.config.poll;
        for _ in 0..3 {
            let verb = async { keeper.store.finish(&finish).await };
            if call(keeper.config.store_timeout, verb).await.is_ok() {
                return;
            }
            sleep(jittered(pause)).await;
            pause *= 2;
        }
    }
}

fn answer_holder(
    keeper: &Keeper,
    finishing: &mut Option<Finishing>,
    outcome: Result<(Head, Timestamp), Error>,
) {
    let Some(finishing) = finishing.take() else {
        return;
    };
    let Finishing { reply, telling, .. } = finishing;
    let observed = match finishing.finish.op {
        Op::Release => None,
        Op::Put(_) => Some(CommitKind::Save),
        Op::Merge(_) => Some(CommitKind::Merge),
        Op::Destroy => Some(CommitKind::Destroy),
    };
    if let Some(kind) = observed {
        Observer::new(keeper.store.name()).committed(kind, outcome.as_ref());
    }
    if let Ok((head, _)) = &outcome {
        tell(telling, head);
    }
    if let Some(reply) = reply {
        // A holder that is gone does not care.
        let _ = reply.send(outcome);
    }
}
