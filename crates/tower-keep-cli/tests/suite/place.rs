//! Where sessions are, and the program that looks after them.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tower_keep::DynStore;
use tower_keep::core::CommitId;
use tower_keep_connect::StoreConfig;

/// A store that nobody else uses.
pub(crate) struct Place {
    pub(crate) url: String,
    /// What the program must be told beside the URL.
    option: Option<[String; 2]>,
    config: StoreConfig,
    /// Removed at the end.
    pub(crate) dir: TempDir,
}

impl Place {
    pub(crate) fn file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file:{}", dir.path().join("sessions").display());
        let config = StoreConfig::new(&url);
        Self::new(url, None, config, dir)
    }

    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("keep.db").display());
        let config = StoreConfig::new(&url);
        Self::new(url, None, config, dir)
    }

    pub(crate) fn redis() -> Self {
        let (url, own) = (server("KEEP_REDIS_URL"), own());
        let config = StoreConfig::new(&url).prefix(&own);
        Self::new(
            url,
            Some(["--prefix".to_owned(), own]),
            config,
            tempfile::tempdir().unwrap(),
        )
    }

    pub(crate) fn postgres() -> Self {
        Self::sql("KEEP_POSTGRES_URL")
    }

    pub(crate) fn mariadb() -> Self {
        Self::sql("KEEP_MARIADB_URL")
    }

    fn sql(variable: &str) -> Self {
        let (url, own) = (server(variable), own());
        let config = StoreConfig::new(&url).table(&own);
        Self::new(
            url,
            Some(["--table".to_owned(), own]),
            config,
            tempfile::tempdir().unwrap(),
        )
    }

    fn new(url: String, option: Option<[String; 2]>, config: StoreConfig, dir: TempDir) -> Self {
        Self {
            url,
            option,
            config,
            dir,
        }
    }

    /// The store as a server uses it. Made, if it is not there.
    pub(crate) async fn store(&self) -> DynStore {
        self.config.connect().await.unwrap()
    }

    /// Runs the program on the store.
    pub(crate) async fn keep(&self, arguments: &[&str]) -> Done {
        let mut command = keep();
        command.args(arguments).args(self.option.iter().flatten());
        command.env("KEEP_STORE", &self.url);
        run(command).await
    }

    /// The same, and copies what is there to another place.
    pub(crate) async fn copy(&self, to: &Self, arguments: &[&str]) -> Done {
        let mut command = keep();
        command.arg("migrate").args(self.option.iter().flatten());
        command.args(["--to", &to.url]).args(arguments);
        if let Some([name, value]) = &to.option {
            command.args([&name.replace("--", "--to-"), value]);
        }
        command.env("KEEP_STORE", &self.url);
        run(command).await
    }
}

/// The program, to be run without a store.
pub(crate) fn keep() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keep"));
    command.env_remove("KEEP_STORE").env_remove("KEEP_STORE_TO");
    command
}

/// Runs it beside the servers of the test, which would else stand still.
pub(crate) async fn run(mut command: Command) -> Done {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    Done::new(output.await.unwrap())
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it said, if all went well and it had nothing to complain of.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert!(self.code == Some(0) && self.err.is_empty(), "{self:?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.well()).unwrap()
    }

    /// The complaint it ended with, by this status.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert!(
            self.code == Some(code) && self.err.starts_with("keep: "),
            "{self:?}"
        );
        self.err
    }
}

/// The texts under a key of each object in a list.
pub(crate) fn texts(list: &Value, key: &str) -> Vec<String> {
    let text = |object: &Value| object[key].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(text).collect()
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no server: ./test.sh starts one, or set it to one of yours")
    })
}

/// A name that nobody else uses.
fn own() -> String {
    format!("t_{:?}", CommitId::unique())
}
