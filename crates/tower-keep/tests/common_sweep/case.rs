//! One drop: the request, what is stored after it, what was answered, and the next request.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use tower_keep::{Error, SessionId};
use tower_keep_testkit::Rng;

use super::app::Mark;
use super::moment::Dropper;
use super::scenario::Scenario;
use super::world::{Flavour, Place, Seen, World, new_cookie, send, text};

/// One drop, enough to do it again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) scenario: Scenario,
    pub(crate) place: &'a Place,
    pub(crate) flavour: Flavour,
    pub(crate) dropper: Dropper,
    /// `KEEP_SEED`.
    pub(crate) seed: u64,
    pub(crate) moment: usize,
}

/// What a case leaves behind.
pub(crate) struct Left {
    /// Whether the request was dropped before its end.
    pub(crate) dropped: bool,
    pub(crate) records: Vec<(SessionId, Seen)>,
}

impl Case<'_> {
    pub(crate) async fn run(self) -> Left {
        let mut world = World::new(self.place, self.flavour, self.seed).await;
        let before = world.seen(world.id).await;
        let mark = Mark::default();
        let request = self.request(&world, &mark).await;
        let others = self.others(&world);
        let answer = self.dropper.run(self.moment, request).await;
        let mut committed_by_others = 0;
        for other in others {
            let status = other.await.unwrap();
            let lost = self.is_lossy() && status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(
                status == StatusCode::OK || lost,
                "{self:?}: another request was disturbed: {status}",
            );
            committed_by_others += u64::from(status == StatusCode::OK);
        }
        world.settle(self.place).await;
        let mut after = before;
        for _ in 0..committed_by_others {
            Scenario::Increment.commits(&mut after);
        }
        if mark.is_done() {
            self.scenario.commits(&mut after);
        }
        let started = self.check_store(&world, after, &mark).await;
        let dropped = answer.is_none();
        let cookie = answer.and_then(|answer| self.check_answer(answer, &mark));
        self.check_next(&world, started, cookie, &mark).await;
        let mut records = Vec::new();
        for id in [Some(world.id), started].into_iter().flatten() {
            records.push((id, world.seen(id).await));
        }
        Left { dropped, records }
    }

    /// Whether calls and their answers get lost.
    fn is_lossy(self) -> bool {
        matches!(self.place, Place::Lossy)
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
        let (mark, lossy, case) = (mark.clone(), self.is_lossy(), format!("{self:?}"));
        Box::pin(async move {
            let written = handle.write(async |session| {
                mark.step().await;
                session.increment("n", 1)?;
                mark.step().await;
                mark.done();
                Ok::<_, Error>(())
            });
            if let Err(error) = written.await {
                assert!(lossy, "{case}: {error}");
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
    async fn check_store(self, world: &World, mut after: Seen, mark: &Mark) -> Option<SessionId> {
        let stored = world.seen(world.id).await;
        assert!(!stored.leased, "{self:?}: the session is stuck");
        assert_eq!(world.waiting(), 0, "{self:?}");
        if self.scenario.rotates() && mark.is_done() {
            assert_ne!(stored.secret, after.secret, "{self:?}: half a commit");
            after.secret = stored.secret;
        }
        assert_eq!(stored, after, "{self:?}");

        let mut new = world.others().await.into_iter();
        let (started, second) = (new.next(), new.next());
        assert_eq!(second, None, "{self:?}: more was stored than one session");
        let expected = self.scenario.starts().filter(|_| mark.is_done());
        assert_eq!(started.is_some(), expected.is_some(), "{self:?}");
        if let Some(id) = started {
            let seen = world.seen(id).await;
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
        if self.is_lossy() && !mark.is_done() {
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
        let before = world.seen(id).await;
        let mut tries = 0;
        let asked = tokio::time::Instant::now();
        let answer = loop {
            let answer = world.get("/increment", Some(&cookie)).await;
            tries += 1;
            if !self.is_lossy() || answer.status() == StatusCode::OK {
                break answer;
            }
            assert!(tries < 50, "{self:?}: the session never opens again");
        };
        assert_eq!(answer.status(), StatusCode::OK, "{self:?}");
        assert_eq!(new_cookie(&answer), None, "{self:?}");
        if self.place.is_prompt() {
            let took = asked.elapsed();
            assert!(took < Duration::from_millis(20), "{self:?}: took {took:?}");
        }
        let mut expected = before;
        Scenario::Increment.commits(&mut expected);
        let stored = world.seen(id).await;
        expected.leased = stored.leased;
        assert_eq!(stored, expected, "{self:?}");
    }
}
