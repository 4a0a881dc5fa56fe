//! The tasks that outlive a request, so that a shutdown can wait for them.

use std::future::Future;
use std::sync::PoisonError;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Every task holds a clone of the sender; the receiver ends when the last one is gone.
#[derive(Debug)]
pub(crate) struct Tasks {
    open: Mutex<Option<mpsc::Sender<()>>>,
    /// Whether `open` is `None`, for those who only ask.
    closed: AtomicBool,
    done: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Default for Tasks {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self {
            open: Mutex::new(Some(sender)),
            closed: AtomicBool::new(false),
            done: tokio::sync::Mutex::new(receiver),
        }
    }
}

impl Tasks {
    /// Runs `task` to its end, whatever becomes of the caller.
    ///
    /// # Errors
    /// [`Error::NoRuntime`] outside of a Tokio runtime, [`Error::ShuttingDown`] after
    /// [`close`](Self::close).
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        self.admit()?.spawn(task);
        Ok(())
    }

    /// The right to spawn one task, where its refusal must be known beforehand.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub(crate) fn admit(&self) -> Result<Admission, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let held = self.sender().ok_or(Error::ShuttingDown)?;
        Ok(Admission { runtime, held })
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether new tasks are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits until the last task has ended, after [`close`](Self::close).
    pub(crate) async fn drained(&self) {
        // Nothing is ever sent, so this is `None`, when no sender is left.
        self.done.lock().await.recv().await;
    }

    fn sender(&self) -> Option<mpsc::Sender<()>> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// See [`Tasks::admit`].
pub(crate) struct Admission {
    runtime: Handle,
    held: mpsc::Sender<()>,
}

impl Admission {
    pub(crate) fn spawn<T: Send + 'static>(
        self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let Self { runtime, held } = self;
        runtime.spawn(async move {
            let _held = held;
            task.await
        })
    }
}
