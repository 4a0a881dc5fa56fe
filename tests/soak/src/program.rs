//! A program that is watched.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a moment is for which a program stands still, or somebody else has its file.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);

/// A program that says where it listens. It ends with this value at the latest.
pub struct Program {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    pub pid: u32,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Program {
    /// Starts it in this directory, and waits until it listens.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start(program: &str, arguments: &[&str], dir: &Path) -> Self {
        let log = dir.join("log");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&log).unwrap());
        // Which thread asks for memory is by chance, and each of them would have some in reserve.
        command.env("MALLOC_ARENA_MAX", "1");
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let told = output.next_line().await.unwrap();
        let told = told.unwrap_or_else(|| panic!("it does not start: {}", tail(&log)));
        let address = told.strip_prefix("listening on http://");
        Self {
            pid: process.id().unwrap(),
            process,
            output,
            address: address
                .unwrap_or_else(|| panic!("it says {told}"))
                .parse()
                .unwrap(),
            log,
        }
    }

    pub async fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let kill = kill.args([name, &self.pid.to_string()]).status().await;
        assert!(kill.unwrap().success());
    }

    /// How many lines of its log have this in them.
    pub(crate) fn has_told(&self, what: &str) -> u64 {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains(what));
        u64::try_from(lines.count()).unwrap_or(u64::MAX)
    }

    /// Has it stand still for a moment.
    pub(crate) async fn pause(&self) {
        self.signal("-STOP").await;
        tokio::time::sleep(MOMENT).await;
        self.signal("-CONT").await;
    }

    /// Ends it as a service manager does. It must finish what it began, and say so.
    ///
    /// # Panics
    /// If it does not.
    pub async fn ends(mut self) {
        self.signal("-TERM").await;
        let mut last = String::new();
        while let Some(line) = self.output.next_line().await.unwrap() {
            last = line;
        }
        assert_eq!(last, "drained", "{}", tail(&self.log));
        assert!(self.process.wait().await.unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the end of the program's log:\n{}", tail(&self.log));
        }
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
