//! Commits that replicas have confirmed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Cmd, RedisResult, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower_keep_core::{StoreError, StoreErrorKind};

use crate::link::Link;

/// How many connections take turns.
pub(crate) const LINKS: usize = 4;

/// `WAIT` holds up the connection that it is sent on, and asks for all that the server had written
/// when it had run the command before on that connection. So commits go by connections of their
/// own, one at a time, each in one pipeline with its `WAIT`; a commit that was applied before is
/// confirmed as well. A caller that goes away leaves at most one `WAIT`, which ends by itself.
pub(crate) struct Confirmation {
    replicas: u64,
    timeout: Duration,
    /// Each with whose turn it is.
    links: Vec<(Mutex<()>, Link)>,
    next: AtomicUsize,
}

impl Confirmation {
    pub(crate) fn new(replicas: u64, timeout: Duration, links: Vec<Link>) -> Self {
        Self {
            replicas,
            timeout,
            links: links
                .into_iter()
                .map(|link| (Mutex::default(), link))
                .collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Runs commands on `key`, and tells how many replicas have what they wrote.
    pub(crate) async fn run(
        &self,
        mut commands: Vec<Cmd>,
        key: &[u8],
    ) -> RedisResult<(Value, u64)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.links.len().max(1);
        let Some((turn, link)) = self.links.get(turn) else {
            return Err((redis::ErrorKind::Client, "no connection for commits").into());
        };
        let mut wait = redis::cmd("WAIT");
        // Zero would wait without end.
        let millis = self.timeout.as_millis().max(1).to_string();
        wait.arg(self.replicas).arg(millis);
        commands.push(wait);
        let turn = turn.lock().await;
        let mut values = link.run(commands, key).await?.into_iter();
        drop(turn);
        let value = values.next().unwrap_or(Value::Nil);
        let confirmed = values.next().unwrap_or(Value::Nil);
        Ok((value, redis::from_redis_value(confirmed)?))
    }

    /// As [`Link::doubt`].
    pub(crate) fn doubt(&self, began: Instant) {
        self.links.iter().for_each(|(_, link)| link.doubt(began));
    }

    pub(crate) fn judge(&self, confirmed: u64) -> Result<(), StoreError> {
        if confirmed >= self.replicas {
            return Ok(());
        }
        Err(StoreError::new(
            StoreErrorKind::Unavailable,
            format!(
                "applied, but confirmed by {confirmed} of {} replicas within {:?}",
                self.replicas, self.timeout
            ),
        ))
    }
}
