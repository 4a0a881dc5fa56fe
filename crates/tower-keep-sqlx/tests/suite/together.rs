//! Many steps at once, which SQLite's writer carries out in one text.

use tower_keep_core::{Finished, Opened, Owner, SessionStore};

use crate::place::{ENGINES, Place};
use crate::storage::{data, leasing, new_session, putting};

const SESSIONS: usize = 45;

/// What becomes of the session of this number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Granted,
    /// Another owner has it.
    Busy,
    /// The secret is wrong.
    Absent,
}

fn fate(number: usize) -> Fate {
    match number % 5 {
        2 => Fate::Busy,
        4 => Fate::Absent,
        _ => Fate::Granted,
    }
}

#[tokio::test]
async fn each_of_many_at_once_has_its_own_answer() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let store = place.store().await;
        let mut all = Vec::new();
        for number in 0..SESSIONS {
            let mut new = new_session();
            new.data = data(u64::try_from(number).unwrap() + 100);
            store.create(&new).await.unwrap();
            if fate(number) == Fate::Busy {
                let held = store.open(&leasing(&new, Owner::unique())).await.unwrap();
                assert!(matches!(held, Opened::Granted(_)), "{engine:?}");
            }
            all.push((new, Owner::unique()));
        }
        // On this runtime all ask before the writer has its turn.
        let opening: Vec<_> = (all.iter().enumerate())
            .map(|(number, (new, owner))| {
                let (store, mut open) = (store.clone(), leasing(new, *owner));
                if fate(number) == Fate::Absent {
                    open.secret = Some(new_session().secret);
                }
                tokio::spawn(async move { store.open(&open).await })
            })
            .collect();
        for (number, opened) in opening.into_iter().enumerate() {
            let opened = opened.await.unwrap().unwrap();
            match (fate(number), opened) {
                (Fate::Granted, Opened::Granted(view)) => {
                    assert_eq!(view.head.id, all[number].0.id, "{engine:?}: {number}");
                    assert_eq!(view.data, all[number].0.data, "{engine:?}: {number}");
                }
                (Fate::Busy, Opened::Busy(_)) | (Fate::Absent, Opened::Absent) => {}
                (fate, opened) => panic!("{engine:?}: {number} is {fate:?}, not {opened:?}"),
            }
        }
        // Who has the lease commits, others are refused.
        let finishing: Vec<_> = all
            .iter()
            .map(|(new, owner)| {
                let (store, finish) = (store.clone(), putting(new, *owner, 1));
                tokio::spawn(async move { store.finish(&finish).await })
            })
            .collect();
        for (number, finished) in finishing.into_iter().enumerate() {
            let finished = finished.await.unwrap().unwrap();
            let granted = fate(number) == Fate::Granted;
            match finished {
                Finished::Done { version: 2, .. } if granted => {}
                Finished::Lost if !granted => {}
                other => panic!("{engine:?}: {number} is {:?}, not {other:?}", fate(number)),
            }
            let record = store
                .look(all[number].0.id)
                .await
                .unwrap()
                .record
                .unwrap()
                .0;
            let expected = if granted {
                data(1)
            } else {
                all[number].0.data.clone()
            };
            assert_eq!(record.data, expected, "{engine:?}: {number}");
        }
    }
}
