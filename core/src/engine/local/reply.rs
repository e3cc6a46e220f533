//! Assembles the chunks of an answer from the generated text: reasoning, text and tool calls.
//!
//! [`ReplyReader`] reads the whole reply each time, so its cost grows with the reply; [`ReplyAssembler`] therefore limits
//! reading to a fiftieth of the time. Short replies are read at every token. Marks of reasoning that the reader leaves in the
//! text are taken out ([`ThinkTags`]): no mark of an unbalanced thought is text.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside_llama::{Rendered, ToolCall};

use super::control_words::ControlWords;
use super::reply_reader::{NewParts, ReplyReader, ReplyStage};
use super::text::{Scan, StopWords, Utf8};
use crate::chat::Chunk;
use crate::engine::think::ThinkTags;
use crate::engine::unique_call_id;
use crate::error::Result;

/// A reply during generation.
#[derive(Debug)]
pub(super) struct ReplyAssembler {
    reader: ReplyReader,
    tags: ThinkTags,
    /// Those that were masked in the definitions of tools.
    words: Arc<ControlWords>,
    stops: StopWords,
    utf8: Utf8,
    /// The generated text.
    written: String,
    /// Bytes of `written` that contain no stop string and no start of one.
    safe: usize,
    has_text: bool,
    has_calls: bool,
    /// Tokens since the reply last grew by a parse.
    waiting_tokens: u32,
    /// Bytes of `written` at that time.
    counted_bytes: usize,
    reasoning_tokens: u32,
    last_parse: Option<Instant>,
    parse_cost: Duration,
}

/// The kind of stop string that ended a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyEnd {
    /// One of the template's: the model ended its turn.
    Turn,
    /// One of the request's.
    StopSequence,
}

impl ReplyAssembler {
    /// Creates the reply to this prompt.
    ///
    /// # Errors
    /// `InvalidRequest` if llama.cpp rejects a parser that it generated.
    pub(super) fn new(rendered: &Rendered, stops: StopWords, words: Arc<ControlWords>) -> Result<Self> {
        let ends = rendered.thinking.as_ref().map(|tags| tags.ends.as_slice());
        Ok(Self {
            reader: ReplyReader::new(rendered)?,
            tags: ThinkTags::for_parsed(ends.and_then(|ends| ends.first()).map(String::as_str)),
            words,
            stops,
            utf8: Utf8::default(),
            written: String::new(),
            safe: 0,
            has_text: false,
            has_calls: false,
            waiting_tokens: 0,
            counted_bytes: 0,
            reasoning_tokens: 0,
            last_parse: None,
            parse_cost: Duration::ZERO,
        })
    }

    /// Notes what the prompt already holds of the reply, so that it is not sent again.
    pub(super) fn set_begun(&mut self, reasoning: &str, text: &str) {
        self.reader.set_begun(reasoning, text);
        self.has_text = !text.is_empty();
        if self.has_text || !reasoning.is_empty() {
            self.tags.note_separate_reasoning();
        }
        if self.has_text {
            self.tags.note_begun();
        }
    }

    /// Adds the bytes of one token (written by `piece`) and appends the chunks that are complete.
    pub(super) fn push(&mut self, piece: impl FnOnce(&mut Vec<u8>), chunks: &mut Vec<Chunk>) -> Option<ReplyEnd> {
        piece(self.utf8.buffer());
        self.utf8.drain_into(&mut self.written);
        self.waiting_tokens += 1;
        match self.stops.scan(&self.written, self.safe) {
            Scan::Stop { at, ends_turn } => {
                self.written.truncate(at);
                self.safe = at;
                Some(if ends_turn {
                    ReplyEnd::Turn
                } else {
                    ReplyEnd::StopSequence
                })
            }
            Scan::Safe(safe) => {
                self.safe = safe;
                let is_due = self
                    .last_parse
                    .is_none_or(|at| at.elapsed() >= self.parse_cost * PARSE_INTERVAL_FACTOR);
                if is_due {
                    self.parse_written(ReplyStage::Partial, chunks);
                }
                None
            }
        }
    }

    /// Ends the reply and appends everything held back. Returns whether the model called tools.
    ///
    /// `is_cut`: the model did not end its turn. A call that was cut off is dropped.
    pub(super) fn end_reply(&mut self, is_cut: bool, chunks: &mut Vec<Chunk>) -> bool {
        self.utf8.finish_into(&mut self.written);
        self.safe = self.written.len();
        let stage = if is_cut { ReplyStage::Cut } else { ReplyStage::Ended };
        self.parse_written(stage, chunks);
        let before = chunks.len();
        self.tags.end_content(chunks);
        self.note_sent(&chunks[before..]);
        if self.reader.is_reasoning() {
            self.reasoning_tokens += std::mem::take(&mut self.waiting_tokens);
        }
        self.has_calls
    }

    /// Returns the number of reasoning tokens so far.
    pub(super) fn reasoning_tokens(&self) -> u32 {
        self.reasoning_tokens
    }

    fn parse_written(&mut self, stage: ReplyStage, chunks: &mut Vec<Chunk>) {
        let begun = Instant::now();
        let was_reasoning = !self.has_text && !self.has_calls;
        let parts = self.reader.read(&self.written[..self.safe], stage);
        let before = chunks.len();
        let in_call = parts.in_call || !parts.calls.is_empty();
        self.send_parts(parts, chunks);
        let sent = &chunks[before..];
        if !sent.is_empty() || in_call {
            let window = self.safe.saturating_sub(self.counted_bytes);
            let thought = if in_call || !was_reasoning || !self.reader.has_reasoning() {
                sent.iter().map(reasoning_bytes).sum()
            } else {
                // The marks at the end of a thought are part of it.
                window.saturating_sub(sent.iter().map(text_bytes).sum())
            };
            self.reasoning_tokens += share(self.waiting_tokens, thought, window);
            self.waiting_tokens = 0;
            self.counted_bytes = self.safe;
        }
        self.note_sent(&chunks[before..]);
        self.last_parse = Some(Instant::now());
        self.parse_cost = begun.elapsed();
    }

    fn send_parts(&mut self, parts: NewParts, chunks: &mut Vec<Chunk>) {
        if !parts.reasoning.is_empty() {
            self.tags.note_separate_reasoning();
            chunks.push(Chunk::Reasoning { text: parts.reasoning });
        }
        if !parts.content.is_empty() {
            self.tags.push(&parts.content, chunks);
            self.tags.end_read(chunks);
        }
        for call in parts.calls {
            chunks.push(self.call_chunk(call));
        }
        if !parts.rest.is_empty() {
            self.tags.push(&parts.rest, chunks);
            self.tags.end_read(chunks);
        }
    }

    fn note_sent(&mut self, sent: &[Chunk]) {
        for chunk in sent {
            self.has_text |= matches!(chunk, Chunk::Text { .. });
            self.has_calls |= matches!(chunk, Chunk::ToolCall { .. });
        }
    }

    fn call_chunk(&self, call: ToolCall) -> Chunk {
        // A model that numbers its calls begins at the same number in each answer.
        let id = if call.id.is_empty() { unique_call_id() } else { call.id };
        let arguments = if call.arguments.trim().is_empty() {
            "{}".to_owned()
        } else {
            self.words.unmask_json(&call.arguments)
        };
        Chunk::ToolCall {
            id,
            name: self.words.unmask(&call.name),
            arguments,
        }
    }
}

fn reasoning_bytes(chunk: &Chunk) -> usize {
    match chunk {
        Chunk::Reasoning { text } => text.len(),
        _ => 0,
    }
}

fn text_bytes(chunk: &Chunk) -> usize {
    match chunk {
        Chunk::Text { text } => text.len(),
        _ => 0,
    }
}

/// Returns the tokens of `part` bytes out of `whole`, of which there are `tokens`.
fn share(tokens: u32, part: usize, whole: usize) -> u32 {
    match whole {
        0 if part > 0 => tokens,
        0 => 0,
        _ => (f64::from(tokens) * part.min(whole) as f64 / whole as f64).round() as u32,
    }
}

/// The next parse waits for this many times the duration of the last one.
const PARSE_INTERVAL_FACTOR: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::local::test_templates::{GEMMA, LFM, LLAMA, QWEN, SMOL, TestTemplate};

    fn assembler(template: TestTemplate, with_tools: bool) -> ReplyAssembler {
        let rendered = template.render(with_tools);
        ReplyAssembler::new(&rendered, StopWords::new(&[], &[]), Arc::default()).expect("a parser")
    }

    /// Reads a reply of a template, one token per item, and returns its chunks. Each token is parsed.
    fn read_with(template: TestTemplate, with_tools: bool, tokens: &[&str], is_cut: bool) -> Vec<Chunk> {
        let (mut reply, mut chunks) = (assembler(template, with_tools), vec![]);
        for token in tokens {
            reply.last_parse = None;
            reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
        }
        reply.end_reply(is_cut, &mut chunks);
        chunks
    }

    /// Reads a reply, one token per item, and returns its chunks and reasoning tokens. Each token is parsed.
    fn read(with_tools: bool, tokens: &[&str], is_cut: bool) -> (Vec<Chunk>, u32) {
        let (mut reply, mut chunks) = (assembler(QWEN, with_tools), vec![]);
        for token in tokens {
            reply.last_parse = None;
            reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
        }
        reply.end_reply(is_cut, &mut chunks);
        (chunks, reply.reasoning_tokens())
    }

    fn calls(chunks: &[Chunk]) -> Vec<&str> {
        let mut found = vec![];
        for chunk in chunks {
            if let Chunk::ToolCall { arguments, .. } = chunk {
                found.push(arguments.as_str());
            }
        }
        found
    }

    fn text(chunks: &[Chunk]) -> String {
        let text = |chunk: &Chunk| match chunk {
            Chunk::Text { text } => Some(text.clone()),
            _ => None,
        };
        chunks.iter().filter_map(text).collect()
    }

    #[test]
    fn a_call_is_told_whole_or_not_at_all_wherever_it_is_cut() {
        let before = "I look.\n";
        let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";
        let whole = format!("{before}{call}");
        let arguments_end = before.len() + call.find("}}").expect("an end") + 1;
        for end in before.len()..=whole.len() {
            let (chunks, _) = read(true, &[&whole[..end]], true);
            for arguments in calls(&chunks) {
                assert!(end >= arguments_end, "told after {:?}", &whole[..end]);
                let value: serde_json::Value = serde_json::from_str(arguments).expect("whole");
                assert_eq!(value, serde_json::json!({ "city": "Paris" }));
            }
            assert!(
                !text(&chunks).contains("weather"),
                "{:?} shows {chunks:?}",
                &whole[..end]
            );
        }
        let (chunks, _) = read(true, &[&whole], false);
        assert_eq!((calls(&chunks).len(), text(&chunks).trim()), (1, "I look."));
    }

    #[test]
    fn a_call_that_the_model_itself_leaves_open_is_shown_as_text() {
        let open = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Par";
        let (chunks, _) = read(true, &[open], false);
        assert_eq!((calls(&chunks), text(&chunks).as_str()), (vec![], open));
    }

    #[test]
    fn the_tokens_of_a_thought_are_counted_with_its_marks_and_paragraphs() {
        let thought = [
            "<think>", "\n", "First", " one", ".", "\n\n", "Then", " two", ".", "\n", "</think>", "\n\n",
        ];
        let said = ["It", " is", " late", "."];
        let tokens: Vec<_> = thought.iter().chain(&said).copied().collect();
        assert_eq!(read(false, &tokens, false).1, thought.len() as u32);
        // A reply that is only a thought.
        assert_eq!(read(false, &thought[..8], true).1, 8);
        assert_eq!(read(false, &said, false).1, 0);
        // The whole thought and the first word in one parse.
        let (mut reply, mut chunks) = (assembler(QWEN, false), vec![]);
        for token in &tokens {
            reply.last_parse = Some(Instant::now());
            reply.parse_cost = Duration::from_secs(3600);
            reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
        }
        reply.end_reply(false, &mut chunks);
        let counted = reply.reasoning_tokens();
        assert!(thought.len().abs_diff(counted as usize) <= 1, "{counted}");
    }

    #[test]
    fn a_call_after_a_thought_is_not_counted_as_reasoning() {
        let tokens = [
            "<think>",
            "\n",
            "I",
            " look",
            ".",
            "\n",
            "</think>",
            "\n\n",
            "<tool_call>",
            "\n",
            "{\"name\": \"",
            "weather",
        ];
        let more = [
            "\", \"arguments\": ",
            "{\"city\": \"",
            "Paris",
            "\"}}",
            "\n",
            "</tool_call>",
        ];
        let all: Vec<_> = tokens.iter().chain(&more).copied().collect();
        let (chunks, counted) = read(true, &all, false);
        assert_eq!(calls(&chunks).len(), 1, "{chunks:?}");
        assert!((5..=8).contains(&counted), "{counted}");
    }

    fn thought(chunks: &[Chunk]) -> String {
        let text = |chunk: &Chunk| match chunk {
            Chunk::Reasoning { text } => Some(text.clone()),
            _ => None,
        };
        chunks.iter().filter_map(text).collect()
    }

    /// Splits a text into pieces of this many characters.
    fn pieces(text: &str, size: usize) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        letters.chunks(size).map(|piece| piece.iter().collect()).collect()
    }

    #[test]
    fn braces_that_are_no_call_stream_on_where_calls_have_no_mark() {
        let said = "Look: fn main() { let a = {1}; }\nand {\"name\": \"x\"} \u{e9} {";
        for size in [1, 3, 7] {
            let (mut reply, mut chunks) = (assembler(LLAMA, true), vec![]);
            let mut written = String::new();
            for piece in pieces(said, size) {
                written += &piece;
                reply.last_parse = None;
                reply.push(|bytes| bytes.extend(piece.as_bytes()), &mut chunks);
                let shown = text(&chunks);
                assert!(written.starts_with(&shown), "{shown:?}");
                // What may become a call: a brace and white space.
                let withheld = written.len() - shown.len();
                assert!(withheld <= "{ ".len() + size, "{shown:?} of {written:?}");
            }
            for is_cut in [false, true] {
                let pieces = pieces(said, size);
                let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
                let chunks = read_with(LLAMA, true, &tokens, is_cut);
                assert_eq!((text(&chunks).as_str(), calls(&chunks).len()), (said, 0), "by {size}");
            }
        }
    }

    #[test]
    fn a_call_without_a_mark_is_a_call_and_the_text_around_it_is_kept() {
        let call = "{\"name\": \"weather\", \"parameters\": {\"city\": \"Paris\"}}";
        for (said, before, after, count) in [
            (call.to_owned(), "", "", 1),
            (format!("I look. {call}"), "I look. ", "", 1),
            (format!("{call} That was it {{."), "", "That was it {.", 1),
            (
                "{\"name\": \"other\", \"parameters\": {}}".to_owned(),
                "{\"name\": \"other\", \"parameters\": {}}",
                "",
                0,
            ),
        ] {
            for size in [1, 4, 1000] {
                let pieces = pieces(&said, size);
                let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
                let chunks = read_with(LLAMA, true, &tokens, false);
                assert_eq!(calls(&chunks).len(), count, "{said:?} by {size}: {chunks:?}");
                let shown = text(&chunks);
                assert!(
                    shown.starts_with(before) && shown.trim_end().ends_with(after),
                    "{said:?} by {size}: {shown:?}"
                );
                assert_eq!(
                    shown.trim().len(),
                    before.trim().len() + after.len(),
                    "{said:?} by {size}: {shown:?}"
                );
            }
        }
        // Cut off in the middle of a call: it is none, and no text either.
        let chunks = read_with(LLAMA, true, &["I look. ", &call[..call.len() - 8]], true);
        assert_eq!((text(&chunks).as_str(), calls(&chunks).len()), ("I look. ", 0));
    }

    #[test]
    fn marks_of_an_unbalanced_thought_are_no_text_with_any_template() {
        let templates = [
            (QWEN, "<think>", "</think>"),
            (LFM, "<think>", "</think>"),
            (GEMMA, "<|channel>thought\n", "<channel|>"),
            (SMOL, "<think>", "</think>"),
        ];
        for (template, open, close) in templates {
            for with_tools in [false, true] {
                for (said, reasoning, shown) in [
                    (format!("{open}Hm.{close}\n\nYes."), "Hm.", "Yes."),
                    (format!("\n{open}Hm.{close}\n\nYes."), "Hm.", "Yes."),
                    (format!("\n\n{open}Hm.{close}Yes."), "Hm.", "Yes."),
                    (format!("{close}\nYes."), "", "Yes."),
                    (format!("{open}Hm.{close}Yes.{close} And no."), "Hm.", "Yes. And no."),
                    (format!("Well.\n{close}\nYes."), "", "Well.\n\nYes."),
                    (format!("{open}Hm."), "Hm.", ""),
                    ("1 <".to_owned(), "", "1 <"),
                    ("1 < 2 <t 3 </".to_owned(), "", "1 < 2 <t 3 </"),
                    (format!("{open}1 < 2 <t{close}3 <"), "1 < 2 <t", "3 <"),
                ] {
                    for size in 1..=5 {
                        let pieces = pieces(&said, size);
                        let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
                        let chunks = read_with(template, with_tools, &tokens, false);
                        let case = format!("{} tools {with_tools}: {said:?} by {size}", template.name);
                        let (thought, text) = (thought(&chunks), text(&chunks));
                        assert!(!text.contains(close) && !text.contains(open.trim()), "{case}: {text:?}");
                        assert_eq!((thought.trim(), text.trim()), (reasoning, shown), "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_mark_that_the_model_quotes_is_text() {
        for said in [
            "Use `</think>` to end it.",
            "So:\n```\n</think>\n```\nDone.",
            "Between <think> and </think> it thinks.",
        ] {
            for size in 1..=9 {
                let pieces = pieces(said, size);
                let tokens: Vec<_> = pieces.iter().map(String::as_str).collect();
                assert_eq!(text(&read_with(QWEN, false, &tokens, false)), said, "by {size}");
            }
        }
    }

    #[test]
    fn a_reply_that_was_begun_goes_on_without_a_repetition() {
        let (mut reply, mut chunks) = (assembler(SMOL, false), vec![]);
        reply.set_begun("", "One, two,");
        // The parser is that of another prompt here; its text begins with what was begun.
        for token in ["One, two,", " three", "."] {
            reply.last_parse = None;
            reply.push(|bytes| bytes.extend(token.as_bytes()), &mut chunks);
        }
        reply.end_reply(false, &mut chunks);
        assert_eq!(text(&chunks), " three.");
    }
}
