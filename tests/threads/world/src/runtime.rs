//! The runtime that tasks are spawned on, which can end.

use std::cell::RefCell;
use std::future::Future;

use shuttle::future::AbortHandle;

use crate::task::{JoinHandle, yield_now};

thread_local! {
    static TASKS: RefCell<Vec<AbortHandle>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn begin() {
    TASKS.take();
}

/// Ends the runtime: all tasks that it has are dropped, one after the other, and are gone when this
/// is done. Tasks that come meanwhile or later are on another one.
pub async fn end() {
    let tasks = TASKS.take();
    tasks.iter().for_each(AbortHandle::abort);
    while !tasks.iter().all(AbortHandle::is_finished) {
        yield_now().await;
    }
}

/// Ends every runtime that there may be.
pub(crate) async fn finish() {
    while TASKS.with_borrow(|tasks| !tasks.is_empty()) {
        end().await;
    }
}

/// In place of tokio's.
#[derive(Debug, Clone)]
pub struct Handle(());

/// In place of tokio's; there always is a runtime here.
#[derive(Debug)]
pub struct TryCurrentError(());

impl Handle {
    /// The only one there is.
    ///
    /// # Errors
    /// None.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        Ok(Self(()))
    }

    /// Runs a task.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = shuttle::future::spawn(task);
        TASKS.with_borrow_mut(|tasks| tasks.push(handle.abort_handle()));
        JoinHandle(handle)
    }
}
