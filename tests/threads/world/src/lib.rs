//! The world that the sources run in when shuttle decides what runs next: what they take of tokio,
//! of `std::sync` and of chance, by the same names.
//!
//! - A thread may be interrupted at every use of a mutex or an atomic, and at every message of a
//!   [`sync::oneshot`]. The rest of tokio's channels is tokio's own: each call is one step, which they
//!   promise, and their wakers are shuttle's.
//! - [`time`] stands still, or passes from one timer to the next whenever nobody knows better.
//! - Chance is the same in every run, so that a schedule can be played again.
//!
//! The crate `shuttle-tokio` would do some of this. Its timers do not keep time, though (a sleep is over at
//! once, a timeout never is), it does not know a runtime that ends, and it comes with a hundred crates.

mod chance;
pub mod runtime;
pub mod sync;
pub mod task;
pub mod time;

pub use chance::RandomState;
pub use shuttle;
pub use shuttle::sync::{Mutex, MutexGuard, atomic};
pub use task::spawn;
pub use tokio_itself::select;

use std::future::Future;

use atomic::{AtomicBool, Ordering};

/// Others may run here.
pub fn point() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

/// Plays a scene to its end in a new world, in which time passes or stands still.
pub fn play(time_passes: bool, scene: impl Future<Output = ()>) {
    chance::begin();
    runtime::begin();
    time::begin();
    let time = time_passes.then(|| shuttle::future::spawn(time::run()));
    shuttle::future::block_on(async {
        scene.await;
        runtime::finish().await;
        if let Some(time) = time {
            time::end();
            time.await.expect("it was told to end");
        }
    });
}
