//! Separates reasoning between tags, such as `<think>` and `</think>`, from the answer while it streams.
//!
//! Only a block at the start of the answer (after white space) is reasoning; a later tag is text. A tag may be split across
//! chunks. White space around the block is dropped.
//!
//! Templates of some models write the opening tag themselves, so that the answer begins inside the block. Where that is
//! likely, by the model's name or because an earlier answer did, the content is held back until the closing tag arrives, or
//! the answer ends; elsewhere text is never held back. There a closing tag counts at once if it arrives in the same read as
//! all the content before it. One that arrives later shows that the text before it was reasoning: that cannot be taken back
//! from the stream, but a stored answer is corrected ([`split_shown`]), and the next answer of the model is held back.
//!
//! Content of a model on this device has been through the parser of its template, which takes balanced blocks out. Of the
//! rest, a closing tag of this template that ends no block is dropped from the text ([`ThinkTags::for_parsed`]).

use super::suffix::partial_suffix_len;
use crate::chat::Chunk;

/// Parser state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagState {
    /// Only white space, or the start of a tag, so far.
    Start,
    /// Content without an opening tag, which may still turn out to be reasoning.
    Undecided,
    /// Inside the block of these tags.
    Thinking(&'static TagPair),
    /// After the block; white space is dropped until the answer begins.
    AfterTag,
    /// In the answer.
    Answer,
}

/// Splits content into reasoning and text.
#[derive(Debug)]
pub(super) struct ThinkTags {
    state: TagState,
    /// Content that may still become a tag, white space, or reasoning.
    held: String,
    /// The answer is likely to begin inside a block.
    likely_inside: bool,
    /// The server sends reasoning in a field of its own.
    is_separate: bool,
    /// Text that was not held back, while a closing tag may show that it is reasoning.
    shown: Option<String>,
    /// The answer began inside a block without an opening tag.
    began_inside: bool,
    /// Bytes of reasoning that were shown as text.
    shown_reasoning_bytes: u64,
    /// The tags whose closing one is dropped from the answer where it ends no block.
    dropped: Option<&'static TagPair>,
}

impl ThinkTags {
    pub(super) fn new(likely_inside: bool) -> Self {
        Self {
            state: TagState::Start,
            held: String::new(),
            likely_inside,
            is_separate: false,
            shown: None,
            began_inside: false,
            shown_reasoning_bytes: 0,
            dropped: None,
        }
    }

    /// For content that the parser of a template has left, whose thoughts end with `close`.
    pub(super) fn for_parsed(close: Option<&str>) -> Self {
        let dropped = close.and_then(|close| TAGS.iter().find(|pair| pair.close == close.trim()));
        Self {
            dropped,
            ..Self::new(false)
        }
    }

    /// Returns whether the answer began inside a block without an opening tag.
    pub(super) fn began_inside(&self) -> bool {
        self.began_inside
    }

    /// Returns the bytes of reasoning that were shown as text, because only a later closing tag told it apart.
    pub(super) fn shown_reasoning_bytes(&self) -> u64 {
        self.shown_reasoning_bytes
    }

    /// Notes that the server sends reasoning in a field of its own: the content then begins outside.
    pub(super) fn note_separate_reasoning(&mut self) {
        self.likely_inside = false;
        self.is_separate = true;
        self.shown = None;
    }

    /// Notes that the text of the answer has begun before this content.
    pub(super) fn note_begun(&mut self) {
        self.state = TagState::Answer;
    }

    /// Returns whether the answer has just begun, and its first read decides whether it is text.
    pub(super) fn is_undecided(&self) -> bool {
        self.state == TagState::Undecided && !self.likely_inside
    }

    /// Appends the chunks of a piece of content.
    pub(super) fn push(&mut self, piece: &str, chunks: &mut Vec<Chunk>) {
        if self.state == TagState::Answer {
            return self.push_answer(piece.to_owned(), chunks);
        }
        self.held.push_str(piece);
        while self.step(chunks) {}
    }

    /// Ends a read: content that is not held back any longer is text.
    pub(super) fn end_read(&mut self, chunks: &mut Vec<Chunk>) {
        if self.state == TagState::Undecided && (!self.likely_inside || self.held.len() > MAX_HELD_BYTES) {
            self.state = TagState::Answer;
            let held = std::mem::take(&mut self.held);
            self.shown = (!self.is_separate || self.dropped.is_some()).then(String::new);
            self.push_answer(held, chunks);
        }
    }

    /// Appends text of the answer.
    fn push_answer(&mut self, text: String, chunks: &mut Vec<Chunk>) {
        match self.dropped {
            Some(pair) => {
                self.held.push_str(&text);
                self.drop_lone_tags(pair, false, chunks);
            }
            None => {
                self.watch(&text);
                push_text(text, chunks);
            }
        }
    }

    /// Sends the text that was held back without closing tags that end no block. Holds back a tag that may still grow, or
    /// whose next character decides.
    fn drop_lone_tags(&mut self, pair: &TagPair, is_end: bool, chunks: &mut Vec<Chunk>) {
        let mut text = String::new();
        while let Some(at) = self.held.find(pair.close) {
            let end = at + pair.close.len();
            if end == self.held.len() && !is_end {
                break;
            }
            let before = [self.shown.as_deref().unwrap_or_default(), &text, &self.held[..at]].concat();
            let opened = before.matches(pair.open).count() > before.matches(pair.close).count();
            let is_word = opened || is_quoted(&before, &self.held[end..]) || is_in_code(&before);
            text.push_str(&self.held[..if is_word { end } else { at }]);
            self.held.drain(..end);
        }
        let partial = match self.held.find(pair.close) {
            _ if is_end => self.held.len(),
            Some(at) => at,
            None => self.held.len() - partial_suffix_len(self.held.as_bytes(), pair.close.as_bytes()),
        };
        text.extend(self.held.drain(..partial));
        self.shown.get_or_insert_default().push_str(&text);
        push_text(text, chunks);
    }

    /// Looks in text that is shown for the closing tag of a block without an opening one. The first tag decides, once its
    /// next character is known.
    fn watch(&mut self, piece: &str) {
        let Some(shown) = &mut self.shown else { return };
        let mut from = shown.len().saturating_sub(MAX_TAG_BYTES);
        while !shown.is_char_boundary(from) {
            from -= 1;
        }
        shown.push_str(piece);
        let recent = &shown[from..];
        let closing = TAGS
            .iter()
            .find_map(|pair| Some(recent.find(pair.close)? + pair.close.len()));
        let is_decided = closing.is_some_and(|end| !trim_line_end(&recent[end..]).is_empty());
        if is_decided {
            self.end_watch();
        } else if shown.len() > MAX_HELD_BYTES {
            self.shown = None;
        }
    }

    /// Decides whether the text that was shown began with reasoning.
    fn end_watch(&mut self) {
        let shown = self.shown.take().unwrap_or_default();
        if let Some((reasoning, _)) = split_shown(&shown) {
            self.began_inside = true;
            self.shown_reasoning_bytes = reasoning.len() as u64;
        }
    }

    /// Ends the content: sends the text that was held back.
    pub(super) fn end_content(&mut self, chunks: &mut Vec<Chunk>) {
        if let (TagState::Answer, Some(pair)) = (self.state, self.dropped) {
            return self.drop_lone_tags(pair, true, chunks);
        }
        let held = std::mem::take(&mut self.held);
        self.end_watch();
        match self.state {
            TagState::Thinking(_) => push_reasoning(held, chunks),
            TagState::Start if held.trim().is_empty() => {}
            _ => push_text(held, chunks),
        }
    }

    /// Advances the state; false if more content is needed.
    fn step(&mut self, chunks: &mut Vec<Chunk>) -> bool {
        match self.state {
            TagState::Start => {
                let begun = self.held.trim_start();
                if let Some((pair, rest)) = TAGS
                    .iter()
                    .find_map(|pair| Some((pair, begun.strip_prefix(pair.open)?)))
                {
                    self.held = rest.to_owned();
                    self.state = TagState::Thinking(pair);
                } else if let Some(rest) = TAGS.iter().find_map(|pair| begun.strip_prefix(pair.close)) {
                    // The end of an empty block, or of one that was sent in a field of its own.
                    self.held = rest.to_owned();
                    self.state = TagState::AfterTag;
                } else if TAGS
                    .iter()
                    .any(|pair| pair.open.starts_with(begun) || pair.close.starts_with(begun))
                {
                    return false;
                } else {
                    self.state = TagState::Undecided;
                }
                true
            }
            TagState::Undecided => {
                let Some((pair, at)) = self.closing_tag() else {
                    return false;
                };
                let rest = self.held[at + pair.close.len()..].to_owned();
                self.held.truncate(at);
                let reasoning = std::mem::replace(&mut self.held, rest);
                push_reasoning(reasoning.trim_start().to_owned(), chunks);
                (self.state, self.began_inside) = (TagState::AfterTag, true);
                true
            }
            TagState::Thinking(pair) => match self.held.find(pair.close) {
                Some(end) => {
                    let rest = self.held[end + pair.close.len()..].to_owned();
                    self.held.truncate(end);
                    push_reasoning(std::mem::replace(&mut self.held, rest), chunks);
                    self.state = TagState::AfterTag;
                    true
                }
                None => {
                    let partial = partial_suffix_len(self.held.as_bytes(), pair.close.as_bytes());
                    let rest = self.held.split_off(self.held.len() - partial);
                    push_reasoning(std::mem::replace(&mut self.held, rest), chunks);
                    false
                }
            },
            TagState::AfterTag => {
                let answer = self.held.trim_start().to_owned();
                self.held.clear();
                if !answer.is_empty() {
                    self.state = TagState::Answer;
                    self.push_answer(answer, chunks);
                }
                false
            }
            TagState::Answer => false,
        }
    }

    /// Finds the closing tag of a block whose opening tag the template wrote. A tag that has an opening one before it, or
    /// that is quoted, is text.
    fn closing_tag(&self) -> Option<(&'static TagPair, usize)> {
        let (pair, at) = find_closing_tag(&self.held)?;
        let after = &self.held[at + pair.close.len()..];
        let spaced = after.is_empty() || after.starts_with(char::is_whitespace);
        (self.likely_inside || spaced).then_some((pair, at))
    }
}

/// Splits a text that was shown whole into the reasoning before its first closing tag and the answer after it; `None` if it
/// has no tag that ends a block. Stricter than for text that is held back, because a mistake hides a part of the answer:
/// the tag ends its line, and is in no block of code.
pub(crate) fn split_shown(text: &str) -> Option<(&str, &str)> {
    let (pair, at) = find_closing_tag(text)?;
    let (before, after) = (&text[..at], &text[at + pair.close.len()..]);
    let rest = trim_line_end(after);
    let ends_line = rest.is_empty() || rest.starts_with('\n');
    (ends_line && !is_in_code(before)).then_some((before, after.trim_start()))
}

/// Returns the text without the white space before the end of its first line.
fn trim_line_end(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r'])
}

/// Finds the first closing tag, unless it has an opening one before it or is quoted.
fn find_closing_tag(text: &str) -> Option<(&'static TagPair, usize)> {
    let found = TAGS.iter().filter_map(|pair| Some((pair, text.find(pair.close)?)));
    let (pair, at) = found.min_by_key(|(_, at)| *at)?;
    let (before, after) = (&text[..at], &text[at + pair.close.len()..]);
    (!before.contains(pair.open) && !is_quoted(before, after)).then_some((pair, at))
}

/// Returns whether a tag between these texts is quoted.
fn is_quoted(before: &str, after: &str) -> bool {
    before.ends_with(['`', '"', '\'']) || after.starts_with(['`', '"', '\''])
}

/// Returns whether a tag after this text is in a block of code.
fn is_in_code(before: &str) -> bool {
    before.matches("```").count() % 2 == 1
}

/// The tags of a block of reasoning.
#[derive(Debug, PartialEq, Eq)]
struct TagPair {
    open: &'static str,
    close: &'static str,
}

fn push_text(text: String, chunks: &mut Vec<Chunk>) {
    if !text.is_empty() {
        chunks.push(Chunk::Text { text });
    }
}

fn push_reasoning(text: String, chunks: &mut Vec<Chunk>) {
    if !text.is_empty() {
        chunks.push(Chunk::Reasoning { text });
    }
}

/// Tags at the start of an answer, as the templates of DeepSeek and Qwen, of Gemma's and Claude's imitators, of Mistral, of
/// Seed-OSS and of Gemma 4 have them.
static TAGS: [TagPair; 6] = [
    TagPair {
        open: "<think>",
        close: "</think>",
    },
    TagPair {
        open: "<thinking>",
        close: "</thinking>",
    },
    TagPair {
        open: "<thought>",
        close: "</thought>",
    },
    TagPair {
        open: "[THINK]",
        close: "[/THINK]",
    },
    TagPair {
        open: "<seed:think>",
        close: "</seed:think>",
    },
    TagPair {
        open: "<|channel>thought",
        close: "<channel|>",
    },
];

/// At least the longest tag, with the space after it.
const MAX_TAG_BYTES: usize = 24;
/// About 100,000 tokens; a longer block is given up as text.
const MAX_HELD_BYTES: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns reasoning and text of content that arrives in pieces of this many characters, each in a read of its own.
    fn split_content(content: &str, size: usize, likely_inside: bool) -> (String, String) {
        let (mut tags, mut chunks) = (ThinkTags::new(likely_inside), Vec::new());
        let letters: Vec<char> = content.chars().collect();
        for piece in letters.chunks(size) {
            tags.push(&piece.iter().collect::<String>(), &mut chunks);
            tags.end_read(&mut chunks);
        }
        tags.end_content(&mut chunks);
        let mut texts = (String::new(), String::new());
        for chunk in chunks {
            match chunk {
                Chunk::Reasoning { text } => texts.0.push_str(&text),
                Chunk::Text { text } => texts.1.push_str(&text),
                other => panic!("{other:?}"),
            }
        }
        texts
    }

    #[test]
    fn reasoning_is_told_from_text_wherever_the_content_is_cut() {
        for (content, reasoning, text) in [
            ("\n<think>a < b é</think>\n\nc", "a < b é", "c"),
            ("<think></think>c", "", "c"),
            ("[THINK]a[/THINK]c", "a", "c"),
            ("\n</think>\n\nc", "", "c"),
            ("</thin", "", "</thin"),
            ("no <think>x</think> here", "", "no <think>x</think> here"),
            ("<thin", "", "<thin"),
            ("<think>never </thin", "never </thin", ""),
            ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
            ("`</think>` ends it", "", "`</think>` ends it"),
            (" indented", "", " indented"),
            ("", "", ""),
        ] {
            for size in 1..=content.len().max(1) {
                for likely in [false, true] {
                    assert_eq!(
                        split_content(content, size, likely),
                        (reasoning.into(), text.into()),
                        "{content:?} by {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_answer_that_begins_inside_a_block_is_reasoning_up_to_the_closing_tag() {
        for (content, reasoning, text) in [
            ("Let me think.</think>\n\none two", "Let me think.", "one two"),
            ("a[/THINK]b", "a", "b"),
            ("no tag at all", "", "no tag at all"),
        ] {
            for size in 1..=content.len() {
                let split = split_content(content, size, true);
                assert_eq!(split, (reasoning.into(), text.into()), "{content:?} by {size}");
            }
        }
        // Where it is not likely, only what arrives in one read is decided by its closing tag.
        let split = split_content("Let me think.</think>\n\none two", 100, false);
        assert_eq!(split, ("Let me think.".into(), "one two".into()));
    }

    #[test]
    fn a_closing_tag_that_comes_late_shows_that_the_text_before_it_was_reasoning() {
        for (content, reasoning) in [
            ("Let me think.</think>\n\none two", Some("Let me think.")),
            ("Über-\nlegt\n</think>  \r\nja", Some("Über-\nlegt\n")),
            ("only a thought</think>", Some("only a thought")),
            ("a[/THINK]\nb</think>\nc", Some("a")),
            ("write </think> to end it", None),
            ("write `</think>`\nto end it\n</think>\nx", None),
            ("x <think>\ny\n</think>\nz", None),
            ("so:\n```\n</think>\n```\n", None),
            ("no tag at all", None),
            ("", None),
        ] {
            assert_eq!(
                split_shown(content).map(|(reasoning, _)| reasoning),
                reasoning,
                "{content:?}"
            );
            for size in 1..=5 {
                let (mut tags, mut chunks) = (ThinkTags::new(false), Vec::new());
                for piece in content.chars().collect::<Vec<_>>().chunks(size) {
                    tags.push(&piece.iter().collect::<String>(), &mut chunks);
                    tags.end_read(&mut chunks);
                }
                tags.end_content(&mut chunks);
                assert_eq!(tags.began_inside(), reasoning.is_some(), "{content:?} by {size}");
                let bytes = reasoning.map_or(0, |reasoning| reasoning.len() as u64);
                assert_eq!(tags.shown_reasoning_bytes(), bytes, "{content:?} by {size}");
            }
        }
        let (mut tags, mut chunks) = (ThinkTags::new(false), Vec::new());
        for piece in ["Thought", ".</think>\n\nText"] {
            tags.push(piece, &mut chunks);
            tags.end_read(&mut chunks);
        }
        let shown: String = chunks
            .iter()
            .map(|chunk| if let Chunk::Text { text } = chunk { &**text } else { "" })
            .collect();
        assert_eq!(shown, "Thought.</think>\n\nText", "nothing is taken back");
        let mut separate = ThinkTags::new(false);
        separate.note_separate_reasoning();
        for piece in ["a", "</think>\n"] {
            separate.push(piece, &mut chunks);
            separate.end_read(&mut chunks);
        }
        assert!(!separate.began_inside());
    }

    #[test]
    fn text_is_not_held_back_where_it_is_not_likely_to_be_reasoning() {
        let (mut tags, mut chunks) = (ThinkTags::new(false), Vec::new());
        tags.push("first", &mut chunks);
        tags.end_read(&mut chunks);
        assert_eq!(chunks, [Chunk::Text { text: "first".into() }]);
    }
}
