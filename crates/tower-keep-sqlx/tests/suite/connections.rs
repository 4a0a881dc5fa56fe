//! How the connections to a server are used: by one statement after the other, without a word in
//! between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_keep_core::{DynStore, Opened, SessionStore};

use crate::place::{Engine, Place, soon};
use crate::storage::{new_session, reading};

const SERVERS: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];

async fn store(place: &Place, connections: u32) -> DynStore {
    match place.engine {
        Engine::Postgres => DynStore::new(place.postgres(connections).await),
        Engine::MariaDb => DynStore::new(place.mariadb(connections).await),
        Engine::Sqlite => unreachable!("it is no server"),
    }
}

/// Passes connections on to `server` and counts what is sent there after an answer: round trips.
async fn counting_proxy(server: String, flights: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&server).await.unwrap();
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
                (near.into_split(), far.into_split());
            let answered = Arc::new(AtomicBool::new(true));
            let (flights, answers) = (flights.clone(), answered.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 16_384];
                while let Ok(len @ 1..) = near_in.read(&mut buffer).await {
                    let new = answered.swap(false, Ordering::SeqCst);
                    flights.fetch_add(usize::from(new), Ordering::SeqCst);
                    far_out.write_all(&buffer[..len]).await.unwrap();
                }
            });
            tokio::spawn(async move {
                let mut buffer = vec![0; 16_384];
                while let Ok(len @ 1..) = far_in.read(&mut buffer).await {
                    answers.store(true, Ordering::SeqCst);
                    if near_out.write_all(&buffer[..len]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_one_round_trip() {
    const STATEMENTS: usize = 20;
    for engine in SERVERS {
        let mut place = Place::new(engine);
        let flights = Arc::new(AtomicUsize::new(0));
        let server = place.address();
        let proxy = counting_proxy(server.clone(), flights.clone()).await;
        place.url = place.url.replace(&server, &proxy);
        let (store, new) = (store(&place, 1).await, new_session());
        store.create(&new).await.unwrap();
        // The first of its kind is prepared.
        store.open(&reading(&new)).await.unwrap();
        flights.store(0, Ordering::SeqCst);
        for _ in 0..STATEMENTS {
            let opened = store.open(&reading(&new)).await.unwrap();
            assert!(matches!(opened, Opened::Granted(_)), "{engine:?}");
        }
        let flights = flights.load(Ordering::SeqCst);
        // A machine that stands still for a second has a connection tested.
        let expected = STATEMENTS..STATEMENTS + STATEMENTS / 2;
        assert!(expected.contains(&flights), "{engine:?}: {flights}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_may_ask_than_there_are_connections_and_go_away_again() {
    for engine in SERVERS {
        let place = Place::new(engine);
        let (store, new) = (store(&place, 2).await, new_session());
        store.create(&new).await.unwrap();
        for round in 0..20 {
            let asking: Vec<_> = (0..8)
                .map(|_| {
                    let (store, open) = (store.clone(), reading(&new));
                    tokio::spawn(async move { store.open(&open).await })
                })
                .collect();
            for (number, task) in asking.into_iter().enumerate() {
                if (number + round) % 3 == 0 {
                    task.abort();
                } else {
                    let opened = soon(task).await.unwrap().unwrap();
                    assert!(matches!(opened, Opened::Granted(_)), "{engine:?}");
                }
            }
        }
    }
}

/// What gives a connection back runs on a runtime, and the driver panics where there is none.
#[test]
fn a_store_may_be_dropped_where_there_is_no_runtime() {
    for engine in SERVERS {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (place, kept) = runtime.block_on(async {
            let place = Place::new(engine);
            let (store, new) = (store(&place, 2).await, new_session());
            store.create(&new).await.unwrap();
            (place, store)
        });
        drop(kept);
        let another = runtime.block_on(store(&place, 2));
        drop(runtime);
        drop(another);
    }
}
