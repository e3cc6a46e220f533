//! The local engine on a real model: chunk order, cancel, cache reuse, stop reasons.

use std::path::Path;
use std::time::{Duration, Instant};

use nearside::chat::{
    ChatMessage, ChatRequest, ChatStream, Chunk, OutputFormat, RequestLimits, RouteTarget, SamplingOptions, StopReason,
    Timings, TokenUsage,
};
use nearside::{Config, ErrorKind, Nearside, Result};
use nearside_tests::models;

/// A collected answer.
#[derive(Debug, Default)]
struct LocalAnswer {
    text: String,
    reasoning: String,
    started: usize,
    done: Option<(StopReason, TokenUsage, Timings)>,
}

/// Opens the library with this context size. The folder must outlive it.
fn open(context: u32) -> (tempfile::TempDir, Nearside) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(context),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    (folder, nearside)
}

/// Returns the answer to a request, which must succeed.
async fn answer(nearside: &Nearside, request: ChatRequest) -> LocalAnswer {
    gather(&nearside.chat(request)).await.expect("an answer")
}

/// Reads batches until one has text.
async fn wait_for_text(stream: &ChatStream) {
    let is_text = |chunk: &Chunk| matches!(chunk, Chunk::Text { .. });
    while !stream.next_batch().await.expect("no error").iter().any(is_text) {}
}

/// Returns a greedy request to SmolLM2.
fn ask(text: &str) -> ChatRequest {
    ask_model(&models::path("smollm2.gguf"), text)
}

fn ask_model(path: &Path, text: &str) -> ChatRequest {
    ChatRequest {
        model: Some(path.to_string_lossy().into_owned()),
        sampling: SamplingOptions {
            temperature: Some(0.0),
            seed: Some(1),
            ..SamplingOptions::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(text)])
    }
}

fn limited(request: ChatRequest, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        limits: RequestLimits {
            max_tokens: Some(max_tokens),
            ..RequestLimits::default()
        },
        ..request
    }
}

async fn gather(stream: &ChatStream) -> Result<LocalAnswer> {
    let mut answer = LocalAnswer::default();
    loop {
        let batch = stream.next_batch().await?;
        if batch.is_empty() {
            return Ok(answer);
        }
        for chunk in batch {
            assert!(answer.done.is_none(), "nothing comes after `done`");
            match chunk {
                Chunk::Started { route } => {
                    assert!(answer.text.is_empty(), "`started` comes first");
                    assert!(matches!(route.target, RouteTarget::Local { .. }));
                    answer.started += 1;
                }
                Chunk::Reasoning { text } => answer.reasoning.push_str(&text),
                Chunk::Text { text } => {
                    assert!(!text.is_empty());
                    answer.text.push_str(&text);
                }
                Chunk::ToolCall { name, .. } => panic!("unexpected call of `{name}`"),
                Chunk::Citation { url, .. } => panic!("unexpected citation of `{url}`"),
                Chunk::Done { summary } => {
                    assert_eq!(summary.receipt.cost_usd, 0.0);
                    assert_eq!(summary.receipt.data_policy.region, "device");
                    answer.done = Some((summary.stop, summary.usage, summary.timings));
                }
            }
        }
    }
}

/// Returns about 6,000 tokens of text without repeated passages.
fn long_text() -> String {
    (0..720).map(|n| format!("item {n} is here; ")).collect()
}

#[tokio::test]
async fn an_answer_streams_in_order_and_ends_with_one_done() {
    let (_folder, nearside) = open(2048);
    let answer = answer(&nearside, limited(ask("Why is the sky blue?"), 200)).await;
    assert_eq!(answer.started, 1);
    assert!(answer.text.contains("light"), "{}", answer.text);
    assert_eq!(answer.reasoning, "");
    let (stop, usage, timings) = answer.done.expect("done");
    assert!(matches!(stop, StopReason::End | StopReason::MaxTokens), "{stop:?}");
    assert!(usage.prompt_tokens > 10 && usage.completion_tokens > 3, "{usage:?}");
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (0, 0));
    assert!(
        timings.load_ms > 0.0 && timings.first_token_ms > timings.load_ms,
        "{timings:?}"
    );
    assert!(
        timings.tokens_per_second > 0.0 && timings.prompt_tokens_per_second > 0.0,
        "{timings:?}"
    );
}

#[tokio::test]
async fn the_same_request_gives_the_same_answer_and_the_second_finds_its_prompt_in_the_cache() {
    let (_folder, nearside) = open(2048);
    let first = answer(&nearside, ask("Name three colours.")).await;
    let second = answer(&nearside, ask("Name three colours.")).await;
    assert_eq!(first.text, second.text);
    let (_, usage, timings) = second.done.expect("done");
    assert_eq!(
        usage.cached_tokens,
        usage.prompt_tokens - 1,
        "all but the last token, which must run again"
    );
    assert_eq!(timings.load_ms, 0.0);
}

#[tokio::test]
async fn a_conversation_prefills_only_what_is_new() {
    let (_folder, nearside) = open(2048);
    let mut request = limited(ask("My name is Ada. Remember it."), 24);
    let first = answer(&nearside, request.clone()).await;
    request.messages.push(ChatMessage::assistant(first.text));
    request.messages.push(ChatMessage::user("What is my name?"));
    let (_, usage, _) = answer(&nearside, request).await.done.expect("done");
    let (_, before, _) = first.done.expect("done");
    assert!(
        usage.cached_tokens >= before.prompt_tokens,
        "{usage:?} after {before:?}"
    );
}

#[tokio::test]
async fn two_conversations_take_turns_on_one_model() {
    let (_folder, nearside) = open(2048);
    let alone = answer(&nearside, limited(ask("Count to five."), 16)).await;
    let (one, other) = (
        nearside.chat(limited(ask("Name a river."), 16)),
        nearside.chat(limited(ask("Count to five."), 16)),
    );
    let (one, other) = tokio::join!(gather(&one), gather(&other));
    assert!(one.expect("an answer").done.is_some());
    assert_eq!(other.expect("an answer").text, alone.text);
}

#[tokio::test]
async fn max_tokens_and_stop_strings_end_the_answer_where_they_say() {
    let (_folder, nearside) = open(2048);
    let whole = answer(&nearside, limited(ask("Count from one to twenty in digits."), 60)).await;
    let short = answer(&nearside, limited(ask("Count from one to twenty in digits."), 5)).await;
    assert!(whole.text.starts_with(&short.text));
    assert_eq!(
        short.done.map(|(stop, usage, _)| (stop, usage.completion_tokens)),
        Some((StopReason::MaxTokens, 5))
    );

    // A stop string from the middle of the answer, so that it spans tokens.
    let words: Vec<&str> = whole.text.split(' ').collect();
    let stop = words[2..4].join(" ");
    let mut request = limited(ask("Count from one to twenty in digits."), 60);
    request.sampling.stop = vec![stop.clone()];
    let stopped = answer(&nearside, request).await;
    let at = whole.text.find(&stop).expect("it is in there");
    assert_eq!(stopped.text, whole.text[..at]);
    assert_eq!(stopped.done.map(|(stop, ..)| stop), Some(StopReason::StopSequence));
}

#[tokio::test]
async fn a_full_context_ends_the_answer_and_a_longer_prompt_is_refused() {
    let (_folder, nearside) = open(256);
    let mut request = ask("Tell a very long story about a fox, a crow and a river.");
    request.sampling.stop.clear();
    let answer = answer(&nearside, request).await;
    let (stop, usage, _) = answer.done.expect("done");
    if stop == StopReason::ContextFull {
        assert_eq!(
            usage.prompt_tokens + usage.completion_tokens,
            256 + 1,
            "the last token is sent but not decoded"
        );
    } else {
        assert_eq!(stop, StopReason::End);
    }
    let error = gather(&nearside.chat(ask(&long_text()))).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("256"), "{error}");
}

#[tokio::test]
async fn cancelling_a_long_prefill_ends_it_at_once_and_the_model_still_works() {
    let (_folder, nearside) = open(8192);
    // Load the model first, so that the cancel hits the prefill.
    answer(&nearside, limited(ask("Hello"), 1)).await;
    let mut waits = Vec::new();
    for round in 0..20 {
        let stream = nearside.chat(ask(&format!("{round} {}", long_text())));
        let first = stream.next_batch().await.expect("no error");
        assert!(
            matches!(first[..], [Chunk::Started { .. }]),
            "only `started`: {first:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        let cancelled = Instant::now();
        stream.cancel();
        let last = stream.next_batch().await.expect("no error");
        waits.push(cancelled.elapsed());
        let [Chunk::Done { summary }] = &last[..] else {
            panic!("only `done`: {last:?}");
        };
        assert_eq!(summary.stop, StopReason::Cancelled);
        assert_eq!(stream.next_batch().await, Ok(vec![]));
    }
    // Printed, not asserted: the duration depends on the load of the machine.
    waits.sort();
    let (median, worst) = (waits[10], waits[19]);
    println!(
        "cancel during prefill: median {median:?}, worst {worst:?} of {}",
        waits.len()
    );
    let answer = answer(&nearside, limited(ask("Why is the sky blue?"), 40)).await;
    assert!(!answer.text.is_empty());
}

#[tokio::test]
async fn cancelling_while_text_comes_ends_with_cancelled_and_only_that_answer() {
    let (_folder, nearside) = open(2048);
    let expected = answer(&nearside, limited(ask("Name a river."), 16)).await;
    let stream = nearside.chat(ask("Tell a long story about the sea."));
    let waiting = nearside.chat(limited(ask("Name a river."), 16));
    for _ in 0..5 {
        wait_for_text(&stream).await;
    }
    stream.cancel();
    stream.cancel();
    let answer = gather(&stream).await.expect("no error");
    assert_eq!(answer.done.map(|(stop, ..)| stop), Some(StopReason::Cancelled));
    assert_eq!(gather(&waiting).await.expect("an answer").text, expected.text);
}

#[tokio::test]
async fn dropping_the_library_ends_a_stream_with_cancelled() {
    let (_folder, nearside) = open(2048);
    let stream = nearside.chat(ask("Tell a long story about the sea."));
    wait_for_text(&stream).await;
    drop(nearside);
    let answer = gather(&stream).await.expect("no error");
    assert_eq!(answer.done.map(|(stop, ..)| stop), Some(StopReason::Cancelled));
}

#[tokio::test]
async fn unloading_frees_the_model_and_the_next_request_loads_it_again() {
    let (_folder, nearside) = open(2048);
    let before = answer(&nearside, limited(ask("Name a river."), 16)).await;
    nearside.unload(None).await.expect("unloads");
    let after = answer(&nearside, limited(ask("Name a river."), 16)).await;
    assert_eq!(before.text, after.text);
    assert!(after.done.expect("done").2.load_ms > 0.0);
}

#[tokio::test]
async fn what_cannot_be_answered_is_an_error_that_says_what_to_do() {
    let (folder, nearside) = open(2048);
    let kind = async |request| gather(&nearside.chat(request)).await.expect_err("an error").kind();
    assert_eq!(kind(ChatRequest::new(vec![])).await, ErrorKind::InvalidRequest);
    assert_eq!(
        kind(ChatRequest::new(vec![ChatMessage::user("hi")])).await,
        ErrorKind::NotInstalled
    );
    let with_file = |path: &Path| ask_model(path, "hi");
    assert_eq!(
        kind(with_file("./no-such-file.gguf".as_ref())).await,
        ErrorKind::NotInstalled
    );
    let damaged = folder.path().join("damaged.gguf");
    std::fs::write(&damaged, b"GGUF\x03\0\0\0 and then nothing of the kind").expect("written");
    assert_eq!(kind(with_file(&damaged)).await, ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_emoji_split_over_tokens_arrives_whole() {
    let (_folder, nearside) = open(2048);
    let mut request = limited(ask("Repeat exactly: 🌍🦊 Grüße 世界"), 40);
    request.messages.push(ChatMessage::assistant("🌍🦊 Grüße 世界"));
    request.messages.push(ChatMessage::user("Again, the same line."));
    let answer = answer(&nearside, request).await;
    assert!(answer.done.is_some());
    assert!(!answer.text.contains('\u{FFFD}'), "{}", answer.text);
}

#[test]
fn it_works_inside_another_runtime_and_without_any() {
    let (_folder, nearside) = open(2048);
    let without = futures_executor::block_on(gather(&nearside.chat(limited(ask("Name a river."), 4))));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let within = runtime.block_on(async move {
        let answer = gather(&nearside.chat(limited(ask("Name a river."), 4))).await;
        // Drop it inside a runtime, where a nested one may not be dropped.
        drop(nearside);
        answer
    });
    assert_eq!(without.expect("an answer").text, within.expect("an answer").text);
}

/// A long list is one pattern, of which each token is compared with the few ways to go on: with 20,000 alternatives a token took
/// minutes, which nothing could stop.
#[tokio::test]
async fn an_answer_is_one_of_a_long_list_of_values() {
    let (_folder, nearside) = open(1024);
    let mut values: Vec<String> = (0..20_000).map(|n| format!("City {n}")).collect();
    values.extend(["Łódź", "New York", "Zürich"].map(String::from));
    let schema = serde_json::json!({"type": "object", "properties": {"city": {"enum": values}}, "required": ["city"]});
    let request = ChatRequest {
        output: OutputFormat::JsonSchema {
            schema: schema.to_string(),
        },
        ..limited(ask("Name a city."), 40)
    };
    let answered = answer(&nearside, request).await;
    let said: serde_json::Value = serde_json::from_str(&answered.text).expect("JSON");
    let city = said["city"].as_str().expect("a city");
    assert!(values.iter().any(|value| value == city), "{city}");
}

#[tokio::test]
async fn the_largest_seed_repeats_itself_too() {
    let (_folder, nearside) = open(1024);
    let mut request = limited(ask("Tell me a tale of the sea."), 24);
    request.sampling = SamplingOptions {
        temperature: Some(1.5),
        seed: Some(u32::MAX),
        ..SamplingOptions::default()
    };
    let first = answer(&nearside, request.clone()).await.text;
    assert_eq!(answer(&nearside, request).await.text, first);
}
