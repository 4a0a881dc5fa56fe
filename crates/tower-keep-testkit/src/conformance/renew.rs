//! `renew`.

use tower_keep_core::{Op, Owner, SessionStore};

use super::context::{Context, LONG, Result, leasing, new_session};

pub(super) async fn extends_from_now(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    let (mut expected, _) = cx.record(new.id).await?;
    cx.pass(cx.unit()).await?;
    let before = cx.now().await?;
    let renewed = cx.store.renew(new.id, held.owner, LONG).await?;
    let after = cx.now().await?;
    ensure!(renewed, "the owner's lease is not renewed");
    let lease = cx.record(new.id).await?.0.lease;
    let in_time = |l: tower_keep_core::Lease| {
        l.owner == held.owner && l.until >= before.plus(LONG) && l.until <= after.plus(LONG)
    };
    ensure!(
        lease.is_some_and(in_time),
        "the lease does not end one lease from now"
    );
    expected.lease = lease;
    cx.unchanged(&expected, "beside the lease, `renew`").await?;

    let renewed = cx.store.renew(new.id, held.owner, LONG / 2).await?;
    ensure!(renewed, "the owner's lease is not renewed");
    cx.unchanged(&expected, "renewing for a shorter time").await
}

pub(super) async fn only_for_the_owner(cx: &Context) -> Result {
    let stranger = Owner::unique();
    let nobody = new_session();
    let renewed = cx.store.renew(nobody.id, stranger, LONG).await?;
    ensure!(!renewed, "renewed without a record");
    cx.nothing(nobody.id, "`renew`").await?;

    let new = cx.session().await?;
    let (before, _) = cx.record(new.id).await?;
    let renewed = cx.store.renew(new.id, stranger, LONG).await?;
    ensure!(!renewed, "renewed without a lease");
    cx.unchanged(&before, "`renew` without a lease").await?;

    let held = cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    let renewed = cx.store.renew(new.id, stranger, 2 * LONG).await?;
    ensure!(!renewed, "renewed by a stranger");
    cx.unchanged(&before, "a stranger's `renew`").await?;

    cx.done(&held.put(1)).await?;
    let renewed = cx.store.renew(new.id, held.owner, LONG).await?;
    ensure!(!renewed, "renewed after the lease was given up");

    let held = cx.lock(&new, LONG).await?;
    cx.done(&held.finish(Op::Destroy)).await?;
    let (before, _) = cx.record(new.id).await?;
    let renewed = cx.store.renew(new.id, held.owner, LONG).await?;
    ensure!(!renewed, "renewed on a tombstone");
    cx.unchanged(&before, "`renew` on a tombstone").await
}

pub(super) async fn until_it_is_taken(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, cx.unit()).await?;
    cx.pass(2 * cx.unit()).await?;
    let renewed = cx.store.renew(new.id, held.owner, 4 * cx.unit()).await?;
    ensure!(
        renewed,
        "a lease that ran out and that nobody took is not renewed"
    );
    cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;

    cx.pass(4 * cx.unit()).await?;
    let other = cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    let renewed = cx.store.renew(new.id, held.owner, 2 * LONG).await?;
    ensure!(!renewed, "renewed after another took the lease");
    cx.unchanged(&before, "a late `renew`").await?;
    cx.done(&other.put(1)).await?;
    Ok(())
}
