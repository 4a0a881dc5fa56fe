//! Who sends with whom, and what becomes of those whose connection or runtime is gone.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::FutureExt as _;
use redis::RedisFuture;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// Writes down each pipeline, and replies to a command with the command.
#[derive(Clone, Default)]
struct Recorder(Arc<Recorded>);

#[derive(Default)]
struct Recorded {
    pipelines: Mutex<Vec<Vec<String>>>,
    /// Whether it waits for `connected` first.
    disconnected: AtomicBool,
    connected: Notify,
    broken: AtomicBool,
}

impl ConnectionLike for Recorder {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        unreachable!("one pipeline for all")
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let recorded = &self.0;
        let send = async move {
            if recorded.disconnected.load(Ordering::Relaxed) {
                recorded.connected.notified().await;
            }
            if recorded.broken.load(Ordering::Relaxed) {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            let commands: Vec<String> = pipeline.cmd_iter().map(text).collect();
            assert_eq!((offset, count), (0, commands.len()));
            recorded.pipelines.lock().unwrap().push(commands.clone());
            let values = commands.into_iter().map(Value::SimpleString);
            Ok(values.collect())
        };
        send.boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn text(cmd: &Cmd) -> String {
    let redis::Arg::Simple(name) = cmd.args_iter().next().unwrap() else {
        panic!("no cursor")
    };
    String::from_utf8(name.to_vec()).unwrap()
}

fn commands(texts: &[&str]) -> Vec<Cmd> {
    texts.iter().map(|text| redis::cmd(text)).collect()
}

fn replies(texts: &[&str]) -> Vec<Value> {
    let values = texts.iter();
    values
        .map(|text| Value::SimpleString((*text).to_owned()))
        .collect()
}

impl Recorder {
    fn pipelines(&self) -> Vec<Vec<String>> {
        self.0.pipelines.lock().unwrap().clone()
    }
}

type Gathered = Gathering<Recorder>;

fn ask(gathered: &Gathered, texts: &[&str]) -> JoinHandle<RedisResult<Vec<Value>>> {
    let (gathered, commands) = (gathered.clone(), commands(texts));
    tokio::spawn(async move { gathered.run(commands).await })
}

/// Has it ask, and no more.
async fn begun<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn those_who_can_run_go_in_one_pipeline() {
    let recorder = Recorder::default();
    let gathered = Gathering::new(recorder.clone());
    for round in 1..3 {
        let asked = [&["A"][..], &["B", "C"], &["D"]].map(|texts| (texts, ask(&gathered, texts)));
        for (texts, asked) in asked {
            assert_eq!(asked.await.unwrap().unwrap(), replies(texts));
        }
        assert_eq!(recorder.pipelines(), vec![["A", "B", "C", "D"]; round]);
    }
}

/// A runtime of several threads runs what was woken last before what waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_was_woken_last_is_not_sent_first() {
    let recorder = Recorder::default();
    let gathered = Gathering::new(recorder.clone());
    let on_the_thread = tokio::spawn(async move {
        for asked in ["A", "B", "C", "D"].map(|text| ask(&gathered, &[text])) {
            asked.await.unwrap().unwrap();
        }
    });
    on_the_thread.await.unwrap();
    assert_eq!(recorder.pipelines().len(), 1);
}

#[tokio::test]
async fn a_pipeline_has_an_end_and_there_is_one_for_all() {
    for count in [1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 1] {
        let recorder = Recorder::default();
        let gathered = Gathering::new(recorder.clone());
        let texts: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        let asked: Vec<_> = texts.iter().map(|text| ask(&gathered, &[text])).collect();
        for (text, asked) in texts.iter().zip(asked) {
            assert_eq!(asked.await.unwrap().unwrap(), replies(&[text]));
        }
        let pipelines = recorder.pipelines();
        assert_eq!(pipelines.len(), count.div_ceil(MOST));
        assert!(pipelines.iter().all(|pipeline| pipeline.len() <= MOST));
        assert_eq!(pipelines.concat(), texts);
    }
}

#[tokio::test]
async fn for_whom_nobody_waits_nothing_is_sent() {
    let recorder = Recorder::default();
    let gathered = Gathering::new(recorder.clone());
    let mut gone = Box::pin(gathered.run(commands(&["GONE"])));
    begun(gone.as_mut()).await;
    let stays = ask(&gathered, &["STAYS"]);
    drop(gone);
    assert_eq!(stays.await.unwrap().unwrap(), replies(&["STAYS"]));
    assert_eq!(recorder.pipelines(), [["STAYS"]]);

    let mut gone = Box::pin(gathered.run(commands(&["GONE"])));
    begun(gone.as_mut()).await;
    drop(gone);
    // By then its task had its turn.
    yield_now().await;
    yield_now().await;
    assert_eq!(recorder.pipelines(), [["STAYS"]]);
}

/// Steps that were given up must not be taken minutes later, when the server is back.
#[tokio::test]
async fn who_is_gone_waits_for_no_connection() {
    let recorder = Recorder::default();
    recorder.0.disconnected.store(true, Ordering::Relaxed);
    let gathered = Gathering::new(recorder.clone());
    let mut given_up = Box::pin(gathered.run(commands(&["GIVEN", "UP"])));
    let mut other = Box::pin(gathered.run(commands(&["OTHER"])));
    begun(given_up.as_mut()).await;
    begun(other.as_mut()).await;
    yield_now().await;
    drop(given_up);
    yield_now().await;
    drop(other);
    // The pipeline is dropped with its clone of the connection.
    while Arc::strong_count(&recorder.0) > 2 {
        yield_now().await;
    }
    recorder.0.disconnected.store(false, Ordering::Relaxed);
    recorder.0.connected.notify_waiters();
    let next = ask(&gathered, &["NEXT"]).await.unwrap();
    assert_eq!(next.unwrap(), replies(&["NEXT"]));
    assert_eq!(recorder.pipelines(), [["NEXT"]]);
}

#[tokio::test]
async fn a_broken_connection_is_everybodys_error() {
    let recorder = Recorder::default();
    recorder.0.broken.store(true, Ordering::Relaxed);
    let gathered = Gathering::new(recorder.clone());
    for asked in [ask(&gathered, &["A"]), ask(&gathered, &["B"])] {
        assert!(asked.await.unwrap().unwrap_err().is_connection_dropped());
    }
    recorder.0.broken.store(false, Ordering::Relaxed);
    let next = ask(&gathered, &["NEXT"]).await.unwrap();
    assert_eq!(next.unwrap(), replies(&["NEXT"]));
}

/// Who was to send for others is gone with its runtime: they are told, and may ask again.
#[test]
fn a_turn_may_end_with_its_runtime() {
    let build = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap()
    };
    let (one, two) = (build(), build());
    let recorder = Recorder::default();
    let gathered = Gathering::new(recorder.clone());
    {
        // Nobody runs what is spawned there.
        let _entered = one.enter();
        let mut first = pin!(gathered.run(commands(&["FIRST"])));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = pin!(gathered.run(commands(&["SECOND"])));
        assert!(second.as_mut().now_or_never().is_none());
        one.shutdown_background();
        for asked in [first, second] {
            let error = two.block_on(asked).unwrap_err();
            assert!(error.is_connection_dropped(), "{error}");
        }
    }
    let next = two.block_on(gathered.run(commands(&["NEXT"])));
    assert_eq!(next.unwrap(), replies(&["NEXT"]));
    assert_eq!(recorder.pipelines(), [["NEXT"]]);
}
