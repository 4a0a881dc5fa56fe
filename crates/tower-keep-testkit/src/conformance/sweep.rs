//! `sweep`.

use std::collections::HashSet;
use std::time::Duration;

use tower_keep_core::{HeadChange, Open, SessionId, SessionStore, Stats, Sweep, Swept};

use super::context::{
    Context, LONG, MILLI, REMOVED_WITHIN, Result, leasing, new_session, put_head, reading,
};
use super::destroy::try_to_revive;

pub(super) async fn removes_what_is_over(cx: &Context) -> Result {
    let short = cx.unit();
    let dead = [cx.idle_session(short).await?, cx.idle_session(short).await?];
    let mut bounded = new_session();
    bounded.limits.absolute = short;
    cx.create(&bounded).await?;
    let alive = cx.session().await?;
    let held = cx.session().await?;
    cx.lock(&held, LONG).await?;
    cx.pass(short).await?;

    let swept = cx.store.sweep(Sweep::default()).await?;
    let expired = HashSet::from([dead[0].id, dead[1].id, bounded.id]);
    let complete = swept.expired.len() == expired.len() && expired == ids(&swept);
    ensure!(
        complete && swept.tombstones == 0 && !swept.more || cx.by_itself,
        "{swept:?} where {expired:?} had expired"
    );
    ensure!(
        ids(&swept).is_subset(&expired),
        "{swept:?} has others than {expired:?}"
    );
    for new in [&dead[0], &dead[1], &bounded] {
        cx.swept(new.id, Sweep::default()).await?;
        cx.opened(reading(new), "absent").await?;
    }
    cx.granted(reading(&alive)).await?;
    cx.granted(reading(&held)).await?;
    let swept = cx.store.sweep(Sweep::default()).await?;
    ensure!(
        swept == Swept::default(),
        "{swept:?} though nothing is left"
    );
    Ok(())
}

pub(super) async fn keeps_what_was_renewed(cx: &Context) -> Result {
    let left_alone = cx.idle_session(4 * cx.unit()).await?;
    let touched = cx.idle_session(4 * cx.unit()).await?;
    let extended = cx.idle_session(4 * cx.unit()).await?;
    let (before, _) = cx.record(extended.id).await?;
    let change = HeadChange {
        extend: Some(LONG),
        ..HeadChange::default()
    };
    cx.commit(&extended, put_head(change)).await?;
    cx.reach(before.head.idle_deadline.minus(2 * cx.unit()))
        .await?;
    let touching = Open {
        touch: Some(Duration::ZERO),
        ..reading(&touched)
    };
    cx.granted(touching).await?;
    cx.reach(before.head.idle_deadline).await?;
    cx.store.sweep(Sweep::default()).await?;
    if cx.by_itself {
        // Until it would have removed these too.
        let end = before.head.idle_deadline.plus(REMOVED_WITHIN);
        while cx.store.look(left_alone.id).await?.record.is_some() && cx.now().await? < end {
            cx.granted(touching).await?;
            cx.pass(cx.unit()).await?;
        }
    }
    cx.swept(left_alone.id, Sweep::default()).await?;
    cx.granted(reading(&touched)).await?;
    cx.granted(reading(&extended)).await?;
    Ok(())
}

pub(super) async fn keeps_tombstones_for_a_while(cx: &Context) -> Result {
    let new = cx.idle_session(8 * cx.unit()).await?;
    cx.store.destroy(new.id).await?;
    let keep = |keep_tombstones| Sweep {
        keep_tombstones,
        ..Sweep::default()
    };
    if cx.by_itself {
        cx.store.sweep(keep(LONG)).await?;
        cx.record(new.id).await?;
        return cx.swept(new.id, keep(LONG)).await;
    }
    // Past the deadline that the session had: a tombstone has none.
    cx.pass(10 * cx.unit()).await?;
    let swept = cx.store.sweep(keep(LONG)).await?;
    ensure!(
        swept == Swept::default(),
        "{swept:?} though nothing is old enough"
    );
    let (record, _) = cx.record(new.id).await?;
    let gone_at = record.gone_at.unwrap_or(record.head.created_at);
    let span = 12 * cx.unit();
    if cx.exact() {
        cx.reach(gone_at.plus(span).minus(MILLI)).await?;
        cx.store.sweep(keep(span)).await?;
        cx.record(new.id).await?;
    }
    cx.reach(gone_at.plus(span)).await?;
    let swept = cx.store.sweep(keep(span)).await?;
    let expected = Swept {
        tombstones: 1,
        ..Swept::default()
    };
    ensure!(swept == expected, "{swept:?} instead of {expected:?}");
    cx.nothing(new.id, "`sweep` of an old tombstone").await
}

pub(super) async fn obeys_the_limit(cx: &Context) -> Result {
    let mut over = HashSet::new();
    for _ in 0..3 {
        over.insert(cx.idle_session(cx.unit()).await?.id);
    }
    for _ in 0..2 {
        let new = cx.session().await?;
        cx.store.destroy(new.id).await?;
    }
    cx.pass(cx.unit()).await?;
    let sweep = Sweep {
        limit: 2,
        keep_tombstones: Duration::ZERO,
    };
    let (mut expired, mut tombstones) = (Vec::new(), 0);
    for round in [2, 2, 1] {
        let swept = cx.store.sweep(sweep).await?;
        let removed = swept.removed();
        ensure!(
            removed == round,
            "{removed} removed instead of {round}, with a limit of 2"
        );
        ensure!(
            swept.more == (round == 2),
            "{swept:?} when {round} were to be removed"
        );
        expired.extend(swept.expired);
        tombstones += swept.tombstones;
    }
    ensure!(
        (expired.len(), tombstones) == (3, 2),
        "told {expired:?} and {tombstones} tombstones instead of 3 and 2"
    );
    let told: HashSet<_> = expired.into_iter().collect();
    ensure!(told == over, "told {told:?} where {over:?} had expired");
    Ok(())
}

/// A store that cannot count passes.
pub(super) async fn is_counted(cx: &Context) -> Result {
    let Some(none) = cx.store.stats().await? else {
        return Ok(());
    };
    ensure!(none == Stats::default(), "an empty store has {none:?}");
    let (live, over) = (cx.session().await?, cx.idle_session(cx.unit()).await?);
    let mut theirs = new_session();
    theirs.user = Some("ada".into());
    cx.create(&theirs).await?;
    let gone = cx.session().await?;
    cx.store.destroy(gone.id).await?;
    cx.reach(cx.record(over.id).await?.0.head.deadline())
        .await?;
    let stats = cx.store.stats().await?;
    let expected = Stats {
        live: 2,
        with_user: 1,
        expired: 1,
        tombstones: 1,
    };
    ensure!(
        stats == Some(expected),
        "{stats:?} where {expected:?} was made"
    );
    cx.granted(reading(&live)).await.map(drop)
}

pub(super) async fn is_final(cx: &Context) -> Result {
    let new = cx.idle_session(4 * cx.unit()).await?;
    let held = cx.lock(&new, LONG).await?;
    cx.pass(4 * cx.unit()).await?;
    cx.swept(new.id, Sweep::default()).await?;
    try_to_revive(cx, &held, leasing(&new, held.owner, LONG)).await?;
    cx.nothing(new.id, "verbs on what was swept").await
}

/// Which sessions a sweep tells to have removed.
fn ids(swept: &Swept) -> HashSet<SessionId> {
    swept.expired.iter().copied().collect()
}
