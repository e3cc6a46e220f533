//! Parses the generated text into chunks of reasoning, text and tool calls.
//!
//! The parser is that of llama.cpp for the model's template. It parses the whole reply each time, so its cost grows with
//! the reply; [`ReplyAssembler`] therefore limits parsing to a fiftieth of the time. Short replies are parsed at every
//! token.

use std::time::{Duration, Instant};

use nearside_llama::{ReplyParser, ToolCall};

use super::text::{Scan, StopWords, Utf8};
use crate::chat::Chunk;
use crate::engine::unique_call_id;

/// A reply during generation.
#[derive(Debug)]
pub(super) struct ReplyAssembler {
    parser: ReplyParser,
    stops: StopWords,
    utf8: Utf8,
    /// The generated text.
    written: String,
    /// Bytes of `written` that contain no stop string and no start of one.
    safe: usize,
    sent_reasoning: String,
    sent_text: String,
    sent_calls: usize,
    /// Tokens since the last parse.
    waiting_tokens: u32,
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
    /// Creates an empty reply.
    pub(super) fn new(parser: ReplyParser, stops: StopWords) -> Self {
        Self {
            parser,
            stops,
            utf8: Utf8::default(),
            written: String::new(),
            safe: 0,
            sent_reasoning: String::new(),
            sent_text: String::new(),
            sent_calls: 0,
            waiting_tokens: 0,
            reasoning_tokens: 0,
            last_parse: None,
            parse_cost: Duration::ZERO,
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
                    self.parse_written(true, chunks);
                }
                None
            }
        }
    }

    /// Ends the reply and appends everything held back. Returns whether the model called tools.
    pub(super) fn end_reply(&mut self, chunks: &mut Vec<Chunk>) -> bool {
        self.utf8.finish_into(&mut self.written);
        self.safe = self.written.len();
        self.parse_written(false, chunks);
        self.sent_calls > 0
    }

    /// Returns the number of reasoning tokens so far.
    pub(super) fn reasoning_tokens(&self) -> u32 {
        self.reasoning_tokens
    }

    fn parse_written(&mut self, partial: bool, chunks: &mut Vec<Chunk>) {
        let begun = Instant::now();
        let text = &self.written[..self.safe];
        // A reply that the parser rejects (such as a malformed tool call of a small model) is still a reply: a longer
        // text may parse; at the end it is sent as plain text.
        let parsed = self.parser.parse_reply(text, partial).ok().or_else(|| {
            let prefix = self.sent_reasoning.is_empty() && self.sent_calls == 0 && text.starts_with(&self.sent_text);
            (!partial && prefix).then(|| nearside_llama::ParsedReply {
                content: text.to_owned(),
                ..Default::default()
            })
        });
        if let Some(parsed) = parsed {
            let reasoning = take_new_suffix(&mut self.sent_reasoning, &parsed.reasoning);
            let content = take_new_suffix(&mut self.sent_text, &parsed.content);
            if reasoning.is_some() && content.is_none() {
                self.reasoning_tokens += self.waiting_tokens;
            }
            self.waiting_tokens = 0;
            chunks.extend(reasoning.map(|text| Chunk::Reasoning { text }));
            chunks.extend(content.map(|text| Chunk::Text { text }));
            self.send_calls(parsed.tool_calls, partial, chunks);
        }
        self.last_parse = Some(Instant::now());
        self.parse_cost = begun.elapsed();
    }

    /// Sends complete tool calls only: the last call of a partial reply may still grow.
    fn send_calls(&mut self, calls: Vec<ToolCall>, partial: bool, chunks: &mut Vec<Chunk>) {
        let whole = calls.len() - usize::from(partial && !calls.is_empty());
        for (n, call) in calls.into_iter().enumerate().take(whole).skip(self.sent_calls) {
            // A model that numbers its calls begins at the same number in each answer.
            let id = if call.id.is_empty() { unique_call_id() } else { call.id };
            chunks.push(Chunk::ToolCall {
                id,
                name: call.name,
                arguments: call.arguments,
            });
            self.sent_calls = n + 1;
        }
    }
}

/// Returns the part of `now` after `sent`. The parser may retract trailing white space of a partial text; until it is
/// stable nothing is returned.
fn take_new_suffix(sent: &mut String, now: &str) -> Option<String> {
    let new = now.strip_prefix(sent.as_str())?;
    if new.is_empty() {
        return None;
    }
    sent.push_str(new);
    Some(new.to_owned())
}

/// The next parse waits for this many times the duration of the last one.
const PARSE_INTERVAL_FACTOR: u32 = 50;
