//! What `--json` writes: one object, of a shape that only grows.
//!
//! Instants are texts in UTC (RFC 3339, by the millisecond), spans are numbers of milliseconds and
//! their names end in `_ms`. Characters that a terminal might obey are escaped, which means the same
//! to who reads JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter};
use tower_keep::core::{Head, Lease};
use tower_keep::{SessionId, Timestamp};

use crate::text;

/// An instant.
pub(crate) struct Instant(pub(crate) Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::exact_instant(self.0))
    }
}

/// A span.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// An id.
pub(crate) struct Id(pub(crate) SessionId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A session that is there, as `list` and `show` write it.
#[derive(Serialize)]
pub(crate) struct Session<'a> {
    id: Id,
    state: &'static str,
    user: Option<&'a str>,
    created: Instant,
    last_seen: Instant,
    authenticated: Option<Instant>,
    expires: Instant,
    expires_in_ms: u64,
    idle_deadline: Instant,
    absolute_deadline: Instant,
    idle_limit_ms: u64,
    absolute_limit_ms: u64,
    remember: bool,
    ip: Option<String>,
    user_agent: Option<&'a str>,
    version: u64,
    generation: u64,
}

impl<'a> Session<'a> {
    /// The session as it is at `now`.
    pub(crate) fn new(head: &'a Head, now: Timestamp) -> Self {
        let client = head.client.as_deref();
        Self {
            id: Id(head.id),
            state: if head.is_expired(now) {
                "expired"
            } else {
                "live"
            },
            user: head.user.as_deref(),
            created: Instant(head.created_at),
            last_seen: Instant(head.last_seen),
            authenticated: head.authenticated_at.map(Instant),
            expires: Instant(head.deadline()),
            expires_in_ms: millis(head.deadline().since(now)),
            idle_deadline: Instant(head.idle_deadline),
            absolute_deadline: Instant(head.absolute_deadline),
            idle_limit_ms: millis(head.limits.idle),
            absolute_limit_ms: millis(head.limits.absolute),
            remember: head.remember,
            ip: client.and_then(|client| client.ip).map(|ip| ip.to_string()),
            user_agent: client.and_then(|client| client.user_agent.as_deref()),
            version: head.version,
            generation: head.generation,
        }
    }
}

/// What `show` adds.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    pub(crate) session: Session<'a>,
    pub(crate) rotated: Option<Instant>,
    pub(crate) lease: Option<Held>,
    pub(crate) waiting: bool,
    pub(crate) size: usize,
    pub(crate) encrypted: bool,
    /// Only where it was asked for; null where it is encrypted and there is no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

/// A lease that is held. Not by whom.
#[derive(Serialize)]
pub(crate) struct Held {
    until: Instant,
    left_ms: u64,
}

impl Held {
    pub(crate) fn new(lease: Lease, now: Timestamp) -> Self {
        Self {
            until: Instant(lease.until),
            left_ms: millis(lease.until.since(now)),
        }
    }
}

/// What is left of a session that was ended.
#[derive(Serialize)]
pub(crate) struct Gone {
    pub(crate) id: Id,
    pub(crate) state: &'static str,
    pub(crate) ended: Instant,
}

/// A record that something is the matter with.
#[derive(Serialize)]
pub(crate) struct Trouble {
    pub(crate) id: Id,
    pub(crate) error: String,
}

/// Writes a value on one line, without its end.
pub(crate) fn write(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Harmless);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// Writes a value on a line of its own.
pub(crate) fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    write(out, value)?;
    writeln!(out)
}

/// On one line, with everything escaped that [`text::harmless`] does.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(text::is_harmful) {
            let (before, from) = rest.split_at(at);
            CompactFormatter.write_string_fragment(out, before)?;
            let mut chars = from.chars();
            for unit in chars.next().unwrap_or_default().encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        CompactFormatter.write_string_fragment(out, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_escaped_and_mean_the_same() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}[2J \u{202e}\u{e0041} \u{6f22}\n\"" });
        let mut out = Vec::new();
        line(&mut out, &value).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.trim_end().contains(text::is_harmful), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
