//! The directory in which it all happens, again and again, and who looks at it afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower_keep_core::Timestamp;
use tower_keep_testkit::TestClock;

use crate::act::{Failure, May};
use crate::after::{check, tidy};
use crate::place::{DATABASE, Kind, Opened, files, temporary};
use crate::plan::{NEW, Plan, USER, id, time};

/// One directory, and the store that this process has opened in it.
pub struct Site {
    kind: Kind,
    plan: Plan,
    dir: TempDir,
    /// The database with nothing in it.
    empty: Option<Vec<u8>>,
    runtime: Runtime,
    clock: TestClock,
    /// A directory of files is opened once: it is the same one all the time.
    opened: Option<Opened>,
    looked: usize,
}

/// Every so many times the sweep is tried too, which takes longer than all else.
const TIDY_EVERY: usize = 16;

impl Site {
    pub fn new(kind: Kind, plan: &Plan) -> Self {
        let mut site = Self::bare(kind, plan);
        let (dir, clock) = (site.path().to_owned(), site.clock.clone());
        let opened = site.runtime.block_on(kind.open(&dir, &clock)).unwrap();
        if kind.is_files() {
            site.opened = Some(opened);
        } else {
            site.runtime.block_on(opened.close(&dir)).unwrap();
            site.empty = Some(fs::read(dir.join(DATABASE)).unwrap());
        }
        site
    }

    /// A directory with nothing in it.
    pub fn bare(kind: Kind, plan: &Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        Self {
            kind,
            plan: plan.clone(),
            dir: temporary(),
            empty: None,
            runtime: { runtime }.enable_time().build().unwrap(),
            clock: TestClock::new(),
            opened: None,
            looked: 0,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes out all sessions.
    pub fn clear(&self) {
        if self.kind.is_files() {
            for path in self.litter() {
                fs::remove_file(path).unwrap();
            }
            let _ = fs::remove_dir(self.users());
            return;
        }
        for end in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(self.path().join(format!("{DATABASE}{end}")));
        }
        if let Some(empty) = &self.empty {
            fs::write(self.path().join(DATABASE), empty).unwrap();
        }
    }

    /// Where the file store keeps the entries of the user.
    fn users(&self) -> PathBuf {
        let digest = Sha256::digest(USER.as_bytes());
        let name = digest
            .iter()
            .fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        self.path().join("users").join(&name[..2]).join(name)
    }

    /// All files where the file store may put any for these sessions.
    fn litter(&self) -> Vec<PathBuf> {
        let sessions = self.plan.after(0).into_keys().chain([NEW]);
        let mut dirs: Vec<_> = sessions
            .map(|session| self.path().join(&id(session).to_string()[34..]))
            .chain([self.users()])
            .collect();
        dirs.sort();
        dirs.dedup();
        let here = dirs.iter().filter(|dir| dir.is_dir());
        here.flat_map(|dir| files(dir).into_iter().map(|file| dir.join(file)))
            .collect()
    }

    /// Opens what is in the directory, where so many steps were acknowledged, in a process that had
    /// nothing to do with it, and looks whether all is as it must be, and whether work goes on.
    pub fn after(&mut self, done: usize, may: May) -> Result<(), Failure> {
        self.looked += 1;
        self.set_clock(time(done + 1));
        let (kind, plan, dir, clock) = (self.kind, &self.plan, self.dir.path(), &self.clock);
        // What one that died was writing must go with the next sweep.
        let was_writing = || self.litter().iter().any(|path| path.ends_with(".new"));
        let sweeps = self.looked.is_multiple_of(TIDY_EVERY) || kind.is_files() && was_writing();
        self.runtime.block_on(async {
            if let Some(opened) = &self.opened {
                check(opened, clock, plan, done, may).await?;
                if sweeps {
                    tidy(kind, opened, plan, dir).await?;
                }
                return Ok(());
            }
            let opened = kind.open(dir, clock).await.map_err(|e| format!("{e:?}"))?;
            check(&opened, clock, plan, done, may).await?;
            tidy(kind, &opened, plan, dir).await?;
            // Or its end would meet with what is next.
            opened.close(dir).await
        })
    }

    fn set_clock(&self, to: Timestamp) {
        let now = tower_keep_core::Clock::now(&self.clock).as_millis();
        let by = i64::try_from(to.as_millis()).unwrap() - i64::try_from(now).unwrap();
        self.clock.jump_wall(by);
    }
}
