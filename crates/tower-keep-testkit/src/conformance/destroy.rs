//! `destroy` by id.

use std::time::Duration;

use tower_keep_core::{Finish, Op, Open, Owner, Put, SessionStore, Sweep};

use super::context::{
    Context, Held, LONG, Result, data, leasing, new_session, put, reading, value,
};

pub(super) async fn ignores_the_lease(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    let destroyed = cx.store.destroy(new.id).await?;
    ensure!(destroyed, "`destroy` finds no live session");
    let (before, _) = cx.record(new.id).await?;
    for op in [put(1), Op::Release, Op::Destroy] {
        cx.finished(&held.finish(op), "gone").await?;
        cx.unchanged(&before, "the holder's `finish`").await?;
    }
    Ok(())
}

pub(super) async fn leaves_a_tombstone(cx: &Context) -> Result {
    let mut new = new_session();
    new.user = Some("ada".into());
    new.client = Some(std::sync::Arc::default());
    cx.create(&new).await?;
    let put = Put {
        data: Some(data(1)),
        ..Put::default()
    };
    cx.commit(&new, put).await?;
    cx.lock(&new, LONG).await?;
    cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;
    let (alive, _) = cx.record(new.id).await?;
    let before = cx.now().await?;
    cx.store.destroy(new.id).await?;
    let after = cx.now().await?;
    let (record, _) = cx.record(new.id).await?;
    ensure!(
        record.gone_at.is_some_and(|at| before <= at && at <= after),
        "gone since {:?}",
        record.gone_at
    );
    ensure!(value(&record.data).is_none(), "the tombstone has data");
    ensure!(record.head.user.is_none(), "the tombstone has a user");
    ensure!(record.head.client.is_none(), "the tombstone has a client");
    ensure!(record.lease.is_none(), "the tombstone has a lease");
    ensure!(
        record.waiting_until.is_none(),
        "the tombstone is waited for"
    );
    ensure!(
        !record.secret.matches(&new.secret),
        "the tombstone has the secret's digest"
    );
    ensure!(
        record.commits == alive.commits,
        "the tombstone has other commits"
    );
    Ok(())
}

pub(super) async fn only_the_living(cx: &Context) -> Result {
    let nobody = new_session();
    let destroyed = cx.store.destroy(nobody.id).await?;
    ensure!(!destroyed, "what was never there is destroyed");
    cx.nothing(nobody.id, "`destroy`").await?;

    let new = cx.session().await?;
    cx.store.destroy(new.id).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.pass(cx.unit()).await?;
    let destroyed = cx.store.destroy(new.id).await?;
    ensure!(!destroyed, "a tombstone is destroyed");
    cx.unchanged(&before, "a second `destroy`").await?;

    let new = cx.idle_session(cx.unit()).await?;
    cx.pass(cx.unit()).await?;
    let (before, _) = cx.record(new.id).await?;
    let destroyed = cx.store.destroy(new.id).await?;
    ensure!(!destroyed, "an expired session is destroyed");
    cx.unchanged(&before, "`destroy` of an expired session")
        .await
}

pub(super) async fn is_final(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    cx.store.destroy(new.id).await?;
    let (before, _) = cx.record(new.id).await?;
    try_to_revive(cx, &held, leasing(&new, held.owner, LONG)).await?;
    cx.unchanged(&before, "a verb on a tombstone").await?;
    cx.pass(cx.unit()).await?;
    cx.opened(reading(&new), "absent").await?;

    let sweep = Sweep {
        keep_tombstones: Duration::ZERO,
        ..Sweep::default()
    };
    cx.swept(new.id, sweep).await?;
    try_to_revive(cx, &held, leasing(&new, held.owner, LONG)).await?;
    cx.nothing(new.id, "verbs on nothing").await
}

/// Calls every verb but `create` in the way that is most likely to write.
pub(super) async fn try_to_revive(cx: &Context, held: &Held, open: Open) -> Result {
    let open = Open {
        touch: Some(Duration::ZERO),
        ..open
    };
    cx.store.open(&open).await?;
    cx.store
        .open(&Open {
            secret: None,
            ..open
        })
        .await?;
    cx.store.renew(open.id, held.owner, LONG).await?;
    for op in [put(1), Op::Release, Op::Destroy] {
        let finish = Finish {
            next: Some((Owner::unique(), LONG)),
            ..held.finish(op)
        };
        cx.store.finish(&finish).await?;
    }
    cx.store.destroy(open.id).await?;
    Ok(())
}
