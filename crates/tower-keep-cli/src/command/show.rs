//! `keep show`.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};
use tower_keep::core::data::{Data, DataLimits, Edit};
use tower_keep::core::{Looked, Record};
use tower_keep::keys::KeyRing;
use tower_keep::{DynStore, EncryptedStore, SessionId, SessionStore, Timestamp, is_encrypted};

use crate::args::Show;
use crate::error::Failure;
use crate::json::{self, Gone, Held, Id, Instant, Session, Shown};
use crate::table::Table;
use crate::text;

pub(super) async fn run(
    store: &DynStore,
    show: &Show,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let Looked { record, now } = store.look(show.id).await?;
    let Some((record, _)) = record else {
        return Err(Failure::NotFound(format!(
            "there is no session {}",
            show.id
        )));
    };
    if let Some(gone_at) = record.gone_at {
        return ended(show, gone_at, out);
    }
    let encrypted = is_encrypted(&record.data);
    let data = match &show.key_file {
        _ if !show.data => None,
        Some(path) if encrypted => Some(decrypted(store, show.id, path).await?),
        _ if encrypted => None,
        _ => Some(record.data.clone()),
    };
    let data = data
        .map(|data| application_data(&record, data, now))
        .transpose()?;
    let shown = Facts {
        record: &record,
        now,
        encrypted,
    };
    if show.json {
        let data = show.data.then(|| data.map_or(Value::Null, Value::Object));
        return Ok(json::line(out, &shown.json(data))?);
    }
    shown.table().write(out)?;
    match data {
        Some(data) => {
            writeln!(out)?;
            // Each line by itself, since their ends would not count as harmless.
            for line in serde_json::to_string_pretty(&data)
                .unwrap_or_default()
                .lines()
            {
                writeln!(out, "{}", text::harmless(line))?;
            }
        }
        None if show.data => writeln!(out, "\nthe data are encrypted: give --key-file FILE")?,
        None => {}
    }
    Ok(())
}

fn ended(show: &Show, at: Timestamp, out: &mut impl Write) -> Result<(), Failure> {
    if show.json {
        let (id, state, ended) = (Id(show.id), "ended", Instant(at));
        json::line(out, &Gone { id, state, ended })?;
        return Ok(());
    }
    let mut table = Table::plain();
    for (name, value) in [
        ("id", show.id.to_string()),
        ("state", format!("ended at {}", text::instant(at))),
    ] {
        table.row([name.to_owned(), value]);
    }
    Ok(table.write(out)?)
}

async fn decrypted(store: &DynStore, id: SessionId, path: &Path) -> Result<Data, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    let keys: KeyRing = text.parse()?;
    let looked = EncryptedStore::new(store.clone(), &keys).look(id).await?;
    // It may have ended since.
    Ok(looked
        .record
        .map_or_else(Data::default, |(record, _)| record.data))
}

/// What the application keeps in the session, and nothing of what the library does: there is a
/// CSRF token among that.
fn application_data(
    record: &Record,
    data: Data,
    now: Timestamp,
) -> Result<Map<String, Value>, Failure> {
    let edit = Edit::opened(data, DataLimits::default(), record.head.created_at, now);
    Ok(edit.all()?)
}

/// A session that has not been ended, at one instant.
struct Facts<'a> {
    record: &'a Record,
    now: Timestamp,
    encrypted: bool,
}

impl<'a> Facts<'a> {
    fn held(&self) -> Option<tower_keep::core::Lease> {
        self.record.lease.filter(|lease| lease.until > self.now)
    }

    fn is_awaited(&self) -> bool {
        self.record
            .waiting_until
            .is_some_and(|until| until > self.now)
    }

    fn json(&self, data: Option<Value>) -> Shown<'a> {
        let Self {
            record,
            now,
            encrypted,
        } = *self;
        Shown {
            session: Session::new(&record.head, now),
            rotated: record.rotated_at.map(Instant),
            lease: self.held().map(|lease| Held::new(lease, now)),
            waiting: self.is_awaited(),
            size: record.data.size(),
            encrypted,
            data,
        }
    }

    fn table(&self) -> Table<2> {
        let (record, head) = (self.record, &self.record.head);
        let client = head.client.as_deref();
        let yes_or_no = |yes| if yes { "yes" } else { "no" }.to_owned();
        let instant = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), text::instant);
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        let lease = match self.held() {
            None => "free".to_owned(),
            Some(lease) => {
                let left = text::span(lease.until.since(self.now));
                format!("held for {left} unless it is renewed")
            }
        };
        let encrypted = if self.encrypted { ", encrypted" } else { "" };
        let mut table = Table::plain();
        for (name, value) in [
            ("id", head.id.to_string()),
            ("user", head.user.as_deref().unwrap_or("nobody").to_owned()),
            ("state", self.state()),
            ("created", text::instant(head.created_at)),
            ("last seen", text::instant(head.last_seen)),
            ("logged in", instant(head.authenticated_at)),
            ("idle deadline", text::instant(head.idle_deadline)),
            ("absolute deadline", text::instant(head.absolute_deadline)),
            ("idle limit", text::span(head.limits.idle)),
            ("absolute limit", text::span(head.limits.absolute)),
            ("remembered", yes_or_no(head.remember)),
            ("lease", lease),
            ("somebody waits", yes_or_no(self.is_awaited())),
            ("version", head.version.to_string()),
            ("generation", head.generation.to_string()),
            ("secret replaced", instant(record.rotated_at)),
            (
                "address",
                known(client.and_then(|c| c.ip).map(|ip| ip.to_string())),
            ),
            (
                "user agent",
                known(
                    client
                        .and_then(|c| c.user_agent.as_deref())
                        .map(str::to_owned),
                ),
            ),
            ("data", format!("{} bytes{encrypted}", record.data.size())),
        ] {
            table.row([name.to_owned(), value]);
        }
        table
    }

    fn state(&self) -> String {
        let deadline = self.record.head.deadline();
        if self.record.head.is_expired(self.now) {
            return format!("expired {} ago", text::span(self.now.since(deadline)));
        }
        format!("live, expires in {}", text::span(deadline.since(self.now)))
    }
}
