//! G3 and G4: a request's future is dropped at every moment of its life. Whenever that is, the
//! session is either exactly as it was or exactly as the commit made it, and it is free.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it did"
)]

mod common_sweep;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::response::Response;
use common_sweep::app::Mark;
use common_sweep::campaign;
use common_sweep::moment::Dropper;
use common_sweep::world::{Flavour, Place, Seen, World, new_cookie, paused, send, text};
use http::StatusCode;
use tower_keep::{Error, SessionId};
use tower_keep_testkit::{Rng, seed_or};

/// What the request whose future is dropped does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Writes for the first time.
    Create,
    Increment,
    /// Sets the user, which rotates, and writes.
    Login,
    Logout,
    /// Destroys its session and writes.
    Replace,
    /// Commits before its end.
    Early,
    EarlyLogin,
    /// The same, but it does not wait for that commit.
    HastyLogin,
    /// Reads first, and writes then.
    Upgrade,
    /// Writes through a handle, without a response.
    Handle,
    /// Others in the same process want the session as well.
    Neighbours,
    /// Others in another process want the session as well.
    Strangers,
}

const SCENARIOS: [Scenario; 12] = [
    Scenario::Create,
    Scenario::Increment,
    Scenario::Login,
    Scenario::Logout,
    Scenario::Replace,
    Scenario::Early,
    Scenario::EarlyLogin,
    Scenario::HastyLogin,
    Scenario::Upgrade,
    Scenario::Handle,
    Scenario::Neighbours,
    Scenario::Strangers,
];

impl Scenario {
    fn path(self) -> &'static str {
        match self {
            Self::Create | Self::Increment | Self::Neighbours | Self::Strangers => "/increment",
            Self::Login => "/login",
            Self::Logout => "/logout",
            Self::Replace => "/replace",
            Self::Early => "/early",
            Self::EarlyLogin => "/early-login",
            Self::HastyLogin => "/hasty-login",
            Self::Upgrade => "/upgrade",
            Self::Handle => "/handle",
        }
    }

    /// The stored session after this request's commit.
    fn commits(self, seen: &mut Seen) {
        match self {
            Self::Create => return,
            Self::Logout | Self::Replace => {
                seen.gone = true;
                seen.n = None;
                seen.secret = [0; 32];
            }
            _ => seen.n = seen.n.map(|n| n + 1),
        }
        if self.rotates() {
            seen.generation += 1;
            seen.user = Some("ada".into());
        }
        seen.version += 1;
    }

    fn rotates(self) -> bool {
        matches!(self, Self::Login | Self::EarlyLogin | Self::HastyLogin)
    }

    /// The value in the session that it starts, if it does.
    fn starts(self) -> Option<i64> {
        match self {
            Self::Create => Some(1),
            Self::Replace => Some(100),
            _ => None,
        }
    }
}

/// One drop, enough to do it again.
#[derive(Debug, Clone, Copy)]
struct Case {
    scenario: Scenario,
    place: Place,
    flavour: Flavour,
    dropper: Dropper,
    /// `KEEP_SEED`.
    seed: u64,
    moment: usize,
}

impl Case {
    /// Runs it, and tells whether the request was dropped before its end.
    async fn run(self) -> bool {
        let world = World::new(self.place, self.flavour, self.seed).await;
        let before = world.seen(world.id);
        let mark = Mark::default();
        let request = self.request(&world, &mark).await;
        let others = self.others(&world);
        let answer = self.dropper.run(self.moment, request).await;
        let mut committed_by_others = 0;
        for other in others {
            let status = other.await.unwrap();
            let lossy = matches!(self.place, Place::Lossy);
            assert!(
                status == StatusCode::OK || lossy && status == StatusCode::SERVICE_UNAVAILABLE,
                "{self:?}: another request was disturbed: {status}",
            );
            committed_by_others += u64::from(status == StatusCode::OK);
        }
        // Far less than a lease, unless what should free it may get lost itself.
        tokio::time::sleep(match self.place {
            Place::Lossy => Duration::from_secs(12),
            _ => Duration::from_millis(100),
        })
        .await;
        let mut after = before;
        for _ in 0..committed_by_others {
            Scenario::Increment.commits(&mut after);
        }
        if mark.is_done() {
            self.scenario.commits(&mut after);
        }
        let started = self.check_store(&world, after, &mark);
        let dropped = answer.is_none();
        let cookie = answer.and_then(|answer| self.check_answer(answer, &mark));
        self.check_next(&world, started, cookie, &mark).await;
        dropped
    }

    async fn request(
        self,
        world: &World,
        mark: &Mark,
    ) -> Pin<Box<dyn Future<Output = Option<Response>> + Send>> {
        let cookie = Some(world.cookie.as_str()).filter(|_| self.scenario != Scenario::Create);
        if self.scenario != Scenario::Handle {
            let request = send(&world.app, self.scenario.path(), cookie, mark);
            return Box::pin(async { Some(request.await) });
        }
        let handle = loop {
            send(&world.app, "/handle", cookie, mark).await;
            if let Some(handle) = mark.handle() {
                break handle;
            }
        };
        let mark = mark.clone();
        Box::pin(async move {
            let written = handle.write(async |session| {
                mark.step().await;
                session.increment("n", 1)?;
                mark.step().await;
                mark.done();
                Ok::<_, Error>(())
            });
            if let Err(error) = written.await {
                assert!(matches!(self.place, Place::Lossy), "{self:?}: {error}");
            }
            None
        })
    }

    /// Starts those who want the session at the same time, at times that follow from the seed.
    fn others(self, world: &World) -> Vec<tokio::task::JoinHandle<StatusCode>> {
        let app = match self.scenario {
            Scenario::Neighbours => world.app.clone(),
            Scenario::Strangers => world.elsewhere(),
            _ => return Vec::new(),
        };
        let mut rng = Rng::new(self.seed);
        let paths = ["/hold", "/increment"].into_iter();
        paths
            .map(|path| {
                let turns = rng.below(12);
                let request = send(&app, path, Some(&world.cookie), &Mark::default());
                tokio::spawn(async move {
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    request.await.status()
                })
            })
            .collect()
    }

    /// Every record is free and as it must be; returns the id of a new session.
    fn check_store(self, world: &World, mut after: Seen, mark: &Mark) -> Option<SessionId> {
        let stored = world.seen(world.id);
        assert!(!stored.leased, "{self:?}: the session is stuck");
        assert_eq!(world.memory.waiting(world.id), 0, "{self:?}");
        if self.scenario.rotates() && mark.is_done() {
            assert_ne!(stored.secret, after.secret, "{self:?}: half a commit");
            after.secret = stored.secret;
        }
        assert_eq!(stored, after, "{self:?}");

        let ids: HashSet<_> = world.memory.ids().into_iter().collect();
        let mut new = ids.into_iter().filter(|id| *id != world.id);
        let (started, second) = (new.next(), new.next());
        assert_eq!(second, None, "{self:?}: more was stored than one session");
        let expected = self.scenario.starts().filter(|_| mark.is_done());
        assert_eq!(started.is_some(), expected.is_some(), "{self:?}");
        if let Some(id) = started {
            let seen = world.seen(id);
            assert!(!seen.leased, "{self:?}");
            assert_eq!((seen.n, seen.version), (expected, 1), "{self:?}");
        }
        started
    }

    /// The answer fits what was committed; returns the cookie it sets.
    fn check_answer(self, answer: Option<Response>, mark: &Mark) -> Option<String> {
        let answer = answer?;
        let status = answer.status();
        let cookie = new_cookie(&answer);
        if matches!(self.place, Place::Lossy) && !mark.is_done() {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{self:?}");
            assert_eq!(cookie, None, "{self:?}");
            return None;
        }
        assert_eq!(status, StatusCode::OK, "{self:?}");
        assert!(mark.is_done(), "{self:?}");
        let sets = self.scenario.rotates() || self.scenario.starts().is_some();
        match &cookie {
            Some(cookie) if cookie.is_empty() => assert_eq!(self.scenario, Scenario::Logout),
            other => assert_eq!(other.is_some(), sets, "{self:?}"),
        }
        cookie
    }

    /// The next request with whatever cookie the browser has goes through at once, and sees what
    /// it must.
    async fn check_next(
        self,
        world: &World,
        started: Option<SessionId>,
        cookie: Option<String>,
        mark: &Mark,
    ) {
        let committed = mark.is_done();
        let ends = matches!(self.scenario, Scenario::Logout | Scenario::Replace);
        let dead = committed && (ends || self.scenario.rotates());
        let (id, cookie) = match (cookie, started) {
            (Some(cookie), Some(id)) => (id, cookie),
            (Some(cookie), None) if !cookie.is_empty() => (world.id, cookie),
            _ if dead => {
                // The client never heard of it, and must not see the session any more.
                let answer = world.get("/read", Some(&world.cookie)).await;
                if answer.status() == StatusCode::OK {
                    assert_eq!(text(answer).await, "None None", "{self:?}");
                }
                return;
            }
            _ => (world.id, world.cookie.clone()),
        };
        let before = world.seen(id);
        let mut tries = 0;
        let asked = tokio::time::Instant::now();
        let answer = loop {
            let answer = world.get("/increment", Some(&cookie)).await;
            tries += 1;
            if !matches!(self.place, Place::Lossy) || answer.status() == StatusCode::OK {
                break answer;
            }
            assert!(tries < 50, "{self:?}: the session never opens again");
        };
        assert_eq!(answer.status(), StatusCode::OK, "{self:?}");
        assert_eq!(new_cookie(&answer), None, "{self:?}");
        if !matches!(self.place, Place::Lossy) {
            let took = asked.elapsed();
            assert!(took < Duration::from_millis(20), "{self:?}: took {took:?}");
        }
        let mut expected = before;
        Scenario::Increment.commits(&mut expected);
        expected.leased = world.seen(id).leased;
        assert_eq!(world.seen(id), expected, "{self:?}");
    }
}

/// Drops every scenario at every moment, for `seeds` seeds, or as long as a campaign lasts;
/// returns how often.
fn sweep(place: Place, seeds: u64) -> usize {
    let first = seed_or(1);
    let (mut drops, mut last) = (0, first);
    for seed in campaign(first, seeds) {
        for scenario in SCENARIOS {
            for flavour in [Flavour::Axum, Flavour::Tower] {
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
                    while paused(case(moment).run()) {
                        moment += 1;
                    }
                    drops += moment;
                }
            }
        }
        last = seed;
    }
    println!("{place:?}: {drops} drops, seeds {first} to {last}");
    drops
}

#[test]
fn in_process() {
    assert!(sweep(Place::Local, 4) > 1_000);
}

#[test]
fn over_a_network() {
    assert!(sweep(Place::Near, 6) > 8_000);
}

#[test]
fn over_a_slow_network() {
    assert!(sweep(Place::Far, 1) > 5_000);
}

#[test]
fn over_a_network_that_loses_messages() {
    assert!(sweep(Place::Lossy, 3) > 5_000);
}

/// Drops and grants meet in moments that one thread does not have. These follow from no seed.
#[test]
fn on_several_threads() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
    for seed in campaign(seed_or(1), 3) {
        for place in [Place::Local, Place::Near] {
            runtime.block_on(crowd(place, seed));
        }
    }
}

async fn crowd(place: Place, seed: u64) {
    let world = World::new(place, Flavour::Axum, seed).await;
    let mut rng = Rng::new(seed);
    for _ in 0..20 {
        let before = world.seen(world.id);
        let requests: Vec<_> = (0..40)
            .map(|_| {
                let (mark, moment) = (Mark::default(), usize::try_from(rng.below(60)).unwrap());
                let request = send(&world.app, "/increment", Some(&world.cookie), &mark);
                let run = Dropper::Abort.run(moment, request);
                (tokio::spawn(run), mark)
            })
            .collect();
        let mut after = before;
        for (request, mark) in requests {
            if let Some(answer) = request.await.unwrap() {
                assert_eq!(answer.status(), StatusCode::OK, "{place:?} seed {seed}");
            }
            if mark.is_done() {
                Scenario::Increment.commits(&mut after);
            }
        }
        // It waits for nobody but those who commit.
        let last = world.get("/increment", Some(&world.cookie)).await;
        assert_eq!(last.status(), StatusCode::OK, "{place:?} seed {seed}");
        Scenario::Increment.commits(&mut after);
        assert_eq!(world.seen(world.id), after, "{place:?} seed {seed}");
    }
}
