//! What is synchronised with the disk, what order is kept, and what fails whom.

use std::str::FromStr;

use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tower_keep_core::{CommitId, SessionId, SystemClock, Timestamp};

use super::super::driver::Text;
use super::*;
use crate::statement::{Reads, Sql};
use crate::table::Table;
use crate::value::Value;

/// Of what is committed now.
async fn level(open: &mut Open) -> i64 {
    let level = sqlx::query_scalar("PRAGMA synchronous");
    level.fetch_one(&mut open.inner).await.unwrap()
}

/// A step on a row that is not there.
fn step(sql: &Sql) -> Task {
    let parameters = (1..100).take_while(|n| sql.contains(&format!("${n}")));
    // The id and the time are added to these.
    let values = parameters.skip(2).map(|_| Value::Int(None)).collect();
    Task::Step(Step {
        sql: sql.clone(),
        id: SessionId::new(Timestamp::from_millis(0)),
        values,
        reads: Reads::Nothing,
    })
}

#[tokio::test]
async fn what_must_last_is_synchronised_and_leases_are_not() {
    let name = format!("keep-writer-{:?}.db", CommitId::unique());
    let file = std::env::temp_dir().join(name);
    let options = SqliteConnectOptions::from_str(&format!("sqlite:{}", file.display()));
    let options = options.unwrap().create_if_missing(true);
    let sql = Arc::new(Statements::new::<Text>(&Table::default()));
    let mut setup = Setup {
        options: Arc::new(
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full),
        ),
        statements: sql.clone(),
        clock: Arc::new(SystemClock::default()),
        lasting: true,
        is_file: true,
    };
    let mut open = Open::connect(&setup, false).await.unwrap();
    let schema = Table::default().script(include_str!("../schema.sql"));
    let script = Task::Script(schema.into());
    let remove = Task::Remove { limit: 1, keep: 0 };
    let cases = [
        (2, vec![script]),
        (1, vec![step(&sql.lease)]),
        (1, vec![step(&sql.release)]),
        (2, vec![step(&sql.destroy)]),
        (1, vec![step(&sql.touch), step(&sql.renew)]),
        (
            2,
            vec![step(&sql.lease), step(&sql.put), step(&sql.release)],
        ),
        (1, vec![step(&sql.lease), step(&sql.release)]),
        (2, vec![step(&sql.bury)]),
        (2, vec![step(&sql.replace)]),
        (1, vec![step(&sql.lease)]),
        (2, vec![remove]),
    ];
    for (number, (expected, tasks)) in cases.into_iter().enumerate() {
        let (jobs, answers): (Vec<_>, Vec<_>) = tasks.into_iter().map(job).unzip();
        open = run(&setup, open, jobs).await.unwrap();
        for answer in answers {
            assert!(answer.await.unwrap().is_ok(), "case {number}");
        }
        assert_eq!(level(&mut open).await, expected, "case {number}");
    }
    // Where nothing has to, it stays as it is.
    setup.lasting = false;
    open.lasting = false;
    let (job, _answer) = job(step(&sql.put));
    open = run(&setup, open, vec![job]).await.unwrap();
    assert_eq!(level(&mut open).await, 2, "not touched");
    open.inner.close().await.unwrap();
    for file in [
        file.clone(),
        file.with_extension("db-wal"),
        file.with_extension("db-shm"),
    ] {
        drop(std::fs::remove_file(file));
    }
}

fn job(task: Task) -> (Job, oneshot::Receiver<Result<Answer, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    let round = 0;
    (Job { task, reply, round }, answer)
}

/// The same steps of different sessions come together; what concerns one session, and what is no
/// step, stays in its order.
#[test]
fn what_meets_stays_in_its_order() {
    let sql = Statements::new::<Text>(&Table::default());
    let [none, ada, bob, cy] = [0, 1, 2, 3].map(|at| SessionId::new(Timestamp::from_millis(at)));
    let of = |sql: &Sql, id| {
        let Task::Step(step) = step(sql) else {
            unreachable!()
        };
        Task::Step(Step { id, ..step })
    };
    let tasks = [
        of(&sql.lease, ada),
        of(&sql.release, bob),
        of(&sql.lease, cy),
        of(&sql.release, ada),
        Task::Count,
        of(&sql.lease, bob),
        of(&sql.release, cy),
        of(&sql.lease, ada),
    ];
    let mut batch: Vec<_> = tasks.into_iter().map(|task| job(task).0).collect();
    in_rounds(&mut batch);
    let name = |job: &Job| match job.step() {
        Some(step) => (Arc::ptr_eq(&step.sql, &sql.lease), step.id),
        None => (false, none),
    };
    let mut groups: Vec<Vec<_>> = Vec::new();
    for group in batch.chunk_by(Job::goes_with) {
        let mut group: Vec<_> = group.iter().map(name).collect();
        group.sort_unstable();
        groups.push(group);
    }
    // Which of two kinds is first in a round is not said.
    groups[..2].sort_unstable();
    groups[4..].sort_unstable();
    let expected = [
        vec![(false, bob)],
        vec![(true, ada), (true, cy)],
        vec![(false, ada)],
        vec![(false, none)],
        vec![(false, cy)],
        vec![(true, ada), (true, bob)],
    ];
    assert_eq!(
        groups.iter().map(Vec::len).collect::<Vec<_>>(),
        [1, 2, 1, 1, 1, 2]
    );
    for (group, expected) in groups.iter_mut().zip(expected) {
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(*group, expected);
    }
}

/// A row that cannot be read fails who reads it; what else is in the batch is committed.
#[tokio::test]
async fn who_cannot_be_answered_fails_alone() {
    let table = Table::default();
    let setup = Setup {
        options: Arc::new(SqliteConnectOptions::from_str("sqlite::memory:").unwrap()),
        statements: Arc::new(Statements::new::<Text>(&table)),
        clock: Arc::new(SystemClock::default()),
        lasting: false,
        is_file: false,
    };
    let mut open = Open::connect(&setup, false).await.unwrap();
    let schema = table.script(include_str!("../schema.sql"));
    let id = SessionId::new(Timestamp::from_millis(0));
    let number = u128::from_be_bytes(*id.as_bytes());
    let insert = format!(
        "INSERT INTO keep_sessions (id, version, generation, revision, created_at, last_seen, \
         idle_limit, absolute_limit, idle_deadline, absolute_deadline, flags, codec, data) \
         VALUES (x'{number:032x}', -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '')"
    );
    let script = Task::Script(format!("{schema} {insert}").into());
    // In a transaction of its own, as both would be, if one had been left open.
    for first in [script, Task::Count] {
        let (jobs, mut answers): (Vec<_>, Vec<_>) =
            [first, Task::Read(id)].into_iter().map(job).unzip();
        open = run(&setup, open, jobs).await.unwrap();
        let read = answers.pop().unwrap().await.unwrap();
        assert_eq!(
            read.err().map(|error| error.kind()),
            Some(StoreErrorKind::Corrupt)
        );
        assert!(answers.pop().unwrap().await.unwrap().is_ok());
    }
}
