//! `keep migrate`.

use std::io::Write;

use serde::Serialize;
use tower_keep::SessionStore;
use tower_keep_connect::Upgrade;

use super::copy::{Tally, copy};
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
    let (progress, mut copied) = (Progress::new(total), Tally::default());
    let show = |copied: &Tally| {
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

fn report(copied: &Tally, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Report {
        copied: usize,
        skipped: usize,
        ended: usize,
        held: Vec<Id>,
        failed: Vec<Trouble>,
        stopped: bool,
    }
    let Tally {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tower_keep::SessionLayer;

    #[tokio::test]
    async fn f6_a_copy_that_is_stopped_ends_with_130_and_can_be_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from.db", "to.db"].map(|name| StoreArguments {
            store: Some(format!("sqlite:{}", dir.path().join(name).display())),
            ..StoreArguments::default()
        });
        let store = from.config().unwrap().connect().await.unwrap();
        let sessions = SessionLayer::new(store).sessions();
        for n in 0..3 {
            sessions.create(None, [("n", n)]).await.unwrap();
        }
        let (stop, mut out) = (Stop::default(), Vec::new());
        stop.set();
        let stopped = move_over(&from, &to, false, &stop, &mut out).await;
        let failure = stopped.unwrap_err();
        assert_eq!(failure.exit_code(), 130);
        let text = "stopped: 0 sessions copied; run it again for the rest";
        assert_eq!(failure.to_string(), text);
        assert_eq!(out, b"0 sessions copied\n");
        out.clear();
        let again = move_over(&from, &to, false, &Stop::default(), &mut out).await;
        again.unwrap();
        assert_eq!(out, b"3 sessions copied\n");
    }
}
