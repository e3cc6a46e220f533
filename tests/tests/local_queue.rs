//! The queue of a local engine: cancels and deadlines of jobs that wait, loads that several jobs want, measurements, readers
//! that stop, and models that are asked while others are freed.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nearside::chat::{
    AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, OutputFormat, RequestLimits, Route, RouteRule,
    RouteTarget, RoutingMode, StopReason,
};
use nearside::engine::local::{EngineLease, LoadOutcome, LoadPlanner, LocalEngine, LocalSettings};
use nearside::engine::{BenchOptions, Engine, Job, LoadEvent, LoadStream, SentMark};
use nearside::model::fit::LoadOrder;
use nearside::model::{CacheType, FitVerdict, LoadPlan, MemoryEstimate};
use nearside::stream::Stream;
use nearside::{AppEvent, Config, ErrorReason, Nearside, Result};
use nearside_tests::device::{Device, DeviceAnswer};
use nearside_tests::models;
use nearside_tests::provider::{Dialect, Provider, Scenario};
use nearside_tests::request::greedy;
use tokio::runtime::Handle;

/// A planner that lets no load begin until it is opened, and counts.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Debug, Default, Clone)]
struct Seen {
    is_open: bool,
    plans: usize,
    outcomes: Vec<LoadOutcome>,
}

impl Gate {
    fn open(&self) {
        self.0.0.lock().expect("no panic").is_open = true;
        self.0.1.notify_all();
    }

    fn seen(&self) -> Seen {
        self.0.0.lock().expect("no panic").clone()
    }

    /// Waits until this holds.
    fn wait_until(&self, holds: impl Fn(&Seen) -> bool) {
        let seen = self.0.0.lock().expect("no panic");
        let wait = self.0.1.wait_timeout_while(seen, LONG, |seen| !holds(seen));
        assert!(!wait.expect("no panic").1.timed_out());
    }
}

impl LoadPlanner for Gate {
    fn plan_load(&self, _for_chat: bool) -> Result<LoadOrder> {
        let mut seen = self.0.0.lock().expect("no panic");
        seen.plans += 1;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(seen, |seen| !seen.is_open).expect("no panic"));
        Ok(LoadOrder {
            context: 2048,
            max_context: 2048,
            trained_context: 8192,
            present_context: 2048,
            short_rope_context: None,
            token_bytes: 0,
            cache_type: CacheType::F16,
            threads: 1,
            gpu_layers: -1,
            load: LoadPlan::Mapped,
            need: MemoryEstimate::default(),
            evictable: 0,
            verdict: FitVerdict::Fits,
            has_template: true,
            saved_bytes: 0,
        })
    }

    fn load_ended(&self, outcome: LoadOutcome) {
        self.0.0.lock().expect("no panic").outcomes.push(outcome);
        self.0.1.notify_all();
    }
}

fn start_engine(gate: &Gate) -> Arc<LocalEngine> {
    let settings = LocalSettings {
        path: models::path("smollm2.gguf"),
        id: "smollm2".into(),
        sha256: String::new(),
        states: None,
    };
    Arc::new(LocalEngine::start(settings, Arc::new(gate.clone()), Handle::current()).expect("a thread"))
}

fn request(text: &str, max_tokens: u32) -> ChatRequest {
    greedy(&models::path("smollm2.gguf"), vec![ChatMessage::user(text)], max_tokens)
}

/// Returns a request whose answer takes long, whatever the model would say: a list of 1,500 numbers.
fn long_request() -> ChatRequest {
    let schema = r#"{"type": "array", "items": {"type": "integer"}, "minItems": 1500}"#;
    ChatRequest {
        output: OutputFormat::JsonSchema { schema: schema.into() },
        ..request("Count from one to two thousand.", 6000)
    }
}

/// Asks an engine without the library.
fn ask_engine(engine: &LocalEngine, request: ChatRequest) -> ChatStream {
    let (stream, sink) = Stream::new();
    let target = RouteTarget::Local {
        model: "smollm2".into(),
    };
    engine.answer(Job {
        request,
        kept_turns: None,
        conversation: None,
        route: Route::to(target, RouteRule::RequestedTarget, "named"),
        sink,
        requested_at: Instant::now(),
        sent: SentMark::default(),
        begun: None,
    });
    stream
}

/// Reads a stream to its end: its text, and the end.
async fn read(stream: &ChatStream) -> Result<(String, AnswerSummary)> {
    let mut text = String::new();
    let mut end = None;
    loop {
        let batch = tokio::time::timeout(LONG, stream.next_batch()).await;
        let batch = batch.expect("the stream continues or ends")?;
        if batch.is_empty() {
            return Ok((text, end.expect("an end")));
        }
        for chunk in batch {
            match chunk {
                Chunk::Text { text: more } => text.push_str(&more),
                Chunk::Done { summary } => end = Some(summary),
                _ => {}
            }
        }
    }
}

fn text_of(chunks: &[Chunk]) -> String {
    let texts = chunks.iter().filter_map(|chunk| match chunk {
        Chunk::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

async fn stop_reason(stream: &ChatStream) -> StopReason {
    read(stream).await.expect("no error").1.stop
}

fn open(context: u32) -> (tempfile::TempDir, Nearside) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(context),
        threads: Some(1),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    (folder, nearside)
}

/// Starts an answer that takes long, and waits for its first text.
async fn start_long_answer(nearside: &Nearside) -> ChatStream {
    let stream = nearside.chat(long_request());
    let is_text = |chunk: &Chunk| matches!(chunk, Chunk::Text { .. });
    while !stream.next_batch().await.expect("no error").iter().any(is_text) {}
    stream
}

#[tokio::test]
async fn a_cancel_in_the_queue_ends_that_job_and_not_the_one_that_runs() {
    let (_folder, nearside) = open(8192);
    let long = start_long_answer(&nearside).await;
    let waiting: Vec<_> = (0..3).map(|_| nearside.chat(request("Name a river.", 8))).collect();
    for stream in &waiting[..2] {
        assert_eq!(stream.next_batch().await.expect("no error").len(), 1, "`Started`");
        stream.cancel();
        let (text, end) = read(stream).await.expect("no error");
        assert_eq!(
            (text.as_str(), end.stop, end.usage.prompt_tokens),
            ("", StopReason::Cancelled, 0)
        );
    }
    // It was running all the time.
    long.cancel();
    assert_eq!(stop_reason(&long).await, StopReason::Cancelled);
    assert_ne!(stop_reason(&waiting[2]).await, StopReason::Cancelled);
}

#[tokio::test]
async fn a_deadline_in_the_queue_is_kept_and_the_answer_that_runs_goes_on() {
    let (_folder, nearside) = open(8192);
    let long = start_long_answer(&nearside).await;
    let mut late = request("Name a river.", 8);
    late.limits.deadline_ms = Some(100);
    let asked = Instant::now();
    let error = read(&nearside.chat(late)).await.expect_err("the deadline passed");
    assert_eq!(error.reason(), ErrorReason::DeadlineExceeded);
    println!("a deadline of 100 ms in the queue: {:?}", asked.elapsed());
    long.cancel();
    assert_eq!(stop_reason(&long).await, StopReason::Cancelled);
}

#[tokio::test]
async fn a_deadline_holds_for_an_answer_that_is_not_read() {
    let (_folder, nearside) = open(8192);
    nearside.chat(request("Hello", 1)).next_batch().await.expect("no error");
    let mut unread = long_request();
    unread.limits.deadline_ms = Some(1500);
    let unread = nearside.chat(unread);
    // The next one begins when that one has ended.
    assert_ne!(
        stop_reason(&nearside.chat(request("Name a river.", 8))).await,
        StopReason::Cancelled
    );
    let error = read(&unread).await.expect_err("the deadline passed");
    assert_eq!(error.reason(), ErrorReason::DeadlineExceeded);
}

#[tokio::test]
async fn a_deadline_holds_for_a_remote_answer_that_is_not_read() {
    let provider = Provider::start(Dialect::Compatible);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    provider.play(Scenario::Many { tokens: 100_000 });
    let stream = device.nearside.chat(ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        limits: RequestLimits {
            deadline_ms: Some(500),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user("Count.")])
    });
    // Back-pressure holds the provider after 64 chunks. Its connection ends when the deadline has passed.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let answer = DeviceAnswer::read(&stream).await;
    assert_eq!(answer.error().reason(), ErrorReason::DeadlineExceeded);
    let chunks = answer.text.split_whitespace().count();
    // A chunk has as many tokens as came in one read, at most 16 kB of events.
    assert!(chunks < 10_000, "{chunks}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_while_the_model_loads_ends_that_job_and_the_load_goes_on_for_the_other() {
    let gate = Gate::default();
    let engine = start_engine(&gate);
    let (first, second) = (
        ask_engine(&engine, request("Name a river.", 4)),
        ask_engine(&engine, request("Name a river.", 4)),
    );
    gate.wait_until(|seen| seen.plans == 1);
    first.cancel();
    assert_eq!(
        stop_reason(&first).await,
        StopReason::Cancelled,
        "while the load is held"
    );
    gate.open();
    let (text, end) = read(&second).await.expect("an answer");
    assert!(!text.is_empty() && end.timings.load_ms > 0.0);
    let seen = gate.seen();
    assert_eq!((seen.plans, seen.outcomes), (1, vec![LoadOutcome::Loaded]));
    let again = read(&ask_engine(&engine, request("Name a river.", 4))).await;
    assert_eq!(again.expect("an answer").1.timings.load_ms, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_no_job_wants_any_more_ends() {
    let gate = Gate::default();
    let engine = start_engine(&gate);
    let stream = ask_engine(&engine, request("Name a river.", 4));
    gate.wait_until(|seen| seen.plans == 1);
    stream.cancel();
    assert_eq!(stop_reason(&stream).await, StopReason::Cancelled);
    assert!(!engine.is_in_use());
    gate.open();
    gate.wait_until(|seen| seen.outcomes == [LoadOutcome::Unloaded]);
    let text = read(&ask_engine(&engine, request("Name a river.", 4))).await;
    assert!(!text.expect("an answer").0.is_empty());
    assert_eq!(gate.seen().plans, 2);
}

/// Reads the events of a load to its end, and returns whether it brought the model.
async fn is_loaded(stream: &LoadStream) -> Result<bool> {
    let mut is_loaded = false;
    loop {
        let batch = tokio::time::timeout(LONG, stream.next_batch()).await;
        let batch = batch.expect("the load goes on or ends")?;
        if batch.is_empty() {
            return Ok(is_loaded);
        }
        is_loaded |= matches!(batch.last(), Some(LoadEvent::Loaded { .. }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_ahead_and_an_answer_share_one_load_and_each_is_cancelled_alone() {
    let start_load = |engine: &LocalEngine| {
        let (stream, sink) = Stream::new();
        engine.load(sink);
        stream
    };
    for load_goes_on in [true, false] {
        let gate = Gate::default();
        let engine = start_engine(&gate);
        let answer = ask_engine(&engine, request("Name a river.", 4));
        let load = start_load(&engine);
        let other = start_load(&engine);
        gate.wait_until(|seen| seen.plans == 1);
        other.cancel();
        assert_eq!(is_loaded(&other).await, Ok(false), "while the load is held");
        if load_goes_on {
            answer.cancel();
            assert_eq!(stop_reason(&answer).await, StopReason::Cancelled);
            assert!(engine.is_in_use() && engine.loaded().is_none());
        } else {
            load.cancel();
            assert_eq!(is_loaded(&load).await, Ok(false), "while the load is held");
        }
        gate.open();
        match load_goes_on {
            true => assert_eq!(is_loaded(&load).await, Ok(true)),
            false => assert!(!read(&answer).await.expect("an answer").0.is_empty()),
        }
        assert!(engine.loaded().is_some());
        assert_eq!(is_loaded(&start_load(&engine)).await, Ok(true));
        assert_eq!(
            (gate.seen().plans, gate.seen().outcomes),
            (1, vec![LoadOutcome::Loaded])
        );
        engine.close(StopReason::Cancelled, 0);
        assert!(engine.loaded().is_none());
        let error = is_loaded(&start_load(&engine)).await.expect_err("it was unloaded");
        assert_eq!(error.reason(), ErrorReason::Busy);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_measurement_waits_counts_and_can_be_cancelled_like_an_answer() {
    let gate = Gate::default();
    let engine = start_engine(&gate);
    // While it waits for the load.
    let bench = engine.bench(BenchOptions::default());
    tokio::time::timeout(Duration::from_millis(50), bench)
        .await
        .expect_err("it waits");
    gate.wait_until(|seen| seen.plans == 1);
    while engine.is_in_use() {
        tokio::task::yield_now().await;
    }
    gate.open();
    // While it runs: its caller no longer waits.
    let endless = BenchOptions {
        repetitions: 1_000_000,
        ..BenchOptions::default()
    };
    let running = tokio::spawn({
        let (engine, options) = (Arc::clone(&engine), endless.clone());
        async move { engine.bench(options).await }
    });
    gate.wait_until(|seen| seen.outcomes.last() == Some(&LoadOutcome::Loaded));
    let after = ask_engine(&engine, request("Name a river.", 4));
    assert!(engine.is_in_use());
    running.abort();
    assert_ne!(stop_reason(&after).await, StopReason::Cancelled);
    // While it runs: the engine is closed.
    let lease = EngineLease::acquire(&engine);
    let running = tokio::spawn(async move { lease.bench(endless).await });
    let closing = Arc::clone(&engine);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(engine.is_in_use());
    tokio::time::timeout(
        LONG,
        tokio::task::spawn_blocking(move || closing.close(StopReason::Cancelled, 0)),
    )
    .await
    .expect("it does not wait for the whole measurement")
    .expect("no panic");
    let error = running.await.expect("no panic").expect_err("it was closed");
    assert_eq!(error.reason(), ErrorReason::Busy);
}

#[tokio::test]
async fn an_answer_that_is_not_read_holds_no_other_up_and_loses_nothing() {
    let (_folder, nearside) = open(8192);
    let question = || request("Count from one to five hundred in words.", 400);
    // The first one reads the prompt, the others find it in the cache.
    read(&nearside.chat(question())).await.expect("an answer");
    let (whole, _) = read(&nearside.chat(question())).await.expect("an answer");
    let asked = Instant::now();
    let unread = nearside.chat(question());
    // Then it is in the queue before the other one.
    let begun = unread.next_batch().await.expect("no error");
    let other = read(&nearside.chat(request("Name a river.", 8)))
        .await
        .expect("an answer");
    assert!(!other.0.is_empty());
    tokio::time::sleep(PAUSE).await;
    let (text, summary) = read(&unread).await.expect("an answer");
    let text = text_of(&begun) + &text;
    assert!(text == whole, "{text} is not {whole}");
    let decoding = f64::from(summary.usage.completion_tokens - 1) / summary.timings.tokens_per_second;
    assert!(
        decoding < (asked.elapsed() - PAUSE / 2).as_secs_f64(),
        "the pause of the reader is not the model's: {decoding}"
    );
    assert_eq!(unread.next_batch().await, Ok(vec![]));
}

/// Copies SmolLM2, so that it is another model.
fn another(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::copy(models::path("smollm2.gguf"), &path).expect("a copy");
    path.to_string_lossy().into_owned()
}

#[tokio::test]
async fn two_models_asked_two_hundred_times_while_idle_ones_are_freed_answer_each_time() {
    let (folder, nearside) = open(512);
    let nearside = Arc::new(nearside);
    let names = [another(folder.path(), "a.gguf"), another(folder.path(), "b.gguf")];
    let ask = |n: usize| {
        let question = ChatRequest {
            model: Some(names[n % 2].clone()),
            ..request("Name a river.", 1)
        };
        let nearside = Arc::clone(&nearside);
        tokio::spawn(async move { read(&nearside.chat(question)).await })
    };
    let check = async |answers: Vec<tokio::task::JoinHandle<Result<(String, AnswerSummary)>>>| {
        for answer in answers {
            let (_, end) = answer.await.expect("no panic").expect("no error, such as `Busy`");
            assert_ne!(end.stop, StopReason::Cancelled, "no cancel by another");
        }
    };
    check((0..200).map(ask).collect()).await;
    // A moment before, between and after: the engine is idle, leased, answers.
    for round in 0..12 {
        nearside.notify(AppEvent::Background);
        let answers = vec![ask(round), ask(round + 1)];
        nearside.notify(AppEvent::Background);
        check(answers).await;
    }
}

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(120);
/// How long a stream is not read.
const PAUSE: Duration = Duration::from_secs(3);
