//! Mistakes, each of which must be found, or the simulation would prove nothing.

use super::run::play;
use super::server::Mistake;

/// The first seed that shows it, and how.
fn hunt(mistake: Mistake, sign: &str) {
    for seed in 0..2_000 {
        let wrong = play(seed, Some(mistake)).wrong;
        if let Some(found) = wrong.iter().find(|why| why.contains(sign)) {
            println!("{mistake:?}: seed {seed} of 2000: {found}");
            return;
        }
    }
    panic!("{mistake:?} was not found");
}

#[test]
fn a_store_without_fencing_is_found() {
    hunt(Mistake::NoFencing, "were done upon the same state");
}

#[test]
fn a_lease_that_is_given_twice_is_found() {
    hunt(Mistake::WakeWithoutLease, "a lease was given");
}

#[test]
fn a_commit_after_destroy_is_found() {
    hunt(Mistake::FinishAfterDestroy, "when it had ended");
}
