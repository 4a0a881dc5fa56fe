//! The store contract as a suite of tests that any store's author runs.
//!
//! Every case checks one rule of [`tower_keep_core::SessionStore`], on a store of its own that
//! the author's function makes. A failure names the case and the rule.
//!
//! ```no_run
//! # use tower_keep_core::*;
//! # struct MyStore;
//! # impl MyStore { fn with_clock(_: tower_keep_testkit::TestClock) -> Self { Self } }
//! # impl SessionStore for MyStore {
//! #     async fn look(&self, _: SessionId) -> Result<Looked, StoreError> { todo!() }
//! #     async fn cas(&self, _: SessionId, _: Expect, _: &Record) -> Result<bool, StoreError> { todo!() }
//! #     async fn sweep(&self, _: Sweep) -> Result<Swept, StoreError> { todo!() }
//! #     fn scope(&self) -> Scope { Scope::Process }
//! # }
//! use tower_keep_testkit::TestClock;
//! use tower_keep_testkit::conformance::Harness;
//!
//! async fn harness() -> Harness {
//!     let clock = TestClock::new();
//!     let store = MyStore::with_clock(clock.clone());
//!     Harness::new(store).with_clock(move |span| clock.advance(span))
//! }
//!
//! // One test a case:
//! tower_keep_testkit::conformance_tests!(harness);
//!
//! // Or all of them in one:
//! # async fn all() {
//! tower_keep_testkit::conformance::run(harness).await;
//! # }
//! ```
//!
//! Stores with a [`local`](tower_keep_core::SessionStore::local) ability are put through the same
//! cases a second time by way of it, and through those of its queue.

/// Ends a case with a failure unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::context::Failure::new(format!($($message)+)));
        }
    };
}

mod compare;
mod concurrency;
mod context;
mod create;
mod destroy;
mod differential;
mod finish;
mod head;
mod late;
mod list;
mod merge;
mod open;
mod physical;
mod queue;
mod queue_ends;
mod renew;
mod same;
mod scan;
mod stale;
mod sweep;
mod touch;
mod users;
mod via_local;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::{DynStore, SessionStore};

use context::{Context, Failure, Time};
use list::CASES;
use via_local::ViaLocal;

/// A store to be tested, empty and shared with no other case, and how its clock is moved.
#[derive(Clone)]
pub struct Harness {
    store: DynStore,
    advance: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    by_itself: bool,
}

impl Harness {
    /// A store whose clock cannot be moved, as a server's. The suite then works with short spans
    /// and waits for them to pass; the case of the ten seconds after a rotation waits that long.
    pub fn new(store: impl SessionStore) -> Self {
        Self {
            store: DynStore::new(store),
            advance: None,
            by_itself: false,
        }
    }

    /// The same store, whose clock stands still except that `advance` moves it forward. Instants
    /// are then checked to the millisecond, and nothing waits.
    #[must_use]
    pub fn with_clock(mut self, advance: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.advance = Some(Arc::new(advance));
        self
    }

    /// The same store, which removes expired sessions and tombstones by itself some time after
    /// they are over, and leaves `sweep` nothing to do. Where a case needs something swept it then
    /// waits for it to go, for at most a minute, so configure the store to keep what is over for
    /// about five seconds. What `sweep` counts is not looked at.
    #[must_use]
    pub fn expires_by_itself(mut self) -> Self {
        self.by_itself = true;
        self
    }

    /// Why a case has nothing to say about this store, if so.
    fn skips(&self, case: &str) -> Option<&'static str> {
        if case.starts_with("queue") && self.store.local().is_none() {
            return Some("the store has no `local` ability");
        }
        match case {
            "late::wake_up_comes" if self.store.wakeups().is_none() => {
                Some("the store has no `wakeups` ability")
            }
            "sweep::obeys_the_limit" if self.by_itself => {
                Some("the store removes what is over by itself, not by `sweep`")
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// A rule that a store breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of the case, as in [`cases`].
    pub case: String,
    /// The rule it checks.
    pub rule: String,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, rule, seen } = self;
        write!(f, "{case}\n  the rule: {rule}\n  seen: {seen}")
    }
}

impl std::error::Error for Violation {}

type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

struct Case {
    name: &'static str,
    rule: &'static str,
    run: fn(Arc<Context>) -> Running,
}

/// The names of all cases with the rules that they check.
pub fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    CASES.iter().map(|case| (case.name, case.rule))
}

/// Runs every case, each on a store that `harness` makes for it. A case that has nothing to say
/// about the store, for want of an optional ability, is skipped, and the reason printed.
///
/// # Panics
/// With all violations, if there are any.
pub async fn run<F: Future<Output = Harness>>(harness: impl Fn() -> F) {
    let mut report = String::new();
    for case in CASES {
        if let Err(violation) = try_case(case, &harness).await {
            report = format!("{report}\n{violation}");
        }
    }
    assert!(report.is_empty(), "the store breaks the contract:{report}");
}

/// Runs one case.
///
/// # Errors
/// What the store does wrong; or that there is no case of this name.
pub async fn run_case<F: Future<Output = Harness>>(
    name: &str,
    harness: impl Fn() -> F,
) -> Result<(), Violation> {
    match CASES.iter().find(|case| case.name == name) {
        Some(case) => try_case(case, &harness).await,
        None => Err(Violation {
            case: name.to_owned(),
            rule: "a case has one of the names in `cases()`".to_owned(),
            seen: "no such case".to_owned(),
        }),
    }
}

/// Runs one case on a runtime of its own, as the tests that
/// [`conformance_tests!`](crate::conformance_tests) makes do.
///
/// # Panics
/// With the violation, if there is one.
pub fn test_case<F: Future<Output = Harness>>(name: &str, harness: impl Fn() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = runtime.map(|runtime| runtime.block_on(run_case(name, harness)));
    let failure = match result {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation.to_string()),
        Err(error) => Some(format!("no runtime for the test: {error}")),
    };
    assert!(
        failure.is_none(),
        "{}",
        failure.as_deref().unwrap_or_default()
    );
}

/// Puts the store through the case; if it has a `local` ability, another one by way of that too.
#[expect(clippy::print_stdout, reason = "it is read in the output of a test")]
async fn try_case<F: Future<Output = Harness>>(
    case: &'static Case,
    harness: impl Fn() -> F,
) -> Result<(), Violation> {
    let sample = harness().await;
    if let Some(reason) = sample.skips(case.name) {
        println!("{}: skipped, {reason}", case.name);
        return Ok(());
    }
    attempt(case, &harness, false).await?;
    if sample.store.local().is_some() {
        attempt(case, &harness, true).await?;
    }
    Ok(())
}

/// With real time a slow machine may let a short span pass too early, so the case is tried again
/// with longer ones; what the store does wrong it does wrong each time.
async fn attempt<F: Future<Output = Harness>>(
    case: &'static Case,
    harness: impl Fn() -> F,
    via_local: bool,
) -> Result<(), Violation> {
    let mut units = [50, 250, 1_000].map(Duration::from_millis).into_iter();
    loop {
        let Harness {
            store,
            advance,
            by_itself,
        } = harness().await;
        let (time, last) = match (advance, units.next()) {
            (Some(advance), _) => (Time::Moved(advance), true),
            (None, unit) => (
                Time::Real(unit.unwrap_or(Duration::from_secs(1))),
                units.len() == 0,
            ),
        };
        let store = if via_local {
            DynStore::new(ViaLocal(store))
        } else {
            store
        };
        let context = Arc::new(Context::new(store, time, via_local, by_itself));
        // In a task, so that a panic becomes a report like any other.
        let failure = match tokio::spawn((case.run)(context)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(error) => Failure::new(format!("a panic: {error}")),
        };
        if last {
            let way = if via_local {
                " (through `local()`)"
            } else {
                ""
            };
            return Err(Violation {
                case: format!("{}{way}", case.name),
                rule: case.rule.to_owned(),
                seen: failure.to_string(),
            });
        }
    }
}

/// Makes one test of each case of the [`conformance`](crate::conformance) suite, in modules named
/// after the verbs. The argument is a function that makes a [`Harness`](crate::conformance::Harness):
/// `async fn() -> Harness`, or a closure that does the same.
///
/// [`conformance`]: crate::conformance
#[macro_export]
macro_rules! conformance_tests {
    ($harness:expr) => {
        $crate::__for_each_conformance_case!($crate::__conformance_tests, ($harness));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($harness:expr) $($group:ident { $($case:ident $rule:literal)* })*) => {
        $(
            mod $group {
                #[allow(unused_imports)]
                use super::*;
                $(
                    #[test]
                    fn $case() {
                        let name = concat!(stringify!($group), "::", stringify!($case));
                        $crate::conformance::test_case(name, $harness);
                    }
                )*
            }
        )*
    };
}
