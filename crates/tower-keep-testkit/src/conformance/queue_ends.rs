//! The queue of a store with the `local` ability: how waiting ends otherwise.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::{HeadChange, LocalOpened, Op, Opened, Owner, Put, SessionStore};

use super::context::{
    Context, Failure, Held, LONG, MILLI, Result, data, leasing, put_head, reading, secret,
    unexpected, value,
};
use super::queue::{ROOM, answered, finish, granted, hold, local, pending, put, take, wait};
use crate::rng::{Rng, seed_or};

pub(super) async fn leaving_before_the_answer(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let turns = [wait(local, &new)?, wait(local, &new)?, wait(local, &new)?];
    let [first, second, third] = &turns;
    local.leave(second);
    local.leave(second);
    finish(local, &held, put(1))?;
    finish(local, &granted(first)?, put(2))?;
    pending(second, "it was left")?;
    finish(local, &granted(third)?, put(3))?;
    let lease = cx.record(new.id).await?.0.lease;
    ensure!(lease.is_none(), "the lease went to who had left");
    Ok(())
}

pub(super) async fn leaving_with_the_answer(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let (first, second) = (wait(local, &new)?, wait(local, &new)?);
    finish(local, &held, put(1))?;
    local.leave(&first);
    pending(&first, "it was left")?;
    let next = granted(&second)?;
    ensure!(
        next.view.data == data(1),
        "the one behind does not see what was committed"
    );
    let third = wait(local, &new)?;
    finish(local, &next, put(2))?;
    local.leave(&third);
    let lease = cx.record(new.id).await?.0.lease;
    ensure!(lease.is_none(), "the lease stays with who left");
    finish(local, &take(local, &new)?, put(3))
}

pub(super) async fn leaving_afterwards(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    let held = take(local, &new)?;
    let turn = wait(local, &new)?;
    finish(local, &held, put(1))?;
    let next = granted(&turn)?;
    local.leave(&turn);
    let last = wait(local, &new)?;
    pending(&last, "another has the lease")?;
    finish(local, &next, put(2))?;
    finish(local, &granted(&last)?, put(3))
}

pub(super) async fn judges_again_after_a_rotation(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let mut new = cx.session().await?;
    let held = take(local, &new)?;
    let turns = [wait(local, &new)?, wait(local, &new)?];
    let fresh = secret();
    let change = HeadChange {
        secret: Some(fresh),
        ..HeadChange::default()
    };
    finish(local, &held, Op::Put(put_head(change)))?;
    for turn in &turns {
        answered(turn, "stale")?;
    }
    let lease = cx.record(new.id).await?.0.lease;
    ensure!(lease.is_none(), "the lease went to who was refused");
    new.secret = fresh;
    finish(local, &take(local, &new)?, put(1))
}

pub(super) async fn judges_again_after_a_destruction(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    for by_holder in [true, false] {
        let new = cx.session().await?;
        let held = take(local, &new)?;
        let turns = [wait(local, &new)?, wait(local, &new)?];
        if by_holder {
            finish(local, &held, Op::Destroy)?;
        } else {
            cx.store.destroy(new.id).await?;
        }
        for turn in &turns {
            answered(turn, "stale")?;
        }
    }
    Ok(())
}

pub(super) async fn judges_again_after_expiry(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.idle_session(4 * cx.unit()).await?;
    let held = take(local, &new)?;
    let turn = wait(local, &new)?;
    cx.pass(4 * cx.unit()).await?;
    finish(local, &held, Op::Release)?;
    answered(&turn, "expired")?;
    Ok(())
}

pub(super) async fn expired_leases_are_handed_on(cx: &Context) -> Result {
    let Some(local) = local(cx) else {
        return Ok(());
    };
    let new = cx.session().await?;
    ensure!(
        local.expire_lease(new.id).is_none(),
        "a lease where none was taken"
    );
    let span = 4 * cx.unit();
    let held = hold(local, leasing(&new, Owner::unique(), span))?;
    let end = held.view.now.plus(span);
    let (first, second) = (wait(local, &new)?, wait(local, &new)?);
    if cx.exact() {
        cx.reach(end.minus(MILLI)).await?;
        let left = local.expire_lease(new.id);
        ensure!(
            left == Some(MILLI),
            "a lease with a millisecond left: {left:?}"
        );
        pending(&first, "the lease lasts")?;
    }
    cx.reach(end).await?;
    let left = local.expire_lease(new.id);
    ensure!(
        left.is_some_and(|left| !left.is_zero() && left <= LONG),
        "the next one's lease lasts {left:?}"
    );
    let next = granted(&first)?;
    pending(&second, "another has the lease")?;
    let left = local.expire_lease(new.id);
    ensure!(
        left.is_some_and(|left| left <= LONG),
        "a live lease: {left:?}"
    );
    pending(&second, "another has the lease")?;
    cx.finished(&held.put(9), "lost").await?;
    finish(local, &next, put(1))?;
    finish(local, &granted(&second)?, put(2))?;

    hold(local, leasing(&new, Owner::unique(), span))?;
    cx.pass(span).await?;
    let left = local.expire_lease(new.id);
    let over = left.is_none_or(|left| left.is_zero());
    ensure!(over, "a lease that ran out lasts {left:?}");
    finish(local, &take(local, &new)?, Op::Put(Put::default()))
}

/// One of many: acquires, or leaves at some point, and counts what it commits.
async fn churn(cx: Arc<Context>, new: tower_keep_core::NewSession, mut rng: Rng) -> Result<u64> {
    let local = cx
        .store
        .local()
        .ok_or_else(|| Failure::new("`local()` is `None` now"))?;
    let mut commits = 0;
    for _ in 0..200 {
        let owner = Owner::unique();
        let opened = match local.acquire(&leasing(&new, owner, LONG), ROOM) {
            LocalOpened::Now(opened) => opened,
            LocalOpened::Full => return Err(Failure::new("the queue is full")),
            LocalOpened::Queued(turn) => {
                if rng.percent(50) {
                    for _ in 0..rng.below(4) {
                        tokio::task::yield_now().await;
                    }
                    local.leave(&turn);
                    continue;
                }
                let answer = poll_fn(|cx| turn.poll(cx));
                let answer = tokio::time::timeout(Duration::from_secs(30), answer).await;
                answer.map_err(|_| Failure::new("a turn is not answered within 30 seconds"))?
            }
        };
        let Opened::Granted(view) = opened else {
            return Err(unexpected("acquire", "granted", &opened));
        };
        let held = Held { owner, view };
        tokio::task::yield_now().await;
        if rng.percent(30) {
            finish(local, &held, Op::Release)?;
        } else {
            let count = value(&held.view.data).unwrap_or_default();
            finish(local, &held, put(count + 1))?;
            commits += 1;
        }
    }
    Ok(commits)
}

pub(super) async fn sheds_no_lease_under_churn(cx: &Arc<Context>) -> Result {
    if local(cx).is_none() {
        return Ok(());
    }
    let new = cx.session().await?;
    let seed = seed_or(1);
    let tasks: Vec<_> = (0..8)
        .map(|number| tokio::spawn(churn(cx.clone(), new.clone(), Rng::new(seed + number))))
        .collect();
    let mut commits = 0;
    for task in tasks {
        let result = task
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        commits += result.map_err(|f| Failure::new(format!("{f} (KEEP_SEED={seed})")))?;
    }
    let (record, _) = cx.record(new.id).await?;
    ensure!(
        record.lease.is_none(),
        "a lease is left over (KEEP_SEED={seed})"
    );
    let view = cx.granted(reading(&new)).await?;
    let count = value(&view.data).unwrap_or_default();
    ensure!(
        count == commits,
        "{count} after {commits} increments (KEEP_SEED={seed})"
    );
    Ok(())
}
