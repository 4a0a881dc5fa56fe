//! Futures that are dropped at a chosen moment.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// After so many turns of the scheduler in which nothing happened, only time can bring news.
const IDLE: usize = 64;

/// Who drops the future, and as what it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dropper {
    /// The main task, which polls it as well.
    Main,
    /// A task of its own, which polls it as well.
    Task,
    /// `abort()` of the task that it is.
    Abort,
}

impl Dropper {
    pub(crate) const ALL: [Self; 3] = [Self::Main, Self::Task, Self::Abort];

    /// Runs `future` up to `moment`; `None` if it was dropped then, before its end.
    ///
    /// Moments are counted from 0, which is before the first poll. There is one after every poll,
    /// and one in every turn of the scheduler between two polls; the last of them is when the
    /// future has been woken and is not polled yet.
    pub(crate) async fn run<F>(self, moment: usize, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self {
            Self::Main => until(moment, future).await,
            Self::Task => tokio::spawn(until(moment, future)).await.unwrap(),
            Self::Abort => {
                let task = tokio::spawn(future);
                for turn in 0..moment {
                    if task.is_finished() {
                        break;
                    }
                    if turn < IDLE {
                        tokio::task::yield_now().await;
                    } else {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                task.abort();
                task.await.ok()
            }
        }
    }
}

async fn until<F: Future>(moment: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let woken = Arc::new(Woken {
        flag: AtomicBool::new(true),
        outer: Mutex::default(),
    });
    let waker = Waker::from(woken.clone());
    let (mut left, mut idle) = (moment, 0);
    loop {
        left = left.checked_sub(1)?;
        if woken.flag.swap(false, Ordering::SeqCst) {
            idle = 0;
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
                return Some(output);
            }
            left = left.checked_sub(1)?;
        }
        idle += 1;
        if idle < IDLE {
            tokio::task::yield_now().await;
        } else {
            poll_fn(|cx| woken.wait(cx)).await;
        }
    }
}

struct Woken {
    flag: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Woken {
    fn wait(&self, cx: &Context<'_>) -> Poll<()> {
        *self.outer.lock().unwrap() = Some(cx.waker().clone());
        if self.flag.load(Ordering::SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::SeqCst);
        if let Some(outer) = self.outer.lock().unwrap().take() {
            outer.wake();
        }
    }
}
