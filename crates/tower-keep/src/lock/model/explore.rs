//! Walks through worlds: through all states of small ones, at random through larger ones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use tower_keep_testkit::{Rng, seed_or};

use super::heavy;
use super::moves::Move;
use super::world::{Config, World};

struct Visited {
    /// From which state, by what.
    by: Option<(usize, Move)>,
    /// From which states benign moves lead here.
    from: Vec<u32>,
    quiet: bool,
}

/// Visits every state and checks each; then checks that from each of them all can still come to
/// rest without anything going wrong. Tells how many states there are.
///
/// Panics where there are more than `limit`.
pub(super) fn all(config: &Config, limit: usize) -> Result<usize, String> {
    let mut world = World::new(config);
    world.rename();
    let mut numbers = HashMap::from([(fingerprint(&world), 0)]);
    let mut visited = vec![Visited {
        by: None,
        from: Vec::new(),
        quiet: world.is_quiet(),
    }];
    let mut frontier = vec![(0, world)];
    while let Some((number, world)) = frontier.pop() {
        assert!(visited.len() < limit, "there are more than {limit} states");
        for it in world.moves(config) {
            let mut next = world.clone();
            next.make(it, config)
                .map_err(|why| story(&visited, number, Some(it), &why))?;
            let known = visited.len();
            let to = match numbers.entry(fingerprint(&next)) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    entry.insert(known);
                    visited.push(Visited {
                        by: Some((number, it)),
                        from: Vec::new(),
                        quiet: next.is_quiet(),
                    });
                    frontier.push((known, next));
                    known
                }
            };
            if it.is_benign() {
                visited[to].from.push(u32::try_from(number).unwrap());
            }
        }
    }
    come_to_rest(&visited)?;
    Ok(visited.len())
}

/// Whether from every state a quiet one can be reached by benign moves.
fn come_to_rest(visited: &[Visited]) -> Result<(), String> {
    let mut rests = vec![false; visited.len()];
    let mut todo: Vec<usize> = (0..visited.len()).filter(|at| visited[*at].quiet).collect();
    while let Some(at) = todo.pop() {
        if !std::mem::replace(&mut rests[at], true) {
            todo.extend(visited[at].from.iter().map(|from| *from as usize));
        }
    }
    match rests.iter().position(|rests| !rests) {
        None => Ok(()),
        Some(stuck) => Err(story(visited, stuck, None, "it never comes to rest")),
    }
}

/// What led to a state, and what is wrong there.
fn story(visited: &[Visited], mut at: usize, last: Option<Move>, why: &str) -> String {
    let mut moves: Vec<Move> = last.into_iter().collect();
    while let Some((from, it)) = visited[at].by {
        moves.push(it);
        at = from;
    }
    moves.reverse();
    format!("{why}, after {moves:?}")
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Walks at random, `runs` times, each time until all is at rest. Tells how many steps that took.
pub(super) fn random(config: &Config, runs: u64, seed: u64) -> Result<usize, String> {
    let mut steps = 0;
    for run in 0..runs {
        let mut rng = Rng::new(seed ^ (run << 20));
        let mut world = World::new(config);
        let mut told = Vec::new();
        // What goes wrong goes wrong early; then all must come to rest.
        let disturbed = 20 + rng.below(200);
        for step in 0..disturbed + 20_000 {
            let mut moves = world.moves(config);
            let usual = |it: &Move| it.is_benign() && *it != Move::Lapse;
            if step >= disturbed {
                moves.retain(|it| it.is_benign());
            } else if rng.percent(85) && moves.iter().any(usual) {
                moves.retain(usual);
            }
            let Some(it) = rng.pick(&moves).copied() else {
                break;
            };
            told.push(it);
            steps += 1;
            world
                .make(it, config)
                .map_err(|why| format!("{why}, seed {seed} run {run}, after {told:?}"))?;
        }
        if !world.is_quiet() {
            return Err(format!("it does not come to rest, seed {seed} run {run}"));
        }
    }
    Ok(steps)
}

/// Two processes, where every kind of thing but a crash may happen.
pub(super) fn small() -> Config {
    Config {
        requests: vec![2, 1],
        cohort: 1,
        faults: 1,
        late: true,
        give_up: true,
        lapses: u8::MAX,
        crashes: 0,
        ends: 0,
        invalidations: 1,
        leavers: 1,
        mutant: None,
    }
}

/// Where nothing but calls and replies gets lost, so that nothing excuses a lease that stays.
pub(super) fn strict() -> Config {
    Config {
        late: false,
        give_up: false,
        lapses: 0,
        ..small()
    }
}

/// One process whose retry may come after four commits of another, when nobody knows any more.
pub(super) fn overtaken() -> Config {
    Config {
        requests: vec![1, 4],
        cohort: 9,
        invalidations: 0,
        leavers: 0,
        ..strict()
    }
}

/// Three processes of three requests each, for random walks.
pub(super) fn large() -> Config {
    Config {
        requests: vec![3, 3, 3],
        cohort: 2,
        faults: 4,
        crashes: 1,
        ends: 1,
        leavers: 3,
        ..small()
    }
}

fn visit(name: &str, config: &Config) {
    let limit = if heavy() { 40_000_000 } else { 400_000 };
    match all(config, limit) {
        Ok(states) => println!("{name}: {states} states"),
        Err(why) => panic!("{name}: {why}"),
    }
}

#[test]
fn every_state_of_one_process() {
    let alone = Config {
        requests: vec![3],
        cohort: 2,
        ..small()
    };
    visit("one process", &alone);
    let ending = Config {
        requests: vec![2],
        ends: 1,
        crashes: 1,
        ..small()
    };
    visit("one process whose session ends", &ending);
    if heavy() {
        let more = Config {
            faults: 2,
            leavers: 2,
            ..alone
        };
        visit("one process, more faults", &more);
    }
}

#[test]
fn every_state_of_two_processes() {
    let crashing = Config {
        requests: vec![1, 1],
        crashes: 1,
        invalidations: 0,
        ..small()
    };
    visit("two that crash", &crashing);
    let late = Config {
        invalidations: 0,
        leavers: 0,
        ..small()
    };
    visit("two with late calls", &late);
    if heavy() {
        visit("two with everything but a crash", &small());
    }
}

#[test]
fn every_state_of_two_processes_where_nothing_excuses_a_lease_that_stays() {
    visit("strict", &strict());
    visit("overtaken", &overtaken());
    let given_up = Config {
        requests: vec![3],
        cohort: 2,
        faults: 2,
        give_up: true,
        lapses: u8::MAX,
        ..strict()
    };
    visit("one process that gives up", &given_up);
    if heavy() {
        let more = Config {
            requests: vec![2, 2],
            cohort: 2,
            leavers: 2,
            ..strict()
        };
        visit("strict, more of everything", &more);
    }
}

#[test]
fn random_walks_through_large_worlds() {
    let seed = seed_or(1);
    println!("seed {seed}");
    let runs = if heavy() { 200_000 } else { 3_000 };
    match random(&large(), runs, seed) {
        Ok(steps) => println!("{runs} walks of {steps} steps"),
        Err(why) => panic!("{why}"),
    }
}
