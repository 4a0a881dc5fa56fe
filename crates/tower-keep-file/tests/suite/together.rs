//! Stores and tasks beside each other, and futures that are dropped.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower_keep::core::{
    CommitId, Created, Finish, Finished, Op, Open, Opened, Owner, Put, Secret, SessionStore,
    SystemClock,
};
use tower_keep_file::{Durability, FileStore};

use crate::common::{files, new_session, store};

const LEASE: Duration = Duration::from_secs(60);

fn leasing(id: tower_keep::SessionId, owner: Owner) -> Open {
    Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, LEASE)),
    }
}

#[tokio::test]
async fn two_stores_on_one_directory_are_one() {
    let one = store(SystemClock::default(), Durability::Full);
    let two = FileStore::open(one.dir()).unwrap();
    let new = new_session(&Secret::generate().unwrap());
    assert!(matches!(one.create(&new).await.unwrap(), Created::Done(_)));
    let owner = Owner::unique();
    let opened = two.open(&leasing(new.id, owner)).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
    let opened = one.open(&leasing(new.id, Owner::unique())).await.unwrap();
    assert!(matches!(opened, Opened::Busy(_)), "{opened:?}");
    let put = Finish {
        id: new.id,
        owner,
        version: 1,
        commit: CommitId::unique(),
        op: Op::Put(Put::default()),
        next: None,
    };
    let finished = one.finish(&put).await.unwrap();
    assert!(
        matches!(
            finished,
            Finished::Done {
                version: 2,
                waiting: true,
                ..
            }
        ),
        "{finished:?}"
    );
    assert!(two.destroy(new.id).await.unwrap());
    assert!(!one.destroy(new.id).await.unwrap());
}

/// One winner each round, over two stores, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_gets_the_lease() {
    let one = store(SystemClock::default(), Durability::NoSync);
    let two = FileStore::builder(one.dir())
        .durability(Durability::NoSync)
        .open()
        .unwrap();
    for _ in 0..20 {
        let new = new_session(&Secret::generate().unwrap());
        one.create(&new).await.unwrap();
        let tasks: Vec<_> = (0..16)
            .map(|i| {
                let store = if i % 2 == 0 { one.clone() } else { two.clone() };
                tokio::spawn(async move { store.open(&leasing(new.id, Owner::unique())).await })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            match task.await.unwrap().unwrap() {
                Opened::Granted(_) => granted += 1,
                Opened::Busy(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(granted, 1);
    }
}

/// A verb whose future is dropped after any number of polls has happened once or not at all, and
/// the shard is free for the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_future_leaves_no_lock_and_no_half() {
    let store = store(SystemClock::default(), Durability::Full);
    for polls in 0..4 {
        let new = new_session(&Secret::generate().unwrap());
        {
            let mut create = pin!(store.create(&new));
            for _ in 0..polls {
                let polled = create
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                if matches!(polled, Poll::Ready(_)) {
                    break;
                }
            }
        }
        // Comes after it, if it was begun at all.
        let again = store.create(&new).await.unwrap();
        assert!(matches!(again, Created::Done(_)), "{again:?}");
        let (record, _) = store.look(new.id).await.unwrap().record.unwrap();
        assert_eq!(record.head.version, 1);

        let owner = Owner::unique();
        store.open(&leasing(new.id, owner)).await.unwrap();
        let put = Finish {
            id: new.id,
            owner,
            version: 1,
            commit: CommitId::unique(),
            op: Op::Put(Put::default()),
            next: None,
        };
        {
            let mut finish = pin!(store.finish(&put));
            for _ in 0..polls {
                let polled = finish
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                if matches!(polled, Poll::Ready(_)) {
                    break;
                }
            }
        }
        let again = store.finish(&put).await.unwrap();
        assert!(
            matches!(again, Finished::Done { version: 2, .. }),
            "{again:?}"
        );
    }
    assert_eq!(files(store.dir()).len(), 4);
}
