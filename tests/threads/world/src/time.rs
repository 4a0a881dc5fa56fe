//! A time that passes only in scenes that say so, from one timer to the next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::ops::Add;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
pub use std::time::Duration;

use crate::task::yield_now;

#[derive(Default)]
struct Timers {
    now: Duration,
    made: u64,
    /// By when they ring, and in the order in which they were made.
    waiting: BTreeMap<(Duration, u64), Option<Waker>>,
    /// Who has the time pass, where there was no timer.
    runs: Option<Waker>,
    ended: bool,
}

thread_local! {
    static TIMERS: RefCell<Timers> = RefCell::default();
}

pub(crate) fn begin() {
    TIMERS.take();
}

/// The time since the schedule began.
pub fn now() -> Duration {
    TIMERS.with_borrow(|timers| timers.now)
}

/// Has the time pass to when the next timer rings, if there is one.
fn pass() -> Option<Waker> {
    TIMERS.with_borrow_mut(|timers| {
        let ((at, _), waker) = timers.waiting.pop_first()?;
        timers.now = timers.now.max(at);
        waker
    })
}

/// Has the time pass, from one timer to the next, whenever there is one.
pub(crate) async fn run() {
    let timer_or_end = |cx: &mut Context<'_>| {
        TIMERS.with_borrow_mut(|timers| {
            if timers.ended || !timers.waiting.is_empty() {
                return Poll::Ready(timers.ended);
            }
            timers.runs = Some(cx.waker().clone());
            Poll::Pending
        })
    };
    while !poll_fn(timer_or_end).await {
        yield_now().await;
        if let Some(waker) = pass() {
            waker.wake();
        }
    }
}

/// Has [`run`] come to its end.
pub(crate) fn end() {
    let runs = TIMERS.with_borrow_mut(|timers| {
        timers.ended = true;
        timers.runs.take()
    });
    if let Some(runs) = runs {
        runs.wake();
    }
}

/// In place of tokio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// The time as it is.
    pub fn now() -> Self {
        Self(now())
    }

    /// How long after `earlier` it is, zero if before.
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}

/// Waits for so long.
pub fn sleep(span: Duration) -> Sleep {
    sleep_until(Instant::now() + span)
}

fn sleep_until(until: Instant) -> Sleep {
    let (sleep, runs) = TIMERS.with_borrow_mut(|timers| {
        timers.made += 1;
        let key = (until.0, timers.made);
        timers.waiting.insert(key, None);
        (Sleep(key), timers.runs.take())
    });
    if let Some(runs) = runs {
        runs.wake();
    }
    sleep
}

/// A timer.
#[derive(Debug)]
pub struct Sleep((Duration, u64));

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        TIMERS.with_borrow_mut(|timers| match timers.waiting.get_mut(&self.0) {
            None => Poll::Ready(()),
            Some(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        TIMERS.with_borrow_mut(|timers| timers.waiting.remove(&self.0));
    }
}

/// The time of a timeout is over.
#[derive(Debug)]
pub struct Elapsed(());

/// Waits for a future, but not longer than this.
///
/// # Errors
/// If the time is over first.
pub async fn timeout<F: Future>(span: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(Instant::now() + span, future).await
}

/// Waits for a future, but not longer than until then.
///
/// # Errors
/// If the time is over first.
pub async fn timeout_at<F: Future>(until: Instant, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut timer) = (pin!(future), sleep_until(until));
    poll_fn(move |cx| match future.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => Pin::new(&mut timer).poll(cx).map(|()| Err(Elapsed(()))),
    })
    .await
}
