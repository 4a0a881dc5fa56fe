//! A sweep while others work: how long their steps take with it and without.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tower_keep::core::data::{Data, DataLimits, Edit, Patch};
use tower_keep::core::{
    CommitId, Created, Finish, Finished, LocalOpened, LocalStore, NewSession, Op, Open, Opened,
    Owner, Put, SecretHash, SystemClock,
};
use tower_keep::{Clock, Limits, MemoryStore, SessionId, SessionStore, Timestamp, sweep_every};

const LIVE: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 3;

/// The system's, put forward.
#[derive(Debug, Default)]
struct Forward {
    clock: SystemClock,
    millis: AtomicU64,
}

impl Clock for Forward {
    fn now(&self) -> Timestamp {
        let millis = self.millis.load(Ordering::Relaxed);
        self.clock.now().plus(Duration::from_millis(millis))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

pub fn report(expired: usize) {
    println!("## sweep\n");
    println!(
        "Steps on {LIVE} live sessions while {expired} expired ones are swept on another thread,"
    );
    println!("and for as long without; each increment is two steps\n");
    println!("| round | beside them | steps | p50 | p99.9 | longest |");
    println!("|---|---|---|---|---|---|");
    for round in 1..=ROUNDS {
        run(round, expired);
    }
}

fn run(round: usize, expired: usize) {
    let clock = Arc::new(Forward::default());
    let store = MemoryStore::with_clock(usize::MAX, clock.clone());
    let patches = patches();
    // Mixed, as time mixes them.
    let mut live = Vec::new();
    for number in 0..expired + LIVE {
        let lives = number % (expired / LIVE + 1) == 0 && live.len() < LIVE;
        let new = session(number, if lives { 60 * MINUTE } else { MINUTE });
        let created = SessionStore::local(&store).map(|local| local.create(&new));
        assert!(matches!(created, Some(Ok(Created::Done(_)))));
        if lives {
            live.push(new.id);
        }
    }
    // Those in use have been locked before: no step asks the allocator for anything.
    let visits = Cell::new(0);
    steps(&store, &live, &patches, || {
        visits.replace(visits.get() + 1) == live.len()
    });
    clock.millis.store(120_000, Ordering::Relaxed);
    let done = AtomicBool::new(false);
    let (swept, with) = std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let start = Instant::now();
            sweep(&store, live.len());
            done.store(true, Ordering::Relaxed);
            start.elapsed()
        });
        let with = steps(&store, &live, &patches, || done.load(Ordering::Relaxed));
        (sweeper.join().expect("it sweeps"), with)
    });
    let start = Instant::now();
    let without = steps(&store, &live, &patches, || start.elapsed() >= swept);
    println!(
        "| {round} | a sweep of {:.0} ms | {with} |",
        swept.as_secs_f64() * 1_000.0
    );
    println!("| {round} | nothing | {without} |");
}

/// As programs do it, until nothing is left to sweep.
#[tokio::main(flavor = "current_thread")]
async fn sweep(store: &MemoryStore, left: usize) {
    let sweeper = tokio::spawn(sweep_every(store.clone(), Duration::from_millis(1)));
    while store.len() > left {
        tokio::task::yield_now().await;
    }
    sweeper.abort();
}

fn session(number: usize, idle: Duration) -> NewSession {
    let mut edit = Edit::new(Data::default(), DataLimits::default());
    edit.insert("user_id", &(100_000 + number))
        .expect("a value");
    edit.insert("token", &format!("{number:039}"))
        .expect("a value");
    edit.insert("n", &1).expect("a value");
    NewSession {
        id: SessionId::new(SystemClock::default().now()),
        secret: SecretHash::from_bytes([1; 32]),
        commit: CommitId::unique(),
        limits: Limits {
            idle,
            ..Limits::default()
        },
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: edit.into_data().expect("data"),
    }
}

/// Another number each time.
fn patches() -> Vec<Patch> {
    let numbers = (2..10).map(|n| {
        let mut edit = Edit::new(Data::default(), DataLimits::default());
        edit.insert("n", &n).expect("a value");
        edit.into_patch().expect("a patch")
    });
    numbers.collect()
}

/// How long steps took.
struct Taken(Vec<u32>);

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |part: f64| {
            let at = (self.0.len() as f64 * part) as usize;
            f64::from(
                self.0
                    .get(at.min(self.0.len() - 1))
                    .copied()
                    .unwrap_or_default(),
            ) / 1_000.0
        };
        let (p50, p999, longest) = (at(0.5), at(0.999), at(1.0));
        write!(
            f,
            "{} | {p50:.1} µs | {p999:.1} µs | {longest:.0} µs",
            self.0.len()
        )
    }
}

fn steps(
    store: &MemoryStore,
    live: &[SessionId],
    patches: &[Patch],
    end: impl Fn() -> bool,
) -> Taken {
    let local = SessionStore::local(store).expect("it is local");
    let mut taken = Vec::with_capacity(8 << 20);
    let mut number = 0;
    while !end() && taken.len() + 3 < taken.capacity() {
        let id = live[number * 7_919 % live.len()];
        let open = |lease| Open {
            id,
            secret: Some(SecretHash::from_bytes([1; 32])),
            age: Duration::ZERO,
            touch: Some(MINUTE),
            lease,
        };
        let mut time = |step: &mut dyn FnMut()| {
            let start = Instant::now();
            step();
            taken.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        };
        time(&mut || {
            let opened = local.open(&open(None));
            assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
        });
        let owner = Owner::unique();
        let open = open(Some((owner, MINUTE)));
        let mut version = 0;
        time(&mut || version = acquire(local, &open));
        let finish = Finish {
            id,
            owner,
            version,
            commit: CommitId::from_u128(owner.to_u128()),
            op: Op::Put(Put::default()),
            next: None,
        };
        let patch = &patches[number % patches.len()];
        time(&mut || {
            let finished = local.finish(&finish, patch);
            assert!(
                matches!(finished, Ok(Finished::Done { .. })),
                "{finished:?}"
            );
        });
        number += 1;
    }
    taken.sort_unstable();
    Taken(taken)
}

fn acquire(local: &dyn LocalStore, open: &Open) -> u64 {
    match local.acquire(open, 1) {
        LocalOpened::Now(Opened::Granted(view)) => view.head.version,
        other => panic!("{other:?}"),
    }
}
