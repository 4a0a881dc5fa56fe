//! The same step for several sessions at once.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::SqliteConnection;
use tower_keep_core::{Clock, StoreError};

use super::driver;
use crate::engine::{Outcome, Step};
use crate::error::unavailable;
use crate::statement::{Sql, Statements};

/// How many copies of a statement there are in one text. Each is prepared for itself, so they are
/// few and not large.
const SIZES: [usize; 3] = [16, 4, 1];

/// The texts that were made so far: of which statement, how many copies, and the text.
#[derive(Default)]
pub(super) struct Texts(Vec<(Sql, usize, Sql)>);

impl Texts {
    fn of(&mut self, sql: &Sql, copies: usize) -> Sql {
        if copies == 1 {
            return sql.clone();
        }
        let mut known = self.0.iter();
        let known = known.find(|(of, many, _)| Arc::ptr_eq(of, sql) && *many == copies);
        if let Some((_, _, text)) = known {
            return text.clone();
        }
        let text: Sql = repeated(sql, copies).into();
        self.0.push((sql.clone(), copies, text.clone()));
        text
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
/// # Errors
/// Of all of them if one cannot be carried out; beside that each has its own if its row cannot be
/// read.
pub(super) async fn steps(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    statements: &Statements,
    steps: &[&Step],
    clock: &dyn Clock,
) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
    let mut outcomes = Vec::with_capacity(steps.len());
    let mut left = steps;
    while let Some(first) = left.first() {
        let size = SIZES.into_iter().find(|size| *size <= left.len());
        let (these, rest) = left.split_at(size.unwrap_or(1));
        left = rest;
        let now = clock.now();
        let text = texts.of(&first.sql, these.len());
        let returned = driver::each(connection, &text, these, now).await?;
        if returned.len() != these.len() {
            return Err(unavailable(
                "the driver answered fewer statements than it was sent",
            ));
        }
        for (step, row) in these.iter().zip(&returned) {
            let outcome = driver::outcome(connection, statements, step, row.as_ref(), now);
            outcomes.push(outcome.await);
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
