//! One opening of the session at a time.

use tokio::sync::Notify;

use crate::sync::atomic::{AtomicBool, Ordering};

/// A mutex for what may wait, cheap where nobody else is there: most requests ask once.
#[derive(Debug, Default)]
pub(super) struct Opening {
    taken: AtomicBool,
    freed: Notify,
}

impl Opening {
    /// Waits for its turn, which ends when the answer is dropped.
    pub(super) async fn begin(&self) -> Turn<'_> {
        while self.taken.swap(true, Ordering::Acquire) {
            // Remembers one turn that ended between the look and the wait.
            self.freed.notified().await;
        }
        Turn(self)
    }

    /// As [`begin`](Self::begin), if it is its turn already.
    pub(super) fn begin_now(&self) -> Option<Turn<'_>> {
        (!self.taken.swap(true, Ordering::Acquire)).then(|| Turn(self))
    }
}

/// The right to open the session.
pub(super) struct Turn<'a>(&'a Opening);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn turns_are_taken_one_by_one_and_none_is_forgotten() {
        let opening = Opening::default();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            let Poll::Ready(first) = pin!(opening.begin()).poll(&mut cx) else {
                panic!("nobody else is there");
            };
            let mut second = pin!(opening.begin());
            let mut third = Box::pin(opening.begin());
            assert!(second.as_mut().poll(&mut cx).is_pending());
            assert!(third.as_mut().poll(&mut cx).is_pending());
            drop(first);
            let Poll::Ready(second) = second.poll(&mut cx) else {
                panic!("it is its turn");
            };
            assert!(third.as_mut().poll(&mut cx).is_pending());
            drop(second);
            // One that goes away in its turn leaves it to whoever comes next.
            drop(third);
        }
    }
}
