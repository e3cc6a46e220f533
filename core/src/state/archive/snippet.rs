//! Words of a search query, and excerpts around their matches.
//!
//! Both use the tokens of the index (`tokens`), so that a snippet marks exactly the matches of the search.

use super::tokens::{Token, tokens};
use crate::chat::SnippetPart;

/// Words of a search query. Each is a phrase: the tokens that must follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    phrases: Vec<Vec<String>>,
    /// The last token of the last phrase is a prefix.
    open: bool,
}

impl Query {
    /// Splits a search query into words; `None` if it has none.
    pub(super) fn from_text(typed: &str) -> Option<Self> {
        let mut phrases: Vec<Vec<String>> = Vec::new();
        let mut open = false;
        let mut begins = true;
        for token in tokens(typed) {
            begins |= !token.is_joined;
            let folded = token.fold(typed);
            if folded.is_empty() {
                continue;
            }
            // A one-byte word matches whole: too many words start with it.
            open = !token.is_character && folded.len() > 1;
            match phrases.last_mut().filter(|_| !begins) {
                Some(phrase) => phrase.push(folded),
                None => phrases.push(vec![folded]),
            }
            begins = false;
        }
        (!phrases.is_empty()).then_some(Self { phrases, open })
    }

    /// Returns the query in FTS5's syntax. Each phrase is quoted, so that no input is parsed as an operator.
    pub(super) fn expression(&self) -> String {
        let phrases: Vec<String> = self
            .phrases
            .iter()
            .map(|phrase| format!("\"{}\"", phrase.join(" ")))
            .collect();
        let star = if self.open { "*" } else { "" };
        format!("{}{star}", phrases.join(" "))
    }

    /// Returns the number of tokens of the longest phrase that begins here; `None` if none does.
    fn match_length(&self, folded: &[String]) -> Option<usize> {
        let last = self.phrases.len() - 1;
        let matches = |index: usize, phrase: &Vec<String>| {
            let here = folded.get(..phrase.len())?;
            let (end, start) = (phrase.len() - 1, here == &phrase[..]);
            let is_prefix =
                self.open && index == last && here[..end] == phrase[..end] && here.last()?.starts_with(phrase.last()?);
            (start || is_prefix).then_some(phrase.len())
        };
        let lengths = self
            .phrases
            .iter()
            .enumerate()
            .filter_map(|(index, phrase)| matches(index, phrase));
        lengths.max()
    }
}

/// Returns the words around the first match, each match a part; the start of the text if nothing matches.
pub(super) fn snippet(text: &str, query: &Query) -> Vec<SnippetPart> {
    let (words, folded): (Vec<Token>, Vec<String>) = tokens(text)
        .map(|token| (token, token.fold(text)))
        .filter(|(_, folded)| !folded.is_empty())
        .unzip();
    let length_at = |at: usize| folded.get(at..).and_then(|rest| query.match_length(rest));
    let first = (0..words.len()).find(|at| length_at(*at).is_some());
    let (begin, end) = window(
        &words,
        first.unwrap_or_default(),
        first.and_then(length_at).unwrap_or(1),
    );
    let shown = words.get(begin..end).unwrap_or_default();
    let (Some(start), Some(last)) = (shown.first(), shown.last()) else {
        return vec![];
    };
    let from = if begin == 0 { 0 } else { start.from };
    let to = if end == words.len() { text.len() } else { last.to };
    let mut parts = Parts::default();
    if from > 0 {
        parts.push("… ", false);
    }
    let mut at = from;
    for index in begin..end {
        let Some(length) = length_at(index) else { continue };
        // A match may begin inside another one, or end beyond the snippet.
        let matched = words.get(index..(index + length).min(end)).unwrap_or_default();
        if let (Some(first), Some(last)) = (matched.first(), matched.last())
            && last.to > at
        {
            let start = first.from.max(at);
            parts.push(&text[at..start], false);
            parts.push(&text[start..last.to], true);
            at = last.to;
        }
    }
    parts.push(&text[at..to], false);
    if to < text.len() {
        parts.push(" …", false);
    }
    parts.0
}

/// Returns which tokens a snippet shows around the first match, which has `length` tokens.
fn window(words: &[Token], first: usize, length: usize) -> (usize, usize) {
    let cost = |word: &Token| if word.is_character { 1 } else { WORD_COST };
    let take = |words: &mut dyn Iterator<Item = &Token>, budget: usize| {
        let mut spent = 0;
        words
            .take_while(|word| {
                spent += cost(word);
                spent <= budget
            })
            .count()
    };
    let before = take(&mut words.iter().take(first).rev(), BEFORE * WORD_COST);
    let after = take(&mut words.iter().skip(first), AFTER * WORD_COST).max(length);
    (first - before, (first + after).min(words.len()))
}

#[derive(Default)]
struct Parts(Vec<SnippetPart>);

impl Parts {
    fn push(&mut self, text: &str, matched: bool) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.matched == matched => last.text.push_str(text),
            _ => self.0.push(SnippetPart {
                text: text.to_owned(),
                matched,
            }),
        }
    }
}

/// Number of words in a snippet before the first match, and from it on.
const BEFORE: usize = 6;
const AFTER: usize = 12;
/// Number of characters of a script without spaces that take the place of a word.
const WORD_COST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(typed: &str) -> Option<String> {
        Query::from_text(typed).map(|query| query.expression())
    }

    #[test]
    fn nothing_that_a_person_types_is_an_operator() {
        assert_eq!(expression("why tides"), Some("\"why\" \"tides\"*".to_owned()));
        assert_eq!(
            expression("\"A\" OR (b*) -c:"),
            Some("\"a\" \"or\" \"b\" \"c\"".to_owned())
        );
        assert_eq!(expression("潮"), Some("\"潮\"".to_owned()));
        assert_eq!(expression("潮汐 tid🤖es"), Some("\"潮 汐\" \"tid\" \"es\"*".to_owned()));
        assert_eq!(
            expression("iPhone手机 tide"),
            Some("\"iphone 手 机\" \"tide\"*".to_owned())
        );
        assert_eq!(expression(" -*\" "), None);
    }

    #[test]
    fn a_snippet_shows_what_matched_among_a_few_words() {
        let mark = |text: &str| marked(text, "cafe tid");
        assert_eq!(mark("The Café, at high tide."), "The [Café], at high [tide].");
        assert_eq!(mark("no match"), "no match");
        assert_eq!(mark(""), "");
        let long = format!("{}tides {}", "a ".repeat(50), "b ".repeat(50));
        assert_eq!(mark(&long), format!("… {}[tides] {}…", "a ".repeat(6), "b ".repeat(11)));
    }

    #[test]
    fn a_snippet_marks_characters_of_scripts_without_spaces_and_cuts_at_their_borders() {
        assert_eq!(marked("我昨天去了东京塔。", "东京"), "我昨天去了[东京]塔。");
        assert_eq!(marked("京都と東京、東京都", "東京"), "京都と[東京]、[東京]都");
        assert_eq!(marked("新しいiPhone手机です", "iphone手机"), "新しい[iPhone手机]です");
        assert_eq!(marked("ไปกินข้าวกัน", "กินข้าว"), "ไป[กินข้าว]กัน");
        assert_eq!(marked("ha🤖hello👍world", "world hel"), "ha🤖[hello]👍[world]");
        assert_eq!(marked("ababa", "ああ"), "ababa");
        assert_eq!(marked("ああああ", "ああ"), "[ああああ]", "matches may overlap");
        let long = format!("{}潮汐{}", "海".repeat(100), "水".repeat(100));
        let snippet = format!("… {}[潮汐]{} …", "海".repeat(18), "水".repeat(34));
        assert_eq!(marked(&long, "潮汐"), snippet);
        let phrase = "潮".repeat(60);
        assert_eq!(
            marked(&format!("{phrase}水"), &phrase),
            format!("[{phrase}] …"),
            "a long match whole"
        );
    }

    fn marked(text: &str, query: &str) -> String {
        let query = Query::from_text(query).expect("words");
        let part = |part: &SnippetPart| match part.matched {
            true => format!("[{}]", part.text),
            false => part.text.clone(),
        };
        snippet(text, &query).iter().map(part).collect()
    }
}
