//! Conversations, in a file of their own: `conversations.db`.
//!
//! ```text
//! conversation   a line of the list: title, pin, settings
//! message        the tree: each knows the one before it; of those with the same one before, one is shown
//! picture        the bytes of pictures, in the order in which a message holds them
//! words, names   what messages and titles say, for searching (FTS5)
//! ```
//!
//! An answer is written down while it is being written: its row is there from the beginning, [`Archive::save`] puts what
//! came so far in it, and only [`Archive::finish`] says how it ended. So a kill leaves a row without an end, which is
//! what [`MessageState::Interrupted`] is. Saves survive a kill at once and a loss of power from the next other write on;
//! everything else is on the disk when its call returns.
//!
//! What is deleted can be restored until it is purged; purged is overwritten (`secure_delete`), in the index too.
//!
//! | file | what |
//! |---|---|
//! | `tree` | what a new question or answer does to the tree, and which branch is shown |
//! | `reading` | a conversation as an app opens it |
//! | `search`, `snippet` | finding words, and the words around them |

mod nodes;
mod reading;
mod search;
mod snippet;
mod tree;

use std::path::Path;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row, Transaction, params};

pub use tree::{PendingAnswer, Turn};

use super::database::{Database, Schema, TxError};
use crate::chat::{
    ContentPart, ConversationSettings, ConversationSummary, MessageState, Receipt, StoredCitation, Timings, TokenUsage,
    excerpt,
};
use crate::error::{Error, Result};

/// The open file.
#[derive(Debug)]
pub struct Archive(Database);

/// Content of an answer so far.
#[derive(Debug, Clone, Default)]
pub struct AnswerDraft {
    /// Its words.
    pub text: String,
    /// What was thought.
    pub reasoning: String,
    /// For how long.
    pub reasoning_ms: u64,
    /// Calls.
    pub parts: Vec<ContentPart>,
    /// Pages that it rests on.
    pub citations: Vec<StoredCitation>,
    /// Number of earlier messages omitted from the prompt.
    pub omitted_messages: u32,
}

/// Receipt and statistics of a finished answer.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct AnswerOutcome {
    pub(crate) receipt: Receipt,
    pub(crate) usage: TokenUsage,
    pub(crate) timings: Timings,
}

impl Archive {
    /// Opens `conversations.db` in `directory`; makes both if they are missing.
    ///
    /// # Errors
    /// As [`super::State::open`].
    pub fn open(directory: &Path) -> Result<Self> {
        Database::open(directory, &SCHEMA).map(Self)
    }

    /// Begins a conversation, with nothing said yet.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub fn create(&self, settings: &ConversationSettings) -> Result<ConversationSummary> {
        let (settings, now) = (json(settings)?, now_ms());
        self.0.try_write(|file| {
            file.execute(
                "INSERT INTO conversation (created_at, updated_at, settings) VALUES (?1, ?1, ?2)",
                params![now, settings],
            )?;
            summary(file, file.last_insert_rowid())
        })
    }

    /// The conversations, pinned ones first, then by when something was last said.
    ///
    /// # Errors
    /// `Storage`.
    pub fn list(&self, limit: Option<u32>, offset: u32) -> Result<Vec<ConversationSummary>> {
        let limit = limit.map_or(-1, i64::from);
        self.0.read(|file| {
            file.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM conversation WHERE deleted_at IS NULL
                 ORDER BY pinned DESC, updated_at DESC, id DESC LIMIT ?1 OFFSET ?2"
            ))?
            .query_map(params![limit, offset], summary_from_row)?
            .collect()
        })
    }

    /// Gives a conversation a title; none: the first words of its first message again.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`, `Busy`.
    pub fn rename(&self, id: u64, title: Option<&str>) -> Result<()> {
        let title = title.map(str::trim).filter(|title| !title.is_empty());
        let title = title.map(|title| title.chars().take(MAX_TITLE_CHARS).collect::<String>());
        self.change(id, "UPDATE conversation SET title = ?2 WHERE id = ?1", &title)
    }

    /// Pins a conversation above the others, or no longer.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub fn set_pinned(&self, id: u64, pinned: bool) -> Result<()> {
        self.change(id, "UPDATE conversation SET pinned = ?2 WHERE id = ?1", &pinned)
    }

    /// Changes what a conversation is asked with, from the next question on.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub fn configure(&self, id: u64, settings: &ConversationSettings) -> Result<()> {
        self.change(
            id,
            "UPDATE conversation SET settings = ?2 WHERE id = ?1",
            &json(settings)?,
        )
    }

    /// Takes a conversation out of sight. [`Self::restore`] brings it back until [`Self::purge`].
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub fn delete(&self, id: u64) -> Result<()> {
        self.change(id, "UPDATE conversation SET deleted_at = ?2 WHERE id = ?1", &now_ms())
    }

    /// Brings a deleted conversation back.
    ///
    /// # Errors
    /// As [`Self::rename`]: also where it was purged.
    pub fn restore(&self, id: u64) -> Result<()> {
        self.change(
            id,
            "UPDATE conversation SET deleted_at = ?2 WHERE id = ?1",
            &None::<i64>,
        )
    }

    /// Erases what was deleted at least `age_ms` milliseconds ago.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub fn purge(&self, age_ms: i64) -> Result<()> {
        let before = now_ms() - age_ms;
        let gone = self
            .0
            .write(|file| file.execute("DELETE FROM conversation WHERE deleted_at <= ?1", [before]))?;
        if gone > 0 {
            // What was overwritten in the file still stands in the log beside it.
            self.0.checkpoint()?;
        }
        Ok(())
    }

    /// Saves the content of an answer so far.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub fn save(&self, answer: u64, progress: &AnswerDraft) -> Result<()> {
        let progress = Columns::of(progress)?;
        self.0.try_write_relaxed(|file| Ok(progress.write(file, key(answer)?)?))
    }

    /// Says how an answer ended, with all of it.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub(crate) fn finish(
        &self,
        answer: u64,
        progress: &AnswerDraft,
        state: &MessageState,
        told: Option<&AnswerOutcome>,
    ) -> Result<()> {
        let columns = Columns::of(progress)?;
        let (state, told) = (json(state)?, told.map(json).transpose()?);
        let preview = excerpt(&progress.text, MAX_PREVIEW_CHARS);
        self.0.try_write(|file| {
            let answer = key(answer)?;
            columns.write(file, answer)?;
            file.execute(
                "UPDATE message SET state = ?2, told = coalesce(?3, told) WHERE id = ?1",
                params![answer, state, told],
            )?;
            file.execute(
                "UPDATE conversation SET updated_at = ?2,
                        preview = CASE WHEN ?3 = '' THEN preview ELSE ?3 END
                 WHERE id = (SELECT conversation FROM message WHERE id = ?1)",
                params![answer, now_ms(), preview],
            )?;
            Ok(())
        })
    }

    fn change(&self, id: u64, statement: &str, value: &dyn rusqlite::ToSql) -> Result<()> {
        self.0
            .try_write(|file| match file.execute(statement, params![key(id)?, value])? {
                0 => Err(unknown(id).into()),
                _ => Ok(()),
            })
    }
}

/// What of an answer is a column.
struct Columns<'a> {
    progress: &'a AnswerDraft,
    parts: String,
    citations: String,
}

impl<'a> Columns<'a> {
    fn of(progress: &'a AnswerDraft) -> Result<Self> {
        Ok(Self {
            progress,
            parts: json(&progress.parts)?,
            citations: json(&progress.citations)?,
        })
    }

    fn write(&self, file: &Transaction<'_>, answer: i64) -> rusqlite::Result<()> {
        let AnswerDraft {
            text,
            reasoning,
            reasoning_ms,
            omitted_messages,
            ..
        } = self.progress;
        file.prepare_cached(
            "UPDATE message SET text = ?2, reasoning = ?3, reasoning_ms = ?4, parts = ?5, citations = ?6, left_out = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            answer,
            text,
            reasoning,
            i64::try_from(*reasoning_ms).unwrap_or(i64::MAX),
            self.parts,
            self.citations,
            omitted_messages
        ])?;
        Ok(())
    }
}

/// The line of a conversation.
fn summary(file: &Transaction<'_>, id: i64) -> Result<ConversationSummary, TxError> {
    let found = file
        .prepare_cached(&format!("SELECT {COLUMNS} FROM conversation WHERE id = ?1"))?
        .query_row([id], summary_from_row)
        .optional()?;
    found.ok_or_else(|| unknown(id.unsigned_abs()).into())
}

fn summary_from_row(row: &Row<'_>) -> rusqlite::Result<ConversationSummary> {
    let settings: String = row.get(7)?;
    Ok(ConversationSummary {
        id: row.get::<_, i64>(0)?.unsigned_abs(),
        title: row.get(1)?,
        pinned: row.get(2)?,
        created_at_ms: row.get::<_, i64>(3)?.unsigned_abs(),
        updated_at_ms: row.get::<_, i64>(4)?.unsigned_abs(),
        messages: row.get(5)?,
        preview: row.get(6)?,
        // A newer library may have written what this one does not know: the conversation is worth more than that.
        settings: serde_json::from_str(&settings).unwrap_or_default(),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal(format!("a message has no JSON: {cause}")))
}

/// The key of a row; no row has one that is larger than SQLite's largest.
fn key(id: u64) -> Result<i64> {
    i64::try_from(id).map_err(|_| unknown(id))
}

fn unknown(id: u64) -> Error {
    Error::invalid_request(format!(
        "there is no conversation or message `{id}`; list the conversations again"
    ))
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

const MAX_TITLE_CHARS: usize = 200;
const MAX_PREVIEW_CHARS: usize = 140;

const COLUMNS: &str = "id, coalesce(title, opening), pinned, created_at, updated_at, messages, preview, settings";

static SCHEMA: Schema = Schema {
    file: "conversations.db",
    holds: "the conversations",
    steps: &["
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT,
        opening TEXT NOT NULL DEFAULT '',
        preview TEXT NOT NULL DEFAULT '',
        pinned INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        deleted_at INTEGER,
        messages INTEGER NOT NULL DEFAULT 0,
        settings TEXT NOT NULL
    ) STRICT;
    CREATE INDEX conversation_order ON conversation (pinned DESC, updated_at DESC, id DESC) WHERE deleted_at IS NULL;
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        -- The one before it; of those with the same one before, one is shown.
        before INTEGER,
        shown INTEGER NOT NULL,
        role TEXT NOT NULL,
        text TEXT NOT NULL DEFAULT '',
        reasoning TEXT NOT NULL DEFAULT '',
        reasoning_ms INTEGER NOT NULL DEFAULT 0,
        parts TEXT NOT NULL DEFAULT '[]',
        citations TEXT NOT NULL DEFAULT '[]',
        created_at INTEGER NOT NULL,
        -- How it ended; NULL while it is being written, and for ever if the writer was killed.
        state TEXT,
        told TEXT,
        left_out INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX message_conversation ON message (conversation);
    CREATE TABLE picture (
        message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (message, place)
    ) STRICT, WITHOUT ROWID;

    CREATE VIRTUAL TABLE words USING fts5 (
        text, content = 'message', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE TRIGGER message_in AFTER INSERT ON message BEGIN
        INSERT INTO words (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER message_out AFTER DELETE ON message BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TRIGGER message_again AFTER UPDATE OF text ON message WHEN old.text <> new.text BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO words (rowid, text) VALUES (new.id, new.text);
    END;
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);

    CREATE VIRTUAL TABLE names USING fts5 (
        title, content = 'conversation', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
    CREATE TRIGGER conversation_in AFTER INSERT ON conversation BEGIN
        INSERT INTO names (rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER conversation_out AFTER DELETE ON conversation BEGIN
        INSERT INTO names (names, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    CREATE TRIGGER conversation_again AFTER UPDATE OF title ON conversation BEGIN
        INSERT INTO names (names, rowid, title) VALUES ('delete', old.id, old.title);
        INSERT INTO names (rowid, title) VALUES (new.id, new.title);
    END;
    INSERT INTO names (names, rank) VALUES ('secure-delete', 1);
"],
};
