//! The KV cache of the local engine: a cancelled, a late or a failed answer changes no later one, on full, sliding-window
//! and hybrid models.

use std::path::{Path, PathBuf};

use nearside::chat::{
    ChatMessage, ChatRequest, ChatStream, Chunk, RequestLimits, SamplingOptions, StopReason, TokenUsage,
};
use nearside::{Config, ErrorKind, ErrorReason, Nearside, Result};
use nearside_tests::tiny_models::{self, TinyShape};

/// A model in a folder of its own.
struct TinyModel {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl TinyModel {
    fn new(shape: TinyShape, nan: Option<char>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tiny.gguf");
        std::fs::write(&path, tiny_models::runnable(shape, nan)).expect("a file");
        Self { path, _folder: folder }
    }
}

/// The library in a folder of its own.
struct Library {
    nearside: Nearside,
    _folder: tempfile::TempDir,
}

impl Library {
    fn open(context: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            context: Some(context),
            threads: Some(1),
            ..Config::new(folder.path().to_string_lossy())
        };
        Self {
            nearside: Nearside::new(config).expect("the library opens"),
            _folder: folder,
        }
    }

    async fn ask(&self, request: ChatRequest) -> Result<Answer> {
        Answer::read(&self.nearside.chat(request), usize::MAX).await
    }
}

/// The content of an answer.
#[derive(Debug, Default)]
struct Answer {
    text: String,
    stop: Option<StopReason>,
    usage: TokenUsage,
}

impl Answer {
    /// Reads to the end, and cancels after this many chunks of text.
    async fn read(stream: &ChatStream, chunks: usize) -> Result<Self> {
        let mut answer = Self::default();
        let mut seen = 0;
        loop {
            let batch = stream.next_batch().await?;
            if batch.is_empty() {
                return Ok(answer);
            }
            for chunk in batch {
                match chunk {
                    Chunk::Text { text } => {
                        answer.text.push_str(&text);
                        seen += 1;
                        if seen >= chunks {
                            stream.cancel();
                        }
                    }
                    Chunk::Done { summary } => {
                        answer.stop = Some(summary.stop);
                        answer.usage = summary.usage;
                    }
                    _ => {}
                }
            }
        }
    }
}

fn ask(model: &Path, messages: Vec<ChatMessage>, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        sampling: SamplingOptions {
            temperature: Some(0.0),
            ..SamplingOptions::default()
        },
        limits: RequestLimits {
            max_tokens: Some(max_tokens),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(messages)
    }
}

fn question(length: usize) -> ChatMessage {
    let text: String = (0..length / 16).map(|n| format!("item {n:03} is here")).collect();
    ChatMessage::user(text.chars().cycle().take(length).collect::<String>())
}

/// Each character is a token, and the template adds about 20.
#[tokio::test]
async fn contexts_of_any_size_answer_or_refuse() {
    let model = TinyModel::new(TinyShape::Full, None);
    let mut beyond = 0;
    for (context, capacity) in [(1, 256), (100, 256), (255, 256), (257, 512), (300, 512), (511, 512)] {
        let library = Library::open(context);
        for length in [30, 200, 226, 330, 470, 600] {
            let answer = library.ask(ask(&model.path, vec![question(length)], 4)).await;
            match answer {
                Ok(answer) => {
                    let tokens = answer.usage.prompt_tokens;
                    assert!(tokens <= capacity, "{context}, {length}: {answer:?}");
                    beyond += u32::from(tokens > context);
                }
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Internal, "{context}, {length}: {error}");
                    assert!(length + 40 > context as usize, "{context}, {length}: {error}");
                }
            }
        }
    }
    assert!(
        beyond > 0,
        "no prompt was longer than the context before it was rounded up"
    );
}

#[tokio::test]
async fn a_cancelled_turn_leaves_only_what_was_computed() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, None);
        let library = Library::open(2048);
        let first = vec![question(700)];
        let mut lost = 0;
        for chunks in 1..=40 {
            let stream = library.nearside.chat(ask(&model.path, first.clone(), 400));
            let cut = Answer::read(&stream, chunks).await.expect("an answer");
            assert_eq!(cut.stop, Some(StopReason::Cancelled), "{shape:?}");

            let mut next = first.clone();
            next.push(ChatMessage::assistant(cut.text));
            next.push(ChatMessage::user("Go on."));
            let warm = library
                .ask(ask(&model.path, next.clone(), 16))
                .await
                .expect("an answer");
            let (read, cached) = (cut.usage.prompt_tokens, warm.usage.cached_tokens);
            assert!(cached < warm.usage.prompt_tokens, "{shape:?}: {cached}");
            match shape {
                TinyShape::Hybrid => {
                    // Zero if the cancel cut a token; its state is lost then.
                    assert!(cached == 0 || cached >= read, "{cached}");
                    if cached > 0 {
                        continue;
                    }
                    let cold = Library::open(2048)
                        .ask(ask(&model.path, next, 16))
                        .await
                        .expect("an answer");
                    assert_eq!(warm.text, cold.text, "after {chunks} chunks");
                }
                _ => assert!(cached >= read, "{shape:?}: {cached} of {read}"),
            }
            lost += 1;
            if lost == 4 {
                break;
            }
        }
        assert_eq!(lost, 4, "{shape:?}: no cancel came while a token was computed");
    }
}

#[tokio::test]
async fn a_prompt_that_its_deadline_cut_changes_no_later_answer() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, None);
        let library = Library::open(8192);
        let request = ask(&model.path, vec![question(6000)], 24);
        // Loads the model, and later makes the next request read its prompt again, in the same batches.
        let other = ask(&model.path, vec![question(30)], 1);
        library.ask(other.clone()).await.expect("an answer");
        let whole = library.ask(request.clone()).await.expect("an answer");
        for deadline_ms in [10, 25, 60, 150] {
            library.ask(other.clone()).await.expect("an answer");
            let mut late = request.clone();
            late.limits.deadline_ms = Some(deadline_ms);
            // A fast machine may answer in time.
            let _ = library.ask(late).await;
            let again = library.ask(request.clone()).await.expect("an answer");
            assert_eq!(again.text, whole.text, "{shape:?} after {deadline_ms} ms");
        }
    }
}

/// The model computes no number for a text with `~`. The failure costs the context, not the model.
#[tokio::test]
async fn the_turn_after_a_failed_one_is_like_one_of_a_new_engine() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, Some('~'));
        let library = Library::open(2048);
        let request = ask(&model.path, vec![question(300)], 24);
        let cold = library.ask(request.clone()).await.expect("an answer");
        for _ in 0..3 {
            let broken = vec![question(300), ChatMessage::assistant("~"), question(30)];
            let error = library.ask(ask(&model.path, broken, 24)).await.expect_err("no number");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let warm = library.ask(request.clone()).await.expect("an answer");
            assert_eq!(
                (warm.text, warm.usage.cached_tokens),
                (cold.text.clone(), 0),
                "{shape:?}"
            );
        }
    }
}

/// Bytes of the weights that went bad make numbers that are none: that is damage, and no bug of the library.
#[tokio::test]
async fn damaged_weights_are_told_as_damage_with_the_remedy() {
    let model = TinyModel::new(TinyShape::Full, None);
    let mut bytes = std::fs::read(&model.path).expect("a file");
    let weights = bytes.len() / 2;
    bytes[weights..].fill(0xff);
    std::fs::write(&model.path, bytes).expect("damaged");
    let library = Library::open(2048);
    let error = library
        .ask(ask(&model.path, vec![question(30)], 8))
        .await
        .expect_err("damaged");
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Corrupt, ErrorReason::Damaged),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("download it again") && !text.contains("bug"), "{text}");
}
