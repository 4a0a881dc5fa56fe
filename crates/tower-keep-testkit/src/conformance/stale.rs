//! `open` by requests that were under way while the secret changed or the session ended.

use std::time::Duration;

use tower_keep_core::{HeadChange, Open, Owner, STALE_WINDOW, SessionStore};

use super::context::{
    Context, LONG, MILLI, Result, leasing, new_session, put_head, reading, secret,
};

pub(super) async fn after_a_rotation(cx: &Context) -> Result {
    let mut new = new_session();
    cx.create(&new).await?;
    let old = new.clone();
    let fresh = secret();
    let change = HeadChange {
        secret: Some(fresh),
        ..HeadChange::default()
    };
    let rotated = cx.commit(&new, put_head(change)).await?.now;
    new.secret = fresh;
    let (before, _) = cx.record(new.id).await?;
    let end = rotated.plus(STALE_WINDOW);

    cx.opened(reading(&old), "stale").await?;
    cx.opened(leasing(&old, Owner::unique(), LONG), "stale")
        .await?;
    if cx.exact() {
        cx.reach(end).await?;
        cx.opened(reading(&old), "stale").await?;
    }
    cx.reach(end.plus(MILLI)).await?;
    cx.opened(reading(&old), "absent").await?;
    let early = |age| Open {
        age,
        ..reading(&old)
    };
    if cx.exact() {
        cx.opened(early(MILLI), "stale").await?;
        cx.reach(end.plus(LONG)).await?;
        cx.opened(early(LONG.saturating_sub(MILLI)), "absent")
            .await?;
    }
    cx.opened(early(2 * LONG), "stale").await?;
    cx.unchanged(&before, "a replaced secret").await?;
    if !cx.exact() {
        cx.granted(reading(&new)).await?;
    }
    Ok(())
}

pub(super) async fn after_a_destruction(cx: &Context) -> Result {
    let new = cx.session().await?;
    let destroyed = cx.store.destroy(new.id).await?;
    ensure!(destroyed, "`destroy` finds no live session");
    let gone_at = cx.record(new.id).await?.0.gone_at;
    let gone_at = gone_at.unwrap_or(cx.now().await?);
    let early = |age| Open {
        age,
        ..reading(&new)
    };
    if cx.exact() {
        cx.opened(reading(&new), "stale").await?;
    }
    cx.reach(gone_at.plus(MILLI)).await?;
    cx.opened(reading(&new), "absent").await?;
    cx.opened(leasing(&new, Owner::unique(), LONG), "absent")
        .await?;
    if cx.exact() {
        cx.opened(early(MILLI), "stale").await?;
        cx.reach(gone_at.plus(cx.unit())).await?;
        cx.opened(early(cx.unit().saturating_sub(MILLI)), "absent")
            .await?;
    }
    cx.opened(early(LONG), "stale").await?;
    let by_id = Open {
        secret: None,
        ..early(LONG)
    };
    cx.opened(by_id, "stale").await?;
    Ok(())
}

pub(super) async fn without_a_rotation(cx: &Context) -> Result {
    let new = cx.session().await?;
    for age in [Duration::ZERO, LONG, Duration::MAX] {
        let open = Open {
            secret: Some(secret()),
            age,
            ..reading(&new)
        };
        cx.opened(open, "absent").await?;
    }
    Ok(())
}
