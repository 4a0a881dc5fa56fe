//! How far long work has come, for who watches a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on the standard error stream while it is a terminal; nothing else anywhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of so many, if that is known.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "[{bar:40}] {pos} of {len}, {msg}",
            None => "{spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message("starting");
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Whether anybody sees it.
    pub(crate) fn is_shown() -> bool {
        !ProgressDrawTarget::stderr().is_hidden()
    }

    pub(crate) fn show(&self, done: u64, message: String) {
        self.0.set_position(done);
        self.0.set_message(message);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
