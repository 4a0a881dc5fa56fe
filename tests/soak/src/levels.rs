//! What a program has open and running while nobody is there.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use tower_service::Service;

use crate::vitals::{Vitals, Where, clients_of, vitals};
use crate::wire::Wire;

/// How long it takes to look again.
const GLANCE: Duration = Duration::from_millis(100);

/// Watches a program.
#[derive(Debug, Clone)]
pub struct Watch {
    pub pid: u32,
    /// Where it serves, `GET /health` too.
    pub address: SocketAddr,
    pub store: Where,
}

/// What is open and what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    pub vitals: Vitals,
    /// By its own account.
    pub tasks: usize,
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, tasks) = (self.vitals.files, self.tasks);
        write!(
            f,
            "{} clients, {} of the store's, {} other files, {tasks} tasks",
            files.clients, files.store, files.others
        )
    }
}

impl Levels {
    /// Whether nothing is left of a load that began at these levels. The store may have come to use
    /// more of what it may have open, `most` at once, and two tasks for each: one that drives it, one
    /// that listens to it.
    pub fn are_kept_by(&self, now: &Self, most: usize) -> bool {
        let (old, new) = (self.vitals.files, now.vitals.files);
        let more = new.store.saturating_sub(old.store);
        new.clients == 0
            && new.others <= old.others
            && new.store <= most.max(old.store)
            && now.tasks <= self.tasks + 2 * more
    }
}

impl Watch {
    /// # Panics
    /// If the program has ended.
    pub fn vitals(&self) -> Vitals {
        let vitals = vitals(self.pid, self.address.port(), &self.store);
        vitals.expect("the program has ended by itself")
    }

    /// Its clients' connections, a line each.
    pub(crate) fn clients(&self) -> String {
        clients_of(self.pid, self.address.port())
    }

    /// How many tasks it has, on a connection of its own, with the task of that.
    pub async fn tasks(&self) -> usize {
        let request = Request::get("/health").header("connection", "close");
        let mut wire = Wire::to(self.address);
        let answer = wire.call(request.body(<_>::default()).unwrap());
        let body = answer.await.unwrap().into_body().collect().await.unwrap();
        let health: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
        let tasks = health["tasks"].as_u64();
        usize::try_from(tasks.expect("it tells its tasks")).unwrap()
    }

    pub async fn levels(&self) -> Levels {
        let tasks = self.tasks().await;
        Levels {
            vitals: self.vitals(),
            tasks,
        }
    }

    /// Once all its clients have left and nothing changes any more.
    pub async fn at_rest(&self, patience: Duration) -> Result<Levels, Levels> {
        let mut before = self.levels().await;
        self.until(patience, |now| {
            let same = (now.tasks, now.vitals.files) == (before.tasks, before.vitals.files);
            before = *now;
            same && now.vitals.files.clients == 0
        })
        .await
    }

    /// Once it has gone back to these levels; otherwise the last ones that were seen.
    pub async fn back_to(
        &self,
        before: &Levels,
        most: usize,
        patience: Duration,
    ) -> Result<Levels, Levels> {
        self.until(patience, |now| before.are_kept_by(now, most))
            .await
    }

    async fn until(
        &self,
        patience: Duration,
        mut fits: impl FnMut(&Levels) -> bool,
    ) -> Result<Levels, Levels> {
        let start = Instant::now();
        loop {
            tokio::time::sleep(GLANCE).await;
            let now = self.levels().await;
            if fits(&now) {
                return Ok(now);
            }
            if start.elapsed() >= patience {
                return Err(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vitals::Files;

    fn levels(clients: usize, store: usize, others: usize, tasks: usize) -> Levels {
        let files = Files {
            clients,
            store,
            others,
        };
        let vitals = Vitals {
            files,
            ..Vitals::default()
        };
        Levels { vitals, tasks }
    }

    #[test]
    fn what_stays_is_found() {
        let before = levels(0, 4, 12, 7);
        for (now, kept) in [
            (levels(0, 4, 12, 7), true),
            (levels(0, 1, 11, 6), true),
            (levels(0, 10, 12, 7), true),
            (levels(0, 6, 12, 11), true),
            (levels(0, 6, 12, 12), false),
            (levels(0, 11, 12, 7), false),
            (levels(1, 4, 12, 7), false),
            (levels(0, 4, 13, 7), false),
            (levels(0, 4, 12, 8), false),
        ] {
            assert_eq!(before.are_kept_by(&now, 10), kept, "{now}");
        }
    }
}
