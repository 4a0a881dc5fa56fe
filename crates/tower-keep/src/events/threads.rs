//! A session ends while somebody begins to watch it.

use std::sync::Arc;

use tower_keep_core::{SessionId, Timestamp};

use super::watch::Watches;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::threads::{Time, play, start};

/// The end is in the store first and told then; who watches looks at the store after it began to.
/// Another
/// one, if there is, watches the same session and goes away meanwhile.
pub fn no_end_is_missed(another: bool) {
    play(Time::StandsStill, async move {
        let watches = Arc::new(Watches::default());
        let stored = Arc::new(AtomicBool::new(false));
        let id = SessionId::new(Timestamp::from_millis(1_000));
        let passing = another.then(|| {
            let watches = watches.clone();
            start(async move { drop(watches.watch(id)) })
        });
        let watching = {
            let (watches, stored) = (watches.clone(), stored.clone());
            start(async move {
                let mut watch = watches.watch(id);
                if !stored.load(Ordering::SeqCst) {
                    watch.ended(1).await;
                }
            })
        };
        stored.store(true, Ordering::SeqCst);
        watches.over(id);
        watching.await.unwrap();
        if let Some(passing) = passing {
            passing.await.unwrap();
        }
    });
}
