//! Tasks, each a thread of its own to shuttle.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use shuttle::future::yield_now;

use crate::runtime::Handle;

/// Runs a task on the runtime.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Handle::try_current()
        .expect("there always is one")
        .spawn(task)
}

/// In place of tokio's.
#[derive(Debug)]
pub struct JoinHandle<T>(pub(crate) shuttle::future::JoinHandle<T>);

impl<T> JoinHandle<T> {
    /// Has the task dropped where it waits next.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(JoinError)
    }
}

/// The task was dropped; a panic ends the schedule instead.
#[derive(Debug)]
pub struct JoinError(#[allow(dead_code, reason = "for its text")] shuttle::future::JoinError);

impl JoinError {
    /// In place of tokio's.
    ///
    /// # Errors
    /// Always itself.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        Err(self)
    }
}
