//! The commands.

mod copy;
mod list;
mod migrate;
mod pages;
mod revoke;
mod show;
mod stats;
mod sweep;

use std::io::Write;

use clap::CommandFactory;
use tower_keep::DynStore;
use tower_keep::SessionStore;
use tower_keep::core::Users;

use crate::args::{Arguments, Command};
use crate::error::Failure;
use crate::stop::Stop;

pub(crate) async fn run(arguments: Arguments, out: &mut impl Write) -> Result<(), Failure> {
    let Arguments { store, command } = arguments;
    match command {
        Command::List(list) => list::run(&store.open().await?, &list, out).await,
        Command::Show(show) => show::run(&store.open().await?, &show, out).await,
        Command::Revoke(revoke) => revoke::run(&store.open().await?, &revoke, out).await,
        Command::Sweep(json) => {
            let stop = Stop::on_ctrl_c();
            sweep::run(&store.open().await?, json.json, &stop, out).await
        }
        Command::Stats(json) => stats::run(&store.open().await?, json.json, out).await,
        Command::Migrate(migrate) => migrate::run(&store, &migrate, out).await,
        Command::Completions { shell } => {
            // Not to `out`: the generator cannot return an error, and panics.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "keep", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

/// The ability to find the sessions of a user.
fn users(store: &DynStore) -> Result<&dyn Users, Failure> {
    store.users().ok_or_else(|| Failure::Unable {
        store: store.name(),
        what: "find the sessions of a user",
    })
}

/// How many, with the word for them.
fn sessions(count: usize) -> String {
    match count {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    }
}
