//! What a disk has after a power cut.
//!
//! The calls of a process, as they were recorded, are played on a model of files whose pages are in
//! memory until they are synchronised. A page whose synchronisation failed is lost: the system takes
//! it for clean, and the next synchronisation says nothing of it, until something is written there
//! again. Names (made, changed, removed) are in memory until their directory is synchronised, and
//! then become those on the disk in the order in which they were given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use tower_keep_testkit::Rng;

use crate::place::files;

const PAGE: usize = 4_096;
/// A disk writes so many bytes or none of them.
const SECTOR: usize = 512;

/// One line of the shim's record.
#[derive(Clone)]
pub struct Entry {
    pub call: String,
    pub result: i64,
    number: i64,
    path: PathBuf,
    to: PathBuf,
    bytes: Vec<u8>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call, path, number, ..
        } = self;
        write!(f, "{call} {} {number}", path.display())
    }
}

impl Entry {
    pub fn is_call(&self) -> bool {
        self.call != "said"
    }

    /// Whether the child said this then.
    pub fn is_said(&self, word: &str) -> bool {
        !self.is_call() && self.bytes.starts_with(word.as_bytes())
    }

    pub fn is_write(&self) -> bool {
        self.call == "write"
    }

    /// Whether a full disk can have it fail.
    pub fn needs_room(&self) -> bool {
        matches!(&*self.call, "write" | "open" | "mkdir")
    }

    /// Whether it is done to the directory in which all is.
    pub fn is_on_top(&self) -> bool {
        self.path == Path::new(".")
    }

    pub fn is_sync(&self) -> bool {
        self.call == "sync"
    }
}

pub(crate) fn entries(mut log: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(end) = log.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&log[..end]).unwrap();
        let [call, result, number, length, path, to] = line
            .split('\t')
            .collect::<Vec<_>>()
            .try_into()
            .expect("a line of the shim");
        let length: usize = length.parse().unwrap();
        let (bytes, rest) = log[end + 1..].split_at(length);
        entries.push(Entry {
            call: call.to_owned(),
            result: result.parse().unwrap(),
            number: number.parse().unwrap(),
            path: path.into(),
            to: to.into(),
            bytes: bytes.to_vec(),
        });
        log = rest;
    }
    entries
}

/// What a power cut takes of what is in memory.
#[derive(Debug, Clone, Copy)]
pub enum Loss {
    /// All of it.
    All,
    /// All pages and no name.
    Pages,
    /// Some sectors and the newest names, by a seed.
    Some(u64),
}

#[derive(Debug, Clone, Default)]
struct File {
    /// As the process sees it.
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

/// A change of names; a directory has no file.
#[derive(Debug, Clone)]
enum Naming {
    Made(PathBuf, Option<usize>),
    Removed(PathBuf),
    Moved(PathBuf, PathBuf, Option<usize>),
}

type Names = BTreeMap<PathBuf, Option<usize>>;

/// A disk, and what the system has not written to it yet.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    files: Vec<File>,
    /// Directories that are there all the time.
    base: BTreeSet<PathBuf>,
    now: Names,
    durable: Names,
    pending: Vec<Naming>,
}

impl Disk {
    /// One that has what is below this directory.
    pub fn holding(dir: &Path) -> Self {
        let mut disk = Self::default();
        for path in files(dir) {
            let full = dir.join(&path);
            let file = full.is_file().then(|| {
                let bytes = fs::read(&full).unwrap();
                disk.files.push(File {
                    durable: bytes.clone(),
                    now: bytes,
                    dirty: BTreeSet::new(),
                });
                disk.files.len() - 1
            });
            match file {
                Some(_) => drop(disk.now.insert(path, file)),
                None => drop(disk.base.insert(path)),
            }
        }
        disk.durable = disk.now.clone();
        disk
    }

    /// Carries out a call.
    pub fn play(&mut self, entry: &Entry) {
        // What is only in memory that is shared, and made anew after a start.
        let is_shared = |path: &Path| path.to_string_lossy().ends_with("-shm");
        if !entry.is_call() || is_shared(&entry.path) {
            return;
        }
        let failed = entry.result < 0;
        let path = &entry.path;
        match &*entry.call {
            "sync" => self.sync(path, !failed),
            _ if failed => {}
            "open" => {
                if entry.number == 1 {
                    self.files.push(File::default());
                    let file = Some(self.files.len() - 1);
                    self.name(Naming::Made(path.clone(), file));
                } else if entry.number == 2
                    && let Some(file) = self.file(path)
                {
                    file.truncate(0);
                }
            }
            "write" => {
                // What has no name any more is not looked for.
                if let Some(file) = self.file(path) {
                    file.write(usize::try_from(entry.number).unwrap(), &entry.bytes);
                }
            }
            "truncate" => {
                if let Some(file) = self.file(path) {
                    file.truncate(usize::try_from(entry.number).unwrap());
                }
            }
            "rename" => {
                let file = self.now[path];
                self.name(Naming::Moved(path.clone(), entry.to.clone(), file));
            }
            "unlink" | "rmdir" => self.name(Naming::Removed(path.clone())),
            "mkdir" if self.base.contains(path) => {}
            "mkdir" => self.name(Naming::Made(path.clone(), None)),
            other => panic!("an unknown call, {other}"),
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        let file = (*self.now.get(path)?)?;
        self.files.get_mut(file)
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.now);
        self.pending.push(naming);
    }

    fn sync(&mut self, path: &Path, succeeds: bool) {
        if let Some(file) = self.file(path) {
            if succeeds {
                let dirty = file.dirty.clone();
                file.keep(dirty.iter().map(|page| page * PAGE..(page + 1) * PAGE));
            }
            file.dirty.clear();
        } else if succeeds {
            let (done, pending): (Vec<_>, _) = std::mem::take(&mut self.pending)
                .into_iter()
                .partition(|naming| naming.is_in(path));
            self.pending = pending;
            for naming in done {
                naming.apply(&mut self.durable);
            }
        }
    }

    /// Puts what is left after a power cut into this directory, which has what it had at first.
    pub fn cut(&self, loss: Loss, dir: &Path) {
        let mut left = self.clone();
        let mut rng = Rng::new(match loss {
            Loss::Some(seed) => seed,
            Loss::All | Loss::Pages => 0,
        });
        let kept = match loss {
            Loss::All => 0,
            Loss::Pages => left.pending.len(),
            Loss::Some(_) => usize::try_from(rng.below(left.pending.len() as u64 + 1)).unwrap(),
        };
        for naming in &left.pending[..kept] {
            naming.apply(&mut left.durable);
        }
        if matches!(loss, Loss::Some(_)) {
            for file in &mut left.files {
                let pages = file.dirty.clone().into_iter();
                let sectors =
                    pages.flat_map(|page| (page * PAGE..(page + 1) * PAGE).step_by(SECTOR));
                let some: Vec<_> = sectors
                    .filter(|_| rng.percent(50))
                    .map(|start| start..start + SECTOR)
                    .collect();
                if !some.is_empty() {
                    file.keep(some.into_iter());
                }
            }
        }
        // A directory comes before what is in it.
        for (path, file) in &left.durable {
            let parent = path.parent().unwrap_or(Path::new(""));
            let is_there = parent == Path::new("") || self.base.contains(parent);
            if !is_there && left.durable.get(parent) != Some(&None) {
                continue;
            }
            let path = dir.join(path);
            match file {
                Some(file) => fs::write(path, &left.files[*file].durable).unwrap(),
                None => fs::create_dir(path).unwrap(),
            }
        }
    }
}

impl File {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / PAGE..end.div_ceil(PAGE));
    }

    fn truncate(&mut self, length: usize) {
        let pages = length / PAGE..self.now.len().max(length).div_ceil(PAGE);
        self.now.resize(length, 0);
        self.dirty.extend(pages);
    }

    /// These parts get to the disk.
    fn keep(&mut self, parts: impl Iterator<Item = std::ops::Range<usize>>) {
        self.durable.resize(self.now.len(), 0);
        for part in parts {
            let part = part.start.min(self.now.len())..part.end.min(self.now.len());
            self.durable[part.clone()].copy_from_slice(&self.now[part]);
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Removed(path) => {
                names.remove(path);
            }
            Self::Moved(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }

    /// Whether it changes this directory.
    fn is_in(&self, dir: &Path) -> bool {
        let (Self::Made(path, _) | Self::Removed(path) | Self::Moved(path, ..)) = self;
        let parent = path.parent().unwrap_or(Path::new(""));
        parent == dir || parent == Path::new("") && dir == Path::new(".")
    }
}
