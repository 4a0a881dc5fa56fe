//! The arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use tower_keep::SessionId;

/// Looks after the sessions of a tower-keep store
///
/// The store is named by --store URL or, better where the URL has a password that other users of the
/// machine must not see, by the environment variable KEEP_STORE. URLs are those of
/// tower-keep-connect: file:DIRECTORY, sqlite:FILE, postgres://HOST/DATABASE, mysql://HOST/DATABASE,
/// redis://HOST, rediss://, redis+cluster://HOST,HOST, redis+sentinel://HOST,HOST/SERVICE.
///
/// Exit status: 0 done, 1 failed or not all done, 2 wrong arguments, 3 no such session, 130 stopped by
/// Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "keep", version, max_term_width = 100)]
pub struct Arguments {
    /// Where the sessions are.
    #[command(flatten)]
    pub store: StoreArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which store, and where in it.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArguments {
    /// The store's URL
    #[arg(
        long,
        global = true,
        env = "KEEP_STORE",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Store"
    )]
    pub store: Option<String>,
    /// SQL: the table, if it is not keep_sessions
    #[arg(long, global = true, value_name = "NAME", help_heading = "Store")]
    pub table: Option<String>,
    /// PostgreSQL, MySQL: the schema of the table, if it is not the default one
    #[arg(long, global = true, value_name = "NAME", help_heading = "Store")]
    pub schema: Option<String>,
    /// Redis: what keys begin with, if it is not keep:
    #[arg(long, global = true, value_name = "TEXT", help_heading = "Store")]
    pub prefix: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List live sessions
    ///
    /// With --user those of one user, the last created first. Without, all of them, in the order in
    /// which the store has them. Nothing is changed: a session is not touched by being looked at.
    List(List),
    /// Show all that is known of one session, but for what opens it
    Show(Show),
    /// End sessions, whoever is using them
    ///
    /// A session that has ended does not come back, and requests that are under way with it change
    /// nothing any more.
    Revoke(Revoke),
    /// Remove what is over
    ///
    /// Expired sessions, and what is left of those that were ended, once that is ten minutes old.
    /// Redis removes what is over by itself, so there is nothing to do there.
    Sweep(Json),
    /// Count the sessions
    ///
    /// May look at every one of them.
    Stats(Json),
    /// Bring an SQL schema up to date, or copy sessions into another store
    ///
    /// Without --to: makes the table if it is not there, and says from which version of the schema to
    /// which it went.
    ///
    /// With --to: copies all live sessions, as they are: encrypted data stay encrypted, and cookies
    /// open the copies. What is there already is skipped, so it can be run again. A session that a
    /// request holds at the moment is left out and named. What changes after it was copied is not
    /// copied again: stop the servers before, or let them use a MigratingStore, which moves sessions
    /// while they live.
    Migrate(Migrate),
    /// Write a shell's completions to the standard output
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// Arguments of `list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// Only the sessions of this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// At most so many; all if it is not given
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Write JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `show`.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// The session's public id
    #[arg(value_name = "ID")]
    pub id: SessionId,
    /// Show the application's data too
    #[arg(long)]
    pub data: bool,
    /// Decrypt the data with the keys in this file, written as in SESSION_ENCRYPTION_KEYS
    #[arg(long, value_name = "FILE", requires = "data")]
    pub key_file: Option<PathBuf>,
    /// Write JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `revoke`.
#[derive(Debug, Clone, Args)]
pub struct Revoke {
    /// The sessions' public ids
    #[arg(
        value_name = "ID",
        required_unless_present = "user",
        conflicts_with = "user"
    )]
    pub ids: Vec<SessionId>,
    /// All sessions of this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// All of the user's but this one
    #[arg(long, value_name = "ID", requires = "user", conflicts_with = "ids")]
    pub except: Option<SessionId>,
    /// Write JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of commands that need no others.
#[derive(Debug, Clone, Args)]
pub struct Json {
    /// Write JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `migrate`.
#[derive(Debug, Clone, Args)]
pub struct Migrate {
    /// Copy all live sessions into the store at this URL; without one, that in KEEP_STORE_TO
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub to: Option<String>,
    /// As --table, of the store to copy to
    #[arg(long, value_name = "NAME", requires = "to")]
    pub to_table: Option<String>,
    /// As --schema, of the store to copy to
    #[arg(long, value_name = "NAME", requires = "to")]
    pub to_schema: Option<String>,
    /// As --prefix, of the store to copy to
    #[arg(long, value_name = "TEXT", requires = "to")]
    pub to_prefix: Option<String>,
    /// Write JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
