//! A user's sessions, and the index beside the records.

use std::future::Future;
use std::sync::Arc;

use tower_keep_core::data::Patch;
use tower_keep_core::{
    CommitId, Finish, Finished, HeadChange, LocalStore, NewSession, Op, Opened, Owner, Put,
    SessionId, SessionStore, UserCap, UserPage, Users,
};

use crate::lock::threads::stage::{LEASE, SECRET, memory, new_session};
use crate::memory::MemoryStore;
use crate::threads::{Time, choose, play, start};

const USER: &str = "ada";

/// Two of a user's sessions at most.
const CAP: UserCap = UserCap::evict_oldest(2);

fn of_user() -> NewSession {
    NewSession {
        user: Some(USER.into()),
        cap: Some(CAP),
        ..new_session()
    }
}

fn created(store: &MemoryStore, new: &NewSession) -> SessionId {
    LocalStore::create(&*store.0, new).unwrap();
    new.id
}

/// Opens a session and makes it this user's, or nobody's.
fn becomes(store: &MemoryStore, id: SessionId, user: Option<&str>) {
    let owner = Owner::unique();
    let open = tower_keep_core::Open {
        id,
        secret: Some(SECRET),
        age: std::time::Duration::ZERO,
        touch: None,
        lease: Some((owner, LEASE)),
    };
    let Opened::Granted(view) = LocalStore::open(&*store.0, &open) else {
        return;
    };
    let head = HeadChange {
        user: Some(user.map(Arc::from)),
        cap: user.map(|_| CAP),
        ..HeadChange::default()
    };
    let finish = Finish {
        id,
        owner,
        version: view.head.version,
        commit: CommitId::unique(),
        op: Op::Put(Put { head, data: None }),
        next: None,
    };
    let finished = LocalStore::finish(&*store.0, &finish, &Patch::default()).unwrap();
    assert!(matches!(finished, Finished::Done { .. } | Finished::Gone));
}

/// What the user's sessions are, by the index and by the records.
fn check(store: &MemoryStore) {
    let mut indexed = store.0.users.lock(USER).ids().to_vec();
    let theirs = |id: &SessionId| store.0.view_of(USER, *id, false).is_some();
    let mut recorded: Vec<_> = store.ids().into_iter().filter(theirs).collect();
    indexed.sort();
    recorded.sort();
    assert_eq!(indexed, recorded, "the index differs from the records");
    assert!(recorded.len() <= 2, "more than the cap allows");
}

fn run(store: &MemoryStore, step: impl FnOnce(&MemoryStore) + Send + 'static) -> impl Future {
    let store = store.clone();
    start(async move { step(&store) })
}

/// Logins while there are as many sessions as may be, each of which ends another.
pub fn logins_keep_to_the_cap(logins: usize) {
    play(Time::StandsStill, async move {
        let store = memory();
        let guests: Vec<_> = (0..logins)
            .map(|_| created(&store, &new_session()))
            .collect();
        created(&store, &of_user());
        let login = |id| run(&store, move |store| becomes(store, id, Some(USER)));
        let tasks: Vec<_> = guests.into_iter().map(login).collect();
        for task in tasks {
            task.await;
        }
        check(&store);
        let live = Users::list(&store, USER, UserPage::default())
            .await
            .unwrap();
        assert_eq!(live.len(), 2);
    });
}

/// Logins, logouts, revocations and destructions, of the same sessions.
pub fn all_at_once() {
    play(Time::StandsStill, async {
        let store = memory();
        let ids = [
            created(&store, &of_user()),
            created(&store, &of_user()),
            created(&store, &new_session()),
        ];
        let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for _ in 0..4 {
            let id = ids[choose(3) as usize];
            let (kind, other) = (choose(6), store.clone());
            let task = start(async move {
                match kind {
                    0 => becomes(&other, id, Some(USER)),
                    1 => becomes(&other, id, None),
                    2 => drop(Users::revoke(&other, USER, id).await.unwrap()),
                    3 => drop(Users::revoke_all(&other, USER, Some(id)).await.unwrap()),
                    4 => drop(SessionStore::destroy(&other, id).await.unwrap()),
                    _ => drop(created(&other, &of_user())),
                }
            });
            tasks.push(Box::pin(async move { task.await.unwrap() }));
        }
        for task in tasks {
            task.await;
        }
        check(&store);
    });
}
