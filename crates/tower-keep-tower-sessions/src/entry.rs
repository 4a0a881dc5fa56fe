//! Our record inside theirs.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tower_keep_core::{Record, Revision, SessionId, StoreError, Timestamp};

use crate::error::BridgeError;
use crate::theirs::Row;

/// The one key in the data of their record.
const KEY: &str = "tower-keep";

/// The id as theirs: the same 16 bytes.
pub(crate) fn their_id(id: SessionId) -> i128 {
    i128::from_be_bytes(*id.as_bytes())
}

/// Their record with ours inside.
///
/// It is theirs to remove `keep` after the session is over, and at least so long after it was
/// written.
pub(crate) fn to_row(
    id: SessionId,
    record: &Record,
    revision: Revision,
    now: Timestamp,
    keep: Duration,
) -> Row {
    let end = record.gone_at.unwrap_or_else(|| record.head.deadline());
    let entry = json!({
        "revision": revision.0,
        "record": STANDARD.encode(record.to_bytes()),
    });
    Row {
        id: their_id(id),
        data: [(KEY.to_owned(), entry)].into(),
        expiry_date: to_theirs(end.max(now).plus(keep)),
    }
}

/// Our record from theirs, unless the time of theirs is over. Most of their stores do not show such
/// a one; this makes it all, and by one clock.
pub(crate) fn from_row(
    id: SessionId,
    row: &Row,
    now: Timestamp,
    max_data: usize,
) -> Result<Option<(Record, Revision)>, StoreError> {
    if row.expiry_date <= to_theirs(now) {
        return Ok(None);
    }
    let entry = row.data.get(KEY).ok_or(BridgeError::Foreign)?;
    let revision = entry.get("revision").and_then(Value::as_u64);
    let record = entry.get("record").and_then(Value::as_str);
    let (Some(revision), Some(record)) = (revision, record) else {
        return Err(BridgeError::OtherRelease.into());
    };
    let bytes = STANDARD.decode(record);
    let bytes = bytes.map_err(|_| BridgeError::Damaged("it is not in base64"))?;
    let record = Record::from_bytes(&bytes, max_data)?;
    if record.head.id != id {
        return Err(BridgeError::Damaged("it is another session's").into());
    }
    Ok(Some((record, Revision(revision))))
}

/// The instant, or the last one that theirs can name.
pub(crate) fn to_theirs(at: Timestamp) -> OffsetDateTime {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(millis))
}
