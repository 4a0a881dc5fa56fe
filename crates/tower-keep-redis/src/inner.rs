//! What the clones of a store share, and how a script is run.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tower_keep_core::data::Codec;
use tower_keep_core::{SessionId, StoreError};

use crate::confirmation::Confirmation;
use crate::error::{from_redis, timed_out, unexpected};
use crate::link::{Link, Node, only};
use crate::script::{Reply, Script, Scripts};

pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) scripts: Scripts,
    pub(crate) prefix: String,
    /// Where it is told that a lease was given up.
    pub(crate) channel: String,
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_body: usize,
    pub(crate) codec: Codec,
    pub(crate) scan_to_sweep: bool,
    pub(crate) confirmation: Option<Confirmation>,
}

impl Inner {
    pub(crate) fn key(&self, id: SessionId) -> Vec<u8> {
        // The braces make all that will ever belong to a session fall into one slot of a cluster.
        format!("{}{{{id}}}", self.prefix).into_bytes()
    }

    /// The key of a user's index. It does not look like that of a session, and shows nobody's name.
    pub(crate) fn user_key(&self, user: &str) -> Vec<u8> {
        let mut key = format!("{}user{{", self.prefix);
        for byte in Sha256::digest(user.as_bytes()) {
            // Writing into a string cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key.push('}');
        key.into_bytes()
    }

    /// Runs a script on a session, in one round trip unless the server does not know it yet.
    pub(crate) async fn step(
        &self,
        script: &Script,
        id: SessionId,
        args: impl Fn(&mut Cmd),
    ) -> Result<Reply, StoreError> {
        self.step_on(script, &self.key(id), false, args).await
    }

    /// As [`step`](Self::step), confirmed by replicas if so configured.
    pub(crate) async fn commit(
        &self,
        script: &Script,
        id: SessionId,
        args: impl Fn(&mut Cmd),
    ) -> Result<Reply, StoreError> {
        self.step_on(script, &self.key(id), true, args).await
    }

    pub(crate) async fn step_on(
        &self,
        script: &Script,
        key: &[u8],
        confirm: bool,
        args: impl Fn(&mut Cmd),
    ) -> Result<Reply, StoreError> {
        Reply::new(self.ask(script, key, confirm, args).await?)
    }

    /// As [`step_on`](Self::step_on), for an answer of another form.
    pub(crate) async fn ask(
        &self,
        script: &Script,
        key: &[u8],
        confirm: bool,
        args: impl Fn(&mut Cmd),
    ) -> Result<Value, StoreError> {
        let confirmation = self.confirmation.as_ref().filter(|_| confirm);
        let tries = async {
            match self.try_step(script, key, confirmation, &args).await {
                // Often it was closed long before, for being idle, and nobody has noticed.
                Err(error)
                    if script.repeatable && error.is_connection_dropped()
                        || self.link.was_refused(&error) =>
                {
                    // Boxed, here and below, so that the usual way needs no room for the others.
                    Box::pin(self.try_step(script, key, confirmation, &args)).await
                }
                result => result,
            }
        };
        // Pinned here, because what is passed on takes its room twice.
        let (value, confirmed) = self.in_time(pin!(tries)).await?;
        if let Some(confirmation) = confirmation {
            confirmation.judge(confirmed)?;
        }
        Ok(value)
    }

    /// A session's fields as `HMGET` replies them, and then what `TIME` does: in one round trip and
    /// without a script, so where all keys are on one server.
    pub(crate) async fn peek(&self, id: SessionId) -> Result<(Value, Value), StoreError> {
        let key = self.key(id);
        let peek = async || {
            let mut fields = redis::cmd("HMGET");
            fields.arg(&key).arg(&["h", "u", "c", "d"]);
            let both = vec![fields, redis::cmd("TIME")];
            self.link.run(both, &key).await
        };
        let tries = async {
            match peek().await {
                Err(error) if error.is_connection_dropped() || self.link.was_refused(&error) => {
                    Box::pin(peek()).await
                }
                result => result,
            }
        };
        match <[Value; 2]>::try_from(self.in_time(pin!(tries)).await?) {
            Ok([fields, time]) => Ok((fields, time)),
            Err(_) => Err(unexpected()),
        }
    }

    async fn try_step(
        &self,
        script: &Script,
        key: &[u8],
        confirmation: Option<&Confirmation>,
        args: &impl Fn(&mut Cmd),
    ) -> RedisResult<(Value, u64)> {
        let run = async |mut cmd: Cmd| {
            args(&mut cmd);
            let commands = vec![cmd];
            match confirmation {
                None => Ok((only(self.link.run(commands, key).await?), 0)),
                Some(confirmation) => Box::pin(confirmation.run(commands, key)).await,
            }
        };
        match run(script.by_digest(key)).await {
            Err(error) if is_unknown_script(&error) => Box::pin(run(script.by_code(key))).await,
            result => result,
        }
    }

    pub(crate) async fn in_time<T>(
        &self,
        call: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        if let Ok(result) = tokio::time::timeout(self.timeout, call).await {
            return result.map_err(|error| from_redis(&error));
        }
        self.link.doubt(began);
        if let Some(confirmation) = &self.confirmation {
            confirmation.doubt(began);
        }
        Err(timed_out())
    }

    /// The session whose key this is.
    pub(crate) fn id_of(&self, key: &[u8]) -> Option<SessionId> {
        let id = key.strip_prefix(self.prefix.as_bytes())?;
        let id = id.strip_prefix(b"{")?.strip_suffix(b"}")?;
        std::str::from_utf8(id).ok()?.parse().ok()
    }

    /// One page of a server's keys from `cursor` on, of about `count`.
    pub(crate) async fn page(
        &self,
        node: &Node,
        cursor: u64,
        count: usize,
    ) -> Result<Page, StoreError> {
        let pattern = format!("{}{{*}}", escape(&self.prefix));
        let (mut info, mut scan) = (redis::cmd("INFO"), redis::cmd("SCAN"));
        info.arg("server");
        scan.arg(cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(count);
        let page = async {
            let replies = self.link.run_on(node, vec![info, scan]).await?;
            let replies = redis::from_redis_value(Value::Array(replies))?;
            let (info, (next, keys)): (String, _) = replies;
            let run = run_of(&info).to_owned();
            Ok(Page { run, next, keys })
        };
        self.in_time(page).await
    }
}

/// Some of a server's keys.
pub(crate) struct Page {
    /// Which run of which server this is: the next one has another order of the keys.
    pub(crate) run: String,
    /// Where the next page begins; zero at the end.
    pub(crate) next: u64,
    pub(crate) keys: Vec<Vec<u8>>,
}

/// The run of the server described by `INFO server`. Empty where something else speaks Redis.
fn run_of(info: &str) -> &str {
    let mut lines = info.lines();
    let run = lines.find_map(|line| line.strip_prefix("run_id:"));
    run.unwrap_or_default()
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// A text for a pattern that is to match it alone.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "*?[]\\^".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_nothing_but_the_prefix() {
        assert_eq!(escape("a:b*[c]?\\"), "a:b\\*\\[c\\]\\?\\\\");
    }
}
