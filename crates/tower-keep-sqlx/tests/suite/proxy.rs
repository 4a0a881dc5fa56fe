//! A network that cuts the connection after each number of bytes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_keep_core::{
    Created, DynStore, Finished, NewSession, Opened, Owner, SessionStore, StoreError,
    StoreErrorKind,
};

use crate::place::{Engine, Place, soon};
use crate::storage::{commit, leasing, new_session, putting};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// How many more bytes go that way before the connection is cut, once.
type Cut = Arc<Mutex<Option<(Way, usize)>>>;

/// Passes connections on to `server`.
async fn cutting_proxy(server: String, cut: Cut) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let (server, cut) = (server.clone(), cut.clone());
            tokio::spawn(async move {
                let far = TcpStream::connect(server).await.unwrap();
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                }
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::select! {
                    () = pass(near_in, far_out, Way::There, &cut) => {}
                    () = pass(far_in, near_out, Way::Back, &cut) => {}
                }
            });
        }
    });
    own
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    cut: &Mutex<Option<(Way, usize)>>,
) {
    let mut buffer = vec![0; 16_384];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let passes = {
            let mut cut = cut.lock().unwrap();
            match &mut *cut {
                Some((when, left)) if *when == way && *left < len => {
                    cut.take().map_or(len, |(_, left)| left)
                }
                Some((when, left)) if *when == way => {
                    *left -= len;
                    len
                }
                _ => len,
            }
        };
        if to.write_all(&buffer[..passes]).await.is_err() || passes < len {
            return;
        }
    }
}

/// Asks again until it is answered: one cut can fail an attempt, and the next one that gets the same
/// connection.
async fn persistently<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    for _ in 0..2 {
        match soon(ask()).await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
        }
    }
    soon(ask()).await.unwrap()
}

/// Makes, locks and changes a session, each with the same ids until it is answered.
async fn work(store: &DynStore, new: &NewSession) {
    let owner = Owner::unique();
    let created = persistently(async || store.create(new).await).await;
    assert!(matches!(created, Created::Done(_)), "{created:?}");
    let open = leasing(new, owner);
    let opened = persistently(async || store.open(&open).await).await;
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
    let finish = putting(new, owner, 1);
    let finished = persistently(async || store.finish(&finish).await).await;
    let done = matches!(finished, Finished::Done { version: 2, .. });
    assert!(done, "{finished:?}");
}

async fn cut_everywhere(engine: Engine) {
    let heavy = std::env::var_os("KEEP_HEAVY").is_some();
    let place = Place::new(engine);
    let (direct, cut) = (place.store().await, Cut::default());
    let proxy = cutting_proxy(place.address(), cut.clone()).await;
    let url = place.url.replace(&place.address(), &proxy);
    let through = Place::existing(&format!("{engine:?}"), url, place.table.clone());
    let connect = || through.connected(1, Duration::from_secs(5));
    // With a connection that has done all of it before, and from the first byte of one on.
    for (warm, steps) in [(true, [29, 1]), (false, [293, 17])] {
        let step = steps[usize::from(heavy)];
        for way in [Way::There, Way::Back] {
            let mut after = 0;
            loop {
                let arm = || *cut.lock().unwrap() = Some((way, after));
                let store = if warm {
                    let store = connect().await.unwrap();
                    commit_to_another(&store).await;
                    arm();
                    store
                } else {
                    arm();
                    persistently(async || connect().await).await
                };
                let new = new_session();
                work(&store, &new).await;
                let (record, _) = direct.look(new.id).await.unwrap().record.unwrap();
                let seen = (record.head.version, record.lease, record.data.to_json());
                let once = (2, None, crate::storage::data(1).to_json());
                assert_eq!(seen, once, "{engine:?} {way:?} {after}");
                if cut.lock().unwrap().take().is_some() {
                    println!("{engine:?}, warm {warm}: {after} bytes {way:?} are not reached");
                    break;
                }
                after += step;
            }
            assert!(after > step * 10, "hardly anything was cut");
        }
    }
}

async fn commit_to_another(store: &DynStore) {
    let new = new_session();
    store.create(&new).await.unwrap();
    commit(store, &new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_to_postgres_neither_loses_nor_repeats() {
    cut_everywhere(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_to_mariadb_neither_loses_nor_repeats() {
    cut_everywhere(Engine::MariaDb).await;
}
