//! `open`: who is let in.

use std::time::Duration;

use tower_keep_core::{
    Created, Limits, NewSession, Open, Opened, Owner, SessionStore, Timestamp, WAIT_MARK,
};

use super::context::{
    Context, Failure, LONG, MILLI, Result, leasing, new_session, reading, secret,
};
use super::same;

pub(super) async fn shows_what_is_stored(cx: &Context) -> Result {
    let mut new = new_session();
    new.user = Some("ü".into());
    new.remember = true;
    cx.create(&new).await?;
    cx.pass(cx.unit()).await?;
    for open in [reading(&new), leasing(&new, Owner::unique(), LONG)] {
        let before = cx.now().await?;
        let view = cx.granted(open).await?;
        let after = cx.now().await?;
        let (record, _) = cx.record(new.id).await?;
        same::heads(&record.head, &view.head)
            .map_err(|seen| Failure::new(format!("the view differs from the record: {seen}")))?;
        ensure!(
            view.data == new.data,
            "the view's data differ from the record's"
        );
        let in_time = before <= view.now && view.now <= after;
        ensure!(
            in_time,
            "{:?} is not from {before:?} to {after:?}",
            view.now
        );
    }
    Ok(())
}

pub(super) async fn unknown_ids_are_absent(cx: &Context) -> Result {
    let new = new_session();
    let wide = Open {
        secret: None,
        age: LONG,
        touch: Some(Duration::ZERO),
        ..leasing(&new, Owner::unique(), LONG)
    };
    for open in [reading(&new), leasing(&new, Owner::unique(), LONG), wide] {
        cx.opened(open, "absent").await?;
        cx.nothing(new.id, "an `open`").await?;
    }
    Ok(())
}

pub(super) async fn needs_no_secret_by_id_alone(cx: &Context) -> Result {
    let new = cx.session().await?;
    let by_id = |open| Open {
        secret: None,
        ..open
    };
    cx.granted(by_id(reading(&new))).await?;
    cx.granted(by_id(leasing(&new, Owner::unique(), LONG)))
        .await?;
    cx.opened(by_id(leasing(&new, Owner::unique(), LONG)), "busy")
        .await?;
    Ok(())
}

pub(super) async fn wrong_secrets_learn_nothing(cx: &Context) -> Result {
    let new = cx.idle_session(8 * cx.unit()).await?;
    let wrong = |open| Open {
        secret: Some(secret()),
        touch: Some(Duration::ZERO),
        ..open
    };
    let attempts = |new: &NewSession| {
        [
            wrong(reading(new)),
            wrong(leasing(new, Owner::unique(), LONG)),
        ]
    };
    for held in [false, true] {
        if held {
            cx.lock(&new, LONG).await?;
        }
        let (before, revision) = cx.record(new.id).await?;
        for open in attempts(&new) {
            cx.opened(open, "absent").await?;
        }
        cx.unchanged(&before, "a wrong secret").await?;
        ensure!(
            cx.record(new.id).await?.1 == revision,
            "a wrong secret writes the record"
        );
    }
    cx.pass(8 * cx.unit()).await?;
    for open in attempts(&new) {
        cx.opened(open, "absent").await?;
    }
    Ok(())
}

/// From `deadline` on the session is expired, and up to it, it is not.
async fn expires_at(cx: &Context, new: &NewSession, deadline: Timestamp) -> Result {
    if cx.exact() {
        cx.reach(deadline.minus(MILLI)).await?;
        cx.granted(reading(new)).await?;
        cx.reach(deadline).await?;
    }
    // With a clock that moves by itself the instants that come with the answers show where the
    // border lies.
    while let Opened::Granted(view) = cx.store.open(&reading(new)).await? {
        ensure!(
            view.now < deadline,
            "granted at {:?}, the deadline is {deadline:?}",
            view.now
        );
        tokio::task::yield_now().await;
    }
    let now = cx.now().await?;
    ensure!(
        now >= deadline,
        "expired at {now:?}, the deadline is {deadline:?}"
    );
    let (before, _) = cx.record(new.id).await?;
    let touching = Open {
        touch: Some(Duration::ZERO),
        ..leasing(new, Owner::unique(), LONG)
    };
    let by_id = Open {
        secret: None,
        ..touching
    };
    for open in [reading(new), touching, by_id] {
        cx.opened(open, "expired").await?;
    }
    cx.unchanged(&before, "opening what is expired").await
}

pub(super) async fn expires_at_the_idle_deadline(cx: &Context) -> Result {
    let mut new = new_session();
    new.limits.idle = 4 * cx.unit();
    let created = cx.create(&new).await?;
    expires_at(cx, &new, created.plus(new.limits.idle)).await
}

pub(super) async fn expires_at_the_absolute_deadline(cx: &Context) -> Result {
    let mut new = new_session();
    new.limits = Limits {
        idle: 6 * cx.unit(),
        absolute: 8 * cx.unit(),
    };
    let Created::Done(created) = cx.store.create(&new).await? else {
        return Err(Failure::new("`create` of a new id is not done"));
    };
    cx.reach(created.plus(4 * cx.unit())).await?;
    cx.granted(Open {
        touch: Some(Duration::ZERO),
        ..reading(&new)
    })
    .await?;
    expires_at(cx, &new, created.plus(new.limits.absolute)).await
}

pub(super) async fn readers_are_never_blocked(cx: &Context) -> Result {
    let new = cx.session().await?;
    cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.granted(reading(&new)).await?;
    cx.unchanged(&before, "reading").await
}

pub(super) async fn busy_for_the_rest_of_the_lease(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    cx.pass(cx.unit()).await?;
    let before = cx.now().await?;
    let opened = cx
        .opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;
    let after = cx.now().await?;
    let Opened::Busy(left) = opened else {
        return Err(Failure::new("not busy"));
    };
    let (record, _) = cx.record(new.id).await?;
    let lease = record
        .lease
        .ok_or_else(|| Failure::new("the lease is gone"))?;
    ensure!(lease.owner == held.owner, "the lease has another owner");
    ensure!(
        lease.until == held.view.now.plus(LONG),
        "the lease ends at {:?}",
        lease.until
    );
    let (longest, shortest) = (lease.until.since(before), lease.until.since(after));
    ensure!(
        shortest <= left && left <= longest,
        "busy for {left:?} of {longest:?}"
    );
    Ok(())
}

pub(super) async fn grants_its_owner_again(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    cx.pass(cx.unit()).await?;
    let view = cx.granted(leasing(&new, held.owner, LONG)).await?;
    let lease = cx.record(new.id).await?.0.lease;
    ensure!(
        lease.is_some_and(|l| l.owner == held.owner && l.until == view.now.plus(LONG)),
        "the lease does not end one lease after the second grant"
    );
    cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;
    cx.done(&held.put(1)).await?;
    Ok(())
}

pub(super) async fn takes_over_what_ran_out(cx: &Context) -> Result {
    let new = cx.session().await?;
    let first = cx.lock(&new, 4 * cx.unit()).await?;
    let end = first.view.now.plus(4 * cx.unit());
    if cx.exact() {
        cx.reach(end.minus(MILLI)).await?;
        cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
            .await?;
    }
    cx.reach(end).await?;
    let second = cx.lock(&new, LONG).await?;
    let lease = cx.record(new.id).await?.0.lease;
    ensure!(
        lease.is_some_and(|l| l.owner == second.owner),
        "the lease has another owner"
    );
    cx.opened(leasing(&new, first.owner, LONG), "busy").await?;
    cx.done(&second.put(1)).await?;
    Ok(())
}

pub(super) async fn a_refusal_marks_the_wait(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    let done = cx.done(&held.put(1)).await?;
    ensure!(!done.waiting, "somebody waits though nobody was refused");

    let held = cx.lock(&new, LONG).await?;
    cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;
    let done = cx.done(&held.put(2)).await?;
    ensure!(
        done.waiting,
        "nobody waits though somebody was just refused"
    );

    // Whoever takes it is no longer waiting, and the others will say so again.
    let held = cx.lock(&new, LONG).await?;
    let done = cx.done(&held.put(3)).await?;
    ensure!(!done.waiting, "the mark outlives the next owner's grant");

    let held = cx.lock(&new, LONG).await?;
    let before = cx.now().await?;
    cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;
    let until = cx.record(new.id).await?.0.waiting_until;
    let until = until.ok_or_else(|| Failure::new("the record is not marked as waited for"))?;
    ensure!(
        until >= before.plus(WAIT_MARK),
        "marked until {until:?} from {before:?}"
    );
    cx.reach(until).await?;
    let done = cx.done(&held.put(4)).await?;
    ensure!(!done.waiting, "the mark outlives {WAIT_MARK:?}");
    Ok(())
}
