//! A record as stores keep it, as it comes and with the checksum that fits.

use sha2::{Digest, Sha256};
use tower_keep_core::data::Codec;
use tower_keep_core::{Record, Slim, StoreErrorKind};

use crate::{said, tells};

const MAX: usize = 64 * 1024;

pub(crate) fn check(input: &[u8]) {
    read(input);
    if let Some((content, _)) = input.split_last_chunk::<8>() {
        read(&sealed(content));
    }
}

/// With the checksum that fits.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut sealed = content.to_vec();
    sealed.extend(&Sha256::digest(content)[..8]);
    sealed
}

fn read(bytes: &[u8]) {
    let record = match Record::from_bytes(bytes, MAX) {
        Ok(record) => record,
        Err(error) => {
            let known = [
                StoreErrorKind::Corrupt,
                StoreErrorKind::Unsupported,
                StoreErrorKind::TooLarge,
            ];
            assert!(known.contains(&error.kind()), "{error:?}");
            assert!(!tells(&said(&error)), "{error:?}");
            return;
        }
    };
    assert!(record.data.size() <= MAX);
    assert!(!tells(&format!("{record:?}")));
    let written = record.to_bytes();
    for codec in Codec::ALL {
        let other = Record::from_bytes(&record.to_bytes_in(*codec), MAX).unwrap();
        assert_eq!(other.to_bytes(), written, "{codec:?}");
        same(&record, &other);
    }
    let content = bytes
        .split_last_chunk::<8>()
        .map_or(bytes, |(content, _)| content);
    let longer = [content, b"\0"].concat();
    assert!(Record::from_bytes(&sealed(&longer), MAX).is_err());
    assert_eq!(Slim::new(record).record().to_bytes(), written);
}

/// `Debug` shows not all of it, on purpose.
fn same(one: &Record, other: &Record) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_eq!(one.secret.as_bytes(), other.secret.as_bytes());
    assert_eq!(one.data, other.data);
    let (one, other) = (&one.head, &other.head);
    assert_eq!(one.user, other.user);
    assert_eq!(one.client, other.client);
    assert_eq!(one.remember, other.remember);
    assert_eq!(one.limits, other.limits);
    assert_eq!(one.last_seen, other.last_seen);
    assert_eq!(one.authenticated_at, other.authenticated_at);
}
