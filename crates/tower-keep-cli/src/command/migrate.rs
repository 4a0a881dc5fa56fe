//! `keep migrate`.

use std::io::Write;

use serde::Serialize;
use tower_keep::SessionStore;
use tower_keep_connect::Upgrade;

use super::copy::{Copied, copy};
use super::sessions;
use crate::args::{Migrate, StoreArguments};
use crate::error::Failure;
use crate::json::{self, Id, Trouble};
use crate::progress::Progress;
use crate::stop::Stop;

pub(super) async fn run(
    from: &StoreArguments,
    migrate: &Migrate,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match StoreArguments::of_target(migrate)? {
        None => upgrade(from, migrate.json, out).await,
        Some(to) => {
            let stop = Stop::on_ctrl_c();
            move_over(from, &to, migrate.json, &stop, out).await
        }
    }
}

/// Brings the schema up to date.
async fn upgrade(store: &StoreArguments, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Version {
        from: u32,
        to: u32,
    }
    #[derive(Serialize)]
    struct Upgraded {
        schema: Option<Version>,
    }
    let config = store.config()?;
    let upgraded = config.upgrade().await?;
    if json {
        let schema = upgraded.map(|Upgrade { from, to }| Version { from, to });
        return Ok(json::line(out, &Upgraded { schema })?);
    }
    match upgraded {
        None => {
            let url = config.shown_url();
            writeln!(
                out,
                "nothing to migrate: {url} has no schema; --to URL copies its sessions"
            )?;
        }
        Some(Upgrade { from, to }) if from == to => {
            writeln!(out, "the schema is up to date: version {to}")?;
        }
        Some(Upgrade { from: 0, to }) => {
            writeln!(out, "the schema was made: from version 0 to version {to}")?;
        }
        Some(Upgrade { from, to }) => {
            writeln!(
                out,
                "the schema was changed: from version {from} to version {to}"
            )?;
        }
    }
    Ok(())
}

/// Copies all live sessions.
async fn move_over(
    from: &StoreArguments,
    to: &StoreArguments,
    json: bool,
    stop: &Stop,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let from = from.open().await?;
    let to = to.config()?.connect().await?;
    // Counting may take long, and only the bar needs it.
    let total = if Progress::is_shown() {
        from.stats().await?.map(|stats| stats.live)
    } else {
        None
    };
    let (progress, mut copied) = (Progress::new(total), Copied::default());
    let show = |copied: &Copied| {
        let done = u64::try_from(copied.done()).unwrap_or(u64::MAX);
        progress.show(done, format!("{} copied", copied.copied));
    };
    let result = copy(&from, &to, stop, &mut copied, show).await;
    drop(progress);
    // Also what was done before it failed.
    report(&copied, json, out)?;
    result?;
    if copied.stopped {
        let done = sessions(copied.copied);
        return Err(Failure::Stopped(format!(
            "{done} copied; run it again for the rest"
        )));
    }
    match copied.held.len() + copied.failed.len() {
        0 => Ok(()),
        count => {
            let count = sessions(count);
            Err(Failure::Incomplete(format!(
                "{count} not copied; run it again to try again"
            )))
        }
    }
}

fn report(copied: &Copied, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Report {
        copied: usize,
        skipped: usize,
        ended: usize,
        held: Vec<Id>,
        failed: Vec<Trouble>,
        stopped: bool,
    }
    let Copied {
        copied,
        skipped,
        ended,
        held,
        failed,
        stopped,
    } = copied;
    if json {
        let trouble = |(id, error): &(_, String)| Trouble {
            id: Id(*id),
            error: error.clone(),
        };
        let report = Report {
            copied: *copied,
            skipped: *skipped,
            ended: *ended,
            held: held.iter().copied().map(Id).collect(),
            failed: failed.iter().map(trouble).collect(),
            stopped: *stopped,
        };
        return Ok(json::line(out, &report)?);
    }
    writeln!(out, "{} copied", sessions(*copied))?;
    if *skipped > 0 {
        writeln!(out, "{} skipped: there already", sessions(*skipped))?;
    }
    if *ended > 0 {
        writeln!(out, "{} skipped: ended meanwhile", sessions(*ended))?;
    }
    for id in held {
        writeln!(out, "{id} not copied: a request is using it")?;
    }
    for (id, error) in failed {
        writeln!(out, "{id} not copied: {error}")?;
    }
    Ok(())
}
