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
        match is_cut {
            // The rest of a character comes if the answer is resumed.
            true => self.utf8.buffer().clear(),
            false => self.utf8.finish_into(&mut self.written),
        }
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
mod tests;
