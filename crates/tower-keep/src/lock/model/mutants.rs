//! Mistakes, each of which must be found, or the search would prove nothing.

use super::explore::{all, large, overtaken, random, strict};
use super::world::Config;

/// A mistake of a driver, which has the same effect as one in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Takes a lost reply to a finish for a success, and hands over.
    HandsOverUnheard,
    /// Asks with a new token while the store may hold an old one.
    ForgetsToken,
    /// Does not give back what nobody wants any more.
    SkipsRelease,
    /// Takes a lost reply to a release for a success.
    ReleasesOnce,
    /// Tells a retry that nothing was applied when nobody knows.
    UnknownIsLost,
    /// Goes on with those whose secret was replaced.
    ServesStale,
    /// Hands over for ever.
    CohortIgnored,
    /// Does not let others go first.
    NeverYields,
    /// Hands over what it does not have.
    InstallsNobody,
    /// Hands over under the same token.
    KeepsToken,
    /// Takes a refusal for a success.
    LostIsDone,
    /// Takes a busy session for a free one.
    BusyIsGranted,
    /// Waits for the end of a request that never heard that it began.
    LeaverServed,
}

const ALL: [Mutant; 13] = [
    Mutant::HandsOverUnheard,
    Mutant::ForgetsToken,
    Mutant::SkipsRelease,
    Mutant::ReleasesOnce,
    Mutant::UnknownIsLost,
    Mutant::ServesStale,
    Mutant::CohortIgnored,
    Mutant::NeverYields,
    Mutant::InstallsNobody,
    Mutant::KeepsToken,
    Mutant::LostIsDone,
    Mutant::BusyIsGranted,
    Mutant::LeaverServed,
];

fn hunt(mutant: Mutant) -> Option<String> {
    let with = |config: Config| Config {
        mutant: Some(mutant),
        ..config
    };
    random(&with(large()), 500, 7)
        .and_then(|_| all(&with(strict()), 400_000))
        .and_then(|_| all(&with(overtaken()), 400_000))
        .err()
}

#[test]
fn every_mistake_is_found() {
    for mutant in ALL {
        let found = hunt(mutant);
        println!("{mutant:?}: {found:?}");
        assert!(found.is_some(), "{mutant:?} was not found");
    }
}
