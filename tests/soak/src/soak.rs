//! One run on one store.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tower_keep_testkit::seed_or;

use crate::faults::faults;
use crate::growth::{Growth, Sample};
use crate::levels::{Levels, Watch};
use crate::load::{Answered, Load};
use crate::neighbour::Neighbour;
use crate::place::{Kind, Place};
use crate::plan::Plan;
use crate::program::Program;
use crate::report::{Phase, Report};
use crate::visitor::PATIENCE;

/// Long runs, one after the other.
static TURN: Mutex<()> = Mutex::const_new(());

/// The demo on a store.
#[derive(Debug, Clone, Copy)]
pub struct Soak<'a> {
    pub kind: Kind,
    /// The demo, built.
    pub program: &'a str,
}

struct Run {
    plan: Plan,
    place: Place,
    program: Program,
    watch: Watch,
    load: Load,
    neighbour: Neighbour,
    answered: Answered,
}

impl Soak<'_> {
    /// One run, and what it found in a few lines.
    ///
    /// # Panics
    /// If an answer is wrong, something that was acknowledged is lost, memory grows, anything stays
    /// open or runs on, more wait for one session than may, or the program does not end well.
    pub async fn run(self) {
        let plan = Plan::from_environment();
        let _turn = if plan.is_long {
            Some(TURN.lock().await)
        } else {
            None
        };
        open_many_files();
        let seed = seed_or(clock());
        println!("soak on {}: seed {seed}", self.kind);
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(self.kind, dir.path()).await;
        let arguments = ["--port", "0", "--store", &place.url];
        let program = Program::start(self.program, &arguments, dir.path()).await;
        let answered = Answered::default();
        let run = Run {
            watch: Watch {
                pid: program.pid,
                address: program.address,
                store: place.whereabouts(),
            },
            load: Load::new(&plan, program.address, seed, answered.clone()),
            neighbour: Neighbour::enters(program.address).await,
            plan,
            place,
            program,
            answered,
        };
        println!("soak on {}: seed {seed}, {}", self.kind, run.goes().await);
    }
}

impl Run {
    async fn goes(mut self) -> Report {
        let plan = self.plan;
        // All that is made once is made in here, for the crowd too.
        let door = self.neighbour.at_the_door(plan.crowd, &self.program).await;
        let while_warming = plan.fault_every_while_warming();
        self.phase(plan.warm_up, while_warming, false).await;
        let before = self.at_rest().await;

        let alone = self.phase(plan.phase, plan.fault_every, false).await;
        let beside = self.phase(plan.phase, plan.fault_every, true).await;
        self.load.hangs_up();
        let most = self.place.kind.most_open();
        let after = self.watch.back_to(&before, most, PATIENCE).await;
        let clients = || self.watch.clients();
        let after =
            after.unwrap_or_else(|now| panic!("before: {before}; after: {now}\n{}", clients()));

        let counted = self.load.all_is_there().await;
        self.neighbour.all_is_there().await;
        // Their connections would keep it from its end.
        self.load.hangs_up();
        self.program.ends().await;
        self.place.remove().await;
        Report {
            plan,
            door,
            before,
            after,
            alone,
            beside,
            counted,
        }
    }

    async fn at_rest(&mut self) -> Levels {
        self.load.hangs_up();
        let rest = self.watch.at_rest(PATIENCE).await;
        let clients = || self.watch.clients();
        rest.unwrap_or_else(|now| panic!("it does not come to rest: {now}\n{}", clients()))
    }

    /// Visits and faults for so long, with the crowd or without.
    async fn phase(&mut self, span: Duration, fault_every: Duration, with_crowd: bool) -> Phase {
        let until = Instant::now() + span;
        let (neighbour, answered, crowd) = (&mut self.neighbour, &self.answered, self.plan.crowd);
        let crowd = async {
            if with_crowd {
                neighbour.stays(crowd, until, answered).await
            } else {
                <_>::default()
            }
        };
        let (tally, crowd, faults, samples) = tokio::join!(
            self.load.visits(until),
            crowd,
            faults(&self.program, &self.place, fault_every, until),
            samples(&self.watch, &self.answered, self.plan.sample_every, span),
        );
        let growth = Growth::of(&samples);
        if let Some(growth) = growth {
            assert!(!growth.is_a_leak(), "memory grows: {growth:?} {samples:?}");
        }
        Phase {
            tally,
            crowd,
            faults,
            growth,
        }
    }
}

/// Memory against requests, but for the first quarter of the time.
async fn samples(
    watch: &Watch,
    answered: &Answered,
    every: Duration,
    span: Duration,
) -> Vec<Sample> {
    let start = Instant::now();
    let (mut next, until) = (start + span / 4, start + span);
    let mut samples = Vec::new();
    while next < until {
        sleep_until(next).await;
        samples.push(Sample {
            requests: answered.load(Ordering::Relaxed),
            memory: watch.vitals().anonymous,
        });
        next += every;
    }
    samples
}

/// Both ends of a thousand connections are open at once. The program inherits it.
fn open_many_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    // If not, what cannot be opened says so.
    let _ = setrlimit(Resource::Nofile, all);
}

fn clock() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    now.as_secs() ^ u64::from(now.subsec_nanos())
}
