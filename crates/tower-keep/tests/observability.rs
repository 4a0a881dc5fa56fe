//! F3: traces and metrics say what happens and show the public id only.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::fmt::{Debug, Write as _};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, settle};
use http::Request;
use tower_keep::core::Token;
use tower_keep::{Lottery, SessionEvent, StoreErrorKind};
use tower_keep_testkit::{Fault, Gate, Script, TestClient, Verb};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const PAGE: &str = include_str!("../../../docs/observability.md");

const USER: &str = "ann-of-green-gables";
const AGENT: &str = "Agent-007";
const IP: &str = "203.0.113.77";
const CARD: &str = "card-4111";

/// What is noted for the whole process when an event is first met must not depend on another test.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Everything that happens: openings, commits, conflicts, ends, failures. Gives the last cookie.
async fn run(backend: &Backend) -> String {
    let layer = backend
        .layer()
        .client_ip(|_| IP.parse().ok())
        .on_event(|event: &SessionEvent| assert!(event.user.is_none(), "not to be printed"))
        .lottery(Lottery::new(1, 1))
        .build()
        .unwrap();
    let write = async |s: tower_keep::Session| s.insert("card", CARD);
    let gates = Gates::default();
    let routes: Router = app(gates.clone()).route("/write", axum::routing::get(write));
    let client: Client =
        TestClient::with_body(routes.layer(layer.clone())).with_clock(backend.clock.clone());
    let get = async |client: &Client, path: &str| {
        let request = Request::get(path).header("user-agent", AGENT);
        client
            .request(request.body(axum::body::Body::empty()).unwrap())
            .await
    };
    let login = format!("/login/{USER}");
    for path in ["/write", &login, "/rotate", "/n", "/add", "/fail", "/who"] {
        get(&client, path).await;
    }
    let cookie = client.cookie(COOKIE).unwrap();
    // Two at once, one that comes too late, one that is revoked.
    let other = client.fork();
    other.clear_cookies();
    get(&other, "/add").await;
    let both = format!(
        "{COOKIE}={cookie}; {COOKIE}={}",
        other.cookie(COOKIE).unwrap()
    );
    let request = Request::get("/add").header("cookie", both);
    let request = request.body(axum::body::Body::empty()).unwrap();
    client.fork().request(request).await;
    let seen = common::start(&other, "/seen/there/add");
    let late = common::start(&other, "/late/there/add");
    settle().await;
    get(&other, &login).await;
    gates.at("there").open();
    seen.await.unwrap();
    late.await.unwrap();
    let sessions = layer.sessions();
    sessions.destroy(id_of(&other)).await.unwrap();
    get(&other, "/n").await;
    // Failures of every kind.
    for verb in [Verb::Open, Verb::Finish, Verb::Create, Verb::Sweep] {
        for kind in [
            StoreErrorKind::Unavailable,
            StoreErrorKind::Corrupt,
            StoreErrorKind::Full,
        ] {
            let script = Script::new().every_of(verb, Fault::Fail(kind));
            backend.faults.set_script(script);
            let fresh = client.fork();
            get(&fresh, "/add").await;
            get(&fresh, "/n").await;
            fresh.clear_cookies();
            get(&fresh, "/write").await;
            let _ = sessions.sweep().await;
            settle().await;
        }
    }
    // A revocation that comes between opening and committing.
    let gate = Gate::new();
    let held = Script::new().nth_of(Verb::Finish, 1, Fault::DelayBefore(gate.clone()));
    backend.faults.set_script(held);
    get(&other, &login).await;
    let adding = common::start(&other, "/add");
    settle().await;
    sessions.destroy(id_of(&other)).await.unwrap();
    gate.open();
    adding.await.unwrap();
    backend.faults.set_script(Script::new());
    get(&other, "/logout").await;
    get(&other, "/add").await;
    backend.clock.advance(180 * MINUTE);
    get(&other, "/n").await;
    sessions.sweep().await.unwrap();
    get(&client, "/add").await;
    settle().await;
    get(&client, "/logout").await;
    settle().await;
    cookie
}

/// Everything that is said at any level, in one text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, what: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{what:?}").unwrap();
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(&format_args!("{field}={value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tower_keep")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.add(&format_args!("span {}", span.metadata().name()));
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn f3_traces_show_the_public_id_and_nothing_else_of_a_session() {
    let _alone = ALONE.lock().await;
    // Keeps the default hook from printing what the listener says.
    std::panic::set_hook(Box::new(|_| {}));
    for backend in Backend::both() {
        let log = Log::default();
        let cookie = {
            let _logging = tracing::subscriber::set_default(log.clone());
            run(&backend).await
        };
        let text = log.0.lock().unwrap().clone();
        let token = Token::parse(cookie.as_bytes(), "").unwrap();
        let id = format!("session.id={}", token.id());
        for said in [
            "span session.open",
            "span session.commit",
            "store=\"memory\"",
            "write=true",
            "event=rotated",
            "event=expired",
            "session committed",
            "a listener panicked",
            "swept",
            &id,
        ] {
            assert!(
                text.contains(said),
                "{}: no `{said}` in {text}",
                backend.name
            );
        }
        for hidden in [
            &cookie[..],
            &cookie[22..],
            USER,
            "ann",
            AGENT,
            IP,
            "203.0",
            CARD,
        ] {
            assert!(
                !text.contains(hidden),
                "{}: {hidden} in {text}",
                backend.name
            );
        }
    }
    let _ = std::panic::take_hook();
}

/// The last text in each call of a macro that makes an event, and the first in one for a span.
fn said(source: &str) -> Vec<String> {
    let mut said = Vec::new();
    for (macro_name, is_span) in [
        ("trace!(", false),
        ("debug!(", false),
        ("info!(", false),
        ("warn!(", false),
        ("error!(", false),
        ("debug_span!(", true),
    ] {
        for call in source.split(macro_name).skip(1) {
            let call = call.split(");").next().unwrap();
            let texts: Vec<_> = call.split('"').skip(1).step_by(2).collect();
            let text = if is_span { texts.first() } else { texts.last() };
            said.extend(text.map(|text| (*text).to_owned()));
        }
    }
    said
}

#[test]
fn f3_the_page_has_every_span_and_event() {
    fn sources(dir: &Path, all: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !matches!(name, "tests" | "model") {
                sources(&path, all);
            } else if path.extension().is_some_and(|e| e == "rs") {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let said = said(&all);
    assert!(said.len() > 15, "{said:?}");
    let row = |text: &str| {
        PAGE.contains(&format!("| {text} |")) || PAGE.contains(&format!("| `{text}` |"))
    };
    let missing: Vec<_> = said.iter().filter(|text| !row(text)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}

#[cfg(feature = "metrics")]
mod metrics {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};

    use ::metrics::{
        Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
        SharedString, Unit,
    };
    use axum::routing::get;
    use tower_keep::{METRICS, MergeSession, MetricKind, describe_metrics};
    use tower_keep_testkit::{Fault, Gate, Script, Verb};

    use super::common::{app, settle, start};
    use super::{ALONE, Backend, Gates, PAGE, Router, run};

    type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

    /// Counts by name and labels, and remembers what was described.
    #[derive(Default)]
    struct Recording {
        counts: Counts,
        described: Mutex<BTreeSet<String>>,
    }

    struct One(Counts, String);

    impl CounterFn for One {
        fn increment(&self, value: u64) {
            *self.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
        }

        fn absolute(&self, _: u64) {}
    }

    impl HistogramFn for One {
        fn record(&self, value: f64) {
            assert!((0.0..60.0).contains(&value), "{value} seconds");
            self.increment(1);
        }
    }

    impl Recording {
        fn one(&self, kind: &str, key: &Key) -> Arc<One> {
            let mut name = format!("{kind} {}", key.name());
            for label in key.labels() {
                write!(name, " {}={}", label.key(), label.value()).unwrap();
            }
            Arc::new(One(self.counts.clone(), name))
        }

        fn describe(&self, key: &KeyName, unit: Option<Unit>, help: &str) {
            let line = format!("{} {unit:?} {help}", key.as_str());
            self.described.lock().unwrap().insert(line);
        }
    }

    impl Recorder for Recording {
        fn describe_counter(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe(&key, unit, &help);
        }
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, help: SharedString) {
            self.describe(&key, unit, &help);
        }
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.one("counter", key))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            panic!("there is none")
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.one("histogram", key))
        }
    }

    /// What was counted in a run.
    fn counted(backend: impl FnOnce() -> Backend) -> BTreeMap<String, u64> {
        counted_in(async || drop(run(&backend()).await))
    }

    /// What was counted in a scene, where the recorder of this thread sees all of it.
    fn counted_in(scene: impl AsyncFnOnce()) -> BTreeMap<String, u64> {
        let recording = Recording::default();
        ::metrics::with_local_recorder(&recording, || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let _alone = ALONE.lock().await;
                std::panic::set_hook(Box::new(|_| {}));
                scene().await;
                let _ = std::panic::take_hook();
            });
        });
        std::mem::take(&mut *recording.counts.lock().unwrap())
    }

    #[test]
    fn f3_what_is_counted_is_the_table_and_the_page() {
        let local = counted(Backend::local);
        let remote = counted(Backend::remote);
        let mut seen = BTreeSet::new();
        for key in local.keys().chain(remote.keys()) {
            let (kind, rest) = key.split_once(' ').unwrap();
            let (name, labels) = rest.split_once(' ').unwrap();
            let labels: Vec<_> = labels
                .split(' ')
                .map(|l| l.split_once('=').unwrap())
                .collect();
            let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
            let is_counter = metric.kind == MetricKind::Counter;
            assert_eq!(kind == "counter", is_counter, "{key}");
            let names: Vec<_> = labels.iter().map(|label| label.0).collect();
            assert_eq!(names, metric.labels, "{key}");
            for (label, value) in labels {
                let known = label == "store" && value == "memory" || metric.help.contains(value);
                assert!(known, "{key}: the table does not know `{value}`");
            }
            seen.insert(name);
        }
        let all: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(seen, all, "every metric is met");
        let rows: Vec<_> = PAGE
            .lines()
            .filter(|line| line.starts_with("| `tower_keep_"))
            .collect();
        let row = |metric: &tower_keep::Metric| {
            let labels: Vec<_> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
            format!(
                "| `{}` | {} | {} | {} |",
                metric.name,
                metric.kind,
                labels.join(", "),
                metric.help
            )
        };
        assert_eq!(rows, METRICS.iter().map(row).collect::<Vec<_>>());
    }

    #[test]
    fn f3_numbers_are_those_of_what_happened() {
        for counts in [counted(Backend::local), counted(Backend::remote)] {
            let get = |key: &str| counts.get(key).copied().unwrap_or(0);
            let granted =
                get("counter tower_keep_loads_total store=memory mode=write outcome=granted");
            assert_eq!(
                granted,
                get("histogram tower_keep_lock_wait_seconds store=memory")
            );
            let sum = |what: &str| {
                let fits = |key: &&String| key.contains(what);
                counts
                    .keys()
                    .filter(fits)
                    .map(|key| counts[key])
                    .sum::<u64>()
            };
            let created =
                get("counter tower_keep_commits_total store=memory kind=create outcome=done");
            assert!(created >= 3);
            assert_eq!(
                get("counter tower_keep_events_total store=memory event=created"),
                created
            );
            let destroyed =
                get("counter tower_keep_commits_total store=memory kind=destroy outcome=done");
            assert_eq!(
                get("counter tower_keep_events_total store=memory event=destroyed"),
                destroyed
            );
            assert_eq!(
                get("counter tower_keep_events_total store=memory event=revoked"),
                2
            );
            for (reason, times) in [("stale", 2), ("changed", 1), ("ambiguous", 1)] {
                assert_eq!(sum(&format!("reason={reason}")), times, "{reason}");
            }
            let swept = get("counter tower_keep_swept_total store=memory kind=expired");
            assert_eq!(
                get("counter tower_keep_events_total store=memory event=expired"),
                swept
            );
            assert!(swept > 0);
        }
        let remote = counted(Backend::remote);
        let failed = |key: &str| remote.get(key).is_some_and(|count| *count > 0);
        assert!(failed(
            "counter tower_keep_loads_total store=memory mode=write outcome=failed"
        ));
        assert!(failed(
            "counter tower_keep_commits_total store=memory kind=create outcome=failed"
        ));
        assert!(failed(
            "counter tower_keep_sweeps_total store=memory outcome=failed"
        ));
    }

    /// Of requests that commit together each counts.
    #[test]
    fn f3_every_merge_is_counted() {
        let counts = counted_in(async || {
            let backend = Backend::remote();
            let merge = async |s: MergeSession| s.increment("n", 1);
            let routes = Router::new().route("/merge", get(merge));
            let client = backend.client(app(Gates::default()).merge(routes));
            client.get("/add").await;
            let gate = Gate::new();
            let script = Script::new().nth_of(Verb::Finish, 1, Fault::DelayAfter(gate.clone()));
            backend.faults.set_script(script);
            let mut merges = vec![start(&client, "/merge")];
            gate.arrived(1).await;
            merges.extend((0..9).map(|_| start(&client, "/merge")));
            settle().await;
            gate.open();
            for merge in merges {
                assert_eq!(merge.await.unwrap().status(), 200);
            }
        });
        for (kind, count) in [("create", 1), ("merge", 1), ("save", 9)] {
            let key =
                format!("counter tower_keep_commits_total store=memory kind={kind} outcome=done");
            assert_eq!(counts.get(&key), Some(&count), "{kind}");
        }
    }

    #[test]
    fn f3_a_recorder_is_told_what_they_mean() {
        let recording = Recording::default();
        ::metrics::with_local_recorder(&recording, describe_metrics);
        let described = recording.described.lock().unwrap();
        assert_eq!(described.len(), METRICS.len());
        assert!(
            described
                .iter()
                .any(|line| line.contains("lock_wait_seconds Some(Seconds)"))
        );
    }
}
