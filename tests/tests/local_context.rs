//! The context of a loaded model: it grows with a conversation, as far as training, settings and memory allow, and each
//! request may limit it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nearside::chat::{AnswerSummary, ChatMessage, ChatRequest, Chunk, StopReason};
use nearside::{AppEvent, Config, Error, ErrorReason, Result};
use nearside_tests::memory::{FixedHost, PhoneHost};
use nearside_tests::phone::story;
use nearside_tests::request::greedy;
use nearside_tests::scratch::ScratchLibrary;
use nearside_tests::tiny_models::{self, SHORT_ROPE_TOKENS, TinyShape};

fn open(change: impl FnOnce(Config) -> Config) -> ScratchLibrary {
    ScratchLibrary::configured(Arc::new(FixedHost(None)), change)
}

fn write_model(library: &ScratchLibrary, shape: TinyShape) -> PathBuf {
    let path = library.folder.path().join("tiny.gguf");
    std::fs::write(&path, tiny_models::runnable(shape, None)).expect("a file");
    path
}

async fn answer(library: &ScratchLibrary, request: ChatRequest) -> Result<(String, AnswerSummary)> {
    let stream = library.nearside.chat(request);
    let mut text = String::new();
    loop {
        for chunk in stream.next_batch().await? {
            match chunk {
                Chunk::Text { text: more } => text += &more,
                Chunk::Done { summary } => return Ok((text, summary)),
                _ => {}
            }
        }
    }
}

/// Each character is a token, and the template adds about 20.
fn ask(model: &Path, characters: usize) -> ChatRequest {
    greedy(model, vec![ChatMessage::user(story(characters))], 8)
}

fn context(library: &ScratchLibrary) -> u32 {
    library.nearside.loaded()[0].context
}

#[tokio::test]
async fn a_long_conversation_makes_the_context_grow_and_is_not_read_again() {
    for shape in TinyShape::ALL {
        let library = open(|config| config);
        let model = write_model(&library, shape);
        let mut turns = vec![];
        let (mut held, mut last) = (0, String::new());
        for turn in 0..3 {
            turns.push(ChatMessage::user(format!("Turn {turn}. {}", story(2400))));
            let (said, summary) = answer(&library, greedy(&model, turns.clone(), 8))
                .await
                .expect("an answer");
            let usage = summary.usage;
            assert!(
                usage.prompt_tokens > 2400 * (turn + 1),
                "{shape:?}: nothing is omitted: {usage:?}"
            );
            assert!(
                usage.cached_tokens >= held,
                "{shape:?}, turn {turn}: {usage:?} after {held}"
            );
            assert!(
                u64::from(context(&library)) >= u64::from(usage.prompt_tokens + 8),
                "{shape:?}"
            );
            // The mark of the answer that follows the prompt is another one in the next turn.
            held = usage.prompt_tokens.saturating_sub(30);
            turns.push(ChatMessage::assistant(said.clone()));
            last = said;
        }
        assert!(
            (7200..=32_768).contains(&context(&library)),
            "{shape:?}: {}",
            context(&library)
        );
        // Where it was large from the beginning, the answer begins in the same way.
        turns.pop();
        let large = open(|config| Config {
            context: Some(16_384),
            ..config
        });
        let (said, _) = answer(&large, greedy(&model, turns, 8)).await.expect("an answer");
        assert_eq!(said[..4], last[..4], "{shape:?}");
    }
}

#[tokio::test]
async fn a_context_grows_no_further_than_is_set_trained_or_asked() {
    let library = open(|config| Config {
        context: Some(600),
        max_context: Some(2000),
        ..config
    });
    let model = write_model(&library, TinyShape::Full);
    let fixed = open(|config| Config {
        context: Some(600),
        ..config
    });
    let own = open(|config| Config {
        context: Some(600),
        model_contexts: [(model.to_string_lossy().into_owned(), 1500)].into(),
        ..config
    });
    let free = open(|config| config);
    let limited = |characters, context| {
        let mut request = ask(&model, characters);
        request.limits.context = Some(context);
        request
    };
    let use_larger = "use a larger context";
    for (name, library, request, refused) in [
        ("set", &library, ask(&model, 1900), None),
        ("set", &library, ask(&model, 2000), Some(use_larger)),
        ("asked for more", &library, limited(2000, 4096), None),
        ("asked for less", &library, limited(400, 300), Some(use_larger)),
        ("after less", &library, ask(&model, 1900), None),
        ("fixed", &fixed, ask(&model, 500), None),
        ("fixed", &fixed, ask(&model, 700), Some(use_larger)),
        ("its own", &own, ask(&model, 1400), None),
        ("its own", &own, ask(&model, 1600), Some(use_larger)),
        (
            "trained",
            &free,
            ask(&model, 33_000),
            Some("all that the model was trained with"),
        ),
        (
            "asked beyond training",
            &fixed,
            limited(33_000, u32::MAX),
            Some("all that the model was trained with"),
        ),
    ] {
        let error = answer(library, request).await.err();
        let told = error.as_ref().map(Error::to_string);
        assert_eq!(
            error.as_ref().map(Error::reason),
            refused.map(|_| ErrorReason::ContextExceeded),
            "{name}"
        );
        assert_eq!(
            told.is_some_and(|told| told.contains(refused.unwrap_or("?"))),
            refused.is_some(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_answer_makes_the_context_grow_only_if_it_was_asked_to_be_so_long() {
    let library = open(|config| Config {
        context: Some(300),
        max_context: Some(4096),
        ..config
    });
    let model = write_model(&library, TinyShape::Full);
    let mut request = ask(&model, 100);
    request.limits.max_tokens = None;
    let (_, summary) = answer(&library, request.clone()).await.expect("an answer");
    assert_eq!(summary.stop, StopReason::ContextFull);
    assert!(summary.usage.prompt_tokens + summary.usage.completion_tokens <= 301);
    request.limits.max_tokens = Some(900);
    let (_, summary) = answer(&library, request).await.expect("an answer");
    assert_eq!(
        (summary.stop, summary.usage.completion_tokens),
        (StopReason::MaxTokens, 900)
    );
}

#[tokio::test]
async fn without_memory_for_a_larger_context_older_turns_are_omitted_or_the_error_says_so() {
    const RESERVE: u64 = 64_000_000;
    let host = PhoneHost::with_left(4_000_000_000);
    let library = ScratchLibrary::configured(Arc::clone(&host) as _, |config| config);
    let model = write_model(&library, TinyShape::Full);
    answer(&library, ask(&model, 100)).await.expect("an answer");
    host.set_left(RESERVE);
    let error = answer(&library, ask(&model, 6000)).await.expect_err("no memory");
    assert_eq!(error.reason(), ErrorReason::ContextExceeded);
    assert!(error.to_string().contains("no memory now"), "{error}");
    assert_eq!(context(&library), 4096);

    let conversations = library.nearside.temporary_conversations().expect("in memory");
    let created = conversations
        .create(nearside::chat::ConversationSettings::default())
        .await;
    let id = created.expect("created").id;
    let mut prompts = vec![];
    for free in [RESERVE, RESERVE, RESERVE, 4_000_000_000] {
        host.set_left(free);
        let stream = conversations.send(id, ask(&model, 1800));
        loop {
            let batch = stream.next_batch().await.expect("an answer");
            if let Some(Chunk::Done { summary }) = batch.last() {
                prompts.push(summary.usage.prompt_tokens);
                break;
            }
        }
    }
    assert!(prompts[2] < 4096, "an older turn is omitted: {prompts:?}");
    assert!(prompts[3] > 4 * 1800, "with memory it is read again: {prompts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_warning_while_a_long_prompt_is_read_takes_nothing_that_the_prompt_needs() {
    for shape in TinyShape::ALL {
        let library = open(|config| config);
        let model = write_model(&library, shape);
        let request = ask(&model, 12_000);
        let nearside = &library.nearside;
        let warning = async {
            while nearside.loaded().first().is_none_or(|loaded| loaded.context <= 4096) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            nearside.notify(AppEvent::MemoryLow);
        };
        let (answered, ()) = tokio::join!(answer(&library, request), warning);
        let (_, summary) = answered.expect("an answer");
        assert!(summary.usage.prompt_tokens > 12_000, "{shape:?}");
    }
}

/// Phi 3 and 4 have short and long factors for their rotations: llama.cpp takes the long ones in a context beyond
/// [`SHORT_ROPE_TOKENS`], whatever its cache holds.
#[tokio::test]
async fn what_was_computed_with_short_factors_does_not_go_on_with_long_ones() {
    let grown = open(|config| config);
    let large = open(|config| Config {
        context: Some(16_384),
        ..config
    });
    let model = write_model(&grown, TinyShape::TwoRopes);
    let mut turns = vec![ChatMessage::user(story(2900))];
    let ask = |turns: &[ChatMessage]| greedy(&model, turns.to_vec(), 24);
    let (said, _) = answer(&grown, ask(&turns)).await.expect("an answer");
    assert_eq!(context(&grown), SHORT_ROPE_TOKENS);
    turns.push(ChatMessage::assistant(said));
    turns.push(ChatMessage::user(story(1500)));
    for turn in 0..2 {
        let (said, summary) = answer(&grown, ask(&turns)).await.expect("an answer");
        let (expected, _) = answer(&large, ask(&turns)).await.expect("an answer");
        assert_eq!(said, expected, "turn {turn}");
        assert_eq!(summary.usage.cached_tokens > 4000, turn > 0, "{:?}", summary.usage);
        turns.push(ChatMessage::assistant(said));
        turns.push(ChatMessage::user("And then?"));
    }
    assert!(context(&grown) > SHORT_ROPE_TOKENS);
}

#[tokio::test]
async fn a_long_answer_begins_with_long_factors() {
    let library = open(|config| Config {
        context: Some(2048),
        max_context: Some(32_768),
        ..config
    });
    let model = write_model(&library, TinyShape::TwoRopes);
    let mut request = ask(&model, 3000);
    request.limits.max_tokens = Some(1500);
    // There is room for the prompt and the answer beyond the short factors, before the prompt is read.
    let (_, summary) = answer(&library, request.clone()).await.expect("an answer");
    assert_eq!(
        (summary.stop, summary.usage.completion_tokens),
        (StopReason::MaxTokens, 1500)
    );
    assert!(context(&library) > SHORT_ROPE_TOKENS);
}
