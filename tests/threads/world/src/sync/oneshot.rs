//! Tokio's channel for one message, in front of whose every step others may run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_itself::sync::oneshot;
pub use tokio_itself::sync::oneshot::error;

use crate::point;

/// A channel for one message.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    (Sender(sender), Receiver(receiver))
}

/// In place of tokio's.
#[derive(Debug)]
pub struct Sender<T>(oneshot::Sender<T>);

impl<T> Sender<T> {
    /// Sends the message.
    ///
    /// # Errors
    /// The message, if the receiver is gone.
    pub fn send(self, message: T) -> Result<(), T> {
        point();
        self.0.send(message)
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        point();
        self.0.is_closed()
    }
}

/// In place of tokio's.
#[derive(Debug)]
pub struct Receiver<T>(oneshot::Receiver<T>);

impl<T> Future for Receiver<T> {
    type Output = Result<T, error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        point();
        Pin::new(&mut self.0).poll(cx)
    }
}
