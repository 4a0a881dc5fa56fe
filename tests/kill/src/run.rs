//! Starting the child, and what it and the shim say.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::act::FAILED;
use crate::disk::{Entry, entries};
use crate::place::{Kind, temporary};

const SOURCE: &str = include_str!("shim.c");
const SIGKILL: i32 = 9;

/// What happens at the n-th call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Kill,
    /// Half of a write, then the same.
    Torn,
    Eio,
    /// `ENOSPC`, of a write after half of it.
    Full,
}

impl How {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::Eio => "eio",
            Self::Full => "full",
        }
    }
}

/// The shim, compiled. Needs a C compiler, as the `SQLite` that is compiled with the store does.
#[derive(Debug)]
pub struct Shim {
    dir: TempDir,
}

impl Shim {
    #[expect(clippy::new_without_default, reason = "it runs a compiler")]
    pub fn new() -> Self {
        // Beside this program: elsewhere it may be forbidden to run what is there.
        let program = std::env::current_exe().unwrap();
        let dir = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        let source = dir.path().join("shim.c");
        fs::write(&source, SOURCE).unwrap();
        let shim = Self { dir };
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(compiler)
            .args(["-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-o"])
            .arg(shim.library())
            .arg(source)
            .arg("-lpthread")
            .output()
            .expect("a C compiler is needed: install `cc`");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the shim does not compile: {said}");
        shim
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("shim.so")
    }
}

/// What a child is to do.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// The program, `keep-kill-child`.
    pub program: &'a str,
    pub shim: &'a Shim,
    pub kind: Kind,
    pub rounds: u8,
    /// Whether it closes the store at the end.
    pub closes: bool,
    /// Whether what opens the store is counted too.
    pub opening: bool,
}

/// What a child said.
#[derive(Debug)]
pub struct Said {
    /// So many steps were acknowledged.
    pub done: usize,
    /// So many calls of the store failed.
    pub failed: usize,
    /// Whether it came to its end.
    pub ended: bool,
    pub killed: bool,
    /// What it found to be wrong.
    pub wrong: Option<String>,
}

/// What the calls were, and what the child said between them.
#[derive(Debug)]
pub struct Log(pub Vec<Entry>);

impl Child<'_> {
    /// Lets it work in this directory; something happens at the `n`th call, if at one.
    pub fn run(&self, dir: &Path, happens: Option<(usize, How)>) -> Said {
        said(&self.output(dir, happens, None))
    }

    /// As [`run`](Self::run), with a record of the calls.
    pub fn recorded(&self, dir: &Path, happens: Option<(usize, How)>) -> (Said, Log) {
        let place = temporary();
        let file = place.path().join("log");
        let said = said(&self.output(dir, happens, Some(&file)));
        (said, Log(entries(&fs::read(file).unwrap())))
    }

    fn output(&self, dir: &Path, happens: Option<(usize, How)>, log: Option<&Path>) -> Output {
        let mut child = Command::new(self.program);
        child
            .arg(self.kind.name())
            .arg(dir)
            .args([self.rounds.to_string(), self.closes.to_string()])
            .env("LD_PRELOAD", self.shim.library())
            .env("KEEP_KILL_DIR", dir)
            .stdin(Stdio::null());
        if let Some((n, how)) = happens {
            child.env("KEEP_KILL_AT", n.to_string());
            child.env("KEEP_KILL_HOW", how.name());
        }
        if self.opening {
            child.env("KEEP_KILL_OPENING", "1");
        }
        if let Some(log) = log {
            child.env("KEEP_KILL_LOG", log);
        }
        child.output().unwrap()
    }
}

fn said(output: &Output) -> Said {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "the child: {errors}{text}");
    // A line that was not finished was not said.
    let lines = || {
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
    };
    let killed = output.status.signal() == Some(SIGKILL);
    assert!(
        killed || output.status.code().is_some(),
        "{}",
        output.status
    );
    let wrong = lines().find_map(|line| line.strip_prefix("wrong "));
    Said {
        done: lines().filter(|line| line.starts_with("done ")).count(),
        failed: lines().filter(|line| line.starts_with(FAILED)).count(),
        ended: output.status.success(),
        killed,
        wrong: wrong.map(|wrong| wrong.trim_end().to_owned()),
    }
}

impl Log {
    /// The calls once the store is open, in their order, the first being number 1.
    pub fn calls(&self) -> impl Iterator<Item = &Entry> {
        let open = self.0.iter().skip_while(|entry| !entry.is_said("go"));
        open.filter(|entry| entry.is_call())
    }

    /// How many calls open the store.
    pub fn opening(&self) -> usize {
        let opening = self.0.iter().take_while(|entry| !entry.is_said("go"));
        opening.filter(|entry| entry.is_call()).count()
    }
}
