//! `keep revoke`.

use std::io::Write;

use serde::Serialize;
use tower_keep::{DynStore, SessionId, SessionStore};

use super::{sessions, users};
use crate::args::Revoke;
use crate::error::Failure;
use crate::json::{self, Id};

/// What was ended, and what was not there to be ended.
#[derive(Serialize)]
struct Revoked {
    revoked: Vec<Id>,
    not_found: Vec<Id>,
}

pub(super) async fn run(
    store: &DynStore,
    revoke: &Revoke,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut done = Revoked {
        revoked: Vec::new(),
        not_found: Vec::new(),
    };
    let result = match &revoke.user {
        Some(user) => of_user(store, user, revoke.except, &mut done).await,
        None => by_id(store, &revoke.ids, &mut done).await,
    };
    // Also what was done before it failed.
    report(&done, revoke.json, out)?;
    result?;
    match done.not_found.len() {
        0 => Ok(()),
        count => {
            let count = sessions(count);
            Err(Failure::NotFound(format!(
                "{count} not found, or over already"
            )))
        }
    }
}

async fn of_user(
    store: &DynStore,
    user: &str,
    except: Option<SessionId>,
    done: &mut Revoked,
) -> Result<(), Failure> {
    let ended = users(store)?.revoke_all(user, except).await?;
    done.revoked.extend(ended.into_iter().map(Id));
    Ok(())
}

async fn by_id(store: &DynStore, ids: &[SessionId], done: &mut Revoked) -> Result<(), Failure> {
    for id in ids {
        let list = if store.destroy(*id).await? {
            &mut done.revoked
        } else {
            &mut done.not_found
        };
        list.push(Id(*id));
    }
    Ok(())
}

fn report(done: &Revoked, json: bool, out: &mut impl Write) -> Result<(), Failure> {
    if json {
        return Ok(json::line(out, done)?);
    }
    for id in &done.revoked {
        writeln!(out, "{} ended", id.0)?;
    }
    for id in &done.not_found {
        writeln!(out, "{} not found", id.0)?;
    }
    if done.revoked.is_empty() && done.not_found.is_empty() {
        writeln!(out, "the user has no other live session")?;
    }
    Ok(())
}
