//! Walking over the store: directory by directory, and in each in the order of the ids.

use tower_keep_core::data::Data;
use tower_keep_core::{
    Cursor, Scan, ScanFuture, ScanPage, SessionId, StoreError, StoreErrorKind, View,
};

use crate::shard::Shard;
use crate::steps::Steps;
use crate::store::FileStore;
use crate::sweep::ids;

impl Steps {
    /// Reads without a lock: files are replaced, never written into.
    fn page(&self, from: Option<SessionId>, limit: usize) -> Result<ScanPage, StoreError> {
        let mut page = ScanPage::default();
        let first = from.map_or(0, Shard::index_of);
        for index in first..=u8::MAX {
            let shard = self.shard(index);
            let mut ids = ids(&shard)?.collect::<Result<Vec<_>, _>>()?;
            // Only the first directory has some that were seen already.
            ids.retain(|id| index != first || from.is_none_or(|from| *id > from));
            ids.sort_unstable();
            for id in ids {
                let now = self.clock.now();
                match self.load(&shard, id) {
                    Ok(stored) => page.views.extend(
                        stored
                            .map(|stored| stored.record)
                            .filter(|record| record.gone_at.is_none())
                            .filter(|record| !record.head.is_expired(now))
                            .map(|record| View {
                                head: record.head,
                                data: Data::default(),
                                now,
                            }),
                    ),
                    Err(error) if error.kind() == StoreErrorKind::Unavailable => return Err(error),
                    Err(error) => page.unreadable.push((id, error.kind())),
                }
                if page.views.len() + page.unreadable.len() >= limit {
                    page.next = Some(Cursor::behind(id));
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }
}

impl Scan for FileStore {
    fn page<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> ScanFuture<'a> {
        let from = from.map(Cursor::id).transpose();
        Box::pin(async move {
            let from = from?;
            self.blocking(move |steps| steps.page(from, limit)).await
        })
    }
}
