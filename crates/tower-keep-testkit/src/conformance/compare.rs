//! What a store said and did, compared with what the rules say and do.

use std::time::Duration;

use tower_keep_core::{
    Created, Finished, Looked, Opened, Record, SessionId, SessionStore, Timestamp,
};

use super::context::{Context, Failure, Result};
use super::same;
use crate::calls::Answer;

/// What is said of an answer, and the instants in it.
#[derive(Debug, Clone)]
pub(super) struct Said {
    words: String,
    instants: Vec<u64>,
}

pub(super) fn said(words: impl Into<String>, instants: impl Into<Vec<u64>>) -> Said {
    Said {
        words: words.into(),
        instants: instants.into(),
    }
}

pub(super) fn say_opened(opened: &Opened) -> Said {
    let instants = match opened {
        Opened::Busy(left) => vec![u64::try_from(left.as_millis()).unwrap_or(u64::MAX)],
        Opened::Granted(view) => vec![view.now.as_millis()],
        _ => vec![],
    };
    said(opened.word(), instants)
}

pub(super) fn say_finished(finished: &Finished) -> Said {
    match finished {
        Finished::Done {
            version,
            now,
            waiting,
        } => said(
            format!("done, version {version}, waiting {waiting}"),
            [now.as_millis()],
        ),
        other => said(other.word(), []),
    }
}

pub(super) fn say_created(created: &Created) -> Said {
    match created {
        Created::Done(now) => said("done", [now.as_millis()]),
        other => said(other.word(), []),
    }
}

/// Compares what the store said and did with what the rules say and do, at an instant from
/// `looked.now` to now; where the clock stands still, that is one instant.
pub(super) async fn compare(
    cx: &Context,
    what: &str,
    id: SessionId,
    looked: Looked,
    seen: &Said,
    decide: impl Fn(&mut Option<Record>, Timestamp) -> Said,
) -> Result {
    let after = cx.store.look(id).await?;
    if let (Some((old, was)), Some((new, is))) = (&looked.record, &after.record) {
        let written = same::records(old, new).is_err();
        ensure!(!written || was != is, "the revision stays after {what}");
    }
    let before = looked.record.map(|(record, _)| record);
    let (since, until) = (looked.now, after.now);
    let found = after.record.map(|(record, _)| record);
    let fits = |before| fits(what, (before, since, until), seen, found.as_ref(), &decide);
    let over = |record: &Record| record.is_sweepable(until, Duration::ZERO);
    let may_be_removed = cx.by_itself && before.as_ref().is_some_and(over);
    match fits(before) {
        Err(_) if may_be_removed && fits(None).is_ok() => Ok(()),
        result => result,
    }
}

/// Whether a step from `before`, at an instant from `since` to `until`, is as the rules decide.
fn fits(
    what: &str,
    (before, since, until): (Option<Record>, Timestamp, Timestamp),
    seen: &Said,
    found: Option<&Record>,
    decide: impl Fn(&mut Option<Record>, Timestamp) -> Said,
) -> Result {
    let (mut first, mut last) = (before.clone(), before);
    let early = decide(&mut first, since);
    let late = decide(&mut last, until);
    let words = seen.words == early.words || seen.words == late.words;
    ensure!(
        words,
        "the rules say `{}`, the store `{}` to {what}",
        early.words,
        seen.words
    );
    if early.words == late.words {
        let range = early.instants.iter().zip(&late.instants);
        let fits = range
            .zip(&seen.instants)
            .all(|((a, b), seen)| a.min(b) <= seen && seen <= a.max(b));
        ensure!(
            fits,
            "the rules say {:?}, the store {:?} to {what}",
            early.instants,
            seen.instants
        );
    }
    let like = |expected: &Option<Record>, other: &Option<Record>| match (expected, found) {
        (None, None) => Ok(()),
        (Some(_), None) => Err("its record is missing".to_owned()),
        (None, Some(_)) => Err("there is a record".to_owned()),
        (Some(expected), Some(found)) => {
            same::records(&between(expected, other.as_ref(), found), found)
        }
    };
    like(&first, &last)
        .or_else(|seen| like(&last, &first).map_err(|_| seen))
        .map_err(|seen| Failure::new(format!("{seen} differs from the rules after {what}")))
}

/// `a` with those instants of `found` that lie between `a`'s and `b`'s.
fn between(a: &Record, b: Option<&Record>, found: &Record) -> Record {
    let mut result = a.clone();
    let Some(b) = b else { return result };
    let within = |a: Timestamp, b: Timestamp, found: Timestamp| {
        if a.min(b) <= found && found <= a.max(b) {
            found
        } else {
            a
        }
    };
    let within_some = |a: Option<Timestamp>, b: Option<Timestamp>, found: Option<Timestamp>| match (
        a, b, found,
    ) {
        (Some(a), Some(b), Some(found)) => Some(within(a, b, found)),
        _ => a,
    };
    let (one, two, seen) = (&a.head, &b.head, &found.head);
    let head = &mut result.head;
    head.created_at = within(one.created_at, two.created_at, seen.created_at);
    head.last_seen = within(one.last_seen, two.last_seen, seen.last_seen);
    head.authenticated_at = within_some(
        one.authenticated_at,
        two.authenticated_at,
        seen.authenticated_at,
    );
    head.idle_deadline = within(one.idle_deadline, two.idle_deadline, seen.idle_deadline);
    head.absolute_deadline = within(
        one.absolute_deadline,
        two.absolute_deadline,
        seen.absolute_deadline,
    );
    result.rotated_at = within_some(a.rotated_at, b.rotated_at, found.rotated_at);
    result.waiting_until = within_some(a.waiting_until, b.waiting_until, found.waiting_until);
    result.gone_at = within_some(a.gone_at, b.gone_at, found.gone_at);
    if let (Some(lease), Some(b), Some(found)) = (&mut result.lease, b.lease, found.lease) {
        lease.until = within(lease.until, b.until, found.until);
    }
    result
}
