//! `create`.

use std::sync::Arc;

use tower_keep_core::{
    Client, CommitId, Created, NewSession, Op, Put, Record, SessionStore, Sweep,
};

use super::context::{
    Context, LONG, Result, data, from_json, new_session, reading, secret, unexpected,
};

fn full_session() -> NewSession {
    NewSession {
        extend: Some(3 * LONG),
        user: Some("o'Brien ü 漢 🦀".into()),
        authenticated: true,
        client: Some(Arc::new(Client {
            ip: Some([192, 0, 2, 1].into()),
            user_agent: Some("a browser".into()),
        })),
        remember: true,
        data: from_json(r#"{"data":{"cart":[{"id":1.50}],"ü":"🦀"}}"#),
        ..new_session()
    }
}

pub(super) async fn stores_everything(cx: &Context) -> Result {
    let short = NewSession {
        extend: Some(LONG / 2),
        ..new_session()
    };
    for new in [new_session(), full_session(), short] {
        let before = cx.now().await?;
        let now = cx.create(&new).await?;
        let after = cx.now().await?;
        ensure!(before <= now && now <= after, "created at {now:?}");
        let expected = Record::create(&new, now);
        cx.unchanged(&expected, "against what was asked for, `create`")
            .await?;
        cx.granted(reading(&new)).await?;
    }
    Ok(())
}

async fn created(cx: &Context, new: &NewSession, expected: &str) -> Result {
    use crate::calls::Answer;
    let created = cx.store.create(new).await?;
    if created.word() == expected {
        Ok(())
    } else {
        Err(unexpected("create", expected, &created))
    }
}

pub(super) async fn is_done_again(cx: &Context) -> Result {
    let new = full_session();
    cx.create(&new).await?;
    cx.pass(cx.unit()).await?;
    for later in 0..=3 {
        if later > 0 {
            cx.commit(&new, Put::default()).await?;
        }
        let (before, _) = cx.record(new.id).await?;
        created(cx, &new, "done").await?;
        cx.unchanged(&before, "a repeated `create`").await?;
    }
    Ok(())
}

pub(super) async fn collides(cx: &Context) -> Result {
    let new = cx.session().await?;
    let other = NewSession {
        commit: CommitId::unique(),
        secret: secret(),
        data: data(99),
        ..new.clone()
    };
    let (before, _) = cx.record(new.id).await?;
    created(cx, &other, "collision").await?;
    cx.unchanged(&before, "a `create` of the same id").await?;
    // After four more commits its own is not known any more either.
    for _ in 0..4 {
        cx.commit(&new, Put::default()).await?;
    }
    let (before, _) = cx.record(new.id).await?;
    created(cx, &new, "collision").await?;
    cx.unchanged(&before, "a `create` of the same id").await
}

pub(super) async fn is_gone_on_a_tombstone(cx: &Context) -> Result {
    let mut destroyed = Vec::new();
    let new = cx.session().await?;
    cx.store.destroy(new.id).await?;
    destroyed.push(new);
    let new = cx.session().await?;
    let held = cx.lock(&new, LONG).await?;
    cx.done(&held.finish(Op::Destroy)).await?;
    destroyed.push(new);
    for new in destroyed {
        let (before, _) = cx.record(new.id).await?;
        let other = NewSession {
            commit: CommitId::unique(),
            ..new.clone()
        };
        created(cx, &new, "gone").await?;
        created(cx, &other, "gone").await?;
        cx.unchanged(&before, "`create` on a tombstone").await?;
    }
    Ok(())
}

pub(super) async fn after_a_sweep(cx: &Context) -> Result {
    let new = cx.idle_session(cx.unit()).await?;
    cx.pass(cx.unit()).await?;
    cx.swept(new.id, Sweep::default()).await?;
    let now = match cx.store.create(&new).await? {
        Created::Done(now) => now,
        other => return Err(unexpected("create", "done", &other)),
    };
    cx.unchanged(
        &Record::create(&new, now),
        "against what was asked for, `create`",
    )
    .await
}
