//! Copying sessions from one store into another.
//!
//! A session is *put* into the other store where nothing is, in one step, so that it is there
//! completely or not at all, and a second run finds it there.

use tower_keep::core::{Expect, Looked, Record};
use tower_keep::{DynStore, SessionId, SessionStore, StoreError, StoreErrorKind};

use super::pages::Pages;
use crate::error::Failure;
use crate::stop::Stop;

/// What became of the sessions.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) copied: usize,
    /// Something is there already under the same id.
    pub(super) skipped: usize,
    /// Over before it was their turn.
    pub(super) ended: usize,
    /// A request holds the lease, and what it commits would not be in the copy.
    pub(super) held: Vec<SessionId>,
    /// And why.
    pub(super) failed: Vec<(SessionId, String)>,
    pub(super) stopped: bool,
}

impl Tally {
    pub(super) fn done(&self) -> usize {
        self.copied + self.skipped + self.ended + self.held.len() + self.failed.len()
    }
}

/// Copies all live sessions, and tells after each how far it came. What was done before an error is
/// in `copied` too.
///
/// # Errors
/// Those of the stores, except what is the matter with a single session.
pub(super) async fn copy(
    from: &DynStore,
    to: &DynStore,
    stop: &Stop,
    copied: &mut Tally,
    mut show: impl FnMut(&Tally),
) -> Result<(), Failure> {
    let mut pages = Pages::all(from)?;
    while let Some(page) = pages.next().await? {
        for (id, kind) in page.unreadable {
            copied.failed.push((id, kind.to_string()));
        }
        for view in page.views {
            if stop.is_set() {
                copied.stopped = true;
                return Ok(());
            }
            one(from, to, view.head.id, copied).await?;
            show(copied);
        }
    }
    Ok(())
}

async fn one(
    from: &DynStore,
    to: &DynStore,
    id: SessionId,
    copied: &mut Tally,
) -> Result<(), Failure> {
    let mut fails = |error: StoreError| match error.kind() {
        StoreErrorKind::Corrupt | StoreErrorKind::Unsupported | StoreErrorKind::TooLarge => {
            let cause = Failure::from(error).in_full();
            copied.failed.push((id, cause));
            Ok(())
        }
        _ => Err(Failure::from(error)),
    };
    let Looked { record, now } = match from.look(id).await {
        Ok(looked) => looked,
        Err(error) => return fails(error),
    };
    let alive = |record: &Record| record.gone_at.is_none() && !record.head.is_expired(now);
    let Some((mut record, _)) = record.filter(|(record, _)| alive(record)) else {
        copied.ended += 1;
        return Ok(());
    };
    if record.lease.is_some_and(|lease| lease.until > now) {
        copied.held.push(id);
        return Ok(());
    }
    // One that ran out binds nobody any more, least of all in the other store.
    record.lease = None;
    record.waiting_until = None;
    match to.cas(id, Expect::Absent, &record).await {
        Ok(true) => copied.copied += 1,
        Ok(false) => copied.skipped += 1,
        Err(error) => return fails(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_keep::{MemoryStore, SessionLayer};

    #[tokio::test]
    async fn f6_a_copy_stops_between_two_sessions_and_goes_on_later() {
        let (from, to) = (MemoryStore::new(), MemoryStore::new());
        let sessions = SessionLayer::new(from.clone()).sessions();
        for n in 0..10 {
            sessions.create(Some("ada"), [("n", n)]).await.unwrap();
        }
        let (from, target) = (DynStore::new(from), DynStore::new(to.clone()));
        let (stop, mut copied) = (Stop::default(), Tally::default());
        let show = |copied: &Tally| {
            if copied.copied == 4 {
                stop.set();
            }
        };
        copy(&from, &target, &stop, &mut copied, show)
            .await
            .unwrap();
        assert!(copied.stopped);
        assert_eq!((copied.copied, to.len()), (4, 4));

        let mut rest = Tally::default();
        let stop = Stop::default();
        copy(&from, &target, &stop, &mut rest, |_| ())
            .await
            .unwrap();
        assert!(!rest.stopped);
        assert_eq!((rest.copied, rest.skipped, rest.done()), (6, 4, 10));
        assert_eq!(to.len(), 10);
    }
}
