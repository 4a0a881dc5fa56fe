//! A program that leaks on purpose, which must be found.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower_keep_soak::{Growth, Levels, Program, Sample, Watch, Where, Wire};
use tower_service::Service;

const LEAKY: &str = env!("CARGO_BIN_EXE_keep-soak-leak");

/// What must come does so within this.
const PATIENCE: Duration = Duration::from_mins(1);
/// What must not come would have come by then; a slow machine finds the leak all the same.
const IN_VAIN: Duration = Duration::from_millis(300);

struct Leaky {
    /// Ends with this.
    _program: Program,
    watch: Watch,
}

impl Leaky {
    async fn of(what: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::start(LEAKY, &[what], dir.path()).await;
        let watch = Watch {
            pid: program.pid,
            address: program.address,
            store: Where::Nowhere,
        };
        Self {
            _program: program,
            watch,
        }
    }

    /// So many requests, with a sample after every fifty; then the connection is closed.
    async fn asked(&self, requests: u64) -> Vec<Sample> {
        let mut wire = Wire::to(self.watch.address);
        let mut samples = Vec::new();
        for number in 1..=requests {
            let request = Request::get("/").body(<_>::default()).unwrap();
            let answer = wire.call(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.into_body().collect().await.unwrap();
            if number % 50 == 0 {
                samples.push(Sample {
                    requests: number,
                    memory: self.watch.vitals().anonymous,
                });
            }
        }
        samples
    }

    /// The levels before and after some requests; `Err` if it did not come back to the former.
    async fn levels(&self, patience: Duration) -> (Levels, Result<Levels, Levels>) {
        self.asked(10).await;
        let before = self.watch.at_rest(PATIENCE).await.unwrap();
        // So many leaks are more than what a slow machine has not closed yet.
        self.asked(20).await;
        let after = self.watch.back_to(&before, 0, patience).await;
        (before, after)
    }
}

#[tokio::test]
async fn a_program_that_leaks_memory_is_found() {
    let samples = Leaky::of("memory").await.asked(1_000).await;
    let growth = Growth::of(&samples).unwrap();
    assert!(growth.is_a_leak(), "{growth:?}");
    assert!(growth.slope > 14_000.0, "{growth:?}");
}

#[tokio::test]
async fn a_program_that_leaks_nothing_is_let_off() {
    let leaky = Leaky::of("nothing").await;
    let growth = Growth::of(&leaky.asked(1_000).await).unwrap();
    assert!(!growth.is_a_leak(), "{growth:?}");
    let (before, after) = leaky.levels(PATIENCE).await;
    after.unwrap_or_else(|now| panic!("before: {before}; after: {now}"));
}

#[tokio::test]
async fn files_that_stay_open_are_found() {
    let (before, after) = Leaky::of("files").await.levels(IN_VAIN).await;
    let after = after.unwrap_err();
    let (old, new) = (before.vitals.files, after.vitals.files);
    assert!(new.others > old.others, "{before}; {after}");
}

#[tokio::test]
async fn tasks_that_run_on_are_found() {
    let (before, after) = Leaky::of("tasks").await.levels(IN_VAIN).await;
    let after = after.unwrap_err();
    assert!(after.tasks > before.tasks, "{before}; {after}");
}

#[tokio::test]
async fn a_connection_that_stays_open_is_found() {
    let leaky = Leaky::of("nothing").await;
    let before = leaky.watch.at_rest(PATIENCE).await.unwrap();
    let address = leaky.watch.address;
    let _stays = tokio::net::TcpStream::connect(address).await.unwrap();
    let after = leaky.watch.back_to(&before, 0, IN_VAIN).await;
    assert!(after.is_err(), "{before}");
}
