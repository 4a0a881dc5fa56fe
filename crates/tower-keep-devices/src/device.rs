//! One device: a session, as its user is shown it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use tower_keep::core::Client;
use tower_keep::{ReadSession, SessionId, StoredSession, Timestamp};

use crate::agent::Agent;

/// What a list shows of a session.
pub(crate) struct Device {
    pub(crate) id: SessionId,
    pub(crate) current: bool,
    pub(crate) agent: Agent,
    client: Option<Arc<Client>>,
    pub(crate) last_seen: Timestamp,
    /// How long ago that is, by the store's clock.
    pub(crate) unseen_for: Duration,
    pub(crate) logged_in: Timestamp,
    expires: Timestamp,
}

impl Device {
    pub(crate) fn stored(session: &StoredSession) -> Self {
        let head = session.head();
        // What is listed is alive, so its deadline is ahead by just what is left to it.
        let now = head.deadline().minus(session.expires_in());
        Self {
            id: head.id,
            current: session.is_current(),
            agent: agent(head.client.as_deref()),
            client: head.client.clone(),
            last_seen: head.last_seen,
            unseen_for: now.since(head.last_seen),
            logged_in: head.authenticated_at.unwrap_or(head.created_at),
            expires: head.deadline(),
        }
    }

    /// The session of this very request; `None` if none is stored.
    pub(crate) fn current(session: &ReadSession) -> Option<Self> {
        let client = session.client();
        let last_seen = session.last_seen()?;
        Some(Self {
            id: session.id()?,
            current: true,
            agent: agent(client.as_deref()),
            client,
            last_seen,
            unseen_for: Duration::ZERO,
            logged_in: session.authenticated_at().or(session.created_at())?,
            expires: session.idle_deadline()?.min(session.absolute_deadline()?),
        })
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.client.as_ref()?.ip
    }

    pub(crate) fn into_json(self) -> impl Serialize {
        let address = self.address();
        let client = self.client;
        Json {
            id: self.id.to_string(),
            current: self.current,
            browser: self.agent.browser,
            system: self.agent.system,
            kind: self.agent.kind.name(),
            user_agent: client.and_then(|client| client.user_agent.clone()),
            address,
            last_seen: rfc_3339(self.last_seen),
            logged_in: rfc_3339(self.logged_in),
            expires: rfc_3339(self.expires),
        }
    }
}

#[derive(Serialize)]
struct Json {
    id: String,
    current: bool,
    browser: Option<&'static str>,
    system: Option<&'static str>,
    kind: &'static str,
    user_agent: Option<Box<str>>,
    address: Option<IpAddr>,
    last_seen: String,
    logged_in: String,
    expires: String,
}

pub(crate) fn agent(client: Option<&Client>) -> Agent {
    let user_agent = client.and_then(|client| client.user_agent.as_deref());
    Agent::of(user_agent.unwrap_or_default())
}

/// As `2026-11-22T10:58:37Z` (RFC 3339), which is what `<time datetime>` wants.
pub(crate) fn rfc_3339(at: Timestamp) -> String {
    /// The last second of the year 9999: years have four digits there.
    const LAST: u64 = 253_402_300_799_000;
    let since_epoch = Duration::from_millis(at.as_millis().min(LAST));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_one_form_whatever_they_are() {
        let text = |millis| rfc_3339(Timestamp::from_millis(millis));
        assert_eq!(text(1_795_345_117_999), "2026-11-22T10:58:37Z");
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
