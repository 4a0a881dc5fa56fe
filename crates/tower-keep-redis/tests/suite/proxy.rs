//! A network that breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_keep::LockConfig;
use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Finish, Finished, HeadChange, Op, Open, Opened, Owner, Put, SessionStore,
    StoreErrorKind,
};
use tower_keep_redis::RedisStore;
use tower_keep_testkit::{Rng, seed_or};

use crate::app::{client, locks};
use crate::server::{Server, prefix};
use crate::storage::new_session;

/// Passes connections on to `port`, each until a random number of bytes has gone one of the ways.
async fn cutting_proxy(port: u16, seed: u64, cuts: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut rng = Rng::new(seed);
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (there, back) = (rng.below(40_000), rng.below(40_000));
            let cuts = cuts.clone();
            tokio::spawn(async move {
                let (mut near_in, mut near_out) = near.into_split();
                let (mut far_in, mut far_out) = far.into_split();
                tokio::select! {
                    () = pass(&mut near_in, &mut far_out, there) => {}
                    () = pass(&mut far_in, &mut near_out, back) => {}
                }
                cuts.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    own
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut left: u64,
) {
    let mut buffer = vec![0; 4_096];
    while left > 0 {
        let most = usize::try_from(left).unwrap().min(buffer.len());
        match from.read(&mut buffer[..most]).await {
            Ok(0) | Err(_) => return,
            Ok(len) => {
                if to.write_all(&buffer[..len]).await.is_err() {
                    return;
                }
                left -= len as u64;
            }
        }
    }
}

/// Every change is a token of its own, so that one that is lost or applied twice shows.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_a_network_that_cuts() {
    const TASKS: u64 = 6;
    let rounds = if std::env::var_os("KEEP_HEAVY").is_some() {
        500
    } else {
        60
    };
    let seed = seed_or(1);
    println!("KEEP_SEED={seed}");
    let server = Server::start(&[]);
    let cuts = Arc::new(AtomicU64::new(0));
    let port = cutting_proxy(server.port(), seed, cuts.clone()).await;
    let prefix = prefix();
    let direct = RedisStore::builder().prefix(&prefix);
    let direct = direct.connect(&server.url()).await.unwrap();
    // Redis must answer the first command, so the first connection may be cut too early.
    let cut = loop {
        let builder = RedisStore::builder()
            .prefix(&prefix)
            .command_timeout(Duration::from_secs(1));
        if let Ok(store) = builder.connect(&format!("redis://127.0.0.1:{port}/")).await {
            break store;
        }
    };
    let sure = client(&direct, LockConfig::default());
    sure.get("/add").await;
    let cookie = sure.cookie(crate::app::COOKIE).unwrap();
    let task = |task: u64| {
        let client = client(&cut, locks());
        client.set_cookie(crate::app::COOKIE, &cookie);
        async move {
            let mut acknowledged = Vec::new();
            for round in 0..rounds {
                let token = format!("{task}-{round}");
                let answer = client.get(&format!("/push/{token}")).await;
                if answer.status() == StatusCode::OK {
                    acknowledged.push(token);
                }
            }
            acknowledged
        }
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| tokio::spawn(task(number)))
        .collect();
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    let stored = sure.get("/tokens").await.text();
    let mut stored: Vec<_> = stored.split_whitespace().map(ToOwned::to_owned).collect();
    stored.sort();
    let (all, count) = (stored.clone(), stored.len());
    stored.dedup();
    assert_eq!(stored.len(), count, "a change was applied twice: {all:?}");
    for token in &acknowledged {
        assert!(
            stored.contains(token),
            "{token} was acknowledged and is lost"
        );
    }
    let (cuts, acknowledged) = (cuts.load(Ordering::Relaxed), acknowledged.len());
    println!(
        "{cuts} connections cut; of {} changes {acknowledged} acknowledged, {count} stored",
        TASKS * rounds
    );
    assert!(cuts > 3, "too few connections were cut to show anything");
    assert!(acknowledged > 0);
}

/// Passes connections on to `port` until it is `armed`: then what the server answers is lost, and
/// the connection with it.
async fn swallowing_proxy(port: u16, armed: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let armed = armed.clone();
            tokio::spawn(async move {
                let (mut near_in, mut near_out) = near.into_split();
                let (mut far_in, mut far_out) = far.into_split();
                let answers = async {
                    let mut buffer = vec![0; 4_096];
                    loop {
                        let len = far_in.read(&mut buffer).await.unwrap_or(0);
                        if len == 0 || armed.swap(false, Ordering::SeqCst) {
                            return;
                        }
                        if near_out.write_all(&buffer[..len]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = pass(&mut near_in, &mut far_out, u64::MAX) => {}
                    () = answers => {}
                }
            });
        }
    });
    own
}

/// What the answer to a second try means only the caller can tell, so the store makes none.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_reply_was_lost_is_the_callers_to_ask_again() {
    let server = Server::start(&[]);
    let armed = Arc::new(AtomicBool::new(false));
    let port = swallowing_proxy(server.port(), armed.clone()).await;
    let url = format!("redis://127.0.0.1:{port}");
    let store = RedisStore::connect(&url).await.unwrap();
    let (new, owner) = (new_session(), Owner::unique());
    store.create(&new).await.unwrap();
    let open = Open {
        id: new.id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_secs(60))),
    };
    let Opened::Granted(view) = store.open(&open).await.unwrap() else {
        panic!("nobody else has it");
    };
    let finish = Finish {
        id: new.id,
        owner,
        version: view.head.version,
        commit: CommitId::unique(),
        op: Op::Put(Put {
            head: HeadChange::default(),
            data: Some(Data::default()),
        }),
        next: None,
    };
    armed.store(true, Ordering::SeqCst);
    let error = store.finish(&finish).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let again = store.finish(&finish).await.unwrap();
    assert!(
        matches!(again, Finished::Done { version: 2, .. }),
        "{again:?}"
    );
}
