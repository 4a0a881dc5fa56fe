//! Ctrl-C during long work: it stops between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether to stop. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Set by the first Ctrl-C. The second one ends the process at once.
    #[expect(clippy::print_stderr, reason = "it answers a key")]
    pub(crate) fn on_ctrl_c() -> Self {
        let stop = Self::default();
        let pressed = stop.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                pressed.set();
                eprintln!("keep: stopping after this step; Ctrl-C again stops at once");
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(130);
                }
            }
        });
        stop
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
