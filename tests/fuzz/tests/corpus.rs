//! Every target with its seeds and with mutations of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tower_keep_fuzz::{BASE, TARGETS, Target};
use tower_keep_testkit::{Rng, seed_or};

/// So many mutations of the seeds are tried.
const CASES: u64 = 20_000;
/// Of those whose cases take longer.
const FEW: u64 = 4_000;
/// Of those whose cases are several whole requests.
const FEWEST: u64 = 400;
/// No input is longer.
const LONGEST: usize = 4_096;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    // The file system has no order.
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Says which input it was, if the target panics.
struct Shown<'a>(&'static str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{} fails with b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

fn run(target: Target, input: &[u8]) {
    let shown = Shown(target.name, input);
    let taken = allocation_counter::measure(|| (target.check)(input)).bytes_max;
    let may = BASE + target.factor * input.len() as u64;
    assert!(
        taken <= may,
        "{taken} bytes for an input of {}",
        input.len()
    );
    drop(shown);
}

/// One to four changes, each of a kind that parsers have trouble with.
fn mutated(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = rng.pick(seeds).unwrap().clone();
    for _ in 0..=rng.below(4) {
        let at = index(rng, input.len() + 1);
        let end = (at + 1 + index(rng, 8)).min(input.len());
        match rng.below(9) {
            0 if at < input.len() => input[at] ^= 1 << rng.below(8),
            1 if at < input.len() => input[at] = byte(rng),
            2 => input.insert(at, byte(rng)),
            3 => drop(input.drain(at..end)),
            4 => input.truncate(at),
            // Something twice.
            5 => {
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            6 => {
                let other = rng.pick(seeds).unwrap();
                let from = index(rng, other.len() + 1);
                let to = (from + 1 + index(rng, 32)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            7 => {
                let piece = rng.pick(PIECES).unwrap();
                input.splice(at..at, piece.iter().copied());
            }
            // Numbers at their limits.
            _ => {
                let number = rng.pick(&[0, 1, 0x7f, 0x80, 0xff]).unwrap();
                let width = 1 << rng.below(4);
                let width = width.min(input.len() - at);
                input[at..at + width].fill(*number);
            }
        }
    }
    input.truncate(LONGEST);
    input
}

const PIECES: &[&[u8]] = &[
    b"=",
    b";",
    b"\"",
    b"%",
    b"&",
    b".",
    b",",
    b"\n",
    b"\0",
    b"\\u0000",
    b"\xff",
    b"\xc3\x28",
    b"\xf0\x9f\x98\x80",
    b"null",
    b"[[[[[[[[",
    b"{}",
    b"1e400",
    b"18446744073709551616",
    b"-0.0",
    b"<script>",
    b"TOKEN",
    b"id=",
];

fn byte(rng: &mut Rng) -> u8 {
    u8::try_from(rng.below(256)).unwrap()
}

fn index(rng: &mut Rng, end: usize) -> usize {
    usize::try_from(rng.below(end as u64)).unwrap()
}

fn is_heavy() -> bool {
    std::env::var_os("KEEP_HEAVY").is_some_and(|value| value != "0")
}

/// How long a target is tried, if it is not by the number of its cases.
fn time() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seconds = if is_heavy() {
        Some(60 * number("KEEP_TEST_MINUTES").unwrap_or(10))
    } else {
        number("KEEP_FUZZ_SECONDS")
    };
    seconds.map(Duration::from_secs)
}

/// The same cases in every run, or the first of the same, unless `KEEP_SEED` says otherwise or it is
/// a long one.
fn sweep(name: &str, cases: u64) {
    let target = *TARGETS.iter().find(|target| target.name == name).unwrap();
    let (seeds, start) = (seeds(name), Instant::now());
    assert!(seeds.len() >= 5, "the corpus of {name}");
    // What is made once is made now.
    (target.check)(b"");
    for seed in &seeds {
        run(target, seed);
    }
    let seed = seed_or(if is_heavy() { start_seed() } else { 1 });
    let (mut rng, time) = (Rng::new(seed), time());
    let mut done = 0;
    while time.map_or(done < cases, |time| start.elapsed() < time) {
        run(target, &mutated(&mut rng, &seeds));
        done += 1;
    }
    println!(
        "{name}: {} seeds and {done} mutations, seed {seed}, {:.1} s",
        seeds.len(),
        start.elapsed().as_secs_f32()
    );
}

fn start_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[test]
fn agent() {
    sweep("agent", FEWEST);
}

#[test]
fn config() {
    sweep("config", FEW);
}

#[test]
fn cookie() {
    sweep("cookie", CASES);
}

#[test]
fn csrf() {
    sweep("csrf", FEW);
}

#[test]
fn data() {
    sweep("data", CASES);
}

#[test]
fn path() {
    sweep("path", CASES);
}

#[test]
fn record() {
    sweep("record", CASES);
}

#[test]
fn token() {
    sweep("token", CASES);
}

/// None is without a test, or without a corpus of a size that is fit to be kept.
#[test]
fn every_target_has_a_corpus_and_a_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for target in TARGETS {
        let (seeds, name) = (seeds(target.name), target.name);
        assert!((5..=50).contains(&seeds.len()), "{name}: {}", seeds.len());
        let size: usize = seeds.iter().map(Vec::len).sum();
        assert!(size < 100_000, "{name}: {size} bytes");
        assert!(
            fuzz.join(format!("fuzz_targets/{name}.rs")).is_file(),
            "{name}"
        );
    }
}
