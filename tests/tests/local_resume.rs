//! A broken-off answer of a model on this device goes on at its last token: the prompt ends with what was said, and nothing of
//! it is read or said again.

use std::path::PathBuf;

use nearside::Conversations;
use nearside::chat::{
    AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, ConversationSettings, OutputFormat, StopReason,
};
use nearside_tests::phone::Answer;
use nearside_tests::request::greedy;
use nearside_tests::scratch::ScratchLibrary;
use nearside_tests::{gguf, models};

const QUESTION: &str = "Write a long story about a sailor and the sea.";
/// Tokens of a whole answer.
const WHOLE: u32 = 48;

struct Library {
    conversations: Conversations,
    model: PathBuf,
    _scratch: ScratchLibrary,
}

impl Library {
    fn open(template: Option<&str>) -> Self {
        let scratch = ScratchLibrary::open(1024);
        let model = match template {
            Some(template) => gguf::with_chat_template(scratch.folder.path(), template),
            None => models::path("smollm2.gguf"),
        };
        Self {
            conversations: scratch.nearside.temporary_conversations().expect("in memory"),
            model,
            _scratch: scratch,
        }
    }

    async fn begin(&self) -> u64 {
        let created = self.conversations.create(ConversationSettings::default()).await;
        created.expect("created").id
    }

    fn request(&self, text: Option<&str>, max_tokens: u32) -> ChatRequest {
        greedy(
            &self.model,
            text.map(ChatMessage::user).into_iter().collect(),
            max_tokens,
        )
    }

    /// Returns reasoning and text of a whole answer, which nothing broke off. The answers that are compared with it are those of
    /// other libraries, which have read the prompt in the same way: nothing of it is in their cache.
    async fn whole(&self) -> (String, String) {
        let id = self.begin().await;
        let stream = self.conversations.send(id, self.request(Some(QUESTION), WHOLE));
        let (_, summary) = read(&stream, usize::MAX).await;
        assert_eq!(summary.stop, StopReason::MaxTokens);
        self.stored(id).await
    }

    /// Returns reasoning and text of the stored answer.
    async fn stored(&self, id: u64) -> (String, String) {
        let open = self.conversations.open(id).await.expect("it opens");
        assert_eq!(open.messages.len(), 2);
        let answer = open.messages.into_iter().next_back().expect("an answer");
        (answer.reasoning, answer.text)
    }
}

/// Reads an answer; cancels it after this many chunks.
async fn read(stream: &ChatStream, chunks: usize) -> (String, AnswerSummary) {
    let (mut content, mut seen) = (String::new(), 0);
    loop {
        for chunk in stream.next_batch().await.expect("an answer") {
            match chunk {
                Chunk::Text { text } | Chunk::Reasoning { text } => {
                    content += &text;
                    seen += 1;
                    if seen == chunks {
                        stream.cancel();
                    }
                }
                Chunk::Done { summary } => return (content, summary),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_a_limit_or_a_cancel_broke_off_goes_on_as_if_it_had_not() {
    let (_, whole) = Library::open(None).whole().await;
    for (limit, chunks) in [
        (1, usize::MAX),
        (3, usize::MAX),
        (11, usize::MAX),
        (30, usize::MAX),
        (WHOLE, 9),
    ] {
        let library = Library::open(None);
        let id = library.begin().await;
        let begun = library.conversations.send(id, library.request(Some(QUESTION), limit));
        let (begun, summary) = read(&begun, chunks).await;
        let said = summary.usage.completion_tokens;
        assert!(whole.starts_with(&begun) && said < WHOLE, "{begun:?}");
        let rest = library.conversations.resume(id, library.request(None, WHOLE - said));
        let (rest, resumed) = read(&rest, usize::MAX).await;
        assert!(!rest.starts_with(&begun), "a repetition: {rest:?}");
        let (_, stored) = library.stored(id).await;
        assert_eq!(stored, format!("{begun}{rest}"));
        // Token by token: the text so far has the tokens that were generated.
        assert_eq!(stored, whole, "broken off after {said} tokens: {begun:?}");
        let (read, cached) = (resumed.usage.prompt_tokens, resumed.usage.cached_tokens);
        assert_eq!(
            read,
            summary.usage.prompt_tokens + said,
            "the prompt ends with the answer"
        );
        assert!(cached + 2 >= read, "{cached} of {read}");
    }
}

#[tokio::test]
async fn a_thought_that_was_broken_off_goes_on_as_a_thought() {
    for limit in [2, 10, 25] {
        let library = Library::open(Some(THINKING));
        let id = library.begin().await;
        let begun = library.conversations.send(id, library.request(Some(QUESTION), limit));
        let (begun, before) = read(&begun, usize::MAX).await;
        let rest = library.conversations.resume(id, library.request(None, WHOLE - limit));
        let (rest, resumed) = read(&rest, usize::MAX).await;
        let (thought, text) = library.stored(id).await;
        assert!(!begun.is_empty() && text.is_empty(), "{begun:?} {text:?}");
        assert_eq!(thought, format!("{begun}{rest}"));
        assert!(!rest.starts_with(&begun), "a repetition: {rest:?}");
        let (read, cached) = (resumed.usage.prompt_tokens, resumed.usage.cached_tokens);
        // llama.cpp opens the thought without the newline that this template writes after the mark.
        let whole = before.usage.prompt_tokens + limit;
        assert!(
            read == whole || read + 1 == whole,
            "the prompt of {read} tokens ends with the thought of {whole}"
        );
        assert!(cached + limit + 2 >= read, "{cached} of {read}: all before the thought");
        assert_eq!(resumed.usage.reasoning_tokens, resumed.usage.completion_tokens);
    }
}

/// A grammar begins with the answer, so it cannot hold the rest of one.
#[tokio::test]
async fn an_answer_of_a_required_form_is_asked_to_go_on() {
    let library = Library::open(None);
    let id = library.begin().await;
    let mut request = library.request(Some("Say a number, as JSON."), 4);
    request.output = OutputFormat::Json;
    let (begun, summary) = read(&library.conversations.send(id, request), usize::MAX).await;
    let mut rest = library.request(None, 4);
    rest.output = OutputFormat::Json;
    let (_, resumed) = read(&library.conversations.resume(id, rest), usize::MAX).await;
    assert!(!begun.is_empty());
    let said = summary.usage.prompt_tokens + summary.usage.completion_tokens;
    assert!(resumed.usage.prompt_tokens > said + 8, "the prompt asks to go on");
}

/// Begins each answer with an open thought.
const THINKING: &str = "{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}";

/// The model writes a fence around its JSON, which is no part of the answer.
#[tokio::test]
async fn an_answer_in_a_required_format_that_is_cut_off_has_no_part_of_a_fence() {
    let library = ScratchLibrary::open(512);
    let schema = r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#;
    for max_tokens in 1..8 {
        let question = ChatMessage::user("Bob is 5 years old. Describe him as JSON.");
        let mut request = greedy(&models::path("smollm2.gguf"), vec![question], max_tokens);
        request.output = OutputFormat::JsonSchema { schema: schema.into() };
        let text = Answer::gather(library.nearside.chat(request)).await.text;
        println!("{max_tokens}: {text:?}");
        assert!(
            text.is_empty() || text.trim_start().starts_with('{'),
            "{max_tokens}: {text:?}"
        );
    }
}
