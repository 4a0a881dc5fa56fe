//! What a node does and hears, written down so that it survives the node.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use rustix::time::{ClockId, clock_gettime};
use tower_keep_testkit::history::{Call, Event, History, Outcome};

/// Nanoseconds of a clock that all processes of the machine share and nobody sets.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

pub(crate) struct Log(Mutex<File>);

impl Log {
    pub(crate) fn create(dir: &Path, node: u64) -> Self {
        let file = File::create(dir.join(format!("log-{node}")));
        Self(Mutex::new(file.unwrap()))
    }

    /// An operation begins: it is on record before anything of it happens.
    pub(crate) fn called(&self, call: Call) {
        self.called_at(now(), call);
    }

    pub(crate) fn called_at(&self, at: u64, call: Call) {
        self.line(&Event::Called(at, call));
    }

    pub(crate) fn returned(&self, id: u64, outcome: Outcome) {
        self.line(&Event::Returned(now(), id, outcome));
    }

    /// Written at once: what the system has survives the process.
    fn line(&self, event: &Event) {
        let line = format!("{event}\n");
        self.0.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// All that the nodes have written.
pub(crate) fn history(dir: &Path) -> History {
    let mut history = History::default();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("log-")
        {
            let text = std::fs::read_to_string(path).unwrap();
            // The last line of who was killed may be cut off.
            let events = text.lines().filter_map(|line| line.parse().ok());
            events.for_each(|event| history.add(event));
        }
    }
    history
}
