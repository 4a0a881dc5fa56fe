//! Random requests of several processes on one directory, of which some are killed.

use tower_keep_campaign::{Campaign, is_worker, work};
use tower_keep_file::FileStore;

const DIR: &str = "KEEP_FILE_TEST_DIR";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by chance, and alone: ./test.sh runs it by itself"]
async fn a_campaign_finds_nothing() {
    if is_worker() {
        let dir = std::env::var(DIR).unwrap();
        return work(FileStore::open(dir).unwrap(), true).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let campaign = Campaign {
        name: "file",
        test: "a_campaign_finds_nothing",
        place: vec![(DIR.to_owned(), dir.path().display().to_string())],
    };
    let store = FileStore::open(dir.path()).unwrap();
    campaign.run(store, async || ()).await;
}
