//! Walking over all keys (`SCAN`), server by server.
//!
//! A key that is there all the time is in a scan at least once, if one run of a server answers all
//! of it: the next run, and the replica that takes over, have their keys in another order. On a
//! cluster every slot must stay where it is, too. So a walk ends with an error when the primaries
//! change or one of them is restarted.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tower_keep_core::data::Data;
use tower_keep_core::{
    Cursor, Looked, Scan, ScanFuture, ScanPage, SessionId, SessionStore, StoreError,
    StoreErrorKind, View,
};

use crate::inner::Page;
use crate::store::RedisStore;

/// How many commands of one call are under way at once.
const AT_ONCE: usize = 64;

/// Other keys than sessions count too, so a smaller page would only be a longer way.
const LEAST: usize = 100;

/// Where a walk is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// Which primaries there were.
    layout: u64,
    /// The number of the server among them.
    node: u32,
    /// Where its scan goes on; zero where it begins.
    scan: u64,
    /// Which run of it the scan is of, unless it begins.
    run: u64,
}

impl Place {
    fn read(cursor: &Cursor) -> Option<Self> {
        let (layout, rest) = cursor.as_bytes().split_first_chunk()?;
        let (node, rest) = rest.split_first_chunk()?;
        let (scan, rest) = rest.split_first_chunk()?;
        Some(Self {
            layout: u64::from_be_bytes(*layout),
            node: u32::from_be_bytes(*node),
            scan: u64::from_be_bytes(*scan),
            run: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }

    fn cursor(&self) -> Cursor {
        let mut bytes = self.layout.to_be_bytes().to_vec();
        bytes.extend(self.node.to_be_bytes());
        bytes.extend(self.scan.to_be_bytes());
        bytes.extend(self.run.to_be_bytes());
        Cursor::new(bytes)
    }
}

/// Tells one set of primaries from another, or one run from another.
fn fingerprint(names: impl IntoIterator<Item = impl ToString>) -> u64 {
    let mut digest = Sha256::new();
    for name in names {
        digest.update(name.to_string());
        digest.update([0]);
    }
    let digest = <[u8; 32]>::from(digest.finalize());
    digest
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

impl RedisStore {
    async fn walk(&self, from: Option<&Cursor>, limit: usize) -> Result<ScanPage, StoreError> {
        let inner = &*self.inner;
        let nodes = inner.in_time(inner.link.nodes()).await?;
        let layout = fingerprint(&nodes);
        let mut place = match from {
            None => Place {
                layout,
                node: 0,
                scan: 0,
                run: 0,
            },
            Some(cursor) => Place::read(cursor).ok_or_else(|| cursor.foreign())?,
        };
        let node = nodes.get(usize::try_from(place.node).unwrap_or(usize::MAX));
        let Some(node) = node.filter(|_| place.layout == layout) else {
            return Err(changed());
        };
        let count = limit.max(LEAST);
        let Page { run, next, keys } = inner.page(node, place.scan, count).await?;
        let run = fingerprint([run]);
        if place.scan != 0 && place.run != run {
            return Err(changed());
        }
        let ids: BTreeSet<_> = keys.iter().filter_map(|key| inner.id_of(key)).collect();
        let mut page = self.views(ids.into_iter().collect()).await?;
        (place.scan, place.run) = (next, run);
        if next == 0 {
            place.node += 1;
        }
        let ends = usize::try_from(place.node).is_ok_and(|node| node >= nodes.len());
        page.next = (!ends).then(|| place.cursor());
        Ok(page)
    }

    async fn views(&self, ids: Vec<SessionId>) -> Result<ScanPage, StoreError> {
        let mut page = ScanPage::default();
        for some in ids.chunks(AT_ONCE) {
            let looks = join_all(some.iter().map(|id| self.look(*id))).await;
            for (id, looked) in some.iter().zip(looks) {
                match looked {
                    Ok(Looked { record, now }) => page.views.extend(
                        record
                            .map(|(record, _)| record)
                            .filter(|record| record.gone_at.is_none())
                            .filter(|record| !record.head.is_expired(now))
                            .map(|record| View {
                                head: record.head,
                                data: Data::default(),
                                now,
                            }),
                    ),
                    Err(error) => match error.kind() {
                        StoreErrorKind::Corrupt
                        | StoreErrorKind::Unsupported
                        | StoreErrorKind::TooLarge => page.unreadable.push((*id, error.kind())),
                        _ => return Err(error),
                    },
                }
            }
        }
        Ok(page)
    }
}

fn changed() -> StoreError {
    let why = "servers changed or were restarted during the walk: begin it again";
    StoreError::new(StoreErrorKind::Unavailable, why)
}

impl Scan for RedisStore {
    fn page<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> ScanFuture<'a> {
        Box::pin(self.walk(from, limit))
    }

    fn may_repeat(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_and_another_cursor_is_none() {
        let place = Place {
            layout: u64::MAX - 1,
            node: 7,
            scan: 1 << 40,
            run: 3,
        };
        assert_eq!(Place::read(&place.cursor()), Some(place));
        for bytes in [&[][..], &[1; 16], &[1; 27], &[1; 29]] {
            assert!(Place::read(&Cursor::new(bytes)).is_none());
        }
    }
}
