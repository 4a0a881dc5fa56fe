//! Many callers at once.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tower_keep_core::{
    CommitId, Created, Expect, Finished, NewSession, Open, Opened, Owner, SessionStore,
};

use super::context::{
    Context, Failure, Held, LONG, Result, data, leasing, new_session, reading, unexpected, value,
};

const TASKS: u64 = 8;
const ROUNDS: u64 = 25;
/// So many refusals in a row, and the lease will never come.
const PATIENCE: u32 = 100_000;

/// Runs a task for each number up to `count`, starting all at once.
pub(super) async fn together<T, F>(count: u64, task: impl Fn(u64) -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(usize::try_from(count).unwrap_or(1)));
    let spawn = |number| {
        let (task, start) = (task(number), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            task.await
        })
    };
    let tasks: Vec<_> = (0..count).map(spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        let result = task
            .await
            .map_err(|error| Failure::new(error.to_string()))?;
        results.push(result?);
    }
    Ok(results)
}

/// Asks for the lease until it comes.
async fn wait_for_lease(cx: &Context, new: &NewSession) -> Result<Held> {
    let owner = Owner::unique();
    for _ in 0..PATIENCE {
        match cx.store.open(&leasing(new, owner, LONG)).await? {
            Opened::Granted(view) => return Ok(Held { owner, view }),
            Opened::Busy(_) if cx.exact() => tokio::task::yield_now().await,
            Opened::Busy(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            other => return Err(unexpected("open", "granted or busy", &other)),
        }
    }
    Err(Failure::new("the lease never comes"))
}

pub(super) async fn increments_are_exact(cx: &Arc<Context>) -> Result {
    let new = cx.session().await?;
    let versions = together(TASKS, |_| {
        let (cx, new) = (cx.clone(), new.clone());
        async move {
            let mut versions = Vec::new();
            for _ in 0..ROUNDS {
                let held = wait_for_lease(&cx, &new).await?;
                let count = value(&held.view.data).unwrap_or_default();
                versions.push(cx.done(&held.put(count + 1)).await?.version);
            }
            Ok(versions)
        }
    })
    .await?;
    let view = cx.granted(reading(&new)).await?;
    let count = value(&view.data).unwrap_or_default();
    let all = TASKS * ROUNDS;
    ensure!(count == all, "{count} after {all} increments");
    for own in &versions {
        ensure!(own.is_sorted(), "versions go backwards: {own:?}");
    }
    let distinct: BTreeSet<_> = versions.into_iter().flatten().collect();
    ensure!(
        distinct.into_iter().eq(2..=all + 1),
        "a version is missing or came twice"
    );
    Ok(())
}

pub(super) async fn one_create_wins(cx: &Arc<Context>) -> Result {
    for _ in 0..ROUNDS {
        let new = new_session();
        let created = together(TASKS, |number| {
            let cx = cx.clone();
            let own = NewSession {
                commit: CommitId::unique(),
                data: data(number),
                ..new.clone()
            };
            async move {
                let created = cx.store.create(&own).await?;
                Ok((created, own))
            }
        })
        .await?;
        let mut winners = created
            .iter()
            .filter(|(created, _)| matches!(created, Created::Done(_)));
        let (winner, others) = (winners.next(), winners.count());
        let Some((_, winner)) = winner else {
            return Err(Failure::new("no `create` is done"));
        };
        ensure!(
            others == 0,
            "{} of {TASKS} concurrent creates are done",
            others + 1
        );
        let stored = cx.record(new.id).await?.0;
        ensure!(
            stored.data == winner.data,
            "another's data are stored than the winner's"
        );
    }
    Ok(())
}

pub(super) async fn one_lease_is_granted(cx: &Arc<Context>) -> Result {
    for _ in 0..ROUNDS {
        let new = cx.session().await?;
        let opened = together(TASKS, |_| {
            let (cx, open) = (cx.clone(), leasing(&new, Owner::unique(), LONG));
            async move { Ok(cx.store.open(&open).await?) }
        })
        .await?;
        let granted = opened
            .iter()
            .filter(|opened| matches!(opened, Opened::Granted(_)))
            .count();
        ensure!(granted == 1, "{granted} of {TASKS} are granted the lease");
    }
    Ok(())
}

pub(super) async fn one_commit_is_applied(cx: &Arc<Context>) -> Result {
    for _ in 0..ROUNDS {
        let new = cx.session().await?;
        let finish = cx.lock(&new, LONG).await?.put(1);
        let versions = together(TASKS, |_| {
            let (cx, finish) = (cx.clone(), finish.clone());
            async move { Ok(cx.done(&finish).await?.version) }
        })
        .await?;
        ensure!(
            versions.iter().all(|v| *v == 2),
            "versions {versions:?} of one commit"
        );
        let (record, _) = cx.record(new.id).await?;
        ensure!(
            record.head.version == 2,
            "version {} after one commit",
            record.head.version
        );
    }
    Ok(())
}

pub(super) async fn a_destroy_is_final(cx: &Arc<Context>) -> Result {
    for _ in 0..ROUNDS {
        let new = cx.session().await?;
        let finish = cx.lock(&new, LONG).await?.put(1);
        together(2, |number| {
            let (cx, finish) = (cx.clone(), finish.clone());
            async move {
                if number == 0 {
                    let destroyed = cx.store.destroy(finish.id).await?;
                    ensure!(destroyed, "`destroy` finds no live session");
                    return Ok(());
                }
                match cx.store.finish(&finish).await? {
                    Finished::Done { .. } | Finished::Gone => Ok(()),
                    other => Err(unexpected("finish", "done or gone", &other)),
                }
            }
        })
        .await?;
        let (record, _) = cx.record(new.id).await?;
        ensure!(record.gone_at.is_some(), "the session lives on");
        ensure!(
            record.data == tower_keep_core::data::Data::default(),
            "its data live on"
        );
    }
    Ok(())
}

pub(super) async fn touches_lose_no_commit(cx: &Arc<Context>) -> Result {
    for _ in 0..ROUNDS {
        let new = cx.session().await?;
        let finish = cx.lock(&new, LONG).await?.put(1);
        cx.pass(Duration::from_millis(1)).await?;
        together(TASKS, |number| {
            let (cx, finish, new) = (cx.clone(), finish.clone(), new.clone());
            async move {
                let touching = Open {
                    touch: Some(Duration::ZERO),
                    ..reading(&new)
                };
                let refused = leasing(&new, Owner::unique(), Duration::ZERO);
                for _ in 0..4 {
                    if number == 0 {
                        cx.done(&finish).await?;
                    }
                    cx.store.open(&touching).await?;
                    cx.store.open(&refused).await?;
                }
                Ok(())
            }
        })
        .await?;
        let (record, _) = cx.record(new.id).await?;
        ensure!(
            record.head.version == 2 && record.data == data(1),
            "the commit was undone"
        );
    }
    Ok(())
}

pub(super) async fn cas_has_one_winner(cx: &Arc<Context>) -> Result {
    for _ in 0..ROUNDS {
        let new = cx.session().await?;
        let (record, revision) = cx.record(new.id).await?;
        let wrote = together(TASKS, |number| {
            let (cx, mut record) = (cx.clone(), record.clone());
            record.head.version = 100 + number;
            async move {
                let expect = Expect::Revision(revision);
                let wrote = cx.store.cas(record.head.id, expect, &record).await?;
                Ok(wrote.then_some(record.head.version))
            }
        })
        .await?;
        let winners: Vec<_> = wrote.into_iter().flatten().collect();
        let stored = cx.record(new.id).await?.0.head.version;
        ensure!(
            winners == [stored],
            "{} callers wrote over one revision",
            winners.len()
        );
    }
    Ok(())
}
