//! What Redis itself does with the keys.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Created, Cursor, Limits, NewSession, Open, Opened, Secret, SessionId, SessionStore,
    StoreErrorKind, Timestamp,
};
use tower_keep_redis::RedisStore;

use crate::server::{Server, prefix, shared_url};

pub(crate) fn new_session() -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_700_000_000_000)),
        secret: Secret::generate().unwrap().hash(),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    }
}

fn reading(new: &NewSession) -> Open {
    Open {
        id: new.id,
        secret: Some(new.secret),
        age: Duration::ZERO,
        touch: None,
        lease: None,
    }
}

async fn raw() -> MultiplexedConnection {
    let client = redis::Client::open(shared_url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn lifetime(key: &str) -> i64 {
    let mut pttl = redis::cmd("PTTL");
    pttl.arg(key).query_async(&mut raw().await).await.unwrap()
}

#[tokio::test]
async fn every_key_ends_by_itself() {
    let prefix = prefix();
    let store = RedisStore::builder().prefix(&prefix).connect(shared_url());
    let store = store.await.unwrap();
    let new = new_session();
    store.create(&new).await.unwrap();
    let key = format!("{prefix}{{{}}}", new.id);
    let (hours, minutes) = (2 * 3_600_000, 10 * 60_000);
    let left = lifetime(&key).await;
    assert!(left > hours && left <= hours + minutes, "{left} ms");
    store.destroy(new.id).await.unwrap();
    let left = lifetime(&key).await;
    assert!(left > minutes / 2 && left <= minutes, "{left} ms");
}

#[tokio::test]
async fn what_redis_removed_does_not_come_back() {
    let store = RedisStore::builder()
        .prefix(prefix())
        .keep_expired(Duration::ZERO)
        .connect(shared_url())
        .await
        .unwrap();
    let mut new = new_session();
    new.limits.idle = Duration::from_millis(20);
    store.create(&new).await.unwrap();
    while store.look(new.id).await.unwrap().record.is_some() {
        tokio::task::yield_now().await;
    }
    let opened = store.open(&reading(&new)).await.unwrap();
    assert!(matches!(opened, Opened::Absent), "{opened:?}");
    assert!(!store.destroy(new.id).await.unwrap());
    assert!(store.look(new.id).await.unwrap().record.is_none());
}

#[tokio::test]
async fn endless_limits_do_not_end() {
    let store = RedisStore::builder().prefix(prefix()).connect(shared_url());
    let store = store.await.unwrap();
    let mut new = new_session();
    new.limits = Limits {
        idle: Duration::MAX,
        absolute: Duration::MAX,
    };
    store.create(&new).await.unwrap();
    let touching = Open {
        touch: Some(Duration::ZERO),
        ..reading(&new)
    };
    let opened = store.open(&touching).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_not_sent() {
    let prefix = prefix();
    let builder = RedisStore::builder().prefix(&prefix).max_body(20);
    let store = builder.connect(shared_url()).await.unwrap();
    let mut new = new_session();
    new.data = Data::from_json(br#"{"data":{"long":"0123456789"}}"#, 100).unwrap();
    let error = store.create(&new).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert!(store.look(new.id).await.unwrap().record.is_none());
}

/// Runs every verb that reads on a session whose key was tampered with.
async fn kinds_after(tamper: &[&[u8]]) -> Vec<StoreErrorKind> {
    let prefix = prefix();
    let store = RedisStore::builder().prefix(&prefix).connect(shared_url());
    let store = store.await.unwrap();
    let new = new_session();
    store.create(&new).await.unwrap();
    let key = format!("{prefix}{{{}}}", new.id);
    let mut cmd = redis::cmd(std::str::from_utf8(tamper[0]).unwrap());
    cmd.arg(key).arg(&tamper[1..]);
    cmd.exec_async(&mut raw().await).await.unwrap();
    let look = store.look(new.id).await.unwrap_err().kind();
    let open = store.open(&reading(&new)).await.unwrap_err().kind();
    vec![look, open]
}

#[tokio::test]
async fn damage_is_told_from_another_format() {
    use StoreErrorKind::{Corrupt, Unsupported};
    for (tamper, kind) in [
        (&[&b"HSET"[..], b"h", b"\x02rest"][..], Unsupported),
        (&[b"HSET", b"h", b"\x01rest"], Corrupt),
        (&[b"HSET", b"d", b"\x07rest"], Unsupported),
        (&[b"HSET", b"d", b"\x01rest"], Corrupt),
        (&[b"HDEL", b"d"], Corrupt),
        (&[b"SET", b"text"], Corrupt),
    ] {
        assert_eq!(kinds_after(tamper).await, [kind, kind], "{tamper:?}");
    }
}

#[tokio::test]
async fn a_full_server_is_full_and_keeps_what_it_has() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let kept = new_session();
    store.create(&kept).await.unwrap();
    let mut admin = server.client().await;
    let mut config = redis::cmd("CONFIG");
    config.arg("SET").arg("maxmemory").arg("1mb");
    config.exec_async(&mut admin).await.unwrap();
    let error = store.create(&new_session()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    let opened = store.open(&reading(&kept)).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
    let mut config = redis::cmd("CONFIG");
    config.arg("SET").arg("maxmemory").arg("0");
    config.exec_async(&mut admin).await.unwrap();
    let created = store.create(&new_session()).await.unwrap();
    assert!(matches!(created, Created::Done(_)), "{created:?}");
}

/// What stands in the field of the data.
#[cfg(feature = "messagepack")]
async fn body(key: &str) -> Vec<u8> {
    let mut hget = redis::cmd("HGET");
    hget.arg(key)
        .arg("d")
        .query_async(&mut raw().await)
        .await
        .unwrap()
}

#[cfg(feature = "messagepack")]
#[tokio::test]
async fn b14_the_codec_may_be_changed_back_and_forth() {
    use tower_keep_core::data::{Codec, DataLimits, Edit};
    use tower_keep_core::{Finish, Finished, HeadChange, Op, Owner, Put};
    let prefix = prefix();
    let store = async |codec| {
        let builder = RedisStore::builder().prefix(&prefix).codec(codec);
        builder.connect(shared_url()).await.unwrap()
    };
    let [json, packed] = [store(Codec::Json).await, store(Codec::MessagePack).await];
    let mut new = new_session();
    new.data = Data::from_json(br#"{"data":{"n":1e400},"keep":{"x":1}}"#, 100).unwrap();
    packed.create(&new).await.unwrap();
    let key = format!("{prefix}{{{}}}", new.id);
    assert_eq!(body(&key).await, new.data.to_body(Codec::MessagePack));
    let mut expected = new.data.clone();
    for (step, (writer, codec)) in [(&json, Codec::Json), (&packed, Codec::MessagePack)]
        .into_iter()
        .cycle()
        .take(4)
        .enumerate()
    {
        let owner = Owner::unique();
        let open = Open {
            lease: Some((owner, Duration::from_secs(10))),
            ..reading(&new)
        };
        let Opened::Granted(view) = writer.open(&open).await.unwrap() else {
            panic!("it is not free");
        };
        assert_eq!(view.data, expected);
        let mut edit = Edit::new(view.data, DataLimits::default());
        edit.insert("step", &step).unwrap();
        expected = edit.into_data().unwrap();
        let finish = Finish {
            id: new.id,
            owner,
            version: view.head.version,
            commit: CommitId::unique(),
            op: Op::Put(Put {
                head: HeadChange::default(),
                data: Some(expected.clone()),
            }),
            next: None,
        };
        let finished = writer.finish(&finish).await.unwrap();
        assert!(matches!(finished, Finished::Done { .. }), "{finished:?}");
        assert_eq!(body(&key).await, expected.to_body(codec));
    }
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_does_not_end_a_walk() {
    let prefix = prefix();
    let store = RedisStore::builder().prefix(&prefix).connect(shared_url());
    let store = store.await.unwrap();
    let [good, bad] = [new_session(), new_session()];
    for new in [&good, &bad] {
        store.create(new).await.unwrap();
    }
    let key = format!("{prefix}{{{}}}", bad.id);
    let mut damage = redis::cmd("HSET");
    damage.arg(key).arg("d").arg("damage");
    let _: i64 = damage.query_async(&mut raw().await).await.unwrap();
    let (mut live, mut unreadable, mut from) = (BTreeSet::new(), BTreeSet::new(), None);
    let scan = store.scan().unwrap();
    loop {
        let page = scan.page(from.as_ref(), 1_000).await.unwrap();
        live.extend(page.views.into_iter().map(|view| view.head.id));
        unreadable.extend(page.unreadable.into_iter().map(|(id, _)| id));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(live, BTreeSet::from([good.id]));
    assert_eq!(unreadable, BTreeSet::from([bad.id]));
}

#[tokio::test]
async fn a_walk_ends_when_the_servers_are_others() {
    let prefix = prefix();
    let store = RedisStore::builder().prefix(&prefix).connect(shared_url());
    let store = store.await.unwrap();
    // More than a page has.
    for _ in 0..300 {
        store.create(&new_session()).await.unwrap();
    }
    let scan = store.scan().unwrap();
    let next = scan.page(None, 1).await.unwrap().next.unwrap();
    scan.page(Some(&next), 1).await.unwrap();
    // Which primaries there are, and which of them is looked at.
    for at in [0, 8] {
        let mut other = next.as_bytes().to_vec();
        other[at] ^= 1;
        let error = scan.page(Some(&Cursor::new(other)), 1).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{at}");
    }
    // After a restart, or a failover, it is another one under the same name.
    let server = Server::start(&[]);
    let store = RedisStore::builder().prefix(&prefix);
    let store = store.connect(&server.url()).await.unwrap();
    let error = store
        .scan()
        .unwrap()
        .page(Some(&next), 1)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}
