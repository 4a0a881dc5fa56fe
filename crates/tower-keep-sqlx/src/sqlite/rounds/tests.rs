//! Rounds that go wrong, and readers that come and go.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Limits, NewSession, SecretHash, SessionStore, StoreErrorKind, Timestamp,
};

use super::*;
use crate::sqlite::SqliteStore;

/// A database with some sessions, gone at the end.
struct Place {
    file: PathBuf,
    store: SqliteStore,
    ids: Vec<SessionId>,
}

impl Place {
    async fn with(sessions: usize) -> Self {
        let name = format!("keep-rounds-{:?}.db", CommitId::unique());
        let file = std::env::temp_dir().join(name);
        let url = format!("sqlite:{}", file.display());
        let store = SqliteStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..sessions {
            let new = NewSession {
                id: SessionId::new(Timestamp::from_millis(0)),
                secret: SecretHash::from_bytes([1; 32]),
                commit: CommitId::unique(),
                limits: Limits::default(),
                extend: None,
                user: None,
                cap: None,
                authenticated: false,
                client: None,
                remember: false,
                data: Data::default(),
            };
            store.create(&new).await.unwrap();
            ids.push(new.id);
        }
        Self { file, store, ids }
    }

    fn readers(&self) -> &Readers {
        self.store.0.readers.as_ref().unwrap()
    }

    /// Readers of their own, whose texts for several sessions are no SQL.
    fn with_broken_rounds(&self) -> Readers {
        let whole = &self.readers().0;
        let [one, ..] = whole.texts.clone();
        Readers(Arc::new(Inner {
            connections: whole.connections.clone(),
            texts: [one, (4, "SELECT".into()), (16, "SELECT".into())],
            line: Mutex::default(),
            most: whole.most,
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for end in ["db", "db-wal", "db-shm"] {
            drop(std::fs::remove_file(self.file.with_extension(end)));
        }
    }
}

/// Reads every one of `ids` at the same time.
async fn read_all(readers: &Readers, ids: &[SessionId]) {
    // On this runtime all ask before a reader has its turn.
    let asked: Vec<_> = (ids.iter().copied())
        .map(|id| {
            let readers = readers.clone();
            (id, tokio::spawn(async move { readers.read(id).await }))
        })
        .collect();
    for (id, row) in asked {
        let row = soon(row).await.unwrap().unwrap();
        assert_eq!(row.unwrap().record.head.id, id);
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_mins(1);
    let result = tokio::time::timeout(limit, future).await;
    result.expect("it happens within a minute")
}

/// Has it ask, and no more.
async fn begun<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// How many wait, and how many readers there are.
fn line(readers: &Readers) -> (usize, usize) {
    let line = readers.line();
    (line.waiting.len(), line.readers)
}

fn job(id: SessionId) -> (Job, oneshot::Receiver<Result<Option<Stored>, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Job { id, reply }, answer)
}

#[tokio::test]
async fn a_reader_begins_for_each_round_that_waits() {
    let place = Place::with(1).await;
    let (readers, id) = (place.readers(), place.ids[0]);
    let (mut started, mut answers) = (Vec::new(), Vec::new());
    for number in 1..=5 * ROUND {
        let (job, answer) = job(id);
        answers.push(answer);
        started.extend(readers.join(job).map(|reader| (number, reader)));
    }
    let numbers: Vec<_> = started.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 17, 33, 49], "as many as there are connections");
    let (_, first) = started.remove(0);
    assert_eq!(first.next().len(), ROUND);
    first.work().await;
    assert_eq!(line(readers), (0, 3));
    for answer in &mut answers[ROUND..] {
        let row = answer.try_recv().unwrap().unwrap();
        assert_eq!(row.unwrap().record.head.id, id);
    }
    drop(started);
    assert_eq!(line(readers), (0, 0));
}

#[tokio::test]
async fn those_of_a_round_that_failed_read_alone() {
    let place = Place::with(20).await;
    let readers = place.with_broken_rounds();
    let (job, answer) = job(place.ids[0]);
    let reader = readers.join(job).unwrap();
    let (other, sent_away) = self::job(place.ids[1]);
    assert!(readers.join(other).is_none());
    reader.work().await;
    assert!(answer.await.is_err() && sent_away.await.is_err());
    read_all(&readers, &place.ids).await;
    assert_eq!(line(&readers), (0, 0));
}

/// Nobody is read for in vain, and nobody waits because of those who left.
#[tokio::test]
async fn who_went_away_is_passed_over() {
    let place = Place::with(20).await;
    let readers = place.readers();
    let mut left = Vec::new();
    for id in place.ids.iter().cycle().take(50) {
        let mut reading = Box::pin(readers.read(*id));
        begun(reading.as_mut()).await;
        left.push(reading);
    }
    let mut stays = pin!(readers.read(place.ids[7]));
    begun(stays.as_mut()).await;
    drop(left);
    let row = soon(stays).await.unwrap().unwrap();
    assert_eq!(row.record.head.id, place.ids[7]);
    read_all(readers, &place.ids).await;
}

/// A reader that is gone with its runtime leaves nobody waiting.
#[test]
fn a_reader_may_end_with_its_runtime() {
    let build = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let (one, two) = (build(), build());
    let place = two.block_on(Place::with(2));
    let readers = place.readers();
    let (job, answer) = job(place.ids[0]);
    // Nobody runs what is spawned there.
    one.spawn(readers.join(job).unwrap().work());
    two.block_on(async {
        let mut waits = pin!(readers.read(place.ids[1]));
        begun(waits.as_mut()).await;
        one.shutdown_background();
        let row = soon(waits).await.unwrap().unwrap();
        assert_eq!(row.record.head.id, place.ids[1]);
        assert!(answer.await.is_err(), "sent away");
        assert_eq!(line(readers), (0, 0));
    });
}

/// Each is told why it could not be read, once the round and every one alone have failed.
#[tokio::test]
async fn without_a_table_each_is_told() {
    let place = Place::with(1).await;
    let sql = sqlx::raw_sql("DROP TABLE keep_sessions");
    let mut taken = place.readers().take().await.unwrap();
    sql.execute(taken.connection()).await.unwrap();
    taken.keep();
    let id = place.ids[0];
    let asked: Vec<_> = (0..3)
        .map(|_| {
            let readers = place.readers().clone();
            tokio::spawn(async move { readers.read(id).await })
        })
        .collect();
    for row in asked {
        let error = soon(row).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
}
