//! How many schedules of a scene are played, and which.

use std::env::var;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::shuttle::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
    UncontrolledNondeterminismCheckScheduler,
};
use tokio::shuttle::{Config, MaxSteps, Runner, current};

/// Of each scene, in a short run and in a heavy one.
const SHORT: usize = 4_000;
const HEAVY: usize = 200_000;

/// More steps than any scene takes: somebody goes round in a circle.
const STEPS: usize = 100_000;

/// Plays as many orders as were asked for, half of them by chance and half by PCT.
pub fn many_orders(name: &str, scene: fn()) {
    if again(name, scene) {
        return;
    }
    let (seed, count) = (seed(), schedules());
    println!("{name}: KEEP_SEED={seed} KEEP_SCHEDULES={count}");
    let by_chance = |count| RandomScheduler::new_from_seed(seed, count);
    let twice = UncontrolledNondeterminismCheckScheduler::new(by_chance(count.div_ceil(50)));
    play(name, "in pairs", twice, scene);
    play(name, "by chance", by_chance(count / 2), scene);
    for depth in [2, 4] {
        let pct = PctScheduler::new_from_seed(seed, depth, count / 4);
        play(name, "by PCT", pct, scene);
    }
}

/// Plays all orders that there are, or the first of them.
pub fn every_order(name: &str, scene: fn()) {
    if again(name, scene) {
        return;
    }
    let most = schedules() * 5;
    let played = play(
        name,
        "one by one",
        DfsScheduler::new(Some(most), true),
        scene,
    );
    let all = if played < most {
        "all there are"
    } else {
        "there are more"
    };
    println!("{name}: {all}");
}

/// Plays the schedule that was given, if one was.
fn again(name: &str, scene: fn()) -> bool {
    let Ok(schedule) = var("KEEP_SCHEDULE") else {
        return false;
    };
    play(
        name,
        "again",
        ReplayScheduler::new_from_encoded(&schedule),
        scene,
    );
    true
}

fn play(name: &str, how: &str, scheduler: impl Scheduler + 'static, scene: fn()) -> usize {
    let (steps, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let counted = steps.clone();
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.stack_size = 0x4_0000;
    // That atomics are sequentially consistent here is known.
    config.silence_warnings = true;
    let played = Runner::new(scheduler, config).run(move || {
        scene();
        counted.fetch_add(current::context_switches() as u64, Ordering::Relaxed);
    });
    let (steps, took) = (steps.load(Ordering::Relaxed), start.elapsed());
    println!("{name}: {played} schedules {how}, {steps} steps, {took:.1?}");
    assert!(played > 0, "none was played");
    played
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

fn seed() -> u64 {
    number("KEEP_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::from(now.expect("it is later").subsec_nanos())
    })
}

fn schedules() -> usize {
    let heavy = var("KEEP_HEAVY").is_ok_and(|value| value != "0");
    let usual = if heavy { HEAVY } else { SHORT };
    number("KEEP_SCHEDULES").map_or(usual, |count: usize| count.max(4))
}
