//! `users()`. A store without the ability passes: it promises nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Created, Expect, Finish, Finished, HeadChange, NewSession, Op, Open, Opened, Record,
    Revision, SessionId, SessionStore, StoreErrorKind, UserCap, UserPage, Users, View,
};

use super::concurrency::together;
use super::context::{
    Context, Failure, LONG, Result, data, new_session, put_head, reading, secret, unexpected,
};
use super::same;

/// The ability, or the end of the case.
macro_rules! users {
    ($cx:expr) => {
        match $cx.store.users() {
            Some(users) => users,
            None => return Ok(()),
        }
    };
}

fn session_of(user: &str, cap: Option<UserCap>) -> NewSession {
    NewSession {
        user: Some(user.into()),
        cap,
        authenticated: true,
        ..new_session()
    }
}

fn becomes(user: Option<&str>, cap: Option<UserCap>) -> Op {
    Op::Put(put_head(HeadChange {
        secret: Some(secret()),
        user: Some(user.map(Into::into)),
        cap,
        authenticated: user.is_some(),
        anchor: true,
        ..HeadChange::default()
    }))
}

/// By a request that was under way before the session ended.
fn begun_before(new: &NewSession) -> Open {
    Open {
        age: LONG,
        ..reading(new)
    }
}

/// The user's sessions, all on one page.
async fn ids(users: &dyn Users, user: &str) -> Result<Vec<SessionId>> {
    let views = users.list(user, UserPage::default()).await?;
    Ok(views.iter().map(|view| view.head.id).collect())
}

async fn expect_ids(users: &dyn Users, user: &str, expected: &[SessionId], when: &str) -> Result {
    let mut expected = expected.to_vec();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let seen = ids(users, user).await?;
    ensure!(
        seen == expected,
        "{when}: {} sessions are listed where {} are the user's, or in another order",
        seen.len(),
        expected.len()
    );
    Ok(())
}

/// Has a session of anybody's become this user's.
async fn log_in(cx: &Context, new: &NewSession, user: Option<&str>) -> Result<NewSession> {
    let held = cx.lock(new, LONG).await?;
    let finish = held.finish(becomes(user, None));
    cx.done(&finish).await?;
    Ok(after(new, &finish))
}

/// The session with its new secret.
fn after(new: &NewSession, finish: &Finish) -> NewSession {
    let fresh = match &finish.op {
        Op::Put(put) => put.head.secret,
        Op::Release | Op::Merge(_) | Op::Destroy => None,
    };
    NewSession {
        secret: fresh.unwrap_or(new.secret),
        ..new.clone()
    }
}

pub(super) async fn lists_the_newest_first(cx: &Context) -> Result {
    let users = users!(cx);
    let mut own = Vec::new();
    for number in 0..5 {
        let new = NewSession {
            data: data(number),
            ..session_of("ada", None)
        };
        cx.create(&new).await?;
        own.push(new.id);
        cx.create(&session_of("bob", None)).await?;
        cx.session().await?;
    }
    expect_ids(users, "ada", &own, "after five creations").await?;
    expect_ids(users, "nobody", &[], "a user without sessions").await?;
    let with_data = UserPage {
        data: true,
        ..UserPage::default()
    };
    for page in [UserPage::default(), with_data] {
        for view in users.list("ada", page).await? {
            let (record, _) = cx.record(view.head.id).await?;
            let View { head, data, now } = view;
            let mut listed = record.clone();
            listed.head = head;
            same::records(&record, &listed)
                .map_err(|seen| Failure::new(format!("`list` shows another {seen}")))?;
            let expected = if page.data {
                record.data
            } else {
                Data::default()
            };
            ensure!(data == expected, "`list` shows other data than asked for");
            ensure!(now >= record.head.created_at, "`list` at {now:?}");
        }
    }
    Ok(())
}

pub(super) async fn finds_what_was_put_there(cx: &Context) -> Result {
    let users = users!(cx);
    let new = session_of("ada", None);
    let record = Record::create(&new, cx.now().await?);
    let put = cx.store.cas(new.id, Expect::Absent, &record).await?;
    ensure!(put, "`cas` writes nothing where nothing is");
    expect_ids(users, "ada", &[new.id], "after `cas`").await?;
    let again = cx.store.cas(new.id, Expect::Absent, &record).await?;
    ensure!(!again, "`cas` writes over what is there");
    expect_ids(users, "ada", &[new.id], "after `cas` in vain").await?;
    // Neither does a `cas` that writes nothing leave anything behind.
    let other = session_of("bob", None);
    let stranger = Record::create(&other, cx.now().await?);
    let elsewhere = Expect::Revision(Revision(1));
    let put = cx.store.cas(other.id, elsewhere, &stranger).await?;
    ensure!(!put, "`cas` is an upsert");
    expect_ids(users, "bob", &[], "after `cas` over nothing").await
}

pub(super) async fn lists_by_pages(cx: &Context) -> Result {
    let users = users!(cx);
    let mut own = Vec::new();
    for _ in 0..7 {
        let new = session_of("ada", None);
        cx.create(&new).await?;
        own.push(new.id);
    }
    own.sort_unstable_by(|a, b| b.cmp(a));
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = UserPage {
            before,
            limit: 3,
            data: false,
        };
        let views = users.list("ada", page).await?;
        ensure!(views.len() <= 3, "a page of {} sessions", views.len());
        let Some(last) = views.last() else { break };
        before = Some(last.head.id);
        seen.extend(views.iter().map(|view| view.head.id));
    }
    ensure!(seen == own, "the pages have {} of 7 sessions", seen.len());
    Ok(())
}

pub(super) async fn follows_the_record(cx: &Context) -> Result {
    let users = users!(cx);
    let new = cx.session().await?;
    let new = log_in(cx, &new, Some("ada")).await?;
    expect_ids(users, "ada", &[new.id], "after a login").await?;
    let new = log_in(cx, &new, Some("ada")).await?;
    expect_ids(users, "ada", &[new.id], "after a second login").await?;
    let new = log_in(cx, &new, Some("bob")).await?;
    expect_ids(users, "ada", &[], "after a change of user").await?;
    expect_ids(users, "bob", &[new.id], "after a change of user").await?;
    let new = log_in(cx, &new, None).await?;
    expect_ids(users, "bob", &[], "after the user was cleared").await?;
    let new = log_in(cx, &new, Some("ada")).await?;
    expect_ids(users, "ada", &[new.id], "after another login").await?;
    let held = cx.lock(&new, LONG).await?;
    cx.done(&held.finish(Op::Destroy)).await?;
    expect_ids(users, "ada", &[], "after a logout").await?;
    let new = session_of("ada", None);
    cx.create(&new).await?;
    cx.store.destroy(new.id).await?;
    expect_ids(users, "ada", &[], "after a destruction").await?;
    let mut short = session_of("ada", None);
    short.limits.idle = cx.unit();
    cx.create(&short).await?;
    cx.pass(cx.unit()).await?;
    expect_ids(users, "ada", &[], "after the deadline").await
}

pub(super) async fn tells_users_apart(cx: &Context) -> Result {
    const USERS: &[&str] = &[
        "ada", "Ada", "ada ", "âda", "ad", "a%", "a_a", "{ada}", "ada}", "a*", "o'Brien", "漢",
        "🦀", "a:b", "../ada", "a\\", "\"", "",
    ];
    let users = users!(cx);
    let mut own = Vec::new();
    for user in USERS {
        let new = session_of(user, None);
        cx.create(&new).await?;
        own.push(new.id);
    }
    for (user, id) in USERS.iter().zip(&own) {
        expect_ids(users, user, &[*id], "one session each").await?;
    }
    let destroyed = users.revoke_all("ada", None).await?;
    ensure!(destroyed == own[..1], "another's session was destroyed");
    for (user, id) in USERS.iter().zip(&own).skip(1) {
        expect_ids(users, user, &[*id], "after another's were destroyed").await?;
    }
    Ok(())
}

pub(super) async fn destroys_only_the_users(cx: &Context) -> Result {
    let users = users!(cx);
    let new = session_of("ada", None);
    cx.create(&new).await?;
    let (before, _) = cx.record(new.id).await?;
    for other in ["bob", "Ada", ""] {
        let destroyed = users.revoke(other, new.id).await?;
        ensure!(!destroyed, "it destroys another user's session");
        cx.unchanged(&before, "`revoke` for another user").await?;
    }
    let nobodys = cx.session().await?;
    let destroyed = users.revoke("ada", nobodys.id).await?;
    ensure!(!destroyed, "it destroys nobody's session");
    cx.granted(reading(&nobodys)).await?;
    cx.lock(&new, LONG).await?;
    let first = users.revoke("ada", new.id).await?;
    let second = users.revoke("ada", new.id).await?;
    ensure!(
        first && !second,
        "the user's own: {first}, and again: {second}"
    );
    cx.opened(begun_before(&new), "stale").await?;
    let (record, _) = cx.record(new.id).await?;
    ensure!(
        record.gone_at.is_some() && record.head.user.is_none() && record.data == Data::default(),
        "there is no proper tombstone"
    );
    Ok(())
}

pub(super) async fn destroys_all_but_one(cx: &Context) -> Result {
    let users = users!(cx);
    let mut own = Vec::new();
    for _ in 0..4 {
        let new = cx.session().await?;
        own.push(log_in(cx, &new, Some("ada")).await?);
    }
    let bob = session_of("bob", None);
    cx.create(&bob).await?;
    // A lease does not save a session.
    let held = cx.lock(&own[1], LONG).await?;
    let destroyed = users.revoke_all("ada", Some(own[2].id)).await?;
    let destroyed: BTreeSet<_> = destroyed.into_iter().collect();
    let expected = [0, 1, 3].map(|at| own[at].id).into_iter().collect();
    ensure!(
        destroyed == expected,
        "it destroyed {} of 3",
        destroyed.len()
    );
    cx.finished(&held.put(1), "gone").await?;
    for at in [0, 1, 3] {
        cx.opened(begun_before(&own[at]), "stale").await?;
    }
    cx.granted(reading(&own[2])).await?;
    cx.granted(reading(&bob)).await?;
    expect_ids(users, "ada", &[own[2].id], "but one").await?;
    let destroyed = users.revoke_all("ada", None).await?;
    ensure!(destroyed == [own[2].id], "the last one stays");
    let destroyed = users.revoke_all("ada", None).await?;
    ensure!(destroyed.is_empty(), "there was none left");
    cx.granted(reading(&bob)).await.map(drop)
}

pub(super) async fn the_oldest_login_makes_room(cx: &Context) -> Result {
    let users = users!(cx);
    let cap = Some(UserCap::evict_oldest(3));
    let first = session_of("ada", cap);
    cx.create(&first).await?;
    cx.pass(cx.unit()).await?;
    let second = session_of("ada", cap);
    cx.create(&second).await?;
    cx.pass(cx.unit()).await?;
    // Created first, logged in last.
    let first = log_in(cx, &first, Some("ada")).await?;
    cx.pass(cx.unit()).await?;
    let third = session_of("ada", cap);
    cx.create(&third).await?;
    let all = [first.id, second.id, third.id];
    expect_ids(users, "ada", &all, "as many as may").await?;
    cx.pass(cx.unit()).await?;
    let fourth = session_of("ada", cap);
    cx.create(&fourth).await?;
    let all = [first.id, third.id, fourth.id];
    expect_ids(users, "ada", &all, "after one too many").await?;
    cx.opened(begun_before(&second), "stale").await?;
    // A session that joins by a login, and a smaller cap.
    cx.pass(cx.unit()).await?;
    let fifth = cx.session().await?;
    let held = cx.lock(&fifth, LONG).await?;
    let finish = held.finish(becomes(Some("ada"), Some(UserCap::evict_oldest(2))));
    cx.done(&finish).await?;
    let all = [fourth.id, fifth.id];
    expect_ids(users, "ada", &all, "after a login under a smaller cap").await?;
    cx.opened(begun_before(&first), "stale").await?;
    // Its lost reply: asked again it makes no more room.
    cx.done(&finish).await?;
    expect_ids(users, "ada", &all, "after the same commit again").await
}

pub(super) async fn a_full_user_is_refused(cx: &Context) -> Result {
    let users = users!(cx);
    let cap = Some(UserCap::refuse(2));
    let first = session_of("ada", cap);
    cx.create(&first).await?;
    let second = session_of("ada", cap);
    cx.create(&second).await?;
    // A creation.
    let third = session_of("ada", cap);
    let refused = cx.store.create(&third).await.map(drop);
    expect_full("create", refused)?;
    cx.nothing(third.id, "a refused `create`").await?;
    // A login. The lease stays, to be given back.
    let other = cx.session().await?;
    let held = cx.lock(&other, LONG).await?;
    let (before, _) = cx.record(other.id).await?;
    let login = held.finish(becomes(Some("ada"), cap));
    expect_full("finish", cx.store.finish(&login).await.map(drop))?;
    cx.unchanged(&before, "a refused `finish`").await?;
    let all = [first.id, second.id];
    expect_ids(users, "ada", &all, "after two refusals").await?;
    // Neither a session of the user's own nor another user's is one too many.
    let again = cx.lock(&first, LONG).await?;
    cx.done(&again.finish(becomes(Some("ada"), cap))).await?;
    cx.create(&session_of("bob", cap)).await?;
    expect_ids(users, "ada", &all, "after another login").await?;
    // There is room again once one has ended.
    users.revoke("ada", second.id).await?;
    cx.done(&login).await?;
    expect_ids(users, "ada", &[first.id, other.id], "after a logout").await
}

fn expect_full(
    verb: &str,
    refused: std::result::Result<(), tower_keep_core::StoreError>,
) -> Result {
    match refused {
        Err(error) if error.kind() == StoreErrorKind::UserFull => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Failure::new(format!("`{verb}` of one too many is done"))),
    }
}

pub(super) async fn only_live_sessions_count(cx: &Context) -> Result {
    let users = users!(cx);
    let cap = Some(UserCap::refuse(1));
    for end in 0..5 {
        let mut new = session_of("ada", cap);
        if end == 0 {
            new.limits.idle = cx.unit();
        }
        cx.create(&new).await?;
        match end {
            0 => cx.pass(cx.unit()).await?,
            1 => drop(cx.store.destroy(new.id).await?),
            2 => drop(log_in(cx, &new, Some("bob")).await?),
            3 => drop(log_in(cx, &new, None).await?),
            _ => {
                let held = cx.lock(&new, LONG).await?;
                cx.done(&held.finish(Op::Destroy)).await?;
            }
        }
        expect_ids(users, "ada", &[], "after its end").await?;
    }
    cx.create(&session_of("ada", cap)).await.map(drop)
}

/// Fifty logins at once, half of them with a session that is there already.
async fn log_in_at_once(cx: &Arc<Context>, cap: UserCap) -> Result<Vec<(SessionId, bool)>> {
    together(50, |number| {
        let cx = cx.clone();
        async move {
            if number % 2 == 0 {
                let new = session_of("ada", Some(cap));
                let joined = match cx.store.create(&new).await {
                    Ok(Created::Done(_)) => true,
                    // It was the oldest of all before it was told that it was there.
                    Ok(Created::Gone) => false,
                    Ok(other) => return Err(unexpected("create", "done or gone", &other)),
                    Err(error) if error.kind() == StoreErrorKind::UserFull => false,
                    Err(error) => return Err(error.into()),
                };
                return Ok((new.id, joined));
            }
            let new = cx.session().await?;
            let held = cx.lock(&new, LONG).await?;
            let finish = held.finish(becomes(Some("ada"), Some(cap)));
            let joined = match cx.store.finish(&finish).await {
                Ok(Finished::Done { .. }) => true,
                Ok(Finished::Gone) => false,
                Ok(other) => return Err(unexpected("finish", "done or gone", &other)),
                Err(error) if error.kind() == StoreErrorKind::UserFull => false,
                Err(error) => return Err(error.into()),
            };
            Ok((new.id, joined))
        }
    })
    .await
}

/// How many of these are alive and the user's, by their records.
async fn living(cx: &Context, ids: &[(SessionId, bool)]) -> Result<usize> {
    let mut living = 0;
    for (id, _) in ids {
        let Some((record, _)) = cx.store.look(*id).await?.record else {
            continue;
        };
        let theirs = record.head.user.as_deref() == Some("ada");
        living += usize::from(theirs && record.gone_at.is_none());
    }
    Ok(living)
}

pub(super) async fn the_cap_is_exact(cx: &Arc<Context>) -> Result {
    let users = users!(cx);
    for round in 0..3 {
        for cap in [UserCap::evict_oldest(5), UserCap::refuse(5)] {
            let logins = log_in_at_once(cx, cap).await?;
            let living = living(cx, &logins).await?;
            let joined = logins.iter().filter(|(_, joined)| *joined).count();
            ensure!(
                living == 5,
                "round {round}: {living} sessions live where five may, under {cap:?}"
            );
            ensure!(
                joined == 5 || (joined > 5 && cap == UserCap::evict_oldest(5)),
                "round {round}: {joined} logins were answered as done, under {cap:?}"
            );
            let listed = ids(users, "ada").await?.len();
            ensure!(listed == 5, "{listed} of five are listed");
            let destroyed = users.revoke_all("ada", None).await?.len();
            ensure!(destroyed == 5, "{destroyed} of five are destroyed");
        }
    }
    Ok(())
}

pub(super) async fn nothing_survives_that_was_there(cx: &Arc<Context>) -> Result {
    let users = users!(cx);
    let (over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(Mutex::new(vec![])),
    );
    let logins: Vec<_> = (0..6)
        .map(|number| {
            let (cx, over, answered) = (cx.clone(), over.clone(), answered.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    // Each is checked one by one, and nobody waits for that.
                    if answered.lock().await.len() >= 100 {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let new = if number % 2 == 0 {
                        let new = session_of("ada", None);
                        // As below: it may be among them before its creation is answered.
                        match cx.store.create(&new).await? {
                            Created::Done(_) | Created::Gone => new,
                            other @ Created::Collision => {
                                return Err(unexpected("create", "done or gone", &other));
                            }
                        }
                    } else {
                        let new = cx.session().await?;
                        let held = cx.lock(&new, LONG).await?;
                        let finish = held.finish(becomes(Some("ada"), None));
                        // A session that joins while all are destroyed may be among them.
                        cx.store.finish(&finish).await?;
                        after(&new, &finish)
                    };
                    answered.lock().await.push(new);
                }
                Result::Ok(())
            })
        })
        .collect();
    let mut result = Ok(());
    for _ in 0..10 {
        while answered.lock().await.len() < 20 {
            tokio::task::yield_now().await;
        }
        let before = std::mem::take(&mut *answered.lock().await);
        let destroyed = users.revoke_all("ada", None).await?;
        if destroyed.is_empty() {
            result = Err(Failure::new("none of them was destroyed"));
        }
        for new in before {
            if let Opened::Granted(_) = cx.store.open(&reading(&new)).await? {
                result = Err(Failure::new("a session opens that should be destroyed"));
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    for login in logins {
        let joined = login.await.map_err(|error| Failure::new(error.to_string()));
        joined??;
    }
    result?;
    users.revoke_all("ada", None).await?;
    expect_ids(users, "ada", &[], "after the last of them").await
}

pub(super) async fn repeats_change_nothing(cx: &Context) -> Result {
    let users = users!(cx);
    let cap = Some(UserCap::evict_oldest(1));
    let first = session_of("ada", cap);
    cx.create(&first).await?;
    let second = session_of("ada", cap);
    cx.create(&second).await?;
    // The same creation again, after its session had to make room.
    match cx.store.create(&first).await? {
        Created::Gone => {}
        other => return Err(unexpected("create", "gone", &other)),
    }
    expect_ids(users, "ada", &[second.id], "after a repeated creation").await?;
    let again = NewSession {
        commit: CommitId::unique(),
        ..second.clone()
    };
    match cx.store.create(&again).await? {
        Created::Collision => {}
        other => return Err(unexpected("create", "collision", &other)),
    }
    expect_ids(users, "ada", &[second.id], "after a collision").await
}
