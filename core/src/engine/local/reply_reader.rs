//! Splits the text of a reply into reasoning, text and tool calls while it grows, so that nothing of it is lost and nothing is
//! given twice.
//!
//! The parser is that of llama.cpp for the model's template. It withholds what may still become a tag or a call, and rejects
//! a text that no longer can: with templates whose calls have no mark, each `{` may begin one. A rejected text is split at
//! the end of its longest prefix that parses; all after it is text from then on. A call without its end is text if the model
//! ended its turn there, and nothing if a limit or a cancel cut it off.

use nearside_llama::{ParsedReply, Rendered, ReplyParser, ThinkingTags, ToolCall, Trigger};

use super::error::map_llama_error;
use crate::engine::is_json_object;
use crate::error::Result;

/// How much of a reply is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyStage {
    /// More follows.
    Partial,
    /// A limit, a stop string or a cancel cut it off.
    Cut,
    /// The model ended its turn.
    Ended,
}

/// The new parts of a reply, in the order in which they came.
#[derive(Default)]
pub(super) struct NewParts {
    pub(super) reasoning: String,
    pub(super) content: String,
    /// Complete calls.
    pub(super) calls: Vec<ToolCall>,
    /// Text after the calls.
    pub(super) rest: String,
    /// Whether the reply is in a call that has no end yet.
    pub(super) in_call: bool,
}

/// The parser of one reply, and what was given of it.
#[derive(Debug)]
pub(super) struct ReplyReader {
    parser: ReplyParser,
    thinking: Option<ThinkingTags>,
    /// Marks that the parser acts on.
    marks: Vec<String>,
    /// Reasoning and text that the prompt holds of the reply.
    begun: (String, String),
    reasoning: String,
    content: String,
    calls: usize,
    /// Length of the longest text so far that parsed.
    parsed_bytes: usize,
    /// Where the text begins that is no longer parsed, and that was not given yet.
    plain_from: Option<usize>,
}

impl ReplyReader {
    /// Creates the reader of a reply to this prompt.
    pub(super) fn new(rendered: &Rendered) -> Result<Self> {
        let parser = rendered.parser().map_err(map_llama_error)?;
        let thinking = rendered.thinking.clone();
        let mut marks = rendered.preserved_tokens.clone();
        if let Some(tags) = &thinking {
            marks.push(tags.start.clone());
            marks.extend(tags.ends.iter().cloned());
        }
        let triggers = rendered.grammar.iter().flat_map(|grammar| &grammar.triggers);
        marks.extend(triggers.filter_map(|trigger| match trigger {
            Trigger::Word(word) => Some(word.clone()),
            _ => None,
        }));
        if rendered.grammar.as_ref().is_some_and(|grammar| !grammar.lazy) {
            // The parser takes it off a required format.
            marks.push(FENCE.to_owned());
        }
        marks.retain(|mark| mark.len() > 1);
        Ok(Self {
            parser,
            thinking,
            marks,
            begun: (String::new(), String::new()),
            reasoning: String::new(),
            content: String::new(),
            calls: 0,
            parsed_bytes: 0,
            plain_from: None,
        })
    }

    /// Notes what the prompt already holds of the reply: the parser returns it again.
    pub(super) fn set_begun(&mut self, reasoning: &str, content: &str) {
        self.begun = (reasoning.to_owned(), content.to_owned());
        (self.reasoning, self.content) = self.begun.clone();
    }

    /// Returns whether nothing but reasoning was given.
    pub(super) fn is_reasoning(&self) -> bool {
        !self.reasoning.is_empty() && self.content.is_empty() && self.calls == 0 && self.plain_from.is_none()
    }

    /// Returns whether reasoning was given.
    pub(super) fn has_reasoning(&self) -> bool {
        !self.reasoning.is_empty()
    }

    /// Reads the whole reply so far.
    pub(super) fn read(&mut self, text: &str, stage: ReplyStage) -> NewParts {
        if let Some(from) = self.plain_from {
            self.plain_from = Some(text.len());
            return NewParts {
                content: text[from..].to_owned(),
                ..NewParts::default()
            };
        }
        match self.parse(text) {
            Some(parsed) => {
                self.parsed_bytes = text.len();
                self.take_parsed(text, parsed, stage)
            }
            None => self.take_rejected(text),
        }
    }

    /// Takes what a text that parses says. The last call may lack its end.
    fn take_parsed(&mut self, text: &str, parsed: ParsedReply, stage: ReplyStage) -> NewParts {
        let calls = parsed.tool_calls.len();
        let is_open = match (stage, parsed.tool_calls.last()) {
            (_, None) => false,
            (ReplyStage::Partial, Some(_)) => true,
            (ReplyStage::Cut, Some(last)) => !is_json_object(&last.arguments),
            (ReplyStage::Ended, Some(last)) => !is_whole_call(last),
        };
        let is_begun = !parsed.content.is_empty();
        let withheld = self
            .withheld(text, &parsed)
            .filter(|withheld| !withheld.text.is_empty());
        let rest = withheld.filter(|rest| match stage {
            // A mark that closes nothing ends some parsers for good.
            ReplyStage::Partial => calls == 0 && self.is_lone_end(rest.text),
            ReplyStage::Cut => calls == 0 && !self.begins_mark(rest.text, is_begun),
            ReplyStage::Ended => (is_open && calls == 1) || (calls == 0 && !self.is_all_marks(rest.text)),
        });
        let mut parts = self.take_new(parsed, calls - usize::from(is_open));
        parts.in_call = calls > self.calls;
        if let Some(rest) = rest {
            match rest.in_thought {
                true => parts.reasoning.push_str(rest.text),
                false => parts.content.push_str(rest.text),
            }
            self.plain_from = Some(text.len());
        }
        parts
    }

    /// Takes what a text says that the parser rejects. From now on the reply is text.
    fn take_rejected(&mut self, text: &str) -> NewParts {
        let end = self.longest_prefix(text);
        let parsed = self.parse(&text[..end]).unwrap_or_default();
        let is_open = parsed.tool_calls.last().is_some_and(|last| !is_whole_call(last));
        let whole = parsed.tool_calls.len() - usize::from(is_open);
        let rest = match self.withheld(text, &parsed) {
            Some(withheld) if whole == 0 => withheld.text,
            _ => &text[end..],
        };
        let mut parts = self.take_new(parsed, whole);
        match whole {
            0 => parts.content.push_str(rest),
            _ => rest.clone_into(&mut parts.rest),
        }
        self.plain_from = Some(text.len());
        parts
    }

    /// Takes the new part of reasoning and content, and the first `whole` calls.
    fn take_new(&mut self, parsed: ParsedReply, whole: usize) -> NewParts {
        let parts = NewParts {
            reasoning: take_suffix(&mut self.reasoning, &parsed.reasoning),
            content: take_suffix(&mut self.content, &parsed.content),
            calls: parsed.tool_calls.into_iter().take(whole).skip(self.calls).collect(),
            ..NewParts::default()
        };
        self.calls += parts.calls.len();
        parts
    }

    fn parse(&mut self, text: &str) -> Option<ParsedReply> {
        // Not as a partial text: that would hide a rejection.
        self.parser.parse_reply(text, false).ok()
    }

    /// Returns the length of the longest prefix that parses.
    fn longest_prefix(&mut self, text: &str) -> usize {
        let (mut good, mut bad) = (self.parsed_bytes, text.len());
        loop {
            let middle = text.floor_char_boundary(good.midpoint(bad));
            let middle = match middle > good {
                true => middle,
                false => text.ceil_char_boundary(good + 1),
            };
            if middle >= bad {
                return good;
            }
            match self.parse(&text[..middle]) {
                Some(_) => good = middle,
                None => bad = middle,
            }
        }
    }

    /// Returns the part of `text` after what `parsed` gives as reasoning and content; `None` if that is not found in it.
    fn withheld<'t>(&self, text: &'t str, parsed: &ParsedReply) -> Option<Withheld<'t>> {
        // What the prompt holds is not in the text.
        let reasoning = parsed.reasoning.strip_prefix(self.begun.0.as_str())?;
        let content = parsed.content.strip_prefix(self.begun.1.as_str())?;
        let (mut rest, mut in_thought) = (text, false);
        if !parsed.reasoning.is_empty() && self.begun.1.is_empty() {
            rest = rest[rest.find(reasoning)? + reasoning.len()..].trim_start();
            let mut ends = self.thinking.iter().flat_map(|tags| &tags.ends);
            match ends.find_map(|end| rest.strip_prefix(end.trim())) {
                Some(after) => rest = after,
                None => in_thought = content.is_empty(),
            }
        }
        if !content.is_empty() {
            rest = match rest.strip_prefix(content) {
                Some(after) => after,
                None => rest.trim_start().strip_prefix(content)?,
            };
        }
        Some(Withheld { text: rest, in_thought })
    }

    /// Returns whether a text begins with the end of a thought, and something follows.
    fn is_lone_end(&self, text: &str) -> bool {
        let mut ends = self.thinking.iter().flat_map(|tags| &tags.ends);
        ends.any(|end| text.strip_prefix(end.trim()).is_some_and(|rest| !rest.is_empty()))
    }

    /// Returns whether a text is, or may become, one that the parser acts on. A character or two of an answer that has begun
    /// are rather text.
    fn begins_mark(&self, text: &str, is_begun: bool) -> bool {
        let text = text.trim_start();
        let is_mark = |mark: &String| text.starts_with(mark.trim()) || mark.trim().starts_with(text);
        let may_be = text.starts_with(['{', '[']) || self.marks.iter().any(is_mark);
        may_be && (!is_begun || text.len() > MAX_STRAY_BYTES)
    }

    /// Returns whether a text is between two marks of the template, such as the borders of an empty thought.
    fn is_all_marks(&self, text: &str) -> bool {
        let text = text.trim();
        let starts = self.marks.iter().any(|mark| text.starts_with(mark.trim()));
        starts && self.marks.iter().any(|mark| text.ends_with(mark.trim()))
    }
}

/// The end of a text that the parser withholds.
#[derive(Debug, Clone, Copy)]
struct Withheld<'t> {
    text: &'t str,
    /// Whether it belongs to a thought without an end.
    in_thought: bool,
}

/// Returns whether a call at the end of a turn is one: its arguments are an object, or there are none.
fn is_whole_call(call: &ToolCall) -> bool {
    call.arguments.trim().is_empty() || is_json_object(&call.arguments)
}

/// Returns the part of `now` after `sent`, and notes it as sent. The parser may retract trailing white space of a partial
/// text, for which nothing is returned until it is stable, and white space before a thought.
fn take_suffix(sent: &mut String, now: &str) -> String {
    let same = now.strip_prefix(sent.as_str());
    let Some(new) = same.or_else(|| now.strip_prefix(sent.trim_start())) else {
        return String::new();
    };
    let new = new.to_owned();
    now.clone_into(sent);
    new
}

/// What models write around JSON.
const FENCE: &str = "```json";
/// A text this short is a character of its own rather than the start of a mark.
const MAX_STRAY_BYTES: usize = 2;
