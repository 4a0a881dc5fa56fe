//! Walking over a table, in the order of the ids, once for every engine.

use tower_keep_core::data::Data;
use tower_keep_core::{Cursor, ScanPage, SessionId, StoreError, StoreErrorKind, Timestamp, View};

use crate::engine::Engine;
use crate::error::corrupt;
use crate::row::Unreadable;
use crate::statement::Sql;
use crate::users::Listing;
use crate::value::Value;

/// Smaller than every session's id.
const LEAST: [u8; 16] = [0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];

impl Listing {
    fn behind(sql: &Sql, from: Option<SessionId>, limit: i64) -> Self {
        let from = from.or_else(|| SessionId::from_bytes(LEAST).ok());
        Self {
            sql: sql.clone(),
            values: vec![
                Value::Id(from.unwrap_or_else(|| SessionId::new(Timestamp::from_millis(0)))),
                Value::Int(Some(limit)),
            ],
        }
    }
}

pub(crate) async fn page<E: Engine>(
    engine: &E,
    from: Option<&Cursor>,
    limit: usize,
) -> Result<ScanPage, StoreError> {
    let from = from.map(Cursor::id).transpose()?;
    let limit = limit.max(1);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let listing = Listing::behind(&engine.statements().walk, from, most);
    let (rows, now) = engine.list(listing).await?;
    let more = rows.len() >= limit;
    let (mut page, mut last) = (ScanPage::default(), None);
    for row in rows {
        match row {
            Ok(row) => {
                let head = row.record.head;
                last = Some(head.id);
                let data = Data::default();
                page.views.push(View { head, data, now });
            }
            Err(Unreadable { error, .. }) if error.kind() == StoreErrorKind::Unavailable => {
                return Err(error);
            }
            Err(Unreadable {
                id: Some(id),
                error,
            }) => {
                last = Some(id);
                page.unreadable.push((id, error.kind()));
            }
            // A row whose id is none is no session.
            Err(Unreadable { id: None, .. }) => {}
        }
    }
    if more {
        let last =
            last.ok_or_else(|| corrupt("the table has a page of rows that are no sessions"))?;
        page.next = Some(Cursor::behind(last));
    }
    Ok(page)
}

/// The contract's ability, for a store whose field `0` is an `Arc` of an engine.
macro_rules! impl_scan {
    ($store:ty) => {
        impl tower_keep_core::Scan for $store {
            fn page<'a>(
                &'a self,
                from: Option<&'a tower_keep_core::Cursor>,
                limit: usize,
            ) -> tower_keep_core::ScanFuture<'a> {
                Box::pin($crate::scan::page(&*self.0, from, limit))
            }
        }
    };
}

pub(crate) use impl_scan;
