//! The checks after the worst moment.

use std::path::Path;
use std::time::Duration;

use tower_keep_core::{
    Created, Finish, Finished, Op, Opened as Answer, Owner, Put, SessionStore, StoreError, Sweep,
};
use tower_keep_testkit::TestClock;

use crate::act::{Failure, LEASE, May, data, examine, leasing, new_session, seen};
use crate::place::{Kind, Opened, files};
use crate::plan::{self, NEW, Plan, Stored};

/// Whether all is as it must be, and work goes on.
pub(crate) async fn check(
    place: &Opened,
    clock: &TestClock,
    plan: &Plan,
    done: usize,
    may: May,
) -> Result<(), Failure> {
    examine(&place.store, plan, done, may).await?;
    place.check().await?;
    for session in living(place, plan).await? {
        go_on(place, clock, session).await?;
    }
    let created = place.store.create(&new_session(0, NEW, true)).await;
    match created.map_err(told)? {
        Created::Done(_) => Ok(()),
        other => Err(format!("nothing can be created: {other:?}")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` passes")]
fn told(error: StoreError) -> Failure {
    format!("{error}: {:?}", std::error::Error::source(&error))
}

/// The sessions that are there and not over.
async fn living(place: &Opened, plan: &Plan) -> Result<Vec<u8>, Failure> {
    let mut living = Vec::new();
    for session in plan.after(0).into_keys() {
        let lasts = plan.lasts(session);
        let seen = seen(&place.store, session).await.map_err(told)?;
        if lasts && matches!(seen, Stored::There { .. }) {
            living.push(session);
        }
    }
    Ok(living)
}

/// Waits for the lease of one that died, no longer than that lasts, and commits.
async fn go_on(place: &Opened, clock: &TestClock, session: u8) -> Result<(), Failure> {
    const N: usize = 9_000;
    let owner = Owner::from_u128(u128::MAX);
    let store = &place.store;
    let mut opened = store.open(&leasing(session, owner)).await.map_err(told)?;
    if let Answer::Busy(rest) = opened {
        if rest > LEASE {
            return Err(format!("session {session} is busy for {rest:?}"));
        }
        clock.advance(rest);
        opened = store.open(&leasing(session, owner)).await.map_err(told)?;
    }
    let Answer::Granted(view) = opened else {
        return Err(format!("session {session} is {opened:?}"));
    };
    let finish = Finish {
        id: plan::id(session),
        owner,
        version: view.head.version,
        commit: plan::commit(N),
        op: Op::Put(Put {
            data: Some(data(N)),
            ..Put::default()
        }),
        next: None,
    };
    let finished = store.finish(&finish).await.map_err(told)?;
    if !matches!(finished, Finished::Done { .. }) {
        return Err(format!("session {session}: {finished:?}"));
    }
    match seen(store, session).await.map_err(told)? {
        Stored::There { n: N, version, .. } if version == view.head.version + 1 => Ok(()),
        other => Err(format!("session {session} is {other:?} after a commit")),
    }
}

/// Sweeps: what lives stays, and nothing else is left.
pub(crate) async fn tidy(
    kind: Kind,
    place: &Opened,
    plan: &Plan,
    dir: &Path,
) -> Result<(), Failure> {
    let before = living(place, plan).await?;
    let all = Sweep {
        keep_tombstones: Duration::ZERO,
        ..Sweep::default()
    };
    place.store.sweep(all).await.map_err(told)?;
    if living(place, plan).await? != before {
        return Err("a sweep has taken what was alive".into());
    }
    let known = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        match kind {
            Kind::Sqlite | Kind::SqliteRelaxed => name.starts_with("sessions.db"),
            Kind::File | Kind::FileUnsynced => {
                name.parse::<tower_keep_core::SessionId>().is_ok() || dir.join(path).is_dir()
            }
        }
    };
    match files(dir).iter().find(|path| !known(path)) {
        Some(litter) => Err(format!("{} was left", litter.display())),
        None => Ok(()),
    }
}
