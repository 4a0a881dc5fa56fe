//! Walking over both stores: the old one first, so that what moves in between is seen twice rather
//! than never.

use tower_keep_core::{
    Cursor, Scan, ScanFuture, ScanPage, SessionStore, StoreError, StoreErrorKind,
};

use super::MigratingStore;

/// Of which store the rest of a cursor is.
const OLD: u8 = 0;
const NEW: u8 = 1;

impl<N: SessionStore, O: SessionStore> MigratingStore<N, O> {
    /// Both abilities, if both stores have it.
    pub(super) fn walks(&self) -> Result<(&dyn Scan, &dyn Scan), StoreError> {
        self.new.scan().zip(self.old.scan()).ok_or_else(|| {
            let why = "only one of both stores can be walked over";
            StoreError::new(StoreErrorKind::Unavailable, why)
        })
    }

    async fn page(&self, from: Option<&Cursor>, limit: usize) -> Result<ScanPage, StoreError> {
        let (new, old) = self.walks()?;
        let (which, from) = match from {
            None => (OLD, None),
            Some(cursor) => match cursor.as_bytes() {
                // The first page of the new store has no cursor.
                [NEW] => (NEW, None),
                [which @ (OLD | NEW), rest @ ..] => (*which, Some(Cursor::new(rest))),
                _ => return Err(cursor.foreign()),
            },
        };
        let store = if which == OLD { old } else { new };
        let mut page = store.page(from.as_ref(), limit).await?;
        page.next = match page.next {
            Some(next) => Some(Cursor::new([&[which], next.as_bytes()].concat())),
            None if which == OLD => Some(Cursor::new([NEW])),
            None => None,
        };
        Ok(page)
    }
}

impl<N: SessionStore, O: SessionStore> Scan for MigratingStore<N, O> {
    fn page<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> ScanFuture<'a> {
        Box::pin(self.page(from, limit))
    }

    fn may_repeat(&self) -> bool {
        true
    }
}
