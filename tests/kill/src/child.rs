//! What the process does that is killed. It says each step that was acknowledged.

use std::path::PathBuf;

use tower_keep_testkit::TestClock;

use crate::act::Actor;
use crate::place::Kind;
use crate::plan::{Plan, time};

/// Carries out a plan, by the arguments of this process, and ends it.
pub fn serve() -> ! {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap();
    let (kind, dir) = (Kind::named(&next()).unwrap(), PathBuf::from(next()));
    let (rounds, closes): (u8, bool) = (next().parse().unwrap(), next().parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // The calls of the file store are one after the other on one thread.
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let result = runtime.block_on(run(kind, dir, &Plan::new(rounds), closes));
    if let Err(why) = &result {
        println!("wrong {why}");
    }
    // Not even what is open is closed.
    std::process::exit(i32::from(result.is_err()));
}

async fn run(kind: Kind, dir: PathBuf, plan: &Plan, closes: bool) -> Result<(), String> {
    let clock = TestClock::at(time(0));
    let opened = kind.open(&dir, &clock).await;
    let opened = opened.map_err(|error| format!("not opened: {error:?}"))?;
    println!("go");
    for number in 0..plan.steps().len() {
        let actor = Actor {
            store: &opened.store,
            plan,
            number,
        };
        actor.act().await?;
        println!("done {number}");
        clock.advance(time(1).since(time(0)));
    }
    if closes {
        opened.close(&dir).await?;
    }
    Ok(())
}
