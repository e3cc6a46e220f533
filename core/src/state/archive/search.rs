//! Finding words in conversations.
//!
//! Whole words, the last one by its beginning as well, so that it can be used while it is typed; case and accents do not
//! matter. The newest first: what somebody looks for was mostly said lately, and ranking by likeness would have to read
//! every match of a common word.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Archive, COLUMNS, line};
use crate::chat::{SearchHit, SnippetPart};
use crate::error::Result;

impl Archive {
    /// The conversations that hold all words of the query in one message or in their title, one hit each: titles first,
    /// then by the newest message.
    ///
    /// # Errors
    /// `Storage`.
    pub fn search(&self, query: &str, limit: u32) -> Result<Vec<SearchHit>> {
        let Some(query) = expression(query) else {
            return Ok(vec![]);
        };
        self.0.read(|file| {
            let mut seen = HashSet::new();
            let mut hits = in_titles(file, &query, limit, &mut seen)?;
            in_messages(file, &query, limit, &mut seen, &mut hits)?;
            Ok(hits)
        })
    }
}

fn in_titles(
    file: &Transaction<'_>,
    query: &str,
    limit: u32,
    seen: &mut HashSet<i64>,
) -> rusqlite::Result<Vec<SearchHit>> {
    let mut hits = Vec::new();
    let mut statement = file.prepare_cached(
        "SELECT rowid, highlight(names, 0, char(2), char(3)) FROM names
         WHERE names MATCH ?1 ORDER BY rowid DESC LIMIT ?2",
    )?;
    let mut rows = statement.query(params![query, limit])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let marked: String = row.get(1)?;
        if seen.insert(id)
            && let Some(conversation) = summary(file, id)?
        {
            hits.push(SearchHit {
                conversation,
                message: None,
                snippet: parts(&marked),
            });
        }
    }
    Ok(hits)
}

/// Goes through the matches page by page, newest first, until there are enough conversations.
fn in_messages(
    file: &Transaction<'_>,
    query: &str,
    limit: u32,
    seen: &mut HashSet<i64>,
    hits: &mut Vec<SearchHit>,
) -> rusqlite::Result<()> {
    let mut matching = file.prepare_cached(
        "SELECT words.rowid, (SELECT conversation FROM message WHERE id = words.rowid) FROM words
         WHERE words MATCH ?1 AND words.rowid < ?2 ORDER BY words.rowid DESC LIMIT ?3",
    )?;
    let mut snippet = file.prepare_cached(
        "SELECT snippet(words, 0, char(2), char(3), '…', 16) FROM words WHERE words MATCH ?1 AND rowid = ?2",
    )?;
    let mut below = i64::MAX;
    for _ in 0..PAGES {
        let page: Vec<(i64, Option<i64>)> = matching
            .query_map(params![query, below, PAGE], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (message, conversation) in &page {
            if hits.len() >= limit as usize {
                return Ok(());
            }
            let Some(id) = conversation.filter(|id| seen.insert(*id)) else {
                continue;
            };
            let Some(conversation) = summary(file, id)? else {
                continue;
            };
            let marked: Option<String> = snippet
                .query_row(params![query, message], |row| row.get(0))
                .optional()?;
            hits.push(SearchHit {
                conversation,
                message: Some(message.unsigned_abs()),
                snippet: parts(&marked.unwrap_or_default()),
            });
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE as usize => below = *last,
            _ => break,
        }
    }
    Ok(())
}

/// The line of a conversation that is not deleted.
fn summary(file: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<crate::chat::ConversationSummary>> {
    file.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversation WHERE id = ?1 AND deleted_at IS NULL"
    ))?
    .query_row([id], line)
    .optional()
}

/// A query in FTS5's words. Each word is quoted, so that nothing a person types is taken for an operator.
fn expression(query: &str) -> Option<String> {
    let words: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect();
    let (last, others) = words.split_last()?;
    let mut expression = others.join(" ");
    if !others.is_empty() {
        expression.push(' ');
    }
    expression.push_str(last);
    expression.push('*');
    Some(expression)
}

/// The pieces of a text in which matches stand between marks.
fn parts(marked: &str) -> Vec<SnippetPart> {
    let mut parts = Vec::new();
    let mut rest = marked;
    let mut matched = false;
    while !rest.is_empty() {
        let end = rest.find(['\u{2}', '\u{3}']).unwrap_or(rest.len());
        if end > 0 {
            parts.push(SnippetPart {
                text: rest[..end].to_owned(),
                matched,
            });
        }
        match rest[end..].chars().next() {
            Some(mark) => {
                matched = mark == '\u{2}';
                rest = &rest[end + 1..];
            }
            None => break,
        }
    }
    parts
}

/// Matches that are looked at together, and how often: bounds the time where one conversation holds them all.
const PAGE: u32 = 2000;
const PAGES: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_person_types_is_an_operator() {
        assert_eq!(expression("why tides"), Some("\"why\" \"tides\"*".to_owned()));
        assert_eq!(
            expression("\"a\" OR (b*) -c:"),
            Some("\"a\" \"OR\" \"b\" \"c\"*".to_owned())
        );
        assert_eq!(expression(" -*\" "), None);
    }

    #[test]
    fn a_snippet_tells_what_matched() {
        let told = parts("the \u{2}tides\u{3} come");
        let words: Vec<_> = told.iter().map(|part| (part.text.as_str(), part.matched)).collect();
        assert_eq!(words, [("the ", false), ("tides", true), (" come", false)]);
    }
}
