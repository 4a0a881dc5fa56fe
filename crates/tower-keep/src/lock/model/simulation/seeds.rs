//! Plays many seeds, on every core.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tower_keep_testkit::seed_or;

use super::node::LOCKS;
use super::run::{Played, play};
use crate::lock::model::heavy;

/// Plenty for a debug build; `./test.sh` asks for many more of an optimised one.
const FEW: u64 = 300;
const MANY: u64 = 1_000_000;

/// What to play: the seeds from `first` on, as many as this and as the time allows.
#[derive(Debug, Clone, Copy)]
struct Seeds {
    first: u64,
    most: u64,
    time: Duration,
}

/// What has been played.
#[derive(Default)]
struct Tally {
    seeds: u64,
    operations: usize,
    failed: Vec<(u64, Played)>,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.operations += other.operations;
        self.failed.extend(other.failed);
    }
}

impl Seeds {
    /// `KEEP_SEEDS` of them, or in a heavy run as many as `KEEP_TEST_MINUTES` allow.
    fn asked_for() -> Self {
        let number = |name| {
            let value = std::env::var(name).ok();
            value.map(|value| value.parse::<u64>().unwrap())
        };
        let minutes = number("KEEP_TEST_MINUTES").unwrap_or(10);
        Self {
            first: seed_or(1),
            most: number("KEEP_SEEDS").unwrap_or(if heavy() { MANY } else { FEW }),
            time: if heavy() {
                Duration::from_secs(60 * minutes)
            } else {
                Duration::MAX
            },
        }
    }

    /// Every thread takes the next seed. What comes of a seed does not depend on its thread.
    fn play(self, threads: usize, play: impl Fn(u64) -> Played + Sync) -> Tally {
        let (start, next, over) = (Instant::now(), AtomicU64::new(0), AtomicBool::new(false));
        let player = || {
            let mut tally = Tally::default();
            while start.elapsed() < self.time && !over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.most {
                    break;
                }
                let seed = self.first.wrapping_add(number);
                let played = play(seed);
                tally.seeds += 1;
                tally.operations += played.operations;
                if !played.wrong.is_empty() {
                    over.store(true, Ordering::Relaxed);
                    tally.failed.push((seed, played));
                }
            }
            tally
        };
        let mut tally = Tally::default();
        thread::scope(|scope| {
            let players: Vec<_> = (0..threads).map(|_| scope.spawn(player)).collect();
            for player in players {
                tally += player.join().unwrap();
            }
        });
        tally
    }
}

#[test]
fn nothing_goes_wrong_by_any_seed() {
    let (seeds, start) = (Seeds::asked_for(), Instant::now());
    let threads = thread::available_parallelism().unwrap().get();
    let Tally {
        seeds: played,
        operations,
        failed,
    } = seeds.play(threads, |seed| play(seed, None));
    if let Some((seed, run)) = failed.into_iter().min_by_key(|(seed, _)| *seed) {
        panic!(
            "KEEP_SEED={seed} shows it again: {:#?}\n{}",
            run.wrong, run.trace
        );
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "seeds {}..{}, {operations} operations on {threads} threads in {took:.1} s, leases of {:?}",
        seeds.first,
        seeds.first + played,
        LOCKS.lease
    );
    assert!(played > 0);
}

/// What went wrong once.
#[test]
fn what_was_found_stays_mended() {
    // A lease that was lost, and came back by an open that arrived twice, was handed over with the
    // data from before.
    let run = play(334_661, None);
    assert!(run.wrong.is_empty(), "{:#?}\n{}", run.wrong, run.trace);
}

/// Whichever thread plays it.
#[test]
fn a_seed_plays_the_same_again() {
    let traces: Vec<_> = (0..40).map(|seed| play(seed, None).trace).collect();
    let seeds = Seeds {
        first: 0,
        most: 40,
        time: Duration::MAX,
    };
    let again = seeds.play(2, |seed| {
        let played = play(seed, None);
        let first = &traces[usize::try_from(seed).unwrap()];
        assert_eq!(played.trace, *first, "seed {seed}");
        let same = traces.iter().filter(|other| *other == first).count();
        assert!(same == 1 && first.lines().count() > 10, "seed {seed}");
        played
    });
    assert_eq!(again.seeds, 40);
}

/// None is left out, none is played twice, and one that fails ends it.
#[test]
fn every_seed_is_played_once() {
    let seeds = Seeds {
        first: 7,
        most: 500,
        time: Duration::MAX,
    };
    let met = std::sync::Mutex::new(Vec::new());
    let run = |wrong: Vec<String>| Played {
        trace: String::new(),
        wrong,
        operations: 2,
    };
    let tally = seeds.play(3, |seed| {
        met.lock().unwrap().push(seed);
        run(Vec::new())
    });
    let mut met = met.into_inner().unwrap();
    met.sort_unstable();
    assert_eq!(met, (7..507).collect::<Vec<_>>());
    assert_eq!((tally.seeds, tally.operations), (500, 1_000));
    let fails = |seed| run(Vec::from_iter((seed == 9).then(|| "wrong".to_owned())));
    let tally = seeds.play(3, fails);
    assert_eq!(tally.failed.len(), 1);
    assert_eq!(tally.failed[0].0, 9);
}
