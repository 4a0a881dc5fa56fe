//! `look`, `cas` and `ping`.

use std::net::Ipv6Addr;
use std::sync::Arc;

use tower_keep_core::{
    Client, CommitId, Commits, Expect, Lease, Owner, Record, Revision, SessionId, SessionStore,
    Timestamp,
};

use super::context::{
    Context, Failure, LONG, Result, from_json, leasing, new_session, reading, secret,
};
use super::same;

pub(super) async fn look_of_nothing(cx: &Context) -> Result {
    let before = cx.now().await?;
    cx.nothing(new_session().id, "nothing happened").await?;
    cx.pass(cx.unit()).await?;
    let now = cx.now().await?;
    ensure!(now >= before.plus(cx.unit()), "from {before:?} to {now:?}");
    Ok(())
}

pub(super) async fn cas_creates_once(cx: &Context) -> Result {
    let (new, now) = (new_session(), cx.now().await?);
    let record = Record::create(&new, now);
    let made = cx.store.cas(new.id, Expect::Absent, &record).await?;
    ensure!(made, "`cas` refuses to write where nothing is");
    let mut other = record.clone();
    other.head.version = 7;
    let again = cx.store.cas(new.id, Expect::Absent, &other).await?;
    ensure!(!again, "`cas` expecting absence writes over a record");
    cx.unchanged(&record, "a refused `cas`").await
}

pub(super) async fn cas_is_no_upsert(cx: &Context) -> Result {
    let (new, now) = (new_session(), cx.now().await?);
    let record = Record::create(&new, now);
    for revision in [0, 1, 2] {
        let expect = Expect::Revision(Revision(revision));
        let made = cx.store.cas(new.id, expect, &record).await?;
        ensure!(
            !made,
            "`cas` expecting {expect:?} claims to write over nothing"
        );
        cx.nothing(new.id, "a `cas` that expects a revision")
            .await?;
    }
    Ok(())
}

pub(super) async fn cas_needs_the_revision(cx: &Context) -> Result {
    let new = cx.session().await?;
    let (mut record, first) = cx.record(new.id).await?;
    record.head.version = 2;
    let fits = cx
        .store
        .cas(new.id, Expect::Revision(first), &record)
        .await?;
    ensure!(fits, "`cas` refuses the revision just looked at");
    cx.unchanged(&record, "`cas` itself").await?;
    let mut late = record.clone();
    late.head.version = 3;
    let fits = cx.store.cas(new.id, Expect::Revision(first), &late).await?;
    ensure!(!fits, "`cas` writes over a newer revision");
    cx.unchanged(&record, "a refused `cas`").await
}

pub(super) async fn every_write_makes_a_revision(cx: &Context) -> Result {
    let new = cx.session().await?;
    let mut seen: Vec<(&str, Revision)> = vec![("create", cx.record(new.id).await?.1)];
    let held = cx.lock(&new, LONG).await?;
    seen.push(("a lease", cx.record(new.id).await?.1));
    cx.opened(leasing(&new, Owner::unique(), LONG), "busy")
        .await?;
    seen.push(("a refused lease", cx.record(new.id).await?.1));
    cx.store.renew(new.id, held.owner, 2 * LONG).await?;
    seen.push(("renew", cx.record(new.id).await?.1));
    cx.done(&held.put(1)).await?;
    seen.push(("finish", cx.record(new.id).await?.1));
    cx.pass(cx.unit()).await?;
    let touching = tower_keep_core::Open {
        touch: Some(std::time::Duration::ZERO),
        ..reading(&new)
    };
    cx.granted(touching).await?;
    seen.push(("a touch", cx.record(new.id).await?.1));
    cx.store.destroy(new.id).await?;
    seen.push(("destroy", cx.record(new.id).await?.1));
    for pair in seen.windows(2) {
        let [(_, before), (write, after)] = pair else {
            continue;
        };
        ensure!(before != after, "{write} leaves the revision as it was");
    }
    Ok(())
}

pub(super) async fn every_field_survives(cx: &Context) -> Result {
    let (full, plain, tombstone) = (full_record(), plain_record(), tombstone());
    for (what, record) in [("full", &full), ("plain", &plain), ("dead", &tombstone)] {
        let made = cx.store.cas(record.head.id, Expect::Absent, record).await?;
        ensure!(made, "`cas` refuses a new {what} record");
        let (found, _) = cx.record(record.head.id).await?;
        same::records(record, &found)
            .map_err(|seen| Failure::new(format!("a new {what} record loses {seen}")))?;
    }
    // Over one another too: what was there must go, what was not must come.
    let id = plain.head.id;
    for (what, record) in [
        ("full", &full),
        ("plain", &plain),
        ("full", &full),
        ("dead", &tombstone),
    ] {
        let mut record = record.clone();
        record.head.id = id;
        let (_, revision) = cx.record(id).await?;
        let fits = cx
            .store
            .cas(id, Expect::Revision(revision), &record)
            .await?;
        ensure!(fits, "`cas` refuses the revision just looked at");
        let (found, _) = cx.record(id).await?;
        same::records(&record, &found)
            .map_err(|seen| Failure::new(format!("a {what} record in another's place: {seen}")))?;
    }
    Ok(())
}

pub(super) async fn ping_answers(cx: &Context) -> Result {
    Ok(cx.store.ping().await?)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn full_record() -> Record {
    let mut record = Record::create(&new_session(), at(1_700_000_000_001));
    let head = &mut record.head;
    head.version = (1 << 53) + 1;
    head.generation = (1 << 54) + 3;
    head.last_seen = at(1_700_000_000_002);
    head.authenticated_at = Some(at(1_700_000_000_003));
    head.limits.idle = std::time::Duration::from_millis(1);
    head.limits.absolute = std::time::Duration::from_millis(123_456_789_012);
    head.idle_deadline = at(1_800_000_000_004);
    head.absolute_deadline = at(253_402_300_799_999);
    head.user = Some("o'Brien \"x\" \\ \n ü 漢 🦀 %_".into());
    head.client = Some(Arc::new(Client {
        ip: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff).into()),
        user_agent: Some("Mozilla/5.0 (\"quoted\"; 'ü')".into()),
    }));
    head.remember = true;
    record.secret = secret();
    record.rotated_at = Some(at(1_700_000_000_005));
    record.lease = Some(Lease {
        owner: Owner::from_u128(u128::MAX),
        until: at(1_700_000_000_006),
    });
    record.waiting_until = Some(at(1_700_000_000_007));
    record.commits = Commits::from_array([u128::MAX, 1, u128::MAX - 1, 1 << 127]);
    record.data = from_json(
        r#"{"data":{"a":1.0,"big":18446744073709551616,"é":"ü🦀","list":[{},[],null],"n":-1},"keep":{"flash":{"a":1}}}"#,
    );
    record
}

fn plain_record() -> Record {
    let mut new = new_session();
    new.data = tower_keep_core::data::Data::default();
    let mut record = Record::create(&new, at(1));
    record.commits = Commits::from_array([CommitId::unique().to_u128(), 0, 0, 0]);
    record
}

fn tombstone() -> Record {
    let mut record = full_record();
    record.head.id = SessionId::new(at(1_700_000_000_000));
    record.head.idle_deadline = at(1_700_000_000_009);
    record.destroy(at(1_700_000_000_008));
    record
}
