//! Parses the generated text into chunks of reasoning, text and tool calls.
//!
//! The parser is that of llama.cpp for the model's template. It parses the whole reply each time, so its cost grows with
//! the reply; [`ReplyAssembler`] therefore limits parsing to a fiftieth of the time. Short replies are parsed at every
//! token.

use std::time::{Duration, Instant};

use nearside_llama::{ReplyParser, ToolCall};

use super::text::{Scan, StopWords, Utf8};
use crate::chat::Chunk;
use crate::engine::{is_json_object, unique_call_id};

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
    /// Tokens since the reply last grew by a parse.
    waiting_tokens: u32,
    /// Bytes of `written` at that time.
    counted_bytes: usize,
    reasoning_tokens: u32,
    last_parse: Option<Instant>,
    parse_cost: Duration,
}

/// How much of a reply is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplyStage {
    /// More follows.
    Partial,
    /// A limit, a stop string or a cancel cut it off.
    Cut,
    /// The model ended its turn.
    Ended,
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
            counted_bytes: 0,
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
        if self.is_reasoning() {
            self.reasoning_tokens += std::mem::take(&mut self.waiting_tokens);
        }
        self.sent_calls > 0
    }

    /// Returns the number of reasoning tokens so far.
    pub(super) fn reasoning_tokens(&self) -> u32 {
        self.reasoning_tokens
    }

    fn parse_written(&mut self, stage: ReplyStage, chunks: &mut Vec<Chunk>) {
        let begun = Instant::now();
        let text = &self.written[..self.safe];
        let parsed = self.parser.parse_reply(text, stage == ReplyStage::Partial).ok();
        // The parser accepts a call without its end. If the model itself ended its turn there, it wrote no call.
        let parsed =
            parsed.filter(|parsed| stage != ReplyStage::Ended || parsed.tool_calls.last().is_none_or(is_whole));
        // A reply that the parser rejects (such as a malformed tool call of a small model) is still a reply: a longer
        // text may parse; at the end it is sent as plain text.
        let parsed = parsed.or_else(|| {
            let prefix = self.sent_reasoning.is_empty() && self.sent_calls == 0 && text.starts_with(&self.sent_text);
            (stage != ReplyStage::Partial && prefix).then(|| nearside_llama::ParsedReply {
                content: text.to_owned(),
                ..Default::default()
            })
        });
        if let Some(parsed) = parsed {
            let was_reasoning = self.sent_text.is_empty() && self.sent_calls == 0;
            let reasoning = take_new_suffix(&mut self.sent_reasoning, &parsed.reasoning);
            let content = take_new_suffix(&mut self.sent_text, &parsed.content);
            let in_call = parsed.tool_calls.len() > self.sent_calls;
            if reasoning.is_some() || content.is_some() || in_call {
                let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                let window = self.safe.saturating_sub(self.counted_bytes);
                let thought = if in_call || !was_reasoning || self.sent_reasoning.is_empty() {
                    length(&reasoning)
                } else {
                    // The marks at the end of a thought are part of it.
                    window.saturating_sub(length(&content))
                };
                self.reasoning_tokens += share(self.waiting_tokens, thought, window);
                self.waiting_tokens = 0;
                self.counted_bytes = self.safe;
            }
            chunks.extend(reasoning.map(|text| Chunk::Reasoning { text }));
            chunks.extend(content.map(|text| Chunk::Text { text }));
            self.send_calls(parsed.tool_calls, stage, chunks);
        }
        self.last_parse = Some(Instant::now());
        self.parse_cost = begun.elapsed();
    }

    /// Returns whether the reply so far is a thought and nothing else.
    fn is_reasoning(&self) -> bool {
        !self.sent_reasoning.is_empty() && self.sent_text.is_empty() && self.sent_calls == 0
    }

    /// Sends complete tool calls only: the last call of a partial reply may still grow, and that of a reply that was cut off
    /// may lack its end.
    fn send_calls(&mut self, calls: Vec<ToolCall>, stage: ReplyStage, chunks: &mut Vec<Chunk>) {
        let is_last_open = match (stage, calls.last()) {
            (ReplyStage::Partial, Some(_)) => true,
            (ReplyStage::Cut, Some(last)) => !is_json_object(&last.arguments),
            _ => false,
        };
        let whole = calls.len() - usize::from(is_last_open);
        for (n, call) in calls.into_iter().enumerate().take(whole).skip(self.sent_calls) {
            // A model that numbers its calls begins at the same number in each answer.
            let id = if call.id.is_empty() { unique_call_id() } else { call.id };
            let arguments = if call.arguments.trim().is_empty() {
                "{}".to_owned()
            } else {
                call.arguments
            };
            chunks.push(Chunk::ToolCall {
                id,
                name: call.name,
                arguments,
            });
            self.sent_calls = n + 1;
        }
    }
}

/// Returns whether a call at the end of a turn is one: its arguments are an object, or there are none.
fn is_whole(call: &ToolCall) -> bool {
    call.arguments.trim().is_empty() || is_json_object(&call.arguments)
}

/// Returns the tokens of `part` bytes out of `whole`, of which there are `tokens`.
fn share(tokens: u32, part: usize, whole: usize) -> u32 {
    match whole {
        0 if part > 0 => tokens,
        0 => 0,
        _ => (f64::from(tokens) * part.min(whole) as f64 / whole as f64).round() as u32,
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

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_llama::{ChatTemplate, Prompt};

    /// Returns the assembler of a model that may call a tool, or that thinks first.
    fn assembler(with_tools: bool) -> ReplyAssembler {
        let template = ChatTemplate::from_source(TEMPLATE, "", "<|im_end|>").expect("a template");
        let rendered = template.render(&Prompt {
            messages_json: r#"[{"role": "user", "content": "What is the weather in Paris?"}]"#,
            tools_json: with_tools.then_some(TOOLS),
            thinking: true,
            ..Prompt::default()
        });
        let parser = rendered.expect("a prompt").parser().expect("a parser");
        ReplyAssembler::new(parser, StopWords::new(&[], &[]))
    }

    /// Reads a reply, one token per item, and returns its chunks and reasoning tokens. Each token is parsed.
    fn read(with_tools: bool, tokens: &[&str], is_cut: bool) -> (Vec<Chunk>, u32) {
        let (mut reply, mut chunks) = (assembler(with_tools), vec![]);
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
        let (mut reply, mut chunks) = (assembler(false), vec![]);
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

    const TOOLS: &str = r#"[{"type": "function", "function": {"name": "weather", "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]"#;
    /// ChatML with thoughts and tool calls, the way of Qwen 3.
    const TEMPLATE: &str = r#"{%- if tools %}<|im_start|>system
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Answer a call as <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == "assistant" and message.reasoning_content %}<think>
{{ message.reasoning_content }}
</think>

{% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}"#;
}
