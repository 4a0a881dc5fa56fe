//! A row as a record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::data::{Data, DataError};
use tower_keep_core::{
    Client, CommitId, Commits, Lease, Limits, NewSession, Owner, Record, Revision, SecretHash,
    SessionId, StoreError, StoreErrorKind, Timestamp,
};

use crate::engine::Removed;
use crate::error::corrupt;

/// The columns of a record, in the order in which every statement returns them.
pub(crate) const COLUMNS: &str = "id, secret, version, generation, revision, \
     commit_1, commit_2, commit_3, commit_4, owner, lease_until, waiting_until, \
     created_at, last_seen, authenticated_at, rotated_at, gone_at, \
     idle_limit, absolute_limit, idle_deadline, absolute_deadline, \
     user_id, ip, user_agent, flags, codec, data";

/// The columns of [`Left`].
pub(crate) const LEFT: &str =
    "version, CASE WHEN gone_at IS NULL THEN waiting_until ELSE lease_until END";

/// The only codec so far: the JSON of [`Data::to_json`].
pub(crate) const JSON: i64 = 1;

/// The bits of the column `flags`.
pub(crate) const REMEMBER: i64 = 1;
/// Set where a client is known, though neither its address nor its name may be.
pub(crate) const CLIENT: i64 = 2;

/// Access to an engine's row by position.
pub(crate) trait Columns {
    /// The numbers of [`counts`](crate::statement::counts).
    fn counts(&self) -> Result<[i64; 4], StoreError> {
        let mut counts = [0; 4];
        for (at, count) in counts.iter_mut().enumerate() {
            *count = self.int(at)?.unwrap_or_default();
        }
        Ok(counts)
    }

    fn id(&self, at: usize) -> Result<[u8; 16], StoreError>;
    fn int(&self, at: usize) -> Result<Option<i64>, StoreError>;
    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError>;
    fn text(&self, at: usize) -> Result<Option<String>, StoreError>;
}

/// A row that was read, its data not decoded yet.
#[derive(Debug)]
pub(crate) struct Stored {
    /// All but the data.
    pub(crate) record: Record,
    pub(crate) revision: Revision,
    /// The column `lease_until`, also where there is no lease.
    #[cfg(feature = "mysql")]
    pub(crate) lease_until: Option<Timestamp>,
    codec: i64,
    data: String,
}

/// What is told of a row whose lease was given up, or that was created.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) version: u64,
    /// Until when somebody waits. A tombstone has it in the column of the lease.
    pub(crate) waited_until: Option<Timestamp>,
}

impl Left {
    #[cfg(feature = "mysql")]
    pub(crate) fn of(row: &Stored) -> Self {
        let record = &row.record;
        Self {
            version: record.head.version,
            waited_until: match record.gone_at {
                Some(_) => row.lease_until,
                None => record.waiting_until,
            },
        }
    }

    /// Reads the two columns from position `at` on.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn read(row: &impl Columns, at: usize) -> Result<Self, StoreError> {
        let mut next = Reader { row, at };
        Ok(Self {
            version: next.count()?,
            waited_until: next.instant()?,
        })
    }
}

/// What a sweep removed, from rows of an id and whether it was a tombstone. A row whose id is none
/// was no session.
pub(crate) fn removed(rows: &[impl Columns]) -> Result<Vec<Removed>, StoreError> {
    let mut removed = Vec::with_capacity(rows.len());
    for row in rows {
        let tombstone = row.int(1)? != Some(0);
        if let Ok(id) = SessionId::from_bytes(row.id(0)?) {
            removed.push((id, tombstone));
        }
    }
    Ok(removed)
}

impl Stored {
    /// Reads the columns from position `at` on.
    pub(crate) fn read(row: &impl Columns, at: usize) -> Result<Self, StoreError> {
        let mut next = Reader { row, at };
        let id = row.id(at).and_then(|bytes| {
            SessionId::from_bytes(bytes).map_err(|_| corrupt("its id is none"))
        })?;
        next.at += 1;
        let secret = next.array()?.map_or([0; 32], |bytes| bytes);
        let (version, generation) = (next.count()?, next.count()?);
        let revision = Revision(next.count()?);
        let mut commits = [0; 4];
        for commit in &mut commits {
            *commit = next.array()?.map_or(0, u128::from_be_bytes);
        }
        let owner = next.array()?.map(u128::from_be_bytes).map(Owner::from_u128);
        let lease_until = next.instant()?;
        let waiting_until = next.instant()?;
        let created_at = next.some_instant()?;
        let mut record = Record::create(
            &NewSession {
                id,
                secret: SecretHash::from_bytes(secret),
                commit: CommitId::from_u128(0),
                limits: Limits::default(),
                extend: None,
                user: None,
                cap: None,
                authenticated: false,
                client: None,
                remember: false,
                data: Data::default(),
            },
            created_at,
        );
        record.commits = Commits::from_array(commits);
        record.lease = owner
            .zip(lease_until)
            .map(|(owner, until)| Lease { owner, until });
        record.waiting_until = waiting_until;
        let head = &mut record.head;
        head.version = version;
        head.generation = generation;
        head.last_seen = next.some_instant()?;
        head.authenticated_at = next.instant()?;
        record.rotated_at = next.instant()?;
        record.gone_at = next.instant()?;
        head.limits = Limits {
            idle: Duration::from_millis(next.count()?),
            absolute: Duration::from_millis(next.count()?),
        };
        head.idle_deadline = next.some_instant()?;
        head.absolute_deadline = next.some_instant()?;
        head.user = next.text()?.map(Arc::from);
        let (ip, user_agent) = (next.text()?, next.text()?);
        let flags = next.int()?.unwrap_or_default();
        head.remember = flags & REMEMBER != 0;
        if flags & CLIENT != 0 {
            let ip = ip.map(|ip| ip.parse::<IpAddr>()).transpose();
            head.client = Some(Arc::new(Client {
                ip: ip.map_err(|_| corrupt("an address is none"))?,
                user_agent: user_agent.map(Box::from),
            }));
        }
        Ok(Self {
            record,
            revision,
            #[cfg(feature = "mysql")]
            lease_until,
            codec: next.int()?.unwrap_or_default(),
            data: next.text()?.unwrap_or_default(),
        })
    }

    /// The whole record, its data decoded.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unsupported`] for data of a codec of another release,
    /// [`StoreErrorKind::TooLarge`] if they are longer than `max` bytes,
    /// [`StoreErrorKind::Corrupt`] if they cannot be read.
    pub(crate) fn complete(self, max: usize) -> Result<Record, StoreError> {
        let mut record = self.record;
        if self.codec != JSON {
            let what = format!("codec {}", self.codec);
            return Err(StoreError::new(StoreErrorKind::Unsupported, what));
        }
        record.data = Data::from_json(self.data.as_bytes(), max).map_err(|error| {
            let kind = match error {
                DataError::TooLarge { .. } => StoreErrorKind::TooLarge,
                _ => StoreErrorKind::Corrupt,
            };
            StoreError::new(kind, error)
        })?;
        Ok(record)
    }
}

/// A row of several.
pub(crate) type Listed = Result<Stored, Unreadable>;

/// A row that is no record of this release.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// If it has one.
    pub(crate) id: Option<SessionId>,
    pub(crate) error: StoreError,
}

/// Reads the columns of each row from position `at` on.
pub(crate) fn each<C: Columns>(rows: &[C], at: usize) -> Vec<Listed> {
    let read = |row: &C| {
        Stored::read(row, at).map_err(|error| Unreadable {
            id: row
                .id(at)
                .ok()
                .and_then(|id| SessionId::from_bytes(id).ok()),
            error,
        })
    };
    rows.iter().map(read).collect()
}

/// All rows, or the error of the first that cannot be read.
pub(crate) fn all(rows: Vec<Listed>) -> Result<Vec<Stored>, StoreError> {
    let row = |row: Listed| row.map_err(|unreadable| unreadable.error);
    rows.into_iter().map(row).collect()
}

struct Reader<'a, R> {
    row: &'a R,
    at: usize,
}

impl<R: Columns> Reader<'_, R> {
    fn step(&mut self) -> usize {
        self.at += 1;
        self.at - 1
    }

    fn int(&mut self) -> Result<Option<i64>, StoreError> {
        let at = self.step();
        self.row.int(at)
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        let number = self.int()?.map(u64::try_from);
        number
            .and_then(Result::ok)
            .ok_or_else(|| corrupt("a number is missing or negative"))
    }

    fn instant(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.int()?
            .map(|at| u64::try_from(at).map(Timestamp::from_millis))
            .transpose()
            .map_err(|_| corrupt("an instant is negative"))
    }

    fn some_instant(&mut self) -> Result<Timestamp, StoreError> {
        self.instant()?
            .ok_or_else(|| corrupt("an instant is missing"))
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, StoreError> {
        let at = self.step();
        let bytes = self.row.bytes(at)?;
        let array = bytes.map(<[u8; N]>::try_from).transpose();
        array.map_err(|_| corrupt("a column has another length"))
    }

    fn text(&mut self) -> Result<Option<String>, StoreError> {
        let at = self.step();
        self.row.text(at)
    }
}
