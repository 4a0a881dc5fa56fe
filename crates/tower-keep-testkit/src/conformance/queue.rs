//! The queue of a store with the `local` ability: who is served, and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Poll, Wake, Waker};

use tower_keep_core::data::Patch;
use tower_keep_core::{
    Finish, Finished, LocalOpened, LocalStore, NewSession, Op, Open, Opened, Owner, SessionStore,
    Turn, View,
};

use super::context::{
    Context, Failure, Held, LONG, Result, data, leasing, reading, secret, unexpected,
};
use super::via_local::difference;
use crate::calls::Answer;

pub(super) const ROOM: usize = 64;

/// The ability, in the run that goes by way of it.
pub(super) fn local(cx: &Context) -> Option<&dyn LocalStore> {
    cx.store.local().filter(|_| cx.via_local)
}

/// Acquires at once.
pub(super) fn hold(local: &dyn LocalStore, open: Open) -> Result<Held> {
    match (local.acquire(&open, ROOM), open.lease) {
        (LocalOpened::Now(Opened::Granted(view)), Some((owner, _))) => Ok(Held { owner, view }),
        (LocalOpened::Now(other), _) => Err(unexpected("acquire", "granted", &other)),
        _ => Err(Failure::new("`acquire` queues for a session that is free")),
    }
}

pub(super) fn take(local: &dyn LocalStore, new: &NewSession) -> Result<Held> {
    hold(local, leasing(new, Owner::unique(), LONG))
}

/// Acquires what is taken.
pub(super) fn wait(local: &dyn LocalStore, new: &NewSession) -> Result<Arc<Turn>> {
    match local.acquire(&leasing(new, Owner::unique(), LONG), ROOM) {
        LocalOpened::Queued(turn) => Ok(turn),
        LocalOpened::Now(other) => Err(unexpected("acquire", "queued", &other)),
        LocalOpened::Full => Err(Failure::new(
            "`acquire` should queue, and the queue is full",
        )),
    }
}

pub(super) fn finish(local: &dyn LocalStore, held: &Held, op: Op) -> Result {
    let patch = match &op {
        Op::Put(put) => put
            .data
            .as_ref()
            .map(|new| difference(&held.view.data, new)),
        Op::Release | Op::Merge(_) | Op::Destroy => None,
    };
    match local.finish(&held.finish(op), &patch.unwrap_or_default())? {
        Finished::Done { .. } => Ok(()),
        other => Err(unexpected("finish", "done", &other)),
    }
}

pub(super) fn pending(turn: &Turn, while_: &str) -> Result {
    match poll(turn) {
        Poll::Pending => Ok(()),
        Poll::Ready(opened) => Err(Failure::new(format!(
            "a turn is answered ({}) while {while_}",
            opened.word()
        ))),
    }
}

pub(super) fn answered(turn: &Turn, expected: &str) -> Result<Opened> {
    match poll(turn) {
        Poll::Ready(opened) if opened.word() == expected => Ok(opened),
        Poll::Ready(opened) => Err(unexpected("turn", expected, &opened)),
        Poll::Pending => Err(Failure::new(format!(
            "a turn should be answered ({expected}) and still waits"
        ))),
    }
}

/// What the turn holds from now on.
pub(super) fn granted(turn: &Turn) -> Result<Held> {
    match (answered(turn, "granted")?, turn.open().lease) {
        (Opened::Granted(view), Some((owner, _))) => Ok(Held { owner, view }),
        _ => Err(Failure::new("a turn without a lease")),
    }
}

fn poll(turn: &Turn) -> Poll<Opened> {
    turn.poll(&mut std::task::Context::from_waker(Waker::noop()))
}

pub(super) fn put(value: u64) -> Op {
    super::context::put(value)
}

pub(super) async fn is_first_in_first_out(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let mut held = take(local, &new)?;
    let turns = [wait(local, &new)?, wait(local, &new)?, wait(local, &new)?];
    for (value, turn) in (1..).zip(&turns) {
        for later in turns.iter().skip_while(|later| !Arc::ptr_eq(later, turn)) {
            pending(later, "others are before it")?;
        }
        finish(local, &held, put(value))?;
        held = granted(turn)?;
        let View {
            head, data: seen, ..
        } = &held.view;
        ensure!(
            *seen == data(value),
            "the next one does not see what was committed"
        );
        ensure!(
            head.version == value + 1,
            "the next one sees version {}",
            head.version
        );
    }
    finish(local, &held, put(9))?;
    let lease = cx.record(new.id).await?.0.lease;
    ensure!(lease.is_none(), "the last one does not free the lease");
    Ok(())
}

pub(super) async fn lets_nobody_push_in(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let next = wait(local, &new)?;
    finish(local, &held, Op::Release)?;
    let opened = local.open(&leasing(&new, Owner::unique(), LONG));
    ensure!(
        opened.word() == "busy",
        "somebody pushes in: {}",
        opened.word()
    );
    let last = wait(local, &new)?;
    let lease = cx.record(new.id).await?.0.lease;
    let owner = next.open().lease.map(|(owner, _)| owner);
    ensure!(
        lease.map(|l| l.owner) == owner,
        "the lease is not the next one's"
    );
    let held = granted(&next)?;
    pending(&last, "another has the lease")?;
    finish(local, &held, put(1))?;
    finish(local, &granted(&last)?, put(2))
}

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) async fn wakes_the_next(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let turn = wait(local, &new)?;
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let polled = turn.poll(&mut std::task::Context::from_waker(&waker));
    ensure!(
        polled.is_pending(),
        "a turn is answered while another has the lease"
    );
    finish(local, &held, put(1))?;
    ensure!(count.0.load(Ordering::SeqCst) > 0, "nobody is woken");
    finish(local, &granted(&turn)?, put(2))
}

pub(super) async fn admits_by_secret(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let wrong = Open {
        secret: Some(secret()),
        ..leasing(&new, Owner::unique(), LONG)
    };
    let unknown = leasing(&super::context::new_session(), Owner::unique(), LONG);
    for open in [wrong, unknown] {
        match local.acquire(&open, ROOM) {
            LocalOpened::Now(Opened::Absent) => {}
            LocalOpened::Now(other) => return Err(unexpected("acquire", "absent", &other)),
            _ => return Err(Failure::new("a stranger is let into the queue")),
        }
    }
    finish(local, &held, Op::Destroy)?;
    match local.acquire(&leasing(&new, Owner::unique(), LONG), ROOM) {
        LocalOpened::Now(Opened::Stale | Opened::Absent) => Ok(()),
        other => Err(Failure::new(format!("acquiring a tombstone: {other:?}"))),
    }
}

pub(super) async fn is_bounded(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let acquire = |room| local.acquire(&leasing(&new, Owner::unique(), LONG), room);
    let LocalOpened::Now(Opened::Granted(_)) = acquire(0) else {
        return Err(Failure::new(
            "without room to wait a free session is not granted",
        ));
    };
    let full = |opened: &LocalOpened| matches!(opened, LocalOpened::Full);
    ensure!(full(&acquire(0)), "one waits where none may");
    let mut turns = Vec::new();
    for _ in 0..2 {
        match acquire(2) {
            LocalOpened::Queued(turn) => turns.push(turn),
            other => return Err(Failure::new(format!("two may wait, yet: {other:?}"))),
        }
    }
    ensure!(full(&acquire(2)), "three wait where two may");
    for turn in &turns {
        local.leave(turn);
    }
    ensure!(!full(&acquire(2)), "those who left still take up room");
    Ok(())
}

pub(super) async fn serves_readers_beside(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let turn = wait(local, &new)?;
    let read = local.open(&reading(&new));
    ensure!(
        read.word() == "granted",
        "reading beside a queue: {}",
        read.word()
    );
    let again = hold(local, leasing(&new, held.owner, LONG))?;
    pending(&turn, "the owner asked again")?;
    finish(local, &again, put(1))?;
    finish(local, &granted(&turn)?, put(2))
}

pub(super) async fn applies_the_patch(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let mut new = super::context::new_session();
    new.data = super::context::from_json(r#"{"data":{"a":1,"b":2,"n":0}}"#);
    cx.create(&new).await?;
    let held = take(local, &new)?;
    let wanted = super::context::from_json(r#"{"data":{"a":1,"c":[3],"n":7}}"#);
    let patch = difference(&held.view.data, &wanted);
    let finish = Finish {
        next: Some((Owner::unique(), LONG)),
        ..held.finish(Op::Put(tower_keep_core::Put::default()))
    };
    let finished = local.finish(&finish, &patch)?;
    ensure!(finished.word() == "done", "finish is {}", finished.word());
    let (record, _) = cx.record(new.id).await?;
    ensure!(record.data == wanted, "the data are not as patched");
    ensure!(
        record.lease.is_none(),
        "a lease was handed on though nobody waits"
    );
    // A retry applies nothing, and an empty patch leaves the data.
    local.finish(&finish, &difference(&wanted, &data(1)))?;
    cx.unchanged(&record, "a retry").await?;
    let held = take(local, &new)?;
    local.finish(
        &held.finish(Op::Put(tower_keep_core::Put::default())),
        &Patch::default(),
    )?;
    let (record, _) = cx.record(new.id).await?;
    ensure!(
        record.data == wanted && record.head.version == 3,
        "an empty patch changes the data"
    );
    Ok(())
}
