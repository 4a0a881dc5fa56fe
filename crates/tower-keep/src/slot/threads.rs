//! Extractors of one request that open its session at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::opening::Opening;
use crate::threads::{Time, play, start};

/// So many take turns, and the first of them may be dropped.
pub fn one_opens_at_a_time(others: usize) {
    play(Time::StandsStill, async move {
        let opening = Arc::new(Opening::default());
        let inside = Arc::new(AtomicBool::new(false));
        let one = |_| {
            let (opening, inside) = (opening.clone(), inside.clone());
            start(async move {
                let turn = opening.begin().await;
                assert!(!inside.swap(true, Ordering::SeqCst), "two at a time");
                tokio::point();
                inside.store(false, Ordering::SeqCst);
                drop(turn);
            })
        };
        let mut tasks: Vec<_> = (0..=others).map(one).collect();
        let first = tasks.remove(0);
        first.abort();
        for task in tasks {
            task.await.unwrap();
        }
        let _ = first.await;
        assert!(opening.begin_now().is_some());
    });
}
