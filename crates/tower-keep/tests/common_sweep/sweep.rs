//! Every scenario, dropped at every moment.

use tower_keep::DynStore;
use tower_keep_testkit::{Rng, seed_or};

use super::campaign;
use super::case::Case;
use super::moment::Dropper;
use super::scenario::{SCENARIOS, Scenario};
use super::world::{Flavour, Place, paused, stored};

const FLAVOURS: [Flavour; 2] = [Flavour::Axum, Flavour::Tower];

/// Drops every scenario at every moment, for `seeds` seeds, or as long as a campaign lasts;
/// returns how often.
pub(crate) fn sweep(place: &Place, seeds: u64) -> usize {
    let first = seed_or(1);
    let (mut drops, mut last) = (0, first);
    for seed in campaign(first, seeds) {
        // Where answers get lost it may be unknown what became of a merge, and either is right.
        let known =
            |(scenario, _): &_| !matches!((place, scenario), (Place::Lossy, Scenario::Merge));
        for (scenario, flavour) in all().filter(known) {
            for dropper in Dropper::ALL {
                let case = |moment| Case {
                    scenario,
                    place,
                    flavour,
                    dropper,
                    seed,
                    moment,
                };
                let mut moment = 0;
                while paused(case(moment).run()).dropped {
                    moment += 1;
                }
                drops += moment;
            }
        }
        last = seed;
    }
    println!("{place:?}: {drops} drops, seeds {first} to {last}");
    drops
}

/// The same on stores that `store` makes, which take the time of the world, so that it is not the
/// seed alone that says what a moment meets. Of the moments some are taken, by chance: one in
/// `step`, and fewer of the late ones. How many there are depends on how quick the store is; the
/// first of each of the 104 combinations is among them.
pub(crate) async fn sweep_given<G>(
    name: &str,
    step: u64,
    store: impl AsyncFn() -> (DynStore, G),
) -> usize {
    let first = seed_or(1);
    let (mut drops, mut last) = (0, first);
    for seed in campaign(first, 1) {
        let mut rng = Rng::new(seed);
        for (scenario, flavour) in all() {
            // Its own, so that looking for sessions nobody knows of stays quick.
            let (store, _guard) = store().await;
            let place = Place::Given(store.clone());
            let mut records = Vec::new();
            for dropper in Dropper::ALL {
                let mut moment = 0;
                loop {
                    let case = Case {
                        scenario,
                        place: &place,
                        flavour,
                        dropper,
                        seed,
                        moment: usize::try_from(moment).unwrap(),
                    };
                    let left = case.run().await;
                    records.extend(left.records);
                    if !left.dropped {
                        break;
                    }
                    drops += 1;
                    // Fewer of the late ones: a slow disk has no end of them.
                    moment += 1 + rng.below(2 * step - 1) + moment / 8;
                }
            }
            // Nothing came later.
            for (id, seen) in records {
                assert_eq!(
                    stored(&store, id).await,
                    seen,
                    "{name} {scenario:?} seed {seed}"
                );
            }
        }
        last = seed;
    }
    println!("{name}: {drops} drops, seeds {first} to {last}");
    drops
}

fn all() -> impl Iterator<Item = (Scenario, Flavour)> {
    let of = |scenario| FLAVOURS.map(|flavour| (scenario, flavour));
    SCENARIOS.into_iter().flat_map(of)
}
