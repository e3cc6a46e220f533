//! Words of a search query, and excerpts around their matches.
//!
//! Words are compared as the index compares them (FTS5's `unicode61`, without accents): runs of letters and digits, in
//! lower case, canonically decomposed and without their marks.

use icu_normalizer::DecomposingNormalizerBorrowed;

use crate::chat::SnippetPart;

/// Words of a search query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    whole: Vec<String>,
    last: String,
    /// The last one is a prefix.
    open: bool,
}

impl Query {
    /// Splits a search query into words; `None` if it has none.
    pub(super) fn from_text(typed: &str) -> Option<Self> {
        let mut words: Vec<String> = spans(typed).map(|(from, to)| folded(&typed[from..to])).collect();
        let last = words.pop()?;
        Some(Self {
            whole: words,
            // A one-byte word matches whole: too many words start with it. One CJK character is a prefix.
            open: last.len() > 1,
            last,
        })
    }

    /// Returns the query in FTS5's syntax. Each word is quoted, so that no input is parsed as an operator.
    pub(super) fn expression(&self) -> String {
        let mut expression = String::new();
        for word in &self.whole {
            expression.push_str(&format!("\"{word}\" "));
        }
        let star = if self.open { "*" } else { "" };
        expression.push_str(&format!("\"{}\"{star}", self.last));
        expression
    }

    fn matches(&self, word: &str) -> bool {
        let word = folded(word);
        let last = if self.open {
            word.starts_with(&self.last)
        } else {
            word == self.last
        };
        last || self.whole.contains(&word)
    }
}

/// Returns the words around the first match, each match a part; the start of the text if nothing matches.
pub(super) fn snippet(text: &str, query: &Query) -> Vec<SnippetPart> {
    let words: Vec<(usize, usize)> = spans(text).collect();
    let first = words.iter().position(|(from, to)| query.matches(&text[*from..*to]));
    let begin = first.unwrap_or_default().saturating_sub(BEFORE);
    let shown = words.get(begin..).unwrap_or_default();
    let shown = shown.get(..BEFORE + AFTER).unwrap_or(shown);
    let (Some((start, _)), Some((_, end))) = (shown.first(), shown.last()) else {
        return vec![];
    };
    let from = if begin == 0 { 0 } else { *start };
    let to = if begin + shown.len() == words.len() {
        text.len()
    } else {
        *end
    };
    let mut parts = Parts::default();
    if from > 0 {
        parts.push("… ", false);
    }
    let mut at = from;
    for (from, to) in shown
        .iter()
        .copied()
        .filter(|(from, to)| query.matches(&text[*from..*to]))
    {
        parts.push(&text[at..from], false);
        parts.push(&text[from..to], true);
        at = to;
    }
    parts.push(&text[at..to], false);
    if to < text.len() {
        parts.push(" …", false);
    }
    parts.0
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

/// Returns the byte ranges of the words.
fn spans(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let of_word = |c: char| c.is_alphanumeric() || is_mark(c);
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (from, _) = rest.by_ref().find(|(_, c)| of_word(*c))?;
        while rest.next_if(|(_, c)| of_word(*c)).is_some() {}
        let to = rest.peek().map_or(text.len(), |(at, _)| *at);
        Some((from, to))
    })
}

fn folded(word: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize_iter(word.chars());
    decomposed
        .filter(|c| !is_mark(*c))
        .flat_map(char::to_lowercase)
        .collect()
}

fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// Number of words in a snippet before the first match, and from it on.
const BEFORE: usize = 6;
const AFTER: usize = 12;

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
        assert_eq!(expression("潮"), Some("\"潮\"*".to_owned()));
        assert_eq!(expression(" -*\" "), None);
    }

    #[test]
    fn a_snippet_shows_what_matched_among_a_few_words() {
        let query = Query::from_text("cafe tid").expect("words");
        let mark = |text: &str| -> String {
            let parts = snippet(text, &query);
            parts
                .iter()
                .map(|part| {
                    if part.matched {
                        format!("[{}]", part.text)
                    } else {
                        part.text.clone()
                    }
                })
                .collect()
        };
        assert_eq!(mark("The Café, at high tide."), "The [Café], at high [tide].");
        assert_eq!(mark("no match"), "no match");
        assert_eq!(mark(""), "");
        let long = format!("{}tides {}", "a ".repeat(50), "b ".repeat(50));
        assert_eq!(mark(&long), format!("… {}[tides] {}…", "a ".repeat(6), "b ".repeat(11)));
    }
}
