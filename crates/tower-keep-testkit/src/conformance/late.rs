//! Callers who go away before the answer, and wake-ups.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tower_keep_core::{Owner, Record, SessionStore};

use super::context::{Context, Failure, LONG, Result, data, leasing, new_session};

/// In-memory stores answer at the first poll, drivers of servers within a few.
const POLLS: u32 = 8;

/// Polls a future at most so often, then drops it.
async fn dropped<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => {
            polls = polls.saturating_sub(1);
            if polls == 0 {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

pub(super) async fn dropped_finish(cx: &Context) -> Result {
    for polls in 1..=POLLS {
        let new = cx.session().await?;
        let held = cx.lock(&new, LONG).await?;
        let finish = held.put(1);
        dropped(polls, cx.store.finish(&finish)).await;
        let (record, _) = cx.record(new.id).await?;
        let (version, stored) = (record.head.version, record.data);
        ensure!(
            (version == 1 && stored == data(0)) || (version == 2 && stored == data(1)),
            "version {version} with the data of another, {polls} polls into a commit"
        );
        let done = cx.done(&finish).await?;
        ensure!(
            done.version == 2,
            "the retry makes version {}",
            done.version
        );
        let next = cx.lock(&new, LONG).await?;
        ensure!(
            next.view.data == data(1),
            "the retry did not store the data"
        );
        let done = cx.done(&next.put(2)).await?;
        ensure!(
            done.version == 3,
            "the commit was applied again: version {}",
            done.version
        );
    }
    Ok(())
}

pub(super) async fn dropped_open(cx: &Context) -> Result {
    for polls in 1..=POLLS {
        let new = cx.session().await?;
        let owner = Owner::unique();
        let open = leasing(&new, owner, LONG);
        dropped(polls, cx.store.open(&open)).await;
        cx.granted(open).await?;
        cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
            .await?;
        let version = cx.granted(open).await?.head.version;
        ensure!(version == 1, "opening makes version {version}");
    }
    Ok(())
}

pub(super) async fn dropped_create(cx: &Context) -> Result {
    for polls in 1..=POLLS {
        let new = new_session();
        dropped(polls, cx.store.create(&new)).await;
        cx.create(&new).await?;
        let (record, _) = cx.record(new.id).await?;
        let expected = Record::create(&new, record.head.created_at);
        cx.unchanged(&expected, "against what was asked for, a retry")
            .await?;
    }
    Ok(())
}

pub(super) async fn wake_up_comes(cx: &Context) -> Result {
    let Some(wakeups) = cx.store.wakeups() else {
        return Ok(());
    };
    let new = cx.session().await?;
    for value in 1..=3 {
        let held = cx.lock(&new, LONG).await?;
        // Who waits asks once more when it listens, so the store learns of it by the refusal.
        let woken = wakeups.released(new.id);
        cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
            .await?;
        cx.done(&held.put(value)).await?;
        // One may get lost; that none ever comes would make waiters poll all the time.
        let woken = tokio::time::timeout(Duration::from_secs(10), woken).await;
        woken.map_err(|_| {
            Failure::new("no wake-up within ten seconds after the lease was given up")
        })?;
    }
    Ok(())
}
