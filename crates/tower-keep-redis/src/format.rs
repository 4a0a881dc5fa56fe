//! How a session lies in its hash.
//!
//! | field | content |
//! |---|---|
//! | `h` | the head: its format's number, then numbers and digests in a fixed layout, big-endian |
//! | `u` | the user, if there is one |
//! | `c` | the client, if there is one |
//! | `d` | the data as a body, which begins with the number of its codec; not in a tombstone |
//!
//! The scripts know the layout of `h` too (`lua/common.lua`). They count in doubles, so instants
//! and spans end at [`MOST`] milliseconds, in 285,000 years.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tower_keep_core::data::{Codec, Data};
use tower_keep_core::{
    Client, CommitId, Commits, Lease, Limits, NewSession, Owner, Record, Revision, SecretHash,
    SessionId, StoreError, StoreErrorKind, Timestamp,
};

use crate::error::unexpected;

/// The format of `h` that is written.
const FORMAT: u8 = 1;
/// How long `h` is.
const HEAD: usize = 226;
const REMEMBER: u8 = 1;
/// The largest number that a script adds others to without losing any of its digits.
const MOST: u64 = 1 << 52;

/// A span as the scripts take it, in whole milliseconds.
pub(crate) fn span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).map_or(MOST, |millis| millis.min(MOST))
}

/// As [`span`], the next longer one where it is not whole.
pub(crate) fn span_up(duration: Duration) -> u64 {
    span(duration.saturating_add(Duration::from_nanos(999_999)))
}

pub(crate) fn instant(at: Timestamp) -> u64 {
    at.as_millis().min(MOST)
}

fn optional(at: Option<Timestamp>) -> u64 {
    at.map_or(0, instant)
}

/// The record's `h`. Its revision is the script's to fill in.
pub(crate) fn pack_head(record: &Record) -> Vec<u8> {
    let head = &record.head;
    let numbers = [
        0,
        head.version,
        head.generation,
        instant(head.created_at),
        instant(head.last_seen),
        optional(head.authenticated_at),
        span(head.limits.idle),
        span(head.limits.absolute),
        instant(head.idle_deadline),
        instant(head.absolute_deadline),
        optional(record.rotated_at),
        optional(record.waiting_until),
        optional(record.gone_at),
        optional(record.lease.map(|lease| lease.until)),
    ];
    let mut out = Vec::with_capacity(HEAD);
    out.push(FORMAT);
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    let owner = record.lease.map_or(0, |lease| lease.owner.to_u128());
    out.extend(owner.to_be_bytes());
    out.extend(record.secret.as_bytes());
    out.extend(
        record
            .commits
            .to_array()
            .iter()
            .flat_map(|commit| commit.to_be_bytes()),
    );
    out.push(if head.remember { REMEMBER } else { 0 });
    out
}

/// The fields of a session as Redis returns them.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) head: Vec<u8>,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) client: Option<Vec<u8>>,
    pub(crate) data: Option<Vec<u8>>,
}

impl Fields {
    /// The reply to `HMGET`; `None` if there is no session.
    pub(crate) fn read(reply: Value) -> Result<Option<Self>, StoreError> {
        match reply {
            Value::Array(values) => Self::from_values(&mut values.into_iter()),
            _ => Err(unexpected()),
        }
    }

    /// The same, as part of a longer reply.
    pub(crate) fn from_values(
        values: &mut impl Iterator<Item = Value>,
    ) -> Result<Option<Self>, StoreError> {
        let mut field = || match values.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) => Ok(None),
            _ => Err(unexpected()),
        };
        let (head, user, client, data) = (field()?, field()?, field()?, field()?);
        Ok(head.map(|head| Self {
            head,
            user,
            client,
            data,
        }))
    }
}

/// The reply to `TIME`.
pub(crate) fn now(reply: Value) -> Result<Timestamp, StoreError> {
    let (seconds, micros): (u64, u64) = redis::from_redis_value(reply).map_err(|_| unexpected())?;
    Ok(Timestamp::from_millis(seconds * 1_000 + micros / 1_000))
}

/// Reads a session. `max_body` is the largest size of its data.
pub(crate) fn unpack(
    id: SessionId,
    fields: Fields,
    max_body: usize,
) -> Result<(Record, Revision), StoreError> {
    match fields.head.first() {
        Some(&FORMAT) if fields.head.len() == HEAD => {}
        Some(&format) if format != FORMAT => {
            return Err(StoreError::new(
                StoreErrorKind::Unsupported,
                format!("its head is of format {format}"),
            ));
        }
        _ => return Err(corrupt("its head has the wrong size")),
    }
    let mut r = Reader(fields.head.get(1..).unwrap_or_default());
    let revision = Revision(r.number()?);
    let mut record = blank(id);
    let head = &mut record.head;
    head.version = r.number()?;
    head.generation = r.number()?;
    head.created_at = r.instant()?;
    head.last_seen = r.instant()?;
    head.authenticated_at = r.optional()?;
    head.limits.idle = Duration::from_millis(r.number()?);
    head.limits.absolute = Duration::from_millis(r.number()?);
    head.idle_deadline = r.instant()?;
    head.absolute_deadline = r.instant()?;
    record.rotated_at = r.optional()?;
    record.waiting_until = r.optional()?;
    record.gone_at = r.optional()?;
    let lease_until = r.optional()?;
    let owner = Owner::from_u128(u128::from_be_bytes(r.take()?));
    record.lease = lease_until.map(|until| Lease { owner, until });
    record.secret = SecretHash::from_bytes(r.take()?);
    let mut commits = [0; 4];
    for commit in &mut commits {
        *commit = u128::from_be_bytes(r.take()?);
    }
    record.commits = Commits::from_array(commits);
    let [flags] = r.take()?;
    record.head.remember = flags & REMEMBER != 0;
    if let Some(user) = fields.user {
        let user = String::from_utf8(user).map_err(|_| corrupt("its user is not UTF-8"))?;
        record.head.user = Some(user.into());
    }
    if let Some(client) = fields.client {
        record.head.client = Some(Arc::new(unpack_client(&client)?));
    }
    match fields.data {
        Some(data) => record.data = Data::from_body(&data, max_body)?,
        None if record.gone_at.is_some() => {}
        None => return Err(corrupt("its data are missing")),
    }
    Ok((record, revision))
}

/// A record to fill in.
fn blank(id: SessionId) -> Record {
    let new = NewSession {
        id,
        secret: SecretHash::from_bytes([0; 32]),
        commit: CommitId::from_u128(0),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    };
    Record::create(&new, Timestamp::from_millis(0))
}

/// A user behind a sign, so that an empty name differs from none.
pub(crate) fn pack_user(user: Option<&str>) -> Vec<u8> {
    user.map_or_else(Vec::new, |user| [b"+", user.as_bytes()].concat())
}

/// The length of the address's text, the text, and the user agent behind a zero if there is one.
/// Never empty.
pub(crate) fn pack_client(client: &Client) -> Vec<u8> {
    let ip = client.ip.map_or_else(String::new, |ip| ip.to_string());
    // The longest address has 45 characters.
    let mut out = vec![u8::try_from(ip.len()).unwrap_or_default()];
    out.extend(ip.as_bytes());
    if let Some(agent) = &client.user_agent {
        out.push(0);
        out.extend(agent.as_bytes());
    }
    out
}

fn unpack_client(bytes: &[u8]) -> Result<Client, StoreError> {
    let bad = || corrupt("its client cannot be read");
    let (len, rest) = bytes.split_first().ok_or_else(bad)?;
    let (ip, agent) = rest.split_at_checked(usize::from(*len)).ok_or_else(bad)?;
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| bad());
    Ok(Client {
        ip: match text(ip)? {
            "" => None,
            ip => Some(ip.parse().map_err(|_| bad())?),
        },
        user_agent: match agent {
            [] => None,
            [0, agent @ ..] => Some(text(agent)?.into()),
            _ => return Err(bad()),
        },
    })
}

/// The data's `d`.
///
/// # Errors
/// [`StoreErrorKind::TooLarge`] if the data are larger than `max_body` bytes.
pub(crate) fn pack_data(data: &Data, codec: Codec, max_body: usize) -> Result<Vec<u8>, StoreError> {
    let size = data.size();
    if size > max_body {
        return Err(StoreError::new(
            StoreErrorKind::TooLarge,
            format!("{size} bytes of data, and at most {max_body} may be"),
        ));
    }
    Ok(data.to_body(codec))
}

pub(crate) fn corrupt(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| corrupt("its head is too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        self.take().map(u64::from_be_bytes)
    }

    fn instant(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_millis)
    }

    fn optional(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let millis = self.number()?;
        Ok((millis != 0).then(|| Timestamp::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::new(Timestamp::from_millis(1_700_000_000_000))
    }

    fn fields() -> Fields {
        Fields {
            head: pack_head(&blank(id())),
            data: Some(pack_data(&Data::default(), Codec::Json, 100).unwrap()),
            ..Fields::default()
        }
    }

    fn kind(fields: Fields) -> StoreErrorKind {
        unpack(id(), fields, 100).unwrap_err().kind()
    }

    #[test]
    fn the_head_has_the_size_that_the_scripts_expect() {
        assert_eq!(fields().head.len(), HEAD);
        assert!(unpack(id(), fields(), 100).is_ok());
    }

    #[test]
    fn damage_is_told_from_another_format() {
        let with = |change: &dyn Fn(&mut Fields)| {
            let mut fields = fields();
            change(&mut fields);
            kind(fields)
        };
        assert_eq!(with(&|f| f.head[0] = 2), StoreErrorKind::Unsupported);
        assert_eq!(with(&|f| f.head.truncate(225)), StoreErrorKind::Corrupt);
        assert_eq!(with(&|f| f.head.clear()), StoreErrorKind::Corrupt);
        assert_eq!(with(&|f| f.data = None), StoreErrorKind::Corrupt);
        assert_eq!(with(&|f| f.data = Some(vec![])), StoreErrorKind::Corrupt);
        assert_eq!(
            with(&|f| f.data = Some(b"\x01{".to_vec())),
            StoreErrorKind::Corrupt
        );
        assert_eq!(
            with(&|f| f.data = Some(b"\x09{}".to_vec())),
            StoreErrorKind::Unsupported
        );
        assert_eq!(
            with(&|f| f.data = Some(vec![1; 102])),
            StoreErrorKind::TooLarge
        );
        assert_eq!(
            with(&|f| f.user = Some(vec![0xff])),
            StoreErrorKind::Corrupt
        );
        for client in [&b""[..], b"\x05abc", b"\x01x", b"\x00x", b"\x00\x00\xff"] {
            let client = Some(client.to_vec());
            assert_eq!(
                with(&|f| f.client.clone_from(&client)),
                StoreErrorKind::Corrupt,
                "{client:?}"
            );
        }
    }

    #[test]
    fn every_client_survives() {
        for ip in ["", "127.0.0.1", "2001:db8::ffff"] {
            for agent in [None, Some(""), Some("Mozilla")] {
                let client = Client {
                    ip: ip.parse().ok(),
                    user_agent: agent.map(Box::from),
                };
                assert_eq!(unpack_client(&pack_client(&client)).unwrap(), client);
            }
        }
    }

    #[test]
    fn endless_spans_stay_exact_for_scripts() {
        assert_eq!(span(Duration::MAX), MOST);
        assert_eq!(span_up(Duration::MAX), MOST);
        assert_eq!(span_up(Duration::from_micros(1)), 1);
        assert_eq!(span_up(Duration::from_millis(7)), 7);
        assert_eq!(instant(Timestamp::MAX), MOST);
        // Exactly representable, and so is the sum of two.
        #[expect(
            clippy::cast_precision_loss,
            reason = "that there is none is the point"
        )]
        let sum = MOST as f64 + MOST as f64 - 1.0;
        assert!(sum + 1.0 > sum);
    }
}
