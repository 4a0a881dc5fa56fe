//! The campaign on the store in memory: with three nodes in one process, one that takes the store's
//! own way without I/O and two to which it is a store elsewhere.

use tower_keep::{DynStore, MemoryStore};
use tower_keep_campaign::Campaign;
use tower_keep_testkit::NetworkStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_finds_nothing() {
    let memory = MemoryStore::new();
    let campaign = Campaign {
        name: "memory",
        test: "a_campaign_finds_nothing",
        place: Vec::new(),
    };
    let nodes = |seed| {
        let far = |seed| {
            let network = NetworkStore::new(memory.clone(), seed).connections(32);
            DynStore::new(network.yields(2).lost_requests(1).lost_replies(1))
        };
        vec![DynStore::new(memory.clone()), far(seed), far(seed ^ 1)]
    };
    campaign.run_here(nodes, memory.clone()).await;
}
