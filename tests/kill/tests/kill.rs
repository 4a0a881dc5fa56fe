//! The worst moments of the stores on disk, one after the other.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

use std::time::Instant;

use tower_keep_kill::{Child, Disk, Failure, How, Kind, Log, Loss, May, Plan, Shim, Site};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keep-kill-child");

/// One store and one plan.
struct Sweep {
    kind: Kind,
    rounds: u8,
    plan: Plan,
    shim: Shim,
    site: Site,
    start: Instant,
}

fn heavy() -> bool {
    std::env::var_os("KEEP_HEAVY").is_some_and(|value| value != "0")
}

/// What is to be true, or else where it was not.
fn must(result: Result<(), Failure>, at: impl FnOnce() -> String) {
    if let Err(why) = result {
        panic!("{}: {why}", at());
    }
}

impl Sweep {
    fn new(kind: Kind) -> Self {
        let rounds = if heavy() { 4 } else { 1 };
        let plan = Plan::new(rounds);
        Self {
            kind,
            rounds,
            shim: Shim::new(),
            site: Site::new(kind, &plan),
            plan,
            start: Instant::now(),
        }
    }

    fn child(&self) -> Child<'_> {
        Child {
            program: PROGRAM,
            shim: &self.shim,
            kind: self.kind,
            rounds: self.rounds,
            closes: true,
            opening: false,
        }
    }

    fn steps(&self) -> usize {
        self.plan.steps().len()
    }

    /// The calls when nothing is wrong.
    fn calls(&mut self) -> Log {
        let (said, log) = self.child().recorded(self.site.path(), None);
        assert!(said.ended && said.wrong.is_none(), "{said:?}");
        assert_eq!(said.done, self.steps());
        self.site.after(said.done, May::Exact).unwrap();
        log
    }

    /// In front of every call, and in the middle of every write, the process is killed.
    fn kill(&mut self) {
        let log = self.calls();
        let mut killed = 0;
        for (call, n) in log.calls().zip(1..) {
            for how in [How::Kill, How::Torn] {
                let some = if heavy() || self.kind.is_files() {
                    1
                } else {
                    4
                };
                if how == How::Torn && !(call.is_write() && usize::is_multiple_of(n, some)) {
                    continue;
                }
                self.site.clear();
                let said = self.child().run(self.site.path(), Some((n, how)));
                let at = || format!("{how:?} at call {n}, {call:?}");
                assert!(
                    said.wrong.is_none() && said.failed == 0,
                    "{}: {said:?}",
                    at()
                );
                killed += usize::from(said.killed);
                must(self.site.after(said.done, May::Next), at);
            }
        }
        self.tell("kills", killed);
        assert!(killed >= log.calls().count());
    }

    /// The same while the store is opened for the first time.
    fn kill_opening(&mut self, every: usize) {
        let child = Child {
            opening: true,
            ..self.child()
        };
        let calls = child.recorded(Site::bare(self.kind, &self.plan).path(), None);
        let calls = calls.1.opening();
        let every = if heavy() { 1 } else { every };
        let mut killed = 0;
        for n in (1..=calls).step_by(every) {
            let mut site = Site::bare(self.kind, &self.plan);
            let said = child.run(site.path(), Some((n, How::Kill)));
            assert!(said.killed && said.done == 0, "call {n}: {said:?}");
            killed += 1;
            must(site.after(0, May::Exact), || format!("call {n}"));
        }
        self.tell("kills while it is opened", killed);
        assert!(killed > 3);
    }

    /// Every call fails once.
    fn fail(&mut self) {
        let log = self.calls();
        let (mut failed, mut told) = (0, 0);
        for (call, n) in log.calls().zip(1..) {
            for how in [How::Eio, How::Full] {
                let some = if heavy() || self.kind.is_files() {
                    1
                } else {
                    4
                };
                if how == How::Full && !(call.needs_room() && usize::is_multiple_of(n, some)) {
                    continue;
                }
                self.site.clear();
                let child = Child {
                    closes: false,
                    ..self.child()
                };
                let said = child.run(self.site.path(), Some((n, how)));
                let at = || format!("{how:?} at call {n}, {call:?}");
                assert!(said.ended && said.wrong.is_none(), "{}: {said:?}", at());
                assert_eq!(said.done, self.steps(), "{}", at());
                failed += 1;
                told += usize::from(said.failed > 0);
                must(self.site.after(said.done, May::Exact), at);
            }
        }
        self.tell(&format!("failures, {told} of them told,"), failed);
        assert!(2 * told > failed, "hardly any failure was told");
    }

    /// Every call fails once while the store is opened: it is not open then, or works.
    fn fail_opening(&mut self) {
        let child = Child {
            opening: true,
            closes: false,
            ..self.child()
        };
        let calls = child.recorded(Site::bare(self.kind, &self.plan).path(), None);
        let (calls, mut refused) = (calls.1.opening(), 0);
        for n in 1..=calls {
            let mut site = Site::bare(self.kind, &self.plan);
            let said = child.run(site.path(), Some((n, How::Eio)));
            match &said.wrong {
                Some(wrong) => assert!(wrong.starts_with("not opened"), "call {n}: {wrong}"),
                None => assert_eq!(said.done, self.steps(), "call {n}"),
            }
            refused += usize::from(said.wrong.is_some());
            must(site.after(said.done, May::Exact), || format!("call {n}"));
        }
        self.tell(
            &format!("failures while it is opened, {refused} refused,"),
            calls,
        );
    }

    /// Every synchronisation fails once, and later the power goes: what the system takes for clean
    /// is not on the disk.
    fn fail_to_sync(&mut self) {
        let log = self.calls();
        let mut cuts = 0;
        for (call, n) in log.calls().zip(1..).filter(|(call, _)| call.is_sync()) {
            if call.is_on_top() && !self.kind.is_files() {
                // SQLite does not look at whether its directory was synchronised.
                continue;
            }
            self.site.clear();
            let mut disk = Disk::holding(self.site.path());
            let child = Child {
                closes: false,
                ..self.child()
            };
            let (said, log) = child.recorded(self.site.path(), Some((n, How::Eio)));
            assert!(said.ended && said.wrong.is_none(), "sync {n}: {said:?}");
            let (mut done, mut has_failed, mut fresh) = (0, false, false);
            for entry in &log.0 {
                disk.play(entry);
                if entry.is_sync() && entry.result < 0 {
                    (has_failed, fresh) = (true, true);
                }
                if entry.is_said("done") {
                    done += 1;
                    // The step that met it, the one behind it, and the end.
                    if has_failed && (heavy() || fresh || done == self.steps()) {
                        fresh = false;
                        cuts += 1;
                        let result = self.cut(&disk, Loss::All, done);
                        must(result, || format!("sync {n}, {done} done"));
                    }
                }
            }
        }
        self.tell("power cuts after a failed sync", cuts);
        assert!(cuts > 0);
    }

    /// After every call the power goes. Tells what was found, at most so much.
    fn cut_power(&mut self, most: usize) -> Vec<Failure> {
        self.site.clear();
        let mut disk = Disk::holding(self.site.path());
        let (said, log) = self.child().recorded(self.site.path(), None);
        assert!(said.ended, "{said:?}");
        let (mut done, mut cuts, mut found) = (0, 0, Vec::new());
        let seeds = if heavy() { 20 } else { 1 };
        for (entry, at) in log.0.iter().zip(0..) {
            disk.play(entry);
            let is_done = entry.is_said("done");
            done += usize::from(is_done);
            let mut losses = Vec::new();
            if is_done || entry.is_sync() {
                losses.push(Loss::All);
            }
            if is_done {
                losses.push(Loss::Pages);
            }
            if entry.is_call() {
                losses.extend((0..seeds).map(|seed| Loss::Some(1_000 * at + seed)));
            }
            for loss in losses {
                cuts += 1;
                let result = self.cut(&disk, loss, done);
                found.extend(
                    result
                        .err()
                        .map(|why| format!("{loss:?}, line {at}: {why}")),
                );
                if found.len() >= most {
                    return found;
                }
            }
        }
        self.tell("power cuts", cuts);
        found
    }

    fn cut(&mut self, disk: &Disk, loss: Loss, done: usize) -> Result<(), Failure> {
        self.site.clear();
        disk.cut(loss, self.site.path());
        self.site.after(done, May::Return)
    }

    fn tell(&mut self, what: &str, number: usize) {
        let seconds = self.start.elapsed().as_secs_f32();
        println!("{:?}: {number} {what} in {seconds:.1} s", self.kind);
        self.start = Instant::now();
    }
}

#[test]
fn a_file_store_is_killed_at_every_call() {
    let mut sweep = Sweep::new(Kind::File);
    sweep.kill();
    sweep.kill_opening(101);
}

#[test]
fn sqlite_is_killed_at_every_call() {
    let mut sweep = Sweep::new(Kind::Sqlite);
    sweep.kill();
    sweep.kill_opening(1);
}

#[test]
fn every_call_of_a_file_store_fails() {
    Sweep::new(Kind::File).fail();
}

#[test]
fn every_call_of_sqlite_fails() {
    let mut sweep = Sweep::new(Kind::Sqlite);
    sweep.fail();
    sweep.fail_opening();
}

#[test]
fn a_file_store_does_not_trust_a_sync_after_one_that_failed() {
    Sweep::new(Kind::File).fail_to_sync();
}

#[test]
fn sqlite_does_not_trust_a_sync_after_one_that_failed() {
    Sweep::new(Kind::Sqlite).fail_to_sync();
}

#[test]
fn the_power_goes_under_a_file_store() {
    let found = Sweep::new(Kind::File).cut_power(1);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_power_goes_under_sqlite() {
    let found = Sweep::new(Kind::Sqlite).cut_power(1);
    assert!(found.is_empty(), "{found:#?}");
}

/// Those that do not promise to outlast a power cut are found not to.
#[test]
fn stores_that_do_not_synchronise_are_found() {
    for kind in [Kind::FileUnsynced, Kind::SqliteRelaxed] {
        let found = Sweep::new(kind).cut_power(1);
        println!("{kind:?}: {found:?}");
        assert!(!found.is_empty(), "{kind:?}");
    }
}
