//! `keep stats`.

use std::io::Write;

use serde::Serialize;
use tower_keep::{DynStore, SessionStore};

use crate::error::Failure;
use crate::json;
use crate::table::Table;

/// What a store holds.
#[derive(Serialize)]
struct Counted {
    store: &'static str,
    live: u64,
    with_user: u64,
    expired: u64,
    ended: u64,
}

pub(super) async fn run(store: &DynStore, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let stats = store.stats().await?.ok_or_else(|| Failure::Unable {
        store: store.name(),
        what: "count its sessions",
    })?;
    let counted = Counted {
        store: store.name(),
        live: stats.live,
        with_user: stats.with_user,
        expired: stats.expired,
        ended: stats.tombstones,
    };
    if json {
        return Ok(json::line(out, &counted)?);
    }
    let mut table = Table::plain();
    for (name, count) in [
        ("live sessions", counted.live),
        ("of them with a user", counted.with_user),
        ("expired, not swept yet", counted.expired),
        ("ended, not swept yet", counted.ended),
    ] {
        table.row([name.to_owned(), count.to_string()]);
    }
    Ok(table.write(out)?)
}
