//! Full-text search in conversations.
//!
//! Matches whole words, the last one as a prefix for search as you type, and any part of a text that has no spaces between
//! words; ignores case and accents. Newest first: searches mostly aim at recent messages, and a relevance ranking would
//! have to read every match of a common word.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction};

use super::snippet::{Query, snippet};
use super::{Archive, COLUMNS, summary_from_row};
use crate::chat::{ConversationSummary, SearchHit};
use crate::error::Result;

impl Archive {
    /// Returns the conversations with all words of the query in one message or in the title, one hit each: titles
    /// first, then by the newest message.
    ///
    /// # Errors
    /// `Storage`.
    pub fn search(&self, query: &str, limit: u32) -> Result<Vec<SearchHit>> {
        let Some(query) = Query::from_text(query) else {
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
    query: &Query,
    limit: u32,
    seen: &mut HashSet<i64>,
) -> rusqlite::Result<Vec<SearchHit>> {
    let mut hits = Vec::new();
    let mut statement = file.prepare_cached("SELECT rowid FROM names WHERE names MATCH ?1 ORDER BY rowid DESC")?;
    let mut rows = statement.query([query.expression()])?;
    // Without a limit in the statement: deleted conversations do not count.
    while let Some(row) = rows.next()?.filter(|_| hits.len() < limit as usize) {
        let id: i64 = row.get(0)?;
        if seen.insert(id)
            && let Some(conversation) = summary(file, id)?
        {
            hits.push(SearchHit {
                snippet: snippet(&conversation.title, query),
                conversation,
                message: None,
            });
        }
    }
    Ok(hits)
}

/// Reads the matches, newest first, until there are enough conversations.
fn in_messages(
    file: &Transaction<'_>,
    query: &Query,
    limit: u32,
    seen: &mut HashSet<i64>,
    hits: &mut Vec<SearchHit>,
) -> rusqlite::Result<()> {
    // One statement that stops when there are enough: the index is read only as far as needed, and the matches of a
    // common prefix are merged once. FTS5's own snippets would repeat that for each hit.
    let mut matching = file.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid DESC")?;
    let mut owners = file.prepare_cached("SELECT conversation FROM message WHERE id = ?1")?;
    let mut texts = file.prepare_cached("SELECT text FROM message WHERE id = ?1")?;
    let mut rows = matching.query([query.expression()])?;
    for _ in 0..MAX_MATCHES {
        let Some(row) = rows.next()?.filter(|_| hits.len() < limit as usize) else {
            break;
        };
        let message: i64 = row.get(0)?;
        let conversation: Option<i64> = owners.query_row([message], |row| row.get(0)).optional()?;
        let Some(id) = conversation.filter(|id| seen.insert(*id)) else {
            continue;
        };
        let Some(conversation) = summary(file, id)? else {
            continue;
        };
        let text: String = texts.query_row([message], |row| row.get(0))?;
        hits.push(SearchHit {
            conversation,
            message: Some(message.unsigned_abs()),
            snippet: snippet(&text, query),
        });
    }
    Ok(())
}

/// Returns the summary of a conversation that is not deleted.
fn summary(file: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<ConversationSummary>> {
    file.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversation WHERE id = ?1 AND deleted_at IS NULL"
    ))?
    .query_row([id], summary_from_row)
    .optional()
}

/// Maximum number of matches read: bounds the time if a few conversations have them all.
const MAX_MATCHES: u32 = 20_000;
