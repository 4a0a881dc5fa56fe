//! `finish` with changes of the head.

use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::{
    Client, Head, HeadChange, Limits, NewSession, Op, Put, SecretHash, Timestamp,
};

use super::context::{
    Context, Failure, LONG, Result, data, new_session, put_head, reading, secret,
};
use super::same;

/// Commits the change a while after the last write, and expects of the head what `expect` makes
/// of it with the instant of the commit.
async fn changes(
    cx: &Context,
    new: &NewSession,
    change: HeadChange,
    expect: impl FnOnce(&mut Head, Timestamp),
) -> Result {
    cx.pass(cx.unit()).await?;
    let (before, _) = cx.record(new.id).await?;
    let done = cx.commit(new, put_head(change)).await?;
    let (after, _) = cx.record(new.id).await?;
    let mut head = before.head;
    head.version += 1;
    expect(&mut head, done.now);
    same::heads(&head, &after.head)
        .map_err(|seen| Failure::new(format!("{seen} is not as it should be")))?;
    ensure!(after.data == before.data, "the data changed");
    Ok(())
}

fn change() -> HeadChange {
    HeadChange::default()
}

pub(super) async fn rotates(cx: &Context) -> Result {
    let mut new = new_session();
    new.user = Some("ada".into());
    cx.create(&new).await?;
    for generation in 1..=3 {
        let (old, fresh) = (new.secret, secret());
        let with_secret = HeadChange {
            secret: Some(fresh),
            ..change()
        };
        changes(cx, &new, with_secret, |head, _| {
            head.generation = generation;
        })
        .await?;
        let (record, _) = cx.record(new.id).await?;
        ensure!(
            record.secret.matches(&fresh),
            "the new secret is not stored"
        );
        ensure!(
            record
                .rotated_at
                .is_some_and(|at| at >= record.head.created_at),
            "no rotation"
        );
        new.secret = fresh;
        cx.granted(reading(&new)).await?;
        let outdated = NewSession {
            secret: old,
            ..new.clone()
        };
        cx.opened(reading(&outdated), "stale").await?;
    }
    // Another commit neither rotates nor moves the instant of the last rotation.
    let (before, _) = cx.record(new.id).await?;
    changes(cx, &new, change(), |_, _| {}).await?;
    let (after, _) = cx.record(new.id).await?;
    ensure!(
        before.rotated_at == after.rotated_at,
        "a rotation without a new secret"
    );
    Ok(())
}

pub(super) async fn changes_user(cx: &Context) -> Result {
    let new = cx.session().await?;
    let ada: Arc<str> = Arc::from("ada");
    let with_user = |user: Option<&Arc<str>>, authenticated| HeadChange {
        secret: Some(new.secret),
        user: Some(user.cloned()),
        authenticated,
        ..change()
    };
    let expect = |user: Option<&Arc<str>>, authenticated: bool| {
        let user = user.cloned();
        move |head: &mut Head, now: Timestamp| {
            head.generation += 1;
            head.user = user;
            head.authenticated_at = authenticated.then_some(now);
        }
    };
    changes(
        cx,
        &new,
        with_user(Some(&ada), true),
        expect(Some(&ada), true),
    )
    .await?;
    changes(cx, &new, change(), |_, _| {}).await?;
    changes(
        cx,
        &new,
        with_user(Some(&ada), false),
        expect(Some(&ada), false),
    )
    .await?;
    let proof = HeadChange {
        authenticated: true,
        ..change()
    };
    changes(cx, &new, proof, |head, now| {
        head.authenticated_at = Some(now);
    })
    .await?;
    changes(cx, &new, with_user(None, false), expect(None, false)).await
}

pub(super) async fn moves_the_anchor(cx: &Context) -> Result {
    let new = cx.session().await?;
    let anchor = HeadChange {
        anchor: true,
        ..change()
    };
    let absolute = new.limits.absolute;
    changes(cx, &new, anchor, |head, now| {
        head.absolute_deadline = now.plus(absolute);
    })
    .await?;
    let limits = Limits {
        idle: 2 * LONG,
        absolute: 48 * LONG,
    };
    let both = HeadChange {
        anchor: true,
        limits: Some(limits),
        ..change()
    };
    changes(cx, &new, both, |head, now| {
        head.limits = limits;
        head.idle_deadline = now.plus(2 * LONG);
        head.absolute_deadline = now.plus(48 * LONG);
    })
    .await
}

pub(super) async fn changes_limits(cx: &Context) -> Result {
    let new = cx.session().await?;
    // Longer, then shorter.
    for idle in [3 * LONG, LONG / 2] {
        let limits = Limits {
            idle,
            absolute: 48 * LONG,
        };
        let with_limits = HeadChange {
            limits: Some(limits),
            ..change()
        };
        changes(cx, &new, with_limits, |head, now| {
            head.limits = limits;
            head.idle_deadline = now.plus(idle);
        })
        .await?;
    }
    Ok(())
}

pub(super) async fn extends(cx: &Context) -> Result {
    let new = cx.session().await?;
    let extended = |span| HeadChange {
        extend: Some(span),
        ..change()
    };
    changes(cx, &new, extended(5 * LONG), |head, now| {
        head.idle_deadline = now.plus(5 * LONG);
    })
    .await?;
    changes(cx, &new, extended(LONG), |_, _| {}).await?;
    changes(cx, &new, extended(Duration::ZERO), |_, _| {}).await
}

pub(super) async fn changes_client_and_remember(cx: &Context) -> Result {
    let new = cx.session().await?;
    let client = Arc::new(Client {
        ip: Some([192, 0, 2, 7].into()),
        user_agent: Some("a browser".into()),
    });
    let with_client = HeadChange {
        client: Some(client.clone()),
        ..change()
    };
    changes(cx, &new, with_client, |head, _| head.client = Some(client)).await?;
    for remember in [true, false] {
        let with_remember = HeadChange {
            remember: Some(remember),
            ..change()
        };
        changes(cx, &new, with_remember, |head, _| head.remember = remember).await?;
    }
    Ok(())
}

pub(super) async fn changes_all_at_once(cx: &Context) -> Result {
    let new = cx.session().await?;
    cx.pass(cx.unit()).await?;
    let fresh: SecretHash = secret();
    let limits = Limits {
        idle: 2 * LONG,
        absolute: 10 * LONG,
    };
    let change = HeadChange {
        secret: Some(fresh),
        user: Some(Some("ada".into())),
        cap: None,
        authenticated: true,
        anchor: true,
        limits: Some(limits),
        extend: Some(3 * LONG),
        client: Some(Arc::new(Client::default())),
        remember: Some(true),
    };
    let held = cx.lock(&new, LONG).await?;
    let (mut expected, _) = cx.record(new.id).await?;
    let finish = held.finish(Op::Put(Put {
        head: change,
        data: Some(data(9)),
    }));
    let now = cx.done(&finish).await?.now;
    expected.finish(&finish, now);
    cx.unchanged(&expected, "against the rules, a commit")
        .await?;
    let (record, _) = cx.record(new.id).await?;
    let new_head = &record.head;
    ensure!(
        record.rotated_at == Some(now)
            && new_head.authenticated_at == Some(now)
            && new_head.idle_deadline == now.plus(3 * LONG)
            && new_head.absolute_deadline == now.plus(10 * LONG)
            && record.secret.matches(&fresh)
            && record.data == data(9)
            && (new_head.version, new_head.generation, new_head.remember) == (2, 1, true),
        "a change is missing"
    );
    Ok(())
}
