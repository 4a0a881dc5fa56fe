//! The same step for several sessions at once.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::SqliteConnection;
use tower_keep_core::{Clock, StoreError};

use super::driver;
use crate::engine::{Outcome, Step};
use crate::error::unavailable;
use crate::statement::{Sql, Statements};

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";

/// The most copies of a statement that there are in one text. Each of them is prepared for itself,
/// which takes some 25 KB.
const LARGEST: usize = 32;

/// So many results a text can have: a row and an end of each statement. With room for all of them
/// the driver's thread never waits for somebody to take one.
pub(super) const RESULTS: usize = 2 * LARGEST + 2;

/// How many copies there are in the next text for so many steps: a power of two, so that there are
/// few texts. What is left over changes nothing, unless it would insert.
fn copies(sql: &str, steps: usize) -> usize {
    let up = steps.next_power_of_two().min(LARGEST);
    let is_insert = sql.starts_with("INSERT");
    if up > steps && is_insert { up / 2 } else { up }
}

/// Whether a transaction begins before the first of some steps and is committed after the last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) begins: bool,
    pub(super) commits: bool,
}

/// The texts that were made so far.
#[derive(Default)]
pub(super) struct Texts(Vec<Text>);

struct Text {
    of: Sql,
    copies: usize,
    bounds: Bounds,
    whole: Sql,
}

impl Texts {
    fn of(&mut self, sql: &Sql, copies: usize, bounds: Bounds) -> Sql {
        if copies == 1 && bounds == Bounds::default() {
            return sql.clone();
        }
        let mut known = self.0.iter();
        let known = known.find(|known| {
            Arc::ptr_eq(&known.of, sql) && known.copies == copies && known.bounds == bounds
        });
        if let Some(known) = known {
            return known.whole.clone();
        }
        let text: Sql = written(sql, copies, bounds).into();
        self.0.push(Text {
            of: sql.clone(),
            copies,
            bounds,
            whole: text.clone(),
        });
        text
    }
}

fn written(sql: &str, copies: usize, bounds: Bounds) -> String {
    let copies = repeated(sql, copies);
    match (bounds.begins, bounds.commits) {
        (false, false) => copies,
        (true, false) => format!("{BEGIN}; {copies}"),
        (false, true) => format!("{copies}{COMMIT}"),
        (true, true) => format!("{BEGIN}; {copies}{COMMIT}"),
    }
}

/// So many copies, whose parameters follow one another.
fn repeated(sql: &str, copies: usize) -> String {
    let parts: Vec<_> = sql.split('$').collect();
    let number = |part: &str| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        (part[..digits].parse().unwrap_or(0), digits)
    };
    let parameters: usize = parts.iter().map(|part| number(part).0).max().unwrap_or(0);
    let mut text = String::new();
    for copy in 0..copies {
        for (at, part) in parts.iter().enumerate() {
            if at == 0 {
                text.push_str(part);
                continue;
            }
            let (number, digits) = number(part);
            // Writing to a string cannot fail.
            let _ = write!(text, "${}{}", number + copy * parameters, &part[digits..]);
        }
        text.push_str("; ");
    }
    text
}

/// Carries out steps that have their statement in common and their sessions not.
///
/// Why a step did not match is looked up behind its text, which may be after the commit, as it is
/// for a step that is alone.
///
/// # Errors
/// Of all of them if one cannot be carried out; beside that each has its own if its row cannot be
/// read.
pub(super) async fn steps(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    statements: &Statements,
    steps: &[&Step],
    bounds: Bounds,
    clock: &dyn Clock,
) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
    let mut outcomes = Vec::with_capacity(steps.len());
    let (mut left, mut begins) = (steps, bounds.begins);
    while let Some(first) = left.first() {
        let copies = copies(&first.sql, left.len());
        let (these, rest) = left.split_at(copies.min(left.len()));
        left = rest;
        let commits = bounds.commits && left.is_empty();
        let bounds = Bounds { begins, commits };
        let now = clock.now();
        let text = texts.of(&first.sql, copies, bounds);
        let returned = driver::each(connection, &text, copies, these, now).await?;
        if returned.len() != copies + usize::from(begins) + usize::from(commits) {
            return Err(unavailable(
                "the driver answered fewer statements than it was sent",
            ));
        }
        let returned = returned.iter().skip(usize::from(begins));
        for (step, row) in these.iter().zip(returned) {
            let outcome = driver::outcome(connection, statements, step, row.as_ref(), now);
            outcomes.push(outcome.await);
        }
        begins = false;
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_few_sizes_and_nothing_is_inserted_twice() {
        let of = |sql| [1, 2, 3, 16, 17, 31, 32, 33, 64].map(|steps| copies(sql, steps));
        assert_eq!(of("UPDATE t"), [1, 2, 4, 16, 32, 32, 32, 32, 32]);
        assert_eq!(of("INSERT INTO t"), [1, 2, 2, 16, 16, 16, 32, 32, 32]);
    }

    #[test]
    fn a_text_begins_and_commits_where_it_should() {
        let bounds = |begins, commits| Bounds { begins, commits };
        let cases = [
            (bounds(false, false), "A; A; "),
            (bounds(true, false), "BEGIN IMMEDIATE; A; A; "),
            (bounds(false, true), "A; A; COMMIT"),
            (bounds(true, true), "BEGIN IMMEDIATE; A; A; COMMIT"),
        ];
        let (sql, mut texts): (Sql, _) = ("A".into(), Texts::default());
        for _ in 0..2 {
            for (bounds, expected) in cases {
                assert_eq!(&*texts.of(&sql, 2, bounds), expected);
            }
        }
        assert_eq!(texts.0.len(), cases.len(), "each is made once");
    }

    #[test]
    fn each_copy_has_parameters_of_its_own() {
        let text = repeated("UPDATE t SET a = $2, b = $12 WHERE id = $1", 3);
        assert_eq!(
            text,
            "UPDATE t SET a = $2, b = $12 WHERE id = $1; \
             UPDATE t SET a = $14, b = $24 WHERE id = $13; \
             UPDATE t SET a = $26, b = $36 WHERE id = $25; "
        );
    }
}
