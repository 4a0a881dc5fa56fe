//! Starts the nodes, disturbs them, reads every session at the end and judges.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tower_keep::{DynStore, Sessions};
use tower_keep_testkit::history::{Action, Anomaly, Call, Outcome};
use tower_keep_testkit::{Rng, seed_or};

use crate::app::layer;
use crate::log::{Log, history, now};
use crate::node::{Orders, obey, read_by_id};
use crate::report::Report;
use crate::{Campaign, ROUND, SHORT};

/// How many processes there are at a time.
const NODES: u64 = 3;
/// How long it takes to find what is wrong all the time.
const GLANCE: Duration = Duration::from_millis(1_500);
const KILL_EVERY: Duration = Duration::from_millis(1_200);
const DISTURB_EVERY: Duration = Duration::from_millis(400);
/// Of a campaign that goes by its operations, on however slow a machine.
const MOST_ROUNDS: usize = 6;

/// One round of a campaign, with sessions of its own.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) seed: u64,
    length: Duration,
    dir: TempDir,
}

pub(crate) struct Conductor<'a> {
    campaign: &'a Campaign<'a>,
    sessions: Sessions,
    report: Report,
}

impl<'a> Conductor<'a> {
    pub(crate) fn new(campaign: &'a Campaign<'a>, store: &DynStore) -> Self {
        Self {
            campaign,
            sessions: layer(store).sessions(),
            report: Report::default(),
        }
    }

    /// One round, or as many as it takes.
    pub(crate) async fn rounds(mut self, play: impl AsyncFn(&mut Self, &Round)) {
        let (seed, start) = (seed_or(now()), Instant::now());
        let size = Size::wanted();
        let name = self.campaign.name;
        println!("campaign {name}: seed {seed}");
        for number in 0.. {
            let round = Round {
                seed: seed.wrapping_add(number),
                length: size.round(),
                dir: tempfile::tempdir().unwrap(),
            };
            play(&mut self, &round).await;
            let found = self.judge(&round).await;
            if !found.is_empty() {
                self.fail(round, &found);
            }
            if size.is_reached(start.elapsed(), &self.report) {
                break;
            }
        }
        println!("campaign {name}: seed {seed}, {}", self.report);
    }

    /// One short round; tells what was found.
    pub(crate) async fn once(mut self, stores: impl FnOnce(u64) -> Vec<DynStore>) -> Vec<Anomaly> {
        let round = Round {
            seed: seed_or(now()),
            length: GLANCE,
            dir: tempfile::tempdir().unwrap(),
        };
        println!("seed {}", round.seed);
        self.nodes(&round, stores(round.seed)).await;
        self.judge(&round).await
    }

    fn fail(&self, round: Round, found: &[Anomaly]) {
        for anomaly in found {
            println!("{anomaly}");
        }
        let (seed, logs) = (round.seed, round.dir.keep());
        panic!(
            "{}: {} anomalies; the histories are in {}; run again with KEEP_SEED={seed}",
            self.campaign.name,
            found.len(),
            logs.display()
        );
    }

    /// Nodes in this process, each on its store.
    pub(crate) async fn nodes(&mut self, round: &Round, stores: Vec<DynStore>) {
        let until = round.until();
        let nodes = stores.into_iter().zip(1..).map(|(store, node)| {
            let orders = round.orders(node, until);
            tokio::spawn(async move { obey(&orders, &store).await })
        });
        for node in nodes.collect::<Vec<_>>() {
            node.await.unwrap();
        }
    }

    /// Processes, which are killed and replaced while the store is disturbed.
    pub(crate) async fn processes(&mut self, round: &Round, disturb: &impl AsyncFn()) {
        let (until, mut rng) = (round.until(), Rng::new(round.seed));
        let mut started = 0..;
        let mut start = || {
            let number = started.next().unwrap();
            self.spawn(&round.orders(number + 1, until))
        };
        let mut nodes: Vec<_> = (0..NODES).map(|_| start()).collect();
        let (mut killed, mut disturbed) = (Instant::now(), Instant::now());
        let (mut kills, mut disturbances) = (0, 0);
        while now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if killed.elapsed() >= KILL_EVERY {
                let index = usize::try_from(rng.below(NODES)).unwrap();
                // Its exit status is not looked at any more.
                nodes[index].0.kill().unwrap();
                nodes[index] = start();
                killed = Instant::now();
                kills += 1;
            }
            if disturbed.elapsed() >= DISTURB_EVERY {
                disturb().await;
                disturbed = Instant::now();
                disturbances += 1;
            }
        }
        for node in nodes {
            node.ends_well().await;
        }
        self.report.killed(kills);
        self.report.disturbed(disturbances);
    }

    fn spawn(&self, orders: &Orders) -> Process {
        let place = self.campaign.place.iter();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                self.campaign.test,
                "--exact",
                "--nocapture",
                "--include-ignored",
            ])
            .arg("--test-threads=1")
            .envs(place.map(|(name, value)| (name, value)))
            .envs(orders.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }

    /// Reads every session that there is, and looks for what cannot be.
    async fn judge(&mut self, round: &Round) -> Vec<Anomaly> {
        let log = Log::create(round.dir.path(), 0);
        let sessions = history(round.dir.path()).sessions();
        for (session, id) in sessions.into_iter().zip(1..) {
            let call = Call {
                id,
                session,
                secret: None,
                action: Action::Read,
            };
            log.called(call);
            let mut outcome = read_by_id(&self.sessions, session).await;
            // Connections that were killed show once each.
            for _ in 0..20 {
                if outcome != Outcome::Unknown {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                outcome = read_by_id(&self.sessions, session).await;
            }
            assert_ne!(outcome, Outcome::Unknown, "the store does not answer");
            log.returned(id, outcome);
        }
        let history = history(round.dir.path());
        self.report.add(&history);
        history.check()
    }
}

impl Round {
    fn until(&self) -> u64 {
        now() + u64::try_from(self.length.as_nanos()).unwrap()
    }

    fn orders(&self, node: u64, until: u64) -> Orders {
        Orders {
            dir: self.dir.path().to_owned(),
            seed: self.seed,
            node,
            until,
        }
    }
}

/// How long a campaign goes on.
enum Size {
    Short,
    /// Until so many were done, or rounds enough.
    Operations(usize),
    Time(Duration),
}

impl Size {
    /// By the environment.
    fn wanted() -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<usize>().ok();
        if std::env::var_os("KEEP_HEAVY").is_some_and(|value| value != "0") {
            let minutes = number("KEEP_TEST_MINUTES").unwrap_or(10);
            return Self::Time(Duration::from_secs(60 * minutes as u64));
        }
        number("KEEP_OPERATIONS").map_or(Self::Short, Self::Operations)
    }

    const fn round(&self) -> Duration {
        match self {
            Self::Short => SHORT,
            Self::Operations(_) | Self::Time(_) => ROUND,
        }
    }

    fn is_reached(&self, elapsed: Duration, report: &Report) -> bool {
        match *self {
            Self::Short => true,
            Self::Operations(operations) => {
                report.operations() >= operations || report.rounds() >= MOST_ROUNDS
            }
            Self::Time(time) => elapsed >= time,
        }
    }
}

/// A process that does not outlive the campaign.
struct Process(Child);

impl Process {
    /// Waits for its end by itself.
    async fn ends_well(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "a node: {status}");
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "a node hangs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
