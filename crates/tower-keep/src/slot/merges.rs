//! Merging requests of one process for one session, which commit together.
//!
//! Each commit is one or two round trips during which no other can be made. So while one is under
//! way, those who want to merge into the same session gather in its line, and the next commit is
//! made for all of them. The first to come begins the line, with a task that drives it until
//! nobody is left.
//!
//! # Invariant
//! 1. *In one commit at most.* A member leaves the line under its mutex, to be put into a commit
//!    or because it waited too long, and comes back only if that commit is known to have changed
//!    nothing. What became of the commit is what its members are told; unknown is unknown for all.
//! 2. *As if one after the other.* What is committed is what the members would have made of the
//!    session had each committed by itself, in the order of the line: each does its steps on what
//!    those before it left behind, and who cannot fails alone and leaves nothing.
//! 3. *Nobody is forgotten.* While there are members there is a task that drives them; a line is
//!    removed in the moment in which nobody is found in it. Should its task end before, by a
//!    panic or with its runtime, those in the line are told that nothing was done.

#[cfg(keep_shuttle)]
pub mod threads;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tower_keep_core::data::Patch;
use tower_keep_core::{CommitId, HeadChange, SessionId, StoreError, StoreErrorKind, View};

use super::merge::{Merge, acquire};
use crate::error::Error;
use crate::lock::{Commit, Committed, Grant};
use crate::observe::CommitKind;
use crate::shared::{Shared, Which};
use crate::sync::{Mutex, MutexGuard};

/// At most so many in one commit: meanwhile the session is locked, and the thread is busy.
const TOGETHER: usize = 64;

const SHARDS: usize = 16;

/// As for the lock, who does not know the secret must not be able to hold anybody up.
type Key = (SessionId, Option<[u8; 32]>);

type Lines = HashMap<Key, VecDeque<Member>, BuildHasherDefault<DefaultHasher>>;

/// The lines of one layer.
#[derive(Default)]
pub(crate) struct Merges {
    lines: [Mutex<Lines>; SHARDS],
}

struct Member {
    /// By which it finds itself again.
    id: CommitId,
    merge: Merge,
    /// Until when it waits for its turn.
    until: Instant,
    reply: oneshot::Sender<Result<Committed, Error>>,
}

impl Member {
    fn answer(self, outcome: Result<Committed, Error>) {
        // Whoever is gone needs no answer.
        let _ = self.reply.send(outcome);
    }
}

/// Commits, and waits at most `wait` for its turn. It is carried to its end even if the client
/// leaves meanwhile.
pub(super) async fn commit(
    shared: &Arc<Shared>,
    merge: Merge,
    wait: Duration,
) -> Result<Committed, Error> {
    let which = merge.which();
    let key = (which.id, which.secret.map(|secret| *secret.as_bytes()));
    let (id, until) = (CommitId::unique(), Instant::now() + wait);
    let (reply, mut outcome) = oneshot::channel();
    let member = Member {
        id,
        merge,
        until,
        reply,
    };
    if shared.merges.join(key, member, shared.locks.max_waiting)? {
        let shared = shared.clone();
        let tasks = shared.tasks.clone();
        let driver = Driver {
            shared,
            key,
            singly: 0,
            ended: false,
        };
        tasks.spawn(driver.run())?;
    }
    let told = match timeout_at(until, &mut outcome).await {
        Ok(told) => told,
        Err(_) if shared.merges.leave(&key, id).is_some() => return Err(Error::LockTimeout),
        // It is in a commit by now.
        Err(_) => outcome.await,
    };
    told.unwrap_or(Err(Error::OutcomeUnknown))
}

impl Merges {
    /// Queues `member`; tells whether it begins the line.
    fn join(&self, key: Key, member: Member, max: usize) -> Result<bool, Error> {
        let mut lines = self.lines(&key);
        let begins = !lines.contains_key(&key);
        let line = lines.entry(key).or_default();
        if line.len() >= max {
            return Err(Error::TooManyWaiting);
        }
        line.push_back(member);
        Ok(begins)
    }

    /// Takes one member out of its line, if it is there.
    fn leave(&self, key: &Key, id: CommitId) -> Option<Member> {
        let mut lines = self.lines(key);
        let line = lines.get_mut(key)?;
        let at = line.iter().position(|member| member.id == id)?;
        line.remove(at)
    }

    fn lines(&self, key: &Key) -> MutexGuard<'_, Lines> {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose")]
        let shard = key.0.random_bits() as usize % SHARDS;
        self.lines[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What commits for one line.
struct Driver {
    shared: Arc<Shared>,
    key: Key,
    /// So many commits are of one member each, because one of all of them was refused.
    singly: usize,
    /// The line came to its end, and another one may be under the key by now.
    ended: bool,
}

impl Driver {
    async fn run(mut self) {
        // Who is alone has mostly loaded what is still the newest state.
        if let Some(first) = self.only_one() {
            match first.merge.at_once(&self.shared).await {
                Ok(Some(done)) => first.answer(Ok(done)),
                Ok(None) => self.put_back([first]),
                Err(error) => first.answer(Err(error)),
            }
        }
        while let Some((id, which, until)) = self.first() {
            let wait = until.saturating_duration_since(Instant::now());
            match acquire(&self.shared, which, wait).await {
                Ok((view, grant)) => self.together(view, grant).await,
                // Whether there is a session for it depends on when a request arrived, so this
                // says nothing of the others.
                Err(error) => {
                    if let Some(first) = self.shared.merges.leave(&self.key, id) {
                        first.answer(Err(error));
                    }
                }
            }
        }
    }

    /// One commit of those who are there now.
    async fn together(&mut self, view: View, grant: Grant) {
        let shared = self.shared.clone();
        // What those before have made of the data, but for the last change.
        let View {
            head,
            mut data,
            now,
        } = view;
        let mut last = Patch::default();
        let (mut members, mut writers) = (Vec::new(), 0);
        for member in self.next() {
            let mut newest = data.clone();
            newest.apply(&last);
            match member.merge.done_on(&shared, &head, newest) {
                Ok((before, patch)) => {
                    if !patch.is_empty() {
                        (data, last) = (before, patch);
                        writers += 1;
                    }
                    members.push(member);
                }
                Err(error) => member.answer(Err(error)),
            }
        }
        let outcome = if writers == 0 {
            drop(grant);
            Ok((head, now))
        } else {
            let put = Commit::Put(HeadChange::default(), last);
            grant.finish(View { head, data, now }, put).await
        };
        if matches!(outcome, Err(Error::Store(_))) && members.len() > 1 {
            // Refused, perhaps for the sake of one of them, and nothing was changed.
            self.singly = members.len();
            return self.put_back(members);
        }
        // One of them the keeper has counted.
        for _ in 1..writers {
            shared
                .observer
                .committed(CommitKind::Save, outcome.as_ref());
        }
        let last = members.pop();
        for member in members {
            member.answer(match &outcome {
                Ok(done) => Ok(done.clone()),
                Err(Error::Conflict(conflict)) => Err((*conflict).into()),
                Err(_) => Err(Error::OutcomeUnknown),
            });
        }
        if let Some(last) = last {
            last.answer(outcome);
        }
    }

    /// Takes the only member of the line.
    fn only_one(&self) -> Option<Member> {
        let mut lines = self.shared.merges.lines(&self.key);
        let line = lines.get_mut(&self.key)?;
        if line.len() > 1 {
            return None;
        }
        line.pop_front()
    }

    /// Who is asked for next; if there is nobody the line comes to its end in the same moment.
    fn first(&mut self) -> Option<(CommitId, Which, Instant)> {
        let mut lines = self.shared.merges.lines(&self.key);
        if let Some(first) = lines.get(&self.key).and_then(VecDeque::front) {
            return Some((first.id, first.merge.which(), first.until));
        }
        lines.remove(&self.key);
        self.ended = true;
        None
    }

    /// Takes those who are to be in the next commit.
    fn next(&mut self) -> Vec<Member> {
        let most = if self.singly > 0 { 1 } else { TOGETHER };
        self.singly = self.singly.saturating_sub(1);
        let mut lines = self.shared.merges.lines(&self.key);
        let line = lines.entry(self.key).or_default();
        line.drain(..most.min(line.len())).collect()
    }

    /// They go first again.
    fn put_back(&self, members: impl IntoIterator<Item = Member, IntoIter: DoubleEndedIterator>) {
        let mut lines = self.shared.merges.lines(&self.key);
        let line = lines.entry(self.key).or_default();
        for member in members.into_iter().rev() {
            line.push_front(member);
        }
    }
}

impl Drop for Driver {
    /// Ends the line with its task, after a panic or with the runtime.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let left = self.shared.merges.lines(&self.key).remove(&self.key);
        for member in left.into_iter().flatten() {
            let error = StoreError::new(StoreErrorKind::Unavailable, "the merging task is gone");
            member.answer(Err(if self.shared.tasks.is_closed() {
                Error::ShuttingDown
            } else {
                Error::Store(error)
            }));
        }
    }
}
