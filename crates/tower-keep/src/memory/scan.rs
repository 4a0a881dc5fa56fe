//! Walking over the store: shard by shard, and in each in the order of the ids.

use tower_keep_core::{Cursor, Scan, ScanFuture, ScanPage, StoreError};

use super::users::After;
use super::{Inner, MemoryStore};

impl Inner {
    fn page(&self, from: Option<&Cursor>, limit: usize) -> Result<ScanPage, StoreError> {
        let mut behind = from.map(Cursor::id).transpose()?;
        let limit = limit.max(1);
        let mut page = ScanPage::default();
        for shard in self.shards.iter_at(behind) {
            let left = limit - page.views.len();
            let live = shard.step(&mut After::default(), |s| {
                s.live(behind.take(), left, self.clock.now())
            });
            page.views.extend(live);
            if page.views.len() == limit {
                page.next = page.views.last().map(|view| Cursor::behind(view.head.id));
                break;
            }
        }
        Ok(page)
    }
}

impl Scan for MemoryStore {
    fn page<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> ScanFuture<'a> {
        Box::pin(async move { self.0.page(from, limit) })
    }
}
