//! The public half of a session's identity.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use uuid::Uuid;

use crate::time::Timestamp;
use crate::unique::unique_u64;

/// A session's public name: a version 7 UUID (RFC 9562, section 5.7).
///
/// It is the key in the store and what logs, lists of devices and revocation use. Knowing it
/// opens nothing: that takes the [`Secret`](crate::Secret) too.
///
/// ```
/// use tower_keep_core::{SessionId, Timestamp};
///
/// let id = SessionId::new(Timestamp::from_millis(1_700_000_000_000));
/// assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// A new id, ordered by `now` and unique by 74 random bits.
    pub fn new(now: Timestamp) -> Self {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&unique_u64().to_be_bytes());
        random[8..].copy_from_slice(&unique_u64().to_be_bytes()[..2]);
        let uuid = uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random);
        Self(uuid.into_uuid().into_bytes())
    }

    /// The id with these 16 bytes, if they are a version 7 UUID.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, ParseIdError> {
        let uuid = Uuid::from_bytes(bytes);
        if uuid.get_version_num() == 7 && uuid.get_variant() == uuid::Variant::RFC4122 {
            Ok(Self(bytes))
        } else {
            Err(ParseIdError(()))
        }
    }

    /// The 16 bytes of the UUID.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The low half, 62 of whose bits are random: enough to choose a shard or a bucket by.
    pub const fn random_bits(&self) -> u64 {
        match self.0.last_chunk() {
            Some(half) => u64::from_be_bytes(*half),
            None => 0,
        }
    }
}

impl Hash for SessionId {
    // One word is enough: ids come from `new`, whose low half is random, and a store is only ever
    // asked about foreign ids, it never keeps one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.random_bits());
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<&str> for SessionId {
    type Error = ParseIdError;

    fn try_from(text: &str) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl FromStr for SessionId {
    type Err = ParseIdError;

    /// Reads the hyphenated form in lower case, the only one that [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let uuid = Uuid::try_parse(text).map_err(|_| ParseIdError(()))?;
        let id = Self::from_bytes(uuid.into_bytes())?;
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(ParseIdError(()))
        }
    }
}

/// The text or bytes are not a session id; the message does not repeat them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session id: expected a version 7 UUID in lower case with hyphens")]
pub struct ParseIdError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_it() {
        let early = SessionId::new(Timestamp::from_millis(1_000));
        let late = SessionId::new(Timestamp::from_millis(2_000));
        let twin = SessionId::new(Timestamp::from_millis(2_000));
        assert!(early < late);
        assert_ne!(late, twin);
    }

    #[test]
    fn the_low_half_chooses_and_is_what_is_hashed() {
        let mut bytes = [0; 16];
        bytes[6] = 0x70;
        bytes[8..].copy_from_slice(&0x8123_4567_89ab_cdef_u64.to_be_bytes());
        let id = SessionId::from_bytes(bytes).unwrap();
        assert_eq!(id.random_bits(), 0x8123_4567_89ab_cdef);
        let hash = |id: SessionId| {
            let mut hasher = std::hash::DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish()
        };
        bytes[15] = 0;
        assert_ne!(hash(id), hash(SessionId::from_bytes(bytes).unwrap()));
    }

    #[test]
    fn another_variant_is_no_id_and_all_ways_to_read_and_write_one_agree() {
        let id = SessionId::new(Timestamp::from_millis(1_000));
        let mut bytes = *id.as_bytes();
        bytes[8] |= 0xc0;
        assert!(SessionId::from_bytes(bytes).is_err());
        assert_eq!(format!("{id:?}"), id.to_string());
        assert_eq!(SessionId::try_from(id.to_string().as_str()), Ok(id));
        assert!(SessionId::try_from("").is_err());
    }

    #[test]
    fn only_canonical_version_7_text_parses() {
        let id = SessionId::new(Timestamp::from_millis(1_700_000_000_000));
        let text = id.to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(text.parse::<SessionId>(), Ok(id));
        for bad in [
            text.replace('-', ""),
            text.to_uppercase(),
            format!("{{{text}}}"),
            "00000000-0000-0000-0000-000000000000".into(),
            "c232ab00-9414-4fec-8d1f-6b2d2a2c3f5e".into(), // version 4
            String::new(),
        ] {
            // An id without letters looks the same in upper case.
            assert!(bad == text || bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }
}
