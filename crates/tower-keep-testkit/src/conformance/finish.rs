//! `finish`: what is applied, and what a retry is told.

use tower_keep_core::{CommitId, Owner};
use tower_keep_core::{Finish, Finished, Op, Put, SessionStore};

use super::context::{
    Context, Failure, LONG, MILLI, Result, data, leasing, new_session, put, reading, value,
};
use super::same;

pub(super) async fn commits(cx: &Context) -> Result {
    let new = cx.session().await?;
    for version in 2..=6 {
        let held = cx.lock(&new, LONG).await?;
        let before = cx.now().await?;
        let finish = held.put(version);
        let done = cx.done(&finish).await?;
        let after = cx.now().await?;
        ensure!(
            done.version == version,
            "version {} instead of {version}",
            done.version
        );
        ensure!(
            before <= done.now && done.now <= after,
            "done at {:?}",
            done.now
        );
        let (record, _) = cx.record(new.id).await?;
        ensure!(
            record.head.version == version,
            "the record has version {}",
            record.head.version
        );
        ensure!(record.data == data(version), "the data were not stored");
        ensure!(record.lease.is_none(), "the lease was not given up");
        ensure!(
            record.commits.contains(finish.commit),
            "the commit is not noted"
        );
        ensure!(
            record.head.generation == 0,
            "a commit of data is no new generation"
        );
    }
    Ok(())
}

pub(super) async fn without_data_keeps_it(cx: &Context) -> Result {
    let mut new = new_session();
    new.data = data(5);
    cx.create(&new).await?;
    let (before, _) = cx.record(new.id).await?;
    let done = cx.commit(&new, Put::default()).await?;
    ensure!(done.version == 2, "version {}", done.version);
    let (after, _) = cx.record(new.id).await?;
    ensure!(after.data == before.data, "the data changed");
    let mut head = before.head;
    head.version = 2;
    same::heads(&head, &after.head)
        .map_err(|seen| Failure::new(format!("an empty put changed {seen}")))
}

pub(super) async fn is_done_again(cx: &Context) -> Result {
    let new = cx.session().await?;
    let finish = cx.lock(&new, LONG).await?.put(1);
    cx.done(&finish).await?;
    let (after, _) = cx.record(new.id).await?;
    for _ in 0..3 {
        let done = cx.done(&finish).await?;
        ensure!(done.version == 2, "a retry makes version {}", done.version);
        cx.unchanged(&after, "a retry").await?;
    }
    Ok(())
}

pub(super) async fn is_recognised_among_four_commits(cx: &Context) -> Result {
    let new = cx.session().await?;
    let finish = cx.lock(&new, LONG).await?.put(1);
    cx.done(&finish).await?;
    for later in 1..=3 {
        cx.done(&cx.lock(&new, LONG).await?.put(1 + later)).await?;
        let (before, _) = cx.record(new.id).await?;
        let done = cx.done(&finish).await?;
        let newest = 2 + later;
        ensure!(
            done.version == newest,
            "version {} instead of {newest}",
            done.version
        );
        cx.unchanged(&before, "a retry").await?;
    }
    cx.done(&cx.lock(&new, LONG).await?.put(5)).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.finished(&finish, "unknown").await?;
    cx.unchanged(&before, "a retry").await
}

pub(super) async fn knows_its_commit_before_the_owner(cx: &Context) -> Result {
    let new = cx.session().await?;
    let finish = cx.lock(&new, LONG).await?.put(1);
    cx.done(&finish).await?;
    let next = cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.done(&finish).await?;
    cx.unchanged(&before, "a retry").await?;
    cx.done(&next.put(2)).await?;
    cx.done(&finish).await?;
    Ok(())
}

pub(super) async fn is_lost_under_another_owner(cx: &Context) -> Result {
    let new = cx.session().await?;
    let first = cx.lock(&new, cx.unit()).await?;
    cx.reach(first.view.now.plus(cx.unit())).await?;
    let second = cx.lock(&new, LONG).await?;
    let ops = || [put(1), Op::Destroy, Op::Release];
    let (before, _) = cx.record(new.id).await?;
    for op in ops() {
        cx.finished(&first.finish(op), "lost").await?;
        cx.unchanged(&before, "what was lost").await?;
    }
    cx.done(&second.finish(Op::Release)).await?;
    let (before, _) = cx.record(new.id).await?;
    for op in ops() {
        cx.finished(&first.finish(op), "lost").await?;
        cx.unchanged(&before, "what was lost").await?;
    }
    Ok(())
}

pub(super) async fn is_unknown_at_another_version(cx: &Context) -> Result {
    let new = cx.session().await?;
    let first = cx.lock(&new, cx.unit()).await?;
    cx.reach(first.view.now.plus(cx.unit())).await?;
    cx.commit(&new, Put::default()).await?;
    let (before, _) = cx.record(new.id).await?;
    for op in [put(1), Op::Destroy] {
        cx.finished(&first.finish(op), "unknown").await?;
        cx.unchanged(&before, "another version's finish").await?;
    }
    let held = cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    for version in [0, held.view.head.version + 1] {
        let finish = Finish {
            version,
            ..held.put(1)
        };
        cx.finished(&finish, "unknown").await?;
        cx.unchanged(&before, "another version's finish").await?;
    }
    cx.done(&held.put(2)).await?;
    Ok(())
}

pub(super) async fn outlives_an_untaken_lease(cx: &Context) -> Result {
    for op in [put(1), Op::Release, Op::Destroy] {
        let new = cx.session().await?;
        let held = cx.lock(&new, cx.unit()).await?;
        cx.pass(2 * cx.unit()).await?;
        cx.done(&held.finish(op)).await?;
    }
    Ok(())
}

pub(super) async fn is_gone_from_the_deadline_on(cx: &Context) -> Result {
    for op in [put(1), Op::Destroy] {
        let new = cx.idle_session(4 * cx.unit()).await?;
        let held = cx.lock(&new, LONG).await?;
        let deadline = held.view.head.deadline();
        cx.reach(deadline).await?;
        let (before, _) = cx.record(new.id).await?;
        cx.finished(&held.finish(op), "gone").await?;
        cx.unchanged(&before, "a commit after the deadline").await?;
        cx.opened(reading(&new), "expired").await?;
        // Nothing to write, so nothing to refuse.
        cx.done(&held.finish(Op::Release)).await?;
    }
    if cx.exact() {
        let new = cx.idle_session(4 * cx.unit()).await?;
        let held = cx.lock(&new, LONG).await?;
        cx.reach(held.view.head.deadline().minus(MILLI)).await?;
        cx.done(&held.put(1)).await?;
    }
    Ok(())
}

pub(super) async fn is_gone_without_a_record(cx: &Context) -> Result {
    let ops = || [put(1), Op::Destroy, Op::Release];
    let nobody = new_session();
    for op in ops() {
        let finish = Finish {
            id: nobody.id,
            owner: Owner::unique(),
            version: 1,
            commit: CommitId::unique(),
            op,
            next: Some((Owner::unique(), LONG)),
        };
        cx.finished(&finish, "gone").await?;
        cx.nothing(nobody.id, "a `finish`").await?;
    }
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    cx.done(&held.finish(Op::Destroy)).await?;
    let (before, _) = cx.record(new.id).await?;
    for op in ops() {
        cx.finished(&held.finish(op), "gone").await?;
        cx.unchanged(&before, "a `finish` after the destruction")
            .await?;
    }
    Ok(())
}

pub(super) async fn hands_on_the_lease(cx: &Context) -> Result {
    if cx.via_local {
        // There the queue decides who is next.
        return Ok(());
    }
    let new = cx.session().await?;
    let mut held = cx.lock(&new, LONG).await?;
    for op in [put(1), Op::Release, put(2)] {
        let next = Owner::unique();
        let finish = Finish {
            next: Some((next, 2 * LONG)),
            ..held.finish(op)
        };
        let done = cx.done(&finish).await?;
        let lease = cx.record(new.id).await?.0.lease;
        ensure!(
            lease.is_some_and(|l| l.owner == next && l.until == done.now.plus(2 * LONG)),
            "the next owner does not have the lease that was handed on"
        );
        cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
            .await?;
        cx.finished(&held.finish(Op::Release), "lost").await?;
        held.view = cx.granted(leasing(&new, next, LONG)).await?;
        held.owner = next;
    }
    ensure!(
        held.view.data == data(2),
        "the next owner does not see what was committed"
    );
    cx.done(&held.put(3)).await?;
    Ok(())
}

pub(super) async fn releases_by_owner_alone(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    let (mut expected, _) = cx.record(new.id).await?;
    let release = Finish {
        version: 77,
        ..held.finish(Op::Release)
    };
    let done = cx.done(&release).await?;
    ensure!(
        done.version == 1,
        "a release makes version {}",
        done.version
    );
    expected.lease = None;
    cx.unchanged(&expected, "beside the lease, a release")
        .await?;
    cx.finished(&release, "lost").await?;
    cx.lock(&new, LONG).await?;
    Ok(())
}

pub(super) async fn tells_who_waits(cx: &Context) -> Result {
    for op in [put(1), Op::Release, Op::Destroy] {
        for refused in [false, true] {
            let new = cx.session().await?;
            let held = cx.lock(&new, LONG).await?;
            if refused {
                cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
                    .await?;
            }
            let waiting = cx.done(&held.finish(op.clone())).await?.waiting;
            ensure!(
                waiting == refused,
                "somebody was refused: {refused}, somebody waits: {waiting}"
            );
        }
    }
    Ok(())
}

pub(super) async fn destroys(cx: &Context) -> Result {
    let new = cx.session().await?;
    let finish = cx.lock(&new, LONG).await?.finish(Op::Destroy);
    let done = cx.done(&finish).await?;
    ensure!(
        done.version == 2,
        "version {} after the destruction",
        done.version
    );
    let (record, _) = cx.record(new.id).await?;
    ensure!(
        record.gone_at == Some(done.now),
        "it is gone since {:?}",
        record.gone_at
    );
    ensure!(value(&record.data).is_none(), "the tombstone has data");
    ensure!(
        !record.secret.matches(&new.secret),
        "the tombstone has the secret's digest"
    );
    ensure!(record.lease.is_none(), "the tombstone has a lease");
    ensure!(
        record.commits.contains(finish.commit),
        "the commit is not noted"
    );
    cx.pass(cx.unit()).await?;
    match cx.store.finish(&finish).await? {
        Finished::Done { version: 2, .. } => {}
        other => return Err(super::context::unexpected("finish", "done again", &other)),
    }
    cx.unchanged(&record, "a retry").await
}
