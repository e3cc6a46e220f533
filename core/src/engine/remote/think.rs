//! Separates reasoning inside `<think>` and `</think>` from the answer while it streams.
//!
//! Only a block at the start of the answer (after white space) is reasoning; a later `<think>` is text. A tag may be
//! split across chunks. White space around the block is dropped.

use crate::chat::Chunk;
use crate::engine::suffix::partial_suffix_len;

/// Parser state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagState {
    /// Only white space, or the start of a tag, so far.
    Start,
    /// Inside the block.
    Thinking,
    /// After the block; white space is dropped until the answer begins.
    AfterTag,
    /// In the answer.
    Answer,
}

/// Splits content into reasoning and text.
#[derive(Debug)]
pub(super) struct ThinkTags {
    state: TagState,
    /// Content that may still become a tag, or white space.
    held: String,
}

impl ThinkTags {
    pub(super) fn new() -> Self {
        Self {
            state: TagState::Start,
            held: String::new(),
        }
    }

    /// Appends the chunks of a piece of content.
    pub(super) fn push(&mut self, piece: &str, chunks: &mut Vec<Chunk>) {
        if self.state == TagState::Answer {
            return push_text(piece.to_owned(), chunks);
        }
        self.held.push_str(piece);
        loop {
            match self.state {
                TagState::Start => {
                    let begun = self.held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN_TAG) {
                        self.held = rest.to_owned();
                        self.state = TagState::Thinking;
                    } else if OPEN_TAG.starts_with(begun) {
                        return;
                    } else {
                        self.state = TagState::Answer;
                        return push_text(std::mem::take(&mut self.held), chunks);
                    }
                }
                TagState::Thinking => match self.held.find(CLOSE_TAG) {
                    Some(end) => {
                        let rest = self.held[end + CLOSE_TAG.len()..].to_owned();
                        self.held.truncate(end);
                        push_reasoning(std::mem::replace(&mut self.held, rest), chunks);
                        self.state = TagState::AfterTag;
                    }
                    None => {
                        let partial = partial_suffix_len(self.held.as_bytes(), CLOSE_TAG.as_bytes());
                        let rest = self.held.split_off(self.held.len() - partial);
                        return push_reasoning(std::mem::replace(&mut self.held, rest), chunks);
                    }
                },
                TagState::AfterTag => {
                    let answer = self.held.trim_start().to_owned();
                    self.held.clear();
                    if !answer.is_empty() {
                        self.state = TagState::Answer;
                        push_text(answer, chunks);
                    }
                    return;
                }
                TagState::Answer => return,
            }
        }
    }

    /// Ends the content: sends the text that was held back.
    pub(super) fn end_content(&mut self, chunks: &mut Vec<Chunk>) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            TagState::Thinking => push_reasoning(held, chunks),
            TagState::Start if held.trim().is_empty() => {}
            _ => push_text(held, chunks),
        }
    }
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

const OPEN_TAG: &str = "<think>";
const CLOSE_TAG: &str = "</think>";

#[cfg(test)]
mod tests {
    use super::*;

    fn split_content(content: &str, size: usize) -> (String, String) {
        let (mut tags, mut chunks) = (ThinkTags::new(), Vec::new());
        let letters: Vec<char> = content.chars().collect();
        for piece in letters.chunks(size) {
            tags.push(&piece.iter().collect::<String>(), &mut chunks);
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
            ("no <think>x</think> here", "", "no <think>x</think> here"),
            ("<thin", "", "<thin"),
            ("<think>never </thin", "never </thin", ""),
            ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
            (" indented", "", " indented"),
            ("", "", ""),
        ] {
            for size in 1..=content.len().max(1) {
                assert_eq!(
                    split_content(content, size),
                    (reasoning.into(), text.into()),
                    "{content:?} by {size}"
                );
            }
        }
    }
}
