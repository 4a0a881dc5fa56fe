//! `keep list`.

use std::io::{self, Write};

use serde::Serialize;
use tower_keep::DynStore;
use tower_keep::core::View;

use super::pages::Pages;
use super::sessions;
use crate::args::List;
use crate::error::Failure;
use crate::json::{self, Id, Session, Trouble};
use crate::table::Table;
use crate::text;

pub(super) async fn run(
    store: &DynStore,
    list: &List,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut pages = match &list.user {
        Some(user) => Pages::of_user(store, user)?,
        None => Pages::all(store)?,
    };
    let mut left = list.limit.unwrap_or(usize::MAX);
    let mut writer = Writer::new(list.json);
    let mut more = false;
    while let Some(mut page) = pages.next().await? {
        more = page.views.len() > left;
        page.views.truncate(left);
        left -= page.views.len();
        writer.views(out, &page.views)?;
        let trouble = page.unreadable.into_iter().map(|(id, kind)| Trouble {
            id: Id(id),
            error: kind.to_string(),
        });
        writer.unreadable.extend(trouble);
        if left == 0 {
            more |= !pages.is_over();
            break;
        }
    }
    writer.end(out, more)
}

/// Writes sessions as they come: there may be more than fit into memory.
struct Writer {
    /// None for JSON.
    table: Option<Table<5>>,
    written: usize,
    unreadable: Vec<Trouble>,
}

impl Writer {
    fn new(json: bool) -> Self {
        let heading = ["ID", "CREATED", "LAST SEEN", "EXPIRES IN", "USER"];
        Self {
            table: (!json).then(|| Table::new(heading)),
            written: 0,
            unreadable: Vec::new(),
        }
    }

    fn views(&mut self, out: &mut impl Write, views: &[View]) -> io::Result<()> {
        let Some(table) = &mut self.table else {
            for View { head, now, .. } in views {
                let before = if self.written == 0 {
                    "{\"sessions\":[\n"
                } else {
                    ",\n"
                };
                out.write_all(before.as_bytes())?;
                json::write(out, &Session::new(head, *now))?;
                self.written += 1;
            }
            return out.flush();
        };
        for View { head, now, .. } in views {
            table.row([
                head.id.to_string(),
                text::instant(head.created_at),
                text::instant(head.last_seen),
                text::span(head.deadline().since(*now)),
                head.user.as_deref().unwrap_or_default().to_owned(),
            ]);
        }
        self.written += views.len();
        table.write(out)?;
        // Who reads may have seen enough.
        out.flush()
    }

    #[expect(clippy::print_stderr, reason = "it is what is not in the list")]
    fn end(self, out: &mut impl Write, more: bool) -> Result<(), Failure> {
        if self.table.is_none() {
            #[derive(Serialize)]
            struct Rest<'a> {
                unreadable: &'a [Trouble],
                more: bool,
            }
            let unreadable = &self.unreadable;
            let mut rest = Vec::new();
            json::line(&mut rest, &Rest { unreadable, more })?;
            let before: &[u8] = if self.written == 0 {
                b"{\"sessions\":[],"
            } else {
                b"\n],"
            };
            out.write_all(before)?;
            // Without the brace that this object begins with.
            out.write_all(rest.get(1..).unwrap_or_default())?;
        } else {
            for Trouble { id, error } in &self.unreadable {
                eprintln!("keep: {}: {error}", id.0);
            }
            if more {
                let shown = sessions(self.written);
                eprintln!("keep: {shown} shown, and there may be more: raise --limit");
            } else if self.written == 0 {
                eprintln!("keep: no live session");
            }
        }
        if self.unreadable.is_empty() {
            return Ok(());
        }
        let count = sessions(self.unreadable.len());
        Err(Failure::Incomplete(format!("{count} cannot be read")))
    }
}
