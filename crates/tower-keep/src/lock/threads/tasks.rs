//! What a shutdown waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use crate::lock::Tasks;
use crate::threads::{Time, play, start};

/// So many tasks are spawned while they are closed.
pub fn what_was_admitted_has_ended(spawned: usize) {
    play(Time::StandsStill, async move {
        let tasks = Arc::new(Tasks::default());
        let ended = Arc::new(AtomicUsize::new(0));
        let one = |_| {
            let (tasks, ended) = (tasks.clone(), ended.clone());
            start(async move {
                let task = async move {
                    tokio::task::yield_now().await;
                    ended.fetch_add(1, Ordering::SeqCst);
                };
                match tasks.spawn(task) {
                    Ok(()) => 1,
                    Err(Error::ShuttingDown) => 0,
                    Err(error) => panic!("{error:?}"),
                }
            })
        };
        let spawning: Vec<_> = (0..spawned).map(one).collect();
        tasks.close();
        assert!(tasks.is_closed() && tasks.admit().is_err());
        tasks.drained().await;
        let drained = ended.load(Ordering::SeqCst);
        let mut admitted = 0;
        for task in spawning {
            admitted += task.await.unwrap();
        }
        assert_eq!(
            admitted, drained,
            "one that was admitted was not waited for"
        );
    });
}
