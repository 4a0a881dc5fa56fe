//! Walking over all keys (`SCAN`), server by server.
//!
//! A key that is there all the time is in a scan at least once. On a cluster that holds for as long
//! as every slot stays where it is, so a walk ends with an error when the primaries change.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tower_keep_core::data::Data;
use tower_keep_core::{
    Cursor, Looked, Scan, ScanFuture, ScanPage, SessionId, SessionStore, StoreError,
    StoreErrorKind, View,
};

use crate::link::Node;
use crate::store::RedisStore;

/// How many commands of one call are under way at once.
const AT_ONCE: usize = 64;

/// Other keys than sessions count too, so a smaller page would only be a longer way.
const LEAST: usize = 100;

/// Where a walk is.
struct Place {
    /// Which primaries there were.
    layout: u64,
    /// The number of the server among them.
    node: u32,
    /// Where its scan goes on.
    scan: u64,
}

impl Place {
    fn read(cursor: &Cursor) -> Option<Self> {
        let (layout, rest) = cursor.as_bytes().split_first_chunk()?;
        let (node, rest) = rest.split_first_chunk()?;
        Some(Self {
            layout: u64::from_be_bytes(*layout),
            node: u32::from_be_bytes(*node),
            scan: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }

    fn cursor(&self) -> Cursor {
        let mut bytes = self.layout.to_be_bytes().to_vec();
        bytes.extend(self.node.to_be_bytes());
        bytes.extend(self.scan.to_be_bytes());
        Cursor::new(bytes)
    }
}

/// Tells one set of primaries from another.
fn layout(nodes: &[Node]) -> u64 {
    let mut digest = Sha256::new();
    for node in nodes {
        digest.update(node.to_string());
        digest.update([0]);
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(digest.finalize());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl RedisStore {
    async fn walk(&self, from: Option<&Cursor>, limit: usize) -> Result<ScanPage, StoreError> {
        let inner = &*self.inner;
        let nodes = inner.in_time(inner.link.nodes()).await?;
        let layout = layout(&nodes);
        let (node, scan) = (0, 0);
        let mut place = match from {
            None => Place { layout, node, scan },
            Some(cursor) => Place::read(cursor).ok_or_else(|| cursor.foreign())?,
        };
        let node = nodes.get(usize::try_from(place.node).unwrap_or(usize::MAX));
        let Some(node) = node.filter(|_| place.layout == layout) else {
            let why = "the cluster's primaries changed during the walk: begin it again";
            return Err(StoreError::new(StoreErrorKind::Unavailable, why));
        };
        let count = limit.max(LEAST);
        let (next, keys) = inner.page(node, place.scan, count).await?;
        let ids: BTreeSet<_> = keys.iter().filter_map(|key| inner.id_of(key)).collect();
        let mut page = self.views(ids.into_iter().collect()).await?;
        place.scan = next;
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
        let (layout, node, scan) = (u64::MAX - 1, 7, 1 << 40);
        let cursor = Place { layout, node, scan }.cursor();
        let read = Place::read(&cursor).unwrap();
        assert_eq!((read.layout, read.node, read.scan), (layout, node, scan));
        for bytes in [&[][..], &[1; 16], &[1; 21]] {
            assert!(Place::read(&Cursor::new(bytes)).is_none());
        }
    }
}
