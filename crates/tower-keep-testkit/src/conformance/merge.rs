//! `finish` with a merge: a commit of who holds no lease.

use std::sync::Arc;

use tower_keep_core::{CommitId, Finish, Finished, NewSession, Op, Owner, Put, SessionStore};

use super::concurrency::together;
use super::context::{
    Context, Failure, LONG, MILLI, Result, data, leasing, new_session, put, reading, unexpected,
};

/// To be merged on this version.
fn merge(new: &NewSession, version: u64, value: u64) -> Finish {
    Finish {
        id: new.id,
        owner: Owner::unique(),
        version,
        commit: CommitId::unique(),
        op: Op::Merge(data(value)),
        next: None,
    }
}

pub(super) async fn commits_without_a_lease(cx: &Context) -> Result {
    let new = cx.session().await?;
    let (before, _) = cx.record(new.id).await?;
    for version in 1..=5 {
        let finish = merge(&new, version, 10 * version);
        let done = cx.done(&finish).await?;
        ensure!(done.version == version + 1, "version {}", done.version);
        let (record, _) = cx.record(new.id).await?;
        ensure!(
            record.data == data(10 * version),
            "the data were not stored"
        );
        ensure!(record.lease.is_none(), "a merge takes no lease");
        ensure!(
            record.commits.contains(finish.commit),
            "the commit is not noted"
        );
        let mut expected = before.head.clone();
        expected.version = version + 1;
        super::same::heads(&expected, &record.head)
            .map_err(|seen| Failure::new(format!("a merge changed {seen}")))?;
        let held = cx.lock(&new, LONG).await?;
        ensure!(
            held.view.data == data(10 * version),
            "the next holder sees other data"
        );
        cx.done(&held.finish(Op::Release)).await?;
    }
    Ok(())
}

pub(super) async fn waits_for_no_lease(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    let mine = Finish {
        owner: held.owner,
        ..merge(&new, 1, 7)
    };
    for finish in [merge(&new, 1, 7), mine] {
        cx.finished(&finish, "lost").await?;
        cx.unchanged(&before, "a merge beside a lease").await?;
    }
    cx.done(&held.put(1)).await?;
    let (record, _) = cx.record(new.id).await?;
    ensure!(record.data == data(1), "the holder's data are not there");
    Ok(())
}

pub(super) async fn takes_the_place_of_a_lease_that_ran_out(cx: &Context) -> Result {
    let new = cx.session().await?;
    let held = cx.lock(&new, cx.unit()).await?;
    let end = held.view.now.plus(cx.unit());
    if cx.exact() {
        cx.reach(end.minus(MILLI)).await?;
        cx.finished(&merge(&new, 1, 7), "lost").await?;
    }
    cx.reach(end).await?;
    cx.done(&merge(&new, 1, 7)).await?;
    let (before, _) = cx.record(new.id).await?;
    for (op, answer) in [
        (put(1), "unknown"),
        (Op::Destroy, "unknown"),
        (Op::Release, "lost"),
    ] {
        cx.finished(&held.finish(op), answer).await?;
        cx.unchanged(&before, "a holder whom a merge overtook")
            .await?;
    }
    Ok(())
}

pub(super) async fn needs_its_version(cx: &Context) -> Result {
    let new = cx.session().await?;
    cx.commit(&new, Put::default()).await?;
    let (before, _) = cx.record(new.id).await?;
    for version in [0, 1, 3] {
        cx.finished(&merge(&new, version, 7), "unknown").await?;
        cx.unchanged(&before, "a merge on another version").await?;
    }
    // The version is judged before the lease.
    let held = cx.lock(&new, LONG).await?;
    cx.finished(&merge(&new, 1, 7), "unknown").await?;
    cx.done(&held.finish(Op::Release)).await?;
    Ok(())
}

pub(super) async fn is_done_again(cx: &Context) -> Result {
    let new = cx.session().await?;
    let finish = merge(&new, 1, 7);
    cx.done(&finish).await?;
    let held = cx.lock(&new, LONG).await?;
    let (before, _) = cx.record(new.id).await?;
    let done = cx.done(&finish).await?;
    ensure!(done.version == 2, "a retry makes version {}", done.version);
    cx.unchanged(&before, "a retry").await?;
    cx.done(&held.put(8)).await?;
    cx.done(&finish).await?;
    Ok(())
}

pub(super) async fn brings_nothing_back(cx: &Context) -> Result {
    let nobody = new_session();
    cx.finished(&merge(&nobody, 1, 7), "gone").await?;
    cx.nothing(nobody.id, "a merge").await?;
    let new = cx.session().await?;
    cx.store.destroy(new.id).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.finished(&merge(&new, 1, 7), "gone").await?;
    cx.unchanged(&before, "a merge after the destruction")
        .await?;
    let new = cx.idle_session(4 * cx.unit()).await?;
    let (before, _) = cx.record(new.id).await?;
    cx.reach(before.head.deadline()).await?;
    cx.finished(&merge(&new, 1, 7), "gone").await?;
    cx.unchanged(&before, "a merge after the deadline").await?;
    cx.opened(reading(&new), "expired").await?;
    Ok(())
}

pub(super) async fn excludes_other_commits(cx: &Arc<Context>) -> Result {
    for _ in 0..25 {
        let new = cx.session().await?;
        let done = together(8, |number| {
            let (cx, new) = (cx.clone(), new.clone());
            async move {
                let finish = if number == 0 {
                    // Somebody who locks, among those who merge.
                    let owner = Owner::unique();
                    let open = leasing(&new, owner, LONG);
                    let tower_keep_core::Opened::Granted(view) = cx.store.open(&open).await? else {
                        return Ok(None);
                    };
                    Finish {
                        owner,
                        version: view.head.version,
                        op: put(100),
                        ..merge(&new, 1, 0)
                    }
                } else {
                    merge(&new, 1, number)
                };
                match cx.store.finish(&finish).await? {
                    Finished::Done { version, .. } => Ok(Some(version)),
                    Finished::Unknown | Finished::Lost if number > 0 => Ok(None),
                    other => Err(unexpected(
                        "finish",
                        "done, or for a merge unknown or lost",
                        &other,
                    )),
                }
            }
        })
        .await?;
        let mut versions: Vec<_> = done.into_iter().flatten().collect();
        versions.sort_unstable();
        let expected: Vec<_> = (2..).take(versions.len()).collect();
        ensure!(
            versions == expected && !versions.is_empty() && versions.len() <= 2,
            "commits at the same time made the versions {versions:?}"
        );
    }
    Ok(())
}
