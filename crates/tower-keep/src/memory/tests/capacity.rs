//! A store that is full.

use tower_keep_core::{StoreErrorKind, Sweep};

use super::*;

fn create(store: &MemoryStore) -> Result<Created, StoreErrorKind> {
    LocalStore::create(&*store.0, &session(60 * SECOND)).map_err(|error| error.kind())
}

#[test]
fn a_full_store_says_so_and_goes_on_with_what_it_has() {
    let (store, _) = store(3);
    let ids = [0; 3].map(|_| store.add(60 * SECOND));
    for _ in 0..10 {
        assert_eq!(create(&store), Err(StoreErrorKind::Full));
    }
    assert_eq!(store.len(), 3);
    for id in ids {
        let owner = store.hold(id);
        let done = store.end(id, owner, rotation());
        assert!(matches!(done, Finished::Done { .. }));
    }
}

#[test]
fn expired_sessions_make_room_wherever_they_are() {
    // Few sessions in many shards: the new one seldom meets an expired one in its own.
    for _ in 0..20 {
        let (store, clock) = store(2);
        store.add(SECOND);
        let lives = store.add(60 * SECOND);
        clock.advance(2 * SECOND);
        assert!(matches!(create(&store), Ok(Created::Done(_))));
        assert_eq!(store.len(), 2);
        assert!(store.record(lives).is_some());
        assert_eq!(create(&store), Err(StoreErrorKind::Full));
    }
}

#[test]
fn a_flood_does_not_sweep_each_time() {
    let (store, clock) = store(2);
    store.add(60 * SECOND);
    store.add(2 * SECOND);
    assert_eq!(create(&store), Err(StoreErrorKind::Full));
    // Now there is something to sweep, but the last time was just now.
    clock.advance(Duration::from_millis(1_999));
    assert_eq!(create(&store), Err(StoreErrorKind::Full));
    clock.advance(Duration::from_millis(1));
    assert_eq!(create(&store), Err(StoreErrorKind::Full));
    clock.advance(SECOND);
    assert!(matches!(create(&store), Ok(Created::Done(_))));
}

#[tokio::test]
async fn sweeps_are_limited_and_go_on_where_they_stopped() {
    use tower_keep_core::SessionStore;
    let (store, clock) = store(usize::MAX);
    for _ in 0..100 {
        store.add(SECOND);
    }
    let lives = store.add(60 * SECOND);
    clock.advance(SECOND);
    let mut rounds = 0;
    loop {
        rounds += 1;
        let sweep = Sweep {
            limit: 7,
            ..Sweep::default()
        };
        let swept = store.sweep(sweep).await.unwrap();
        assert!(swept.expired.len() <= 7);
        if !swept.more {
            break;
        }
    }
    assert!((15..=80).contains(&rounds), "{rounds}");
    assert_eq!((store.len(), store.ids()), (1, vec![lives]));
}

#[test]
fn the_count_is_exact_whatever_threads_do() {
    let (store, clock) = store(200);
    let mut full = 0;
    for _ in 0..20 {
        let full_here: usize = std::thread::scope(|scope| {
            let creators: Vec<_> = (0..4_u64)
                .map(|thread| {
                    let store = store.clone();
                    scope.spawn(move || {
                        let idle =
                            |n: u64| SECOND + u32::try_from((n + thread) % 3).unwrap() * SECOND;
                        (0..100)
                            .filter(|n| LocalStore::create(&*store.0, &session(idle(*n))).is_err())
                            .count()
                    })
                })
                .collect();
            let sweeper = store.clone();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                for _ in 0..50 {
                    use tower_keep_core::SessionStore;
                    runtime.block_on(sweeper.sweep(Sweep::default())).unwrap();
                }
            });
            clock.advance(SECOND);
            creators.into_iter().map(|c| c.join().unwrap()).sum()
        });
        full += full_here;
        assert!(store.len() <= 200);
        assert_eq!(store.len(), store.ids().len());
    }
    assert!(full > 0, "the store never was full");
}
