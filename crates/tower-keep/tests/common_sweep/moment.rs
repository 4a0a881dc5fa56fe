//! Futures that are dropped at a chosen moment.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{PLANNED, hide_planned_panics};

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
    /// A panic in the task that polls it, which drops it as the stack unwinds.
    Panic,
}

impl Dropper {
    pub(crate) const ALL: [Self; 4] = [Self::Main, Self::Task, Self::Abort, Self::Panic];

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
            Self::Main => until(moment, future, || None).await,
            Self::Task => tokio::spawn(until(moment, future, || None)).await.unwrap(),
            Self::Panic => {
                hide_planned_panics();
                let task = tokio::spawn(until(moment, future, || panic_any(PLANNED)));
                task.await.unwrap_or_else(|error| {
                    assert!(is_planned(&*error.into_panic()), "it panicked by itself");
                    None
                })
            }
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

fn is_planned(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref() == Some(&PLANNED)
}

/// Runs `future` up to `moment` and then does what `end` says while it is still there.
async fn until<F: Future>(
    moment: usize,
    future: F,
    end: fn() -> Option<F::Output>,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let woken = Arc::new(Woken {
        flag: AtomicBool::new(true),
        outer: Mutex::default(),
    });
    let waker = Waker::from(woken.clone());
    let (mut left, mut idle) = (moment, 0);
    loop {
        if left == 0 {
            return end();
        }
        left -= 1;
        if woken.flag.swap(false, Ordering::SeqCst) {
            idle = 0;
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
                return Some(output);
            }
            if left == 0 {
                return end();
            }
            left -= 1;
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
