//! A record as bytes, for stores that keep it whole.
//!
//! # Format 1
//! `"TKR"`, the format's number, the head, the body, and the first 8 bytes of the SHA-256 of all
//! that stands before them. Numbers are little-endian; what may be missing is preceded by 0 or 1;
//! texts are preceded by their length. The body names its codec first, so that a store may hold
//! bodies of several.
//!
//! A release reads every format it ever wrote and writes the one that the release before reads.
//! A format or codec with a number that is not known here is
//! [`Unsupported`](StoreErrorKind::Unsupported), during a rolling deployment for example, and left
//! alone; everything else that does not fit is [`Corrupt`](StoreErrorKind::Corrupt).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::data::{Codec, Data};
use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{Client, Commits, Head, Lease, Limits, Record};
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::Owner;

const MAGIC: &[u8; 3] = b"TKR";
const FORMAT: u8 = 1;
const CHECK: usize = 8;

impl Record {
    /// The whole record in the current format.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_keep_core::*;
    /// # let now = Timestamp::from_millis(1_700_000_000_000);
    /// # let new = NewSession {
    /// #     id: SessionId::new(now), secret: Secret::generate().unwrap().hash(),
    /// #     commit: CommitId::unique(), limits: Limits::default(), extend: None, user: None, cap: None,
    /// #     authenticated: false, client: None, remember: false, data: data::Data::default(),
    /// # };
    /// let record = Record::create(&new, now);
    /// let read = Record::from_bytes(&record.to_bytes(), 64 * 1024)?;
    /// assert_eq!(read.head.id, record.head.id);
    /// # Ok::<(), StoreError>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_in(Codec::Json)
    }

    /// As [`to_bytes`](Self::to_bytes), with the body in another codec.
    pub fn to_bytes_in(&self, codec: Codec) -> Vec<u8> {
        let head = &self.head;
        let mut out = Writer(Vec::with_capacity(256));
        out.0.extend(MAGIC);
        out.0.push(FORMAT);
        out.0.extend(head.id.as_bytes());
        out.0.extend(self.secret.as_bytes());
        out.u64(head.version);
        out.u64(head.generation);
        out.time(head.created_at);
        out.time(head.last_seen);
        out.option(head.authenticated_at, Writer::time);
        out.span(head.limits.idle);
        out.span(head.limits.absolute);
        out.time(head.idle_deadline);
        out.time(head.absolute_deadline);
        out.option(head.user.as_deref(), Writer::text);
        out.option(head.client.as_deref(), |out, client| {
            out.option(client.ip, |out, ip| out.text(&ip.to_string()));
            out.option(client.user_agent.as_deref(), Writer::text);
        });
        out.0.push(u8::from(head.remember));
        out.option(self.rotated_at, Writer::time);
        out.option(self.lease, |out, lease| {
            out.u128(lease.owner.to_u128());
            out.time(lease.until);
        });
        out.option(self.waiting_until, Writer::time);
        for commit in self.commits.to_array() {
            out.u128(commit);
        }
        out.option(self.gone_at, Writer::time);
        let body = self.data.to_body(codec);
        let (number, body) = body.split_first().unwrap_or((&0, &[]));
        out.0.push(*number);
        out.bytes(body);
        let check = Sha256::digest(&out.0);
        out.0.extend(&check[..CHECK]);
        out.0
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, in this release or an earlier one.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unsupported`] for a format or codec of another release,
    /// [`StoreErrorKind::TooLarge`] if the body is larger than `max_body` bytes, judged before it
    /// is decoded, [`StoreErrorKind::Corrupt`] for everything else.
    pub fn from_bytes(bytes: &[u8], max_body: usize) -> Result<Self, StoreError> {
        let format = match bytes {
            [a, b, c, format, ..] if [*a, *b, *c] == *MAGIC => *format,
            _ => return Err(corrupt("it does not begin like a record")),
        };
        if format != FORMAT {
            return Err(unsupported(format!("format {format}")));
        }
        let (content, check) = bytes
            .split_last_chunk::<CHECK>()
            .ok_or_else(|| corrupt("it is too short"))?;
        if Sha256::digest(content)[..CHECK] != check[..] {
            return Err(corrupt("its checksum does not fit"));
        }
        let mut r = Reader(content.get(4..).unwrap_or_default());
        let id = SessionId::from_bytes(r.array()?).map_err(|_| corrupt("its id is none"))?;
        let secret = SecretHash::from_bytes(r.array()?);
        let head = Head {
            id,
            version: r.u64()?,
            generation: r.u64()?,
            created_at: r.time()?,
            last_seen: r.time()?,
            authenticated_at: r.option(Reader::time)?,
            limits: Limits {
                idle: r.span()?,
                absolute: r.span()?,
            },
            idle_deadline: r.time()?,
            absolute_deadline: r.time()?,
            user: r.option(Reader::text)?.map(Arc::from),
            client: r.option(Reader::client)?.map(Arc::new),
            remember: r.flag()?,
        };
        let record = Self {
            head,
            secret,
            rotated_at: r.option(Reader::time)?,
            lease: r.option(|r| {
                Ok(Lease {
                    owner: Owner::from_u128(r.u128()?),
                    until: r.time()?,
                })
            })?,
            waiting_until: r.option(Reader::time)?,
            commits: Commits::from_array([r.u128()?, r.u128()?, r.u128()?, r.u128()?]),
            gone_at: r.option(Reader::time)?,
            data: {
                let [number] = r.array()?;
                Data::from_coded(number, r.bytes()?, max_body)?
            },
        };
        if r.0.is_empty() {
            Ok(record)
        } else {
            Err(corrupt("something stands behind its body"))
        }
    }
}

fn corrupt(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

fn unsupported(what: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, what)
}

struct Writer(Vec<u8>);

impl Writer {
    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn u128(&mut self, value: u128) {
        self.0.extend(value.to_le_bytes());
    }

    fn time(&mut self, time: Timestamp) {
        self.u64(time.as_millis());
    }

    fn span(&mut self, span: Duration) {
        self.u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| corrupt("it is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn u128(&mut self) -> Result<u128, StoreError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    fn time(&mut self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.u64()?))
    }

    fn span(&mut self) -> Result<Duration, StoreError> {
        Ok(Duration::from_millis(self.u64()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let len = usize::try_from(self.u64()?).map_err(|_| corrupt("a length is too long"))?;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, StoreError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| corrupt("a text is not UTF-8"))
    }

    fn flag(&mut self) -> Result<bool, StoreError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(corrupt("a flag is neither 0 nor 1")),
        }
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn client(&mut self) -> Result<Client, StoreError> {
        let ip = self.option(Self::text)?;
        let ip = ip.map(str::parse::<IpAddr>).transpose();
        Ok(Client {
            ip: ip.map_err(|_| corrupt("an address is none"))?,
            user_agent: self.option(Self::text)?.map(Box::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataLimits, Edit};
    use crate::record::NewSession;
    use crate::token::Secret;
    use crate::unique::CommitId;

    fn full() -> Record {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let mut edit = Edit::new(Data::default(), DataLimits::default());
        edit.insert("cart.items", &[1, 2, 3]).unwrap();
        edit.flash("note", "gr\u{fc}n").unwrap();
        let new = NewSession {
            id: SessionId::new(now),
            secret: Secret::generate().unwrap().hash(),
            commit: CommitId::unique(),
            limits: Limits::default(),
            extend: None,
            user: Some("u\u{308}ser".into()),
            cap: None,
            authenticated: true,
            client: Some(Arc::new(Client {
                ip: Some("2001:db8::1".parse().unwrap()),
                user_agent: Some("agent".into()),
            })),
            remember: true,
            data: edit.into_data().unwrap(),
        };
        let mut record = Record::create(&new, now);
        record.rotated_at = Some(now);
        record.waiting_until = Some(now);
        record.lease = Some(Lease {
            owner: Owner::unique(),
            until: now,
        });
        record
    }

    fn kind(bytes: &[u8]) -> StoreErrorKind {
        Record::from_bytes(bytes, 1 << 16).unwrap_err().kind()
    }

    /// Replaces the checksum by the one that fits.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - CHECK);
        let check = Sha256::digest(&bytes);
        bytes.extend(&check[..CHECK]);
        bytes
    }

    #[test]
    fn every_field_survives() {
        let mut tombstone = full();
        tombstone.destroy(Timestamp::from_millis(1_700_000_000_001));
        for record in [full(), tombstone] {
            let bytes = record.to_bytes();
            let read = Record::from_bytes(&bytes, 1 << 16).unwrap();
            assert_eq!(read.to_bytes(), bytes);
            assert_eq!(format!("{read:?}"), format!("{record:?}"));
            assert!(read.secret.matches(&record.secret));
            assert_eq!(read.head.user, record.head.user);
            assert_eq!(read.head.client, record.head.client);
            assert_eq!(read.data, record.data);
        }
    }

    #[test]
    fn damage_is_told_from_another_format() {
        let bytes = full().to_bytes();
        assert_eq!(kind(b""), StoreErrorKind::Corrupt);
        let mut newer = bytes.clone();
        newer[3] = 2;
        assert_eq!(kind(&newer), StoreErrorKind::Unsupported);
        let mut foreign = newer;
        foreign[0] = b't';
        assert_eq!(kind(&foreign), StoreErrorKind::Corrupt, "it is no record");
        for i in (0..bytes.len()).filter(|i| *i != 3) {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1;
            assert_eq!(kind(&flipped), StoreErrorKind::Corrupt, "byte {i}");
        }
    }

    #[test]
    fn nothing_cut_or_swollen_panics() {
        let bytes = full().to_bytes();
        for len in 0..bytes.len() {
            assert_eq!(kind(&bytes[..len]), StoreErrorKind::Corrupt, "{len} bytes");
            if len > CHECK + 4 {
                let cut = sealed(bytes[..len].to_vec());
                assert!(
                    Record::from_bytes(&cut, 1 << 16).is_err(),
                    "{len} bytes, sealed"
                );
            }
        }
        let mut longer = bytes.clone();
        longer.insert(longer.len() - CHECK, 0);
        assert_eq!(kind(&sealed(longer)), StoreErrorKind::Corrupt);
    }

    #[test]
    fn a_body_is_judged_before_it_is_decoded() {
        let bytes = full().to_bytes();
        let error = Record::from_bytes(&bytes, 10).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    }

    #[test]
    fn another_codec_is_left_alone() {
        let record = full();
        let body = record.data.to_json().len();
        let mut bytes = record.to_bytes();
        let at = bytes.len() - CHECK - body - 8 - 1;
        assert_eq!(bytes[at], 1);
        bytes[at] = 9;
        assert_eq!(kind(&sealed(bytes)), StoreErrorKind::Unsupported);
    }
}
