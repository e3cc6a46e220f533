//! The KV cache of the local engine: a cancelled, a late or a failed answer changes no later one, on full, sliding-window
//! and hybrid models.

use std::path::PathBuf;

use nearside::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, ContentPart, MessageRole, StopReason, TokenUsage};
use nearside::{ErrorKind, ErrorReason, Result};
use nearside_tests::request::greedy;
use nearside_tests::scratch::ScratchLibrary;
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

async fn answer_of(library: &ScratchLibrary, request: ChatRequest) -> Result<Answer> {
    Answer::read(&library.nearside.chat(request), usize::MAX).await
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

fn question(length: usize) -> ChatMessage {
    let text: String = (0..length / 16).map(|n| format!("item {n:03} is here")).collect();
    ChatMessage::user(text.chars().cycle().take(length).collect::<String>())
}

/// Each character is a token, and the template adds about 20.
#[tokio::test]
async fn contexts_of_any_size_answer_or_refuse() {
    let model = TinyModel::new(TinyShape::Full, None);
    let mut answers = 0;
    for context in [1, 100, 255, 257, 300, 511] {
        let library = ScratchLibrary::open(context);
        for length in [30, 200, 226, 330, 470, 600] {
            let answer = answer_of(&library, greedy(&model.path, vec![question(length)], 4)).await;
            match answer {
                Ok(answer) => {
                    let tokens = answer.usage.prompt_tokens + answer.usage.completion_tokens;
                    assert!(tokens <= context, "{context}, {length}: {answer:?}");
                    answers += 1;
                }
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Internal, "{context}, {length}: {error}");
                    assert!(length + 40 > context as usize, "{context}, {length}: {error}");
                }
            }
        }
    }
    assert!(answers > 8, "{answers}");
}

#[tokio::test]
async fn a_cancelled_turn_leaves_only_what_was_computed() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, None);
        let library = ScratchLibrary::open(2048);
        let first = vec![question(700)];
        let mut lost = 0;
        for attempt in 0..240 {
            let chunks = attempt % 40 + 1;
            let stream = library.nearside.chat(greedy(&model.path, first.clone(), 400));
            let cut = Answer::read(&stream, chunks).await.expect("an answer");
            assert_eq!(cut.stop, Some(StopReason::Cancelled), "{shape:?}");

            let mut next = first.clone();
            next.push(ChatMessage::assistant(cut.text));
            next.push(ChatMessage::user("Go on."));
            let warm = answer_of(&library, greedy(&model.path, next.clone(), 16))
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
                    let cold = answer_of(&ScratchLibrary::open(2048), greedy(&model.path, next, 16))
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
        let library = ScratchLibrary::open(8192);
        let request = greedy(&model.path, vec![question(6000)], 24);
        // Loads the model, and later makes the next request read its prompt again, in the same batches.
        let other = greedy(&model.path, vec![question(30)], 1);
        answer_of(&library, other.clone()).await.expect("an answer");
        let whole = answer_of(&library, request.clone()).await.expect("an answer");
        for deadline_ms in [10, 25, 60, 150] {
            answer_of(&library, other.clone()).await.expect("an answer");
            let mut late = request.clone();
            late.limits.deadline_ms = Some(deadline_ms);
            // A fast machine may answer in time.
            let _ = answer_of(&library, late).await;
            let again = answer_of(&library, request.clone()).await.expect("an answer");
            assert_eq!(again.text, whole.text, "{shape:?} after {deadline_ms} ms");
        }
    }
}

/// The model computes no number for a text with `~`. The failure costs the context, not the model.
#[tokio::test]
async fn the_turn_after_a_failed_one_is_like_one_of_a_new_engine() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, Some('~'));
        let library = ScratchLibrary::open(2048);
        let request = greedy(&model.path, vec![question(300)], 24);
        let cold = answer_of(&library, request.clone()).await.expect("an answer");
        let memory = || library.nearside.loaded()[0].memory_bytes;
        let whole = memory();
        for _ in 0..3 {
            let broken = vec![question(300), ChatMessage::assistant("~"), question(30)];
            let error = answer_of(&library, greedy(&model.path, broken, 24))
                .await
                .expect_err("no number");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(memory() < whole, "{shape:?}: the context is gone");
            let warm = answer_of(&library, request.clone()).await.expect("an answer");
            assert_eq!(
                (warm.text, warm.usage.cached_tokens),
                (cold.text.clone(), 0),
                "{shape:?}"
            );
            assert!(memory() >= whole, "{shape:?}");
            // It left checkpoints as well.
            let next = vec![question(300), ChatMessage::assistant("Another answer."), question(30)];
            let usage = answer_of(&library, greedy(&model.path, next, 24))
                .await
                .expect("an answer")
                .usage;
            assert!(usage.cached_tokens > 250, "{shape:?}: {usage:?}");
        }
    }
}

/// A turn of a conversation: the question, and the prompt that it makes with all that came before.
struct Conversation {
    messages: Vec<ChatMessage>,
    prompt_tokens: u32,
}

impl Conversation {
    fn new(name: &str) -> Self {
        Self {
            messages: vec![ChatMessage::user(format!("{name} begins. {}", text_of(&question(900))))],
            prompt_tokens: 0,
        }
    }

    /// Asks, adds the answer and the next question, and returns how many tokens were prefilled for it.
    async fn turn(&mut self, library: &ScratchLibrary, model: &TinyModel) -> u32 {
        let request = greedy(&model.path, self.messages.clone(), 16);
        let answer = answer_of(library, request).await.expect("an answer");
        self.messages.push(ChatMessage::assistant(answer.text));
        self.messages.push(ChatMessage::user("Go on."));
        self.prompt_tokens = answer.usage.prompt_tokens;
        answer.usage.prompt_tokens - answer.usage.cached_tokens
    }
}

fn text_of(message: &ChatMessage) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        ContentPart::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// Returns the first characters of an answer. Later ones may differ between two ways to read a prompt, because other batches
/// are computed by other kernels; a wrong cache changes the first ones already.
fn beginning(answer: &Answer) -> &str {
    &answer.text[..4]
}

#[tokio::test]
async fn conversations_in_turn_are_read_once() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, None);
        let library = ScratchLibrary::open(2048);
        let mut all = ["First", "Second", "Third"].map(Conversation::new);
        for round in 0..4 {
            for conversation in &mut all {
                let before = conversation.prompt_tokens;
                let read = conversation.turn(&library, &model).await;
                match round {
                    0 => assert!(read > 900, "{shape:?}: {read}"),
                    // The answer, the next question and the marks around them.
                    _ => assert!(
                        read <= conversation.prompt_tokens - before + 8,
                        "{shape:?}, round {round}: {read}"
                    ),
                }
            }
            // A title, as apps ask for it.
            let title = greedy(&model.path, vec![ChatMessage::user("A title, please.")], 4);
            answer_of(&library, title).await.expect("an answer");
        }
        let mut cold = all.into_iter().next().expect("three");
        cold.messages.truncate(cold.messages.len() - 2);
        let last = cold.messages.clone();
        let warm = answer_of(&library, greedy(&model.path, last.clone(), 16))
            .await
            .expect("an answer");
        let other = ScratchLibrary::open(2048);
        let cold = answer_of(&other, greedy(&model.path, last, 16))
            .await
            .expect("an answer");
        assert_eq!(beginning(&warm), beginning(&cold), "{shape:?}");
    }
}

#[tokio::test]
async fn an_edited_question_is_read_from_the_turn_before_it() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, None);
        let library = ScratchLibrary::open(4096);
        let mut conversation = Conversation::new("One");
        for _ in 0..3 {
            conversation.turn(&library, &model).await;
        }
        let mut edited = conversation.messages;
        // The last question, and the next one that was not asked yet.
        edited.truncate(edited.len() - 3);
        edited.push(ChatMessage::user("Say it in other words, please."));
        let answer = answer_of(&library, greedy(&model.path, edited.clone(), 16))
            .await
            .expect("an answer");
        let read = answer.usage.prompt_tokens - answer.usage.cached_tokens;
        assert!(read < 90, "{shape:?}: {read} of {}", answer.usage.prompt_tokens);
        let other = ScratchLibrary::open(4096);
        let cold = answer_of(&other, greedy(&model.path, edited, 16))
            .await
            .expect("an answer");
        assert_eq!(beginning(&answer), beginning(&cold), "{shape:?}");
    }
}

/// A conversation of thousands of tokens that came into the cache turn by turn, or at once, as one that is read again after a
/// restart. Its last question is edited at its beginning, or at its end. A cache that cannot be cut goes back to a checkpoint.
#[tokio::test]
async fn an_edit_of_the_last_question_reads_it_and_one_interval_at_most() {
    const INTERVAL: u32 = 512;
    // The template's, around the message, the answer before it and the next answer.
    const MARKS: u32 = 48;
    println!(
        "shape, way, tokens of the last question: read after an edit of its beginning and of its end, of the prompt"
    );
    for shape in TinyShape::ALL {
        for (is_at_once, length) in [
            (false, 60),
            (false, 700),
            (false, 5000),
            (true, 60),
            (true, 700),
            (true, 5000),
        ] {
            let model = TinyModel::new(shape, None);
            let library = ScratchLibrary::open(10_000);
            let mut history = Vec::new();
            for _ in 0..4 {
                history.push(question(900));
                let answer = match is_at_once {
                    true => "It is a list.".to_owned(),
                    false => {
                        answer_of(&library, greedy(&model.path, history.clone(), 16))
                            .await
                            .expect("an answer")
                            .text
                    }
                };
                history.push(ChatMessage::assistant(answer));
            }
            let text = text_of(&question(length));
            let (mut read, mut last) = (Vec::new(), text.clone());
            for next in [format!("Edited: {text}"), format!("Edited: {text} At the end.")] {
                let asked = |text: &str| {
                    let messages = history.iter().cloned().chain([ChatMessage::user(text)]);
                    greedy(&model.path, messages.collect(), 16)
                };
                answer_of(&library, asked(&last)).await.expect("an answer");
                let answer = answer_of(&library, asked(&next)).await.expect("an answer");
                let usage = answer.usage;
                read.push((usage.prompt_tokens - usage.cached_tokens, usage.prompt_tokens));
                last = next;
            }
            println!(
                "{shape:?}, {}, {length}: {read:?}",
                if is_at_once { "at once" } else { "turn by turn" }
            );
            let [beginning, end] = read[..] else { panic!("{read:?}") };
            for ((read, prompt), own) in [(beginning, last.len() as u32), (end, 0)] {
                assert!(prompt > 3600, "{prompt}");
                let most = own + INTERVAL + MARKS;
                assert!(read <= most, "{shape:?}, {length}: {read} of {prompt}, not {most}");
            }
        }
    }
}

/// The answer before was one to a result as long as eight intervals.
#[tokio::test]
async fn an_edited_question_before_a_long_result_of_a_tool_is_read_from_its_own_beginning() {
    for shape in TinyShape::ALL {
        let model = TinyModel::new(shape, None);
        let library = ScratchLibrary::open(10_000);
        let mut messages = Vec::new();
        for _ in 0..4 {
            messages.extend([question(900), ChatMessage::assistant("It is a list.")]);
        }
        let with_question = |text: &str| {
            messages
                .iter()
                .cloned()
                .chain([ChatMessage::user(text)])
                .collect::<Vec<_>>()
        };
        let part = |role, part| ChatMessage {
            role,
            parts: vec![part],
        };
        let (id, name) = ("call".to_owned(), "list".to_owned());
        let call = part(
            MessageRole::Assistant,
            ContentPart::ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: "{}".to_owned(),
            },
        );
        let content = text_of(&question(4096));
        let result = part(MessageRole::Tool, ContentPart::ToolResult { id, name, content });
        let first = with_question("What is on it?").into_iter().chain([call, result]);
        answer_of(&library, greedy(&model.path, first.collect(), 16))
            .await
            .expect("an answer");
        let edited = greedy(&model.path, with_question("What else is on it?"), 16);
        let usage = answer_of(&library, edited).await.expect("an answer").usage;
        let read = usage.prompt_tokens - usage.cached_tokens;
        assert!(usage.prompt_tokens > 3600, "{usage:?}");
        assert!(read <= 512 + 128, "{shape:?}: {read} of {}", usage.prompt_tokens);
    }
}

/// An answer runs meanwhile, so the model itself stays loaded.
#[tokio::test]
async fn a_memory_warning_frees_the_copies_of_a_busy_model() {
    let model = TinyModel::new(TinyShape::Full, None);
    let library = ScratchLibrary::open(2048);
    let mut all = ["First", "Second"].map(Conversation::new);
    for warned in [false, true] {
        for conversation in &mut all {
            conversation.turn(&library, &model).await;
        }
        let running = library
            .nearside
            .chat(greedy(&model.path, vec![ChatMessage::user("Count.")], 2000));
        assert!(!running.next_batch().await.expect("a start").is_empty());
        if warned {
            library.nearside.notify(nearside::AppEvent::MemoryLow);
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        running.cancel();
        let first = &mut all[0];
        let read = first.turn(&library, &model).await;
        match warned {
            // The beginning that all prompts share is still there.
            true => assert!(read + 32 > first.prompt_tokens, "{read}"),
            false => assert!(read < 100, "{read}"),
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
    let library = ScratchLibrary::open(2048);
    let error = answer_of(&library, greedy(&model.path, vec![question(30)], 8))
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
