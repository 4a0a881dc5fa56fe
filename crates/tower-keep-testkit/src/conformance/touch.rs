//! `open` with a touch.

use std::time::Duration;

use tower_keep_core::{HeadChange, Open, Owner};

use super::context::{Context, LONG, MILLI, Result, leasing, put_head, reading, secret};

pub(super) async fn only_if_due(cx: &Context) -> Result {
    let new = cx.session().await?;
    let touching = |due| Open {
        touch: Some(due),
        ..reading(&new)
    };
    let (before, _) = cx.record(new.id).await?;
    cx.pass(4 * cx.unit()).await?;
    cx.granted(reading(&new)).await?;
    cx.unchanged(&before, "opening without a touch").await?;
    cx.granted(touching(LONG)).await?;
    cx.unchanged(&before, "a touch that is not due").await?;
    if cx.exact() {
        cx.granted(touching(4 * cx.unit() + MILLI)).await?;
        cx.unchanged(&before, "a touch that is due in a millisecond")
            .await?;
    }
    let view = cx.granted(touching(4 * cx.unit())).await?;
    let (after, _) = cx.record(new.id).await?;
    let (deadline, seen) = (after.head.idle_deadline, after.head.last_seen);
    ensure!(
        deadline == view.now.plus(LONG),
        "touched at {:?} to {deadline:?}",
        view.now
    );
    ensure!(
        seen == view.now,
        "touched at {:?}, last seen at {seen:?}",
        view.now
    );
    if cx.exact() {
        // Nothing would move, so nothing is due.
        let (_, revision) = cx.record(new.id).await?;
        cx.granted(touching(Duration::ZERO)).await?;
        ensure!(
            cx.record(new.id).await?.1 == revision,
            "a touch that moves nothing writes the record"
        );
    }
    Ok(())
}

pub(super) async fn never_moves_back(cx: &Context) -> Result {
    let new = cx.session().await?;
    let change = HeadChange {
        extend: Some(10 * LONG),
        ..HeadChange::default()
    };
    cx.commit(&new, put_head(change)).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.pass(cx.unit()).await?;
    let touching = Open {
        touch: Some(Duration::ZERO),
        ..reading(&new)
    };
    cx.granted(touching).await?;
    let after = cx.record(new.id).await?.0.head.idle_deadline;
    let was = before.head.idle_deadline;
    ensure!(after == was, "from {was:?} to {after:?}");
    Ok(())
}

pub(super) async fn not_when_refused(cx: &Context) -> Result {
    let new = cx.session().await?;
    cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.pass(4 * cx.unit()).await?;
    let busy = Open {
        touch: Some(Duration::ZERO),
        ..leasing(&new, Owner::unique(), LONG)
    };
    cx.opened(busy, "busy").await?;
    let wrong = Open {
        secret: Some(secret()),
        touch: Some(Duration::ZERO),
        ..reading(&new)
    };
    cx.opened(wrong, "absent").await?;
    let (after, _) = cx.record(new.id).await?;
    let stands = before.head.idle_deadline == after.head.idle_deadline
        && before.head.last_seen == after.head.last_seen;
    ensure!(stands, "who was refused has touched");
    Ok(())
}

pub(super) async fn with_the_lease(cx: &Context) -> Result {
    let new = cx.session().await?;
    cx.pass(cx.unit()).await?;
    let owner = Owner::unique();
    let both = Open {
        touch: Some(Duration::ZERO),
        ..leasing(&new, owner, LONG)
    };
    let view = cx.granted(both).await?;
    let (record, _) = cx.record(new.id).await?;
    ensure!(
        record.lease.is_some_and(|l| l.owner == owner),
        "the lease was not taken"
    );
    let deadline = view.now.plus(LONG);
    ensure!(
        record.head.idle_deadline == deadline,
        "the deadline was not moved"
    );
    ensure!(
        view.head.idle_deadline == deadline,
        "the view does not show the touch"
    );
    ensure!(
        view.head.last_seen == view.now,
        "the view does not show who is seen last"
    );
    Ok(())
}

pub(super) async fn with_the_lease_only_if_due(cx: &Context) -> Result {
    let new = cx.session().await?;
    let owner = Owner::unique();
    let touching = |due| Open {
        touch: Some(due),
        ..leasing(&new, owner, LONG)
    };
    let (before, _) = cx.record(new.id).await?;
    cx.pass(4 * cx.unit()).await?;
    let in_a_while = if cx.exact() { MILLI } else { LONG };
    cx.granted(touching(4 * cx.unit() + in_a_while)).await?;
    let (after, _) = cx.record(new.id).await?;
    let stands = before.head.idle_deadline == after.head.idle_deadline
        && before.head.last_seen == after.head.last_seen;
    ensure!(stands, "a touch with a lease that is not due was made");
    let view = cx.granted(touching(4 * cx.unit())).await?;
    let (after, _) = cx.record(new.id).await?;
    ensure!(
        after.head.idle_deadline == view.now.plus(LONG) && after.head.last_seen == view.now,
        "a touch with a lease that is due was not made"
    );
    Ok(())
}

pub(super) async fn writes_no_data(cx: &Context) -> Result {
    let new = cx.session().await?;
    let (mut expected, _) = cx.record(new.id).await?;
    cx.pass(cx.unit()).await?;
    let touching = Open {
        touch: Some(Duration::ZERO),
        ..reading(&new)
    };
    let view = cx.granted(touching).await?;
    expected.head.idle_deadline = view.now.plus(LONG);
    expected.head.last_seen = view.now;
    cx.unchanged(&expected, "beside deadline and last seen, a touch")
        .await
}

pub(super) async fn keeps_the_session_alive(cx: &Context) -> Result {
    let new = cx.idle_session(6 * cx.unit()).await?;
    for _ in 0..4 {
        cx.pass(3 * cx.unit()).await?;
        let touching = Open {
            touch: Some(Duration::ZERO),
            ..reading(&new)
        };
        cx.granted(touching).await?;
    }
    cx.pass(6 * cx.unit()).await?;
    cx.opened(reading(&new), "expired").await?;
    Ok(())
}
