//! What stands in a record's file: `"TKF"`, this layout's number, the revision (8 bytes,
//! little-endian), and the record as [`Record::to_bytes`] writes it.
//!
//! The revision stands outside of the record's checksum: a damaged one makes somebody's `cas` fail
//! who then looks again, nothing worse.

use tower_keep_core::data::Codec;
use tower_keep_core::{Record, Revision, SessionId, StoreError, StoreErrorKind};

use crate::error::damaged;

const MAGIC: [u8; 3] = *b"TKF";
const LAYOUT: u8 = 1;

/// What a file says.
pub(crate) struct Stored {
    pub(crate) record: Record,
    pub(crate) revision: u64,
}

impl Stored {
    /// A record that has no file yet: the first one that is written has revision 1.
    pub(crate) const fn new(record: Record) -> Self {
        Self {
            record,
            revision: 0,
        }
    }

    pub(crate) fn into_looked(self) -> (Record, Revision) {
        (self.record, Revision(self.revision))
    }

    pub(crate) fn to_bytes(&self, codec: Codec) -> Vec<u8> {
        let record = self.record.to_bytes_in(codec);
        let mut bytes = Vec::with_capacity(12 + record.len());
        bytes.extend(MAGIC);
        bytes.push(LAYOUT);
        bytes.extend(self.revision.to_le_bytes());
        bytes.extend(record);
        bytes
    }

    /// Reads the file of session `id`, whose data may be `max_data` bytes long.
    pub(crate) fn from_bytes(
        bytes: &[u8],
        id: SessionId,
        max_data: usize,
    ) -> Result<Self, StoreError> {
        let rest = bytes
            .strip_prefix(&MAGIC)
            .ok_or_else(|| damaged("it does not begin like a session's file"))?;
        let Some((layout, rest)) = rest.split_first() else {
            return Err(damaged("it is too short"));
        };
        if *layout != LAYOUT {
            let what = format!("layout {layout}");
            return Err(StoreError::new(StoreErrorKind::Unsupported, what));
        }
        let (revision, record) = rest
            .split_first_chunk()
            .ok_or_else(|| damaged("it is too short"))?;
        let record = Record::from_bytes(record, max_data)?;
        if record.head.id != id {
            return Err(damaged("it holds another session than its name says"));
        }
        Ok(Self {
            record,
            revision: u64::from_le_bytes(*revision),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::record;

    fn kind(bytes: &[u8], id: SessionId) -> StoreErrorKind {
        match Stored::from_bytes(bytes, id, 1 << 16) {
            Ok(_) => panic!("it was read"),
            Err(error) => error.kind(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let mut stored = Stored::new(record());
        stored.revision = u64::MAX - 1;
        let read = Stored::from_bytes(
            &stored.to_bytes(Codec::Json),
            stored.record.head.id,
            1 << 16,
        )
        .unwrap();
        assert_eq!(read.revision, u64::MAX - 1);
        assert_eq!(read.record.to_bytes(), stored.record.to_bytes());
    }

    #[test]
    fn damage_other_layouts_and_other_sessions_are_told_apart() {
        let stored = Stored::new(record());
        let (bytes, id) = (stored.to_bytes(Codec::Json), stored.record.head.id);
        for len in 0..bytes.len() {
            let kind = kind(&bytes[..len], id);
            assert_eq!(kind, StoreErrorKind::Corrupt, "{len} bytes");
        }
        let mut newer = bytes.clone();
        newer[3] = 2;
        assert_eq!(kind(&newer, id), StoreErrorKind::Unsupported);
        let stranger = record().head.id;
        assert_eq!(kind(&bytes, stranger), StoreErrorKind::Corrupt);
        let mut flipped = bytes;
        flipped[40] ^= 1;
        assert_eq!(kind(&flipped, id), StoreErrorKind::Corrupt);
    }
}
