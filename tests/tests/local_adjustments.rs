//! What a model on this device does when the system warns of memory, the app leaves the foreground, or the phone is hot: its
//! answers go on where they can, in less memory, more slowly, or later, and nothing of them is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nearside::chat::{AnswerSummary, ChatMessage, ChatStream, Chunk, StopReason};
use nearside::device::{DeviceFacts, Host, ThermalState};
use nearside::engine::{Adjustment, AdjustmentAction, AdjustmentCause};
use nearside::model::ModelRef;
use nearside::{AdjustmentStream, AppEvent, Config, ErrorReason, Nearside};
use nearside_tests::memory::own_bytes;
use nearside_tests::models;
use nearside_tests::request::greedy;

/// A phone whose heat and power saving the test sets.
#[derive(Debug, Default)]
struct Phone {
    /// Index in [`HEAT`].
    heat: AtomicU8,
    low_power: AtomicBool,
    /// Bytes that are free; 0: as the system says.
    memory: AtomicU64,
}

const HEAT: [ThermalState; 3] = [ThermalState::Nominal, ThermalState::Serious, ThermalState::Critical];

impl Host for Phone {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            heat: HEAT[usize::from(self.heat.load(Ordering::SeqCst))],
            low_power: self.low_power.load(Ordering::SeqCst),
            memory_available: Some(self.memory.load(Ordering::SeqCst)),
            ..DeviceFacts::default()
        }
    }
}

struct Fixture {
    nearside: Nearside,
    phone: Arc<Phone>,
    adjustments: AdjustmentStream,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(context: u32, pause_in_background: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let phone = Arc::new(Phone::default());
        let config = Config {
            context: Some(context),
            threads: Some(2),
            pause_in_background: Some(pause_in_background),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::with_host(config, phone.clone()).expect("the library opens");
        Self {
            adjustments: nearside.adjustments(),
            nearside,
            phone,
            _folder: folder,
        }
    }

    fn ask(&self, max_tokens: u32) -> Answer {
        let request = greedy(
            &models::path("smollm2.gguf"),
            vec![ChatMessage::user("Tell a long story about a lighthouse.")],
            max_tokens,
        );
        Answer {
            stream: self.nearside.chat(request),
            text: String::new(),
            summary: None,
        }
    }

    /// Waits for the next adjustment that this says, of several at once.
    async fn wait_for<T>(&self, found: impl Fn(AdjustmentAction, AdjustmentCause) -> Option<T>) -> T {
        loop {
            let batch = self.adjustments.next_batch().await.expect("no error");
            assert!(!batch.is_empty(), "the stream ended");
            for Adjustment { model, action, cause } in batch {
                assert!(model.ends_with("smollm2.gguf"), "{model}");
                if let Some(found) = found(action, cause) {
                    return found;
                }
            }
        }
    }

    /// Waits for this adjustment.
    async fn expect(&self, action: AdjustmentAction, cause: AdjustmentCause) {
        self.wait_for(|found, why| ((found, why) == (action, cause)).then_some(()))
            .await;
    }
}

/// An answer and what was read of it.
struct Answer {
    stream: ChatStream,
    text: String,
    summary: Option<AnswerSummary>,
}

impl Answer {
    /// Reads until the text has this many bytes, or the answer ended.
    async fn read(&mut self, bytes: usize) {
        while self.text.len() < bytes && self.summary.is_none() {
            let batch = self.stream.next_batch().await.expect("an answer");
            for chunk in batch {
                match chunk {
                    Chunk::Text { text } => self.text.push_str(&text),
                    Chunk::Done { summary } => self.summary = Some(summary),
                    _ => {}
                }
            }
        }
    }

    async fn end(mut self) -> (String, AnswerSummary) {
        self.read(usize::MAX).await;
        (self.text, self.summary.expect("it ended"))
    }
}

/// Returns the number of engines in this process.
fn model_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "nearside-model").count()
}

#[tokio::test]
async fn an_answer_pauses_in_the_background_and_is_whole_in_the_foreground() {
    let fixture = Fixture::new(2048, true);
    let (unbroken, summary) = fixture.ask(160).end().await;
    assert_eq!(summary.usage.completion_tokens, 160);
    let mut answer = fixture.ask(160);
    answer.read(60).await;
    fixture.nearside.notify(AppEvent::Background);
    fixture
        .expect(AdjustmentAction::Paused, AdjustmentCause::Background)
        .await;
    // What was on its way arrives; then nothing does.
    let is_silent = async {
        while tokio::time::timeout(Duration::from_millis(500), answer.read(answer.text.len() + 1))
            .await
            .is_ok()
        {
            assert!(answer.summary.is_none());
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_silent)
        .await
        .expect("it pauses");
    fixture.nearside.notify(AppEvent::Foreground);
    fixture
        .expect(AdjustmentAction::Resumed, AdjustmentCause::Background)
        .await;
    let (text, broken) = answer.end().await;
    assert_eq!(text, unbroken);
    assert_eq!(broken.stop, summary.stop);
    let pause_is_no_computing = broken.timings.tokens_per_second * 2.0 > 160.0 / 60.0;
    assert!(pause_is_no_computing, "{:?}", broken.timings);
}

#[tokio::test]
async fn a_paused_answer_is_cancelled_at_once_and_one_begun_in_the_background_waits() {
    let fixture = Fixture::new(2048, true);
    let mut answer = fixture.ask(400);
    answer.read(20).await;
    fixture.nearside.notify(AppEvent::Background);
    fixture
        .expect(AdjustmentAction::Paused, AdjustmentCause::Background)
        .await;
    answer.stream.cancel();
    let (_, summary) = answer.end().await;
    assert_eq!(summary.stop, StopReason::Cancelled);
    let waiting = fixture.ask(4);
    fixture.nearside.notify(AppEvent::Foreground);
    let (text, summary) = waiting.end().await;
    assert_eq!(summary.usage.completion_tokens, 4, "{text}");
}

#[tokio::test]
async fn an_answer_on_the_processor_continues_in_the_background() {
    let fixture = Fixture::new(2048, false);
    let mut answer = fixture.ask(60);
    answer.read(10).await;
    fixture.nearside.notify(AppEvent::Background);
    let (_, summary) = answer.end().await;
    assert_eq!(summary.usage.completion_tokens, 60);
}

#[tokio::test]
async fn a_memory_warning_reduces_the_context_of_an_answer_under_way_which_grows_again() {
    let fixture = Fixture::new(8192, false);
    let (unbroken, _) = fixture.ask(560).end().await;
    let mut answer = fixture.ask(560);
    answer.read(60).await;
    let before = own_bytes();
    fixture.nearside.notify(AppEvent::MemoryLow);
    let reduced = fixture.wait_for(|action, cause| match action {
        AdjustmentAction::ContextReduced { tokens, bytes } if cause == AdjustmentCause::MemoryLow => {
            Some((tokens, bytes))
        }
        _ => None,
    });
    let (tokens, bytes) = reduced.await;
    assert!(tokens <= 1024, "{tokens}");
    let given_back = before.saturating_sub(own_bytes());
    println!("a context of 8,192 tokens reduced to {tokens}: {bytes} bytes by count, {given_back} by RSS");
    assert!(given_back * 10 > bytes * 8, "{given_back} of {bytes}");
    assert!(bytes > 100_000_000, "{bytes}");
    let (text, summary) = answer.end().await;
    assert_eq!(summary.usage.completion_tokens, 560);
    assert_eq!(text, unbroken, "the context grew without another word");
}

#[tokio::test]
async fn an_idle_model_is_freed_at_a_memory_warning_and_the_app_is_told() {
    let fixture = Fixture::new(2048, false);
    fixture.ask(2).end().await;
    let before = own_bytes();
    fixture.nearside.notify(AppEvent::MemoryLow);
    fixture
        .expect(AdjustmentAction::Unloaded, AdjustmentCause::MemoryLow)
        .await;
    let given_back = before.saturating_sub(own_bytes());
    println!("an idle model freed: {given_back} bytes by RSS");
    assert!(given_back > 30_000_000, "{given_back}");
}

#[tokio::test]
async fn at_a_critical_warning_answers_end_with_their_reason_and_memory_is_given_back() {
    let fixture = Fixture::new(4096, false);
    let mut answer = fixture.ask(2000);
    answer.read(40).await;
    let before = own_bytes();
    fixture.nearside.notify(AppEvent::MemoryCritical);
    let (text, summary) = answer.end().await;
    assert_eq!(summary.stop, StopReason::MemoryCritical);
    assert!(!text.is_empty() && summary.usage.completion_tokens > 0);
    fixture
        .expect(AdjustmentAction::Ended, AdjustmentCause::MemoryCritical)
        .await;
    let given_back = before.saturating_sub(own_bytes());
    println!("a model ended: {given_back} bytes by RSS");
    assert!(given_back > 60_000_000, "{given_back}");
    let (_, again) = fixture.ask(4).end().await;
    assert_eq!(again.usage.completion_tokens, 4, "the next request loads it again");
}

#[tokio::test]
async fn heat_and_power_saving_slow_an_answer_under_way_and_their_end_restores_it() {
    let fixture = Fixture::new(2048, false);
    let (unbroken, _) = fixture.ask(400).end().await;
    let mut answer = fixture.ask(400);
    answer.read(10).await;
    let slowed = |threads, percent| AdjustmentAction::Slowed { threads, percent };
    // The conditions are read every two seconds; an event has them read at once.
    let read_conditions = || fixture.nearside.notify(AppEvent::Foreground);
    fixture.phone.low_power.store(true, Ordering::SeqCst);
    read_conditions();
    fixture.expect(slowed(1, 100), AdjustmentCause::LowPower).await;
    fixture.phone.heat.store(2, Ordering::SeqCst);
    read_conditions();
    fixture.expect(slowed(1, 50), AdjustmentCause::Heat).await;
    fixture.phone.heat.store(0, Ordering::SeqCst);
    fixture.phone.low_power.store(false, Ordering::SeqCst);
    read_conditions();
    fixture.expect(AdjustmentAction::Restored, AdjustmentCause::Heat).await;
    let (text, summary) = answer.end().await;
    assert_eq!((text, summary.usage.completion_tokens), (unbroken, 400));
}

#[tokio::test]
async fn heat_is_noticed_without_an_event() {
    let fixture = Fixture::new(2048, false);
    let mut answer = fixture.ask(2000);
    answer.read(10).await;
    fixture.phone.heat.store(1, Ordering::SeqCst);
    let begun = Instant::now();
    fixture
        .wait_for(|_, cause| (cause == AdjustmentCause::Heat).then_some(()))
        .await;
    println!("noticed after {:?}", begun.elapsed());
    answer.stream.cancel();
    answer.end().await;
}

#[tokio::test]
async fn a_stream_of_adjustments_ends_by_its_cancel_and_with_the_library() {
    let fixture = Fixture::new(2048, false);
    let other = fixture.nearside.adjustments();
    other.cancel();
    assert_eq!(other.next_batch().await, Ok(vec![]));
    fixture.nearside.shut_down().await.expect("it ends");
    assert_eq!(fixture.adjustments.next_batch().await, Ok(vec![]));
    let late = fixture.nearside.adjustments();
    let ended = tokio::time::timeout(Duration::from_secs(60), late.next_batch()).await;
    assert_eq!(ended.expect("it ends"), Ok(vec![]), "one that began after the end");
}

#[tokio::test]
async fn a_model_that_was_not_in_memory_is_not_told_as_freed() {
    let fixture = Fixture::new(2048, false);
    for event in [AppEvent::MemoryLow, AppEvent::MemoryCritical] {
        // Too little memory: the load fails, and its engine stays.
        fixture.phone.memory.store(1 << 20, Ordering::SeqCst);
        let load = fixture.nearside.load(ModelRef::Path {
            path: models::path("smollm2.gguf").to_string_lossy().into_owned(),
        });
        let error = loop {
            match load.next_batch().await {
                Ok(batch) => assert!(!batch.is_empty(), "it fails"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), ErrorReason::ModelTooLarge);
        fixture.nearside.notify(event);
        while model_threads() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    fixture.phone.memory.store(0, Ordering::SeqCst);
    fixture.ask(2).end().await;
    fixture.nearside.notify(AppEvent::Background);
    let told = fixture.adjustments.next_batch().await.expect("no error");
    assert_eq!(told[0].cause, AdjustmentCause::Background, "{told:?}");
}

#[tokio::test]
async fn the_pause_of_an_answer_that_never_began_is_not_in_the_speed_of_the_next() {
    let fixture = Fixture::new(2048, true);
    fixture.nearside.notify(AppEvent::Background);
    let paused = fixture.ask(4);
    fixture
        .expect(AdjustmentAction::Paused, AdjustmentCause::Background)
        .await;
    // Longer than its prompt takes.
    tokio::time::sleep(Duration::from_secs(5)).await;
    paused.stream.cancel();
    assert_eq!(paused.end().await.1.stop, StopReason::Cancelled);
    fixture.nearside.notify(AppEvent::Foreground);
    let (_, summary) = fixture.ask(4).end().await;
    assert!(summary.timings.prompt_tokens_per_second > 0.0, "{:?}", summary.timings);
}
