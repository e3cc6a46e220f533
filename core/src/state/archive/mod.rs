//! Conversations, in their own file: `conversations.db`, or in memory only.
//!
//! ```text
//! conversation   a row of the list: title, pin, settings
//! message        the tree: each refers to its parent (`before`); of siblings one is selected (`shown`)
//! picture        the bytes of images, in the order of the message's parts
//! words, names   index of messages and titles for searching (FTS5)
//! ```
//!
//! An answer is stored while it is generated: its row is inserted first, [`Archive::save`] updates its content, and
//! only [`Archive::finish_answer`] sets its state. So a kill leaves a row without a state, which reads as
//! [`MessageState::Interrupted`]. Saves survive a kill at once and a power loss from the next other write on; all other
//! writes are on the disk when the call returns.
//!
//! A deleted conversation can be restored until the purge; purging overwrites it (`secure_delete`), index included.
//!
//! | file | content |
//! |---|---|
//! | `tree` | inserts turns into the tree, and selects a branch |
//! | `reading` | loads a conversation |
//! | `schema` | the tables, the index and their versions |
//! | `search`, `snippet` | searches, and excerpts around matches |
//! | `tokens` | splits text into the words of the index |

mod nodes;
mod reading;
mod schema;
mod search;
mod snippet;
mod tokens;
mod tree;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row, Transaction, params};

pub(super) use schema::SCHEMA;
pub use tree::{PendingAnswer, Turn};

use super::database::{Database, TxError};
use crate::chat::{
    ContentPart, ConversationSettings, ConversationSummary, MessageState, Receipt, StoredCitation, Timings, TokenUsage,
    excerpt,
};
use crate::clock::Clock;
use crate::error::{Error, ErrorReason, Result};

/// The open `conversations.db`.
#[derive(Debug)]
pub struct Archive(Database, Clock);

/// Content of an answer so far.
#[derive(Debug, Clone, Default)]
pub struct AnswerDraft {
    /// Its text.
    pub text: String,
    /// Reasoning text.
    pub reasoning: String,
    /// Duration of the reasoning in milliseconds.
    pub reasoning_ms: u64,
    /// Tool calls.
    pub parts: Vec<ContentPart>,
    /// Pages that it cites.
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
    /// Opens `conversations.db` in `directory`; creates both if they are missing.
    ///
    /// # Errors
    /// As [`super::State::open_in`].
    pub fn open_in(directory: &Path) -> Result<Self> {
        Database::open_or_create(directory, &SCHEMA).map(|database| Self(database, Clock::system()))
    }

    /// Creates an archive in memory: its conversations end with it, and no file has any of them. Their ids differ from those
    /// of all other archives of this process.
    ///
    /// # Errors
    /// `Storage`.
    pub fn in_memory() -> Result<Self> {
        let archive = Self(Database::in_memory(&SCHEMA)?, Clock::system());
        let first = FIRST_TEMPORARY_ID + TEMPORARY_ARCHIVES.fetch_add(1, Ordering::Relaxed) * TEMPORARY_IDS;
        archive.0.write(|file| {
            for table in ["conversation", "message"] {
                file.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                    params![table, first],
                )?;
            }
            Ok(())
        })?;
        Ok(archive)
    }

    /// Dates what it stores from now on by this clock.
    #[must_use]
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self(self.0, clock)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.1.unix_ms()).unwrap_or(i64::MAX)
    }

    /// Returns whether it is in memory only.
    pub(crate) fn is_temporary(&self) -> bool {
        self.0.is_in_memory()
    }

    /// Returns a number that other files of conversations do not have, also one that takes the place of this one. Unset: the
    /// file cannot be written.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub(crate) fn identity(&self) -> Result<Option<u32>> {
        if self.0.is_read_only() || self.0.is_in_memory() {
            return Ok(None);
        }
        // A field of SQLite's header: a table for it would make a file that earlier releases cannot open.
        let read = |file: &Transaction<'_>| file.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
        let mut identity = self.0.read(read)?;
        if identity == 0 {
            let random = RandomState::new().hash_one(SystemTime::now()) as i32 | 1;
            identity = self.0.write(|file| {
                // Another process may have been faster.
                if read(file)? == 0 {
                    file.pragma_update(None, "application_id", random)?;
                }
                read(file)
            })?;
        }
        Ok(Some(identity.cast_unsigned()))
    }

    /// Returns whether a conversation exists and is not deleted.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub(crate) fn has_conversation(&self, id: u64) -> Result<bool> {
        let Ok(key) = key(id) else { return Ok(false) };
        self.0.read(|file| {
            file.prepare_cached("SELECT 1 FROM conversation WHERE id = ?1 AND deleted_at IS NULL")?
                .exists([key])
        })
    }

    /// Creates an empty conversation.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub fn create(&self, settings: &ConversationSettings) -> Result<ConversationSummary> {
        let (settings, now) = (json(settings)?, self.now_ms());
        self.0.try_write(|file| {
            file.execute(
                "INSERT INTO conversation (created_at, updated_at, settings) VALUES (?1, ?1, ?2)",
                params![now, settings],
            )?;
            summary(file, file.last_insert_rowid())
        })
    }

    /// Returns the conversations, pinned ones first, then by their last update, the newest first.
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

    /// Sets the title of a conversation; `None` or blank: the start of its first message.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`, `Busy`.
    pub fn rename(&self, id: u64, title: Option<&str>) -> Result<()> {
        let title = title.map(str::trim).filter(|title| !title.is_empty());
        let title = title.map(|title| title.chars().take(MAX_TITLE_CHARS).collect::<String>());
        self.change(id, "UPDATE conversation SET title = ?2 WHERE id = ?1", &title)
    }

    /// Pins a conversation above the others, or unpins it.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub fn set_pinned(&self, id: u64, pinned: bool) -> Result<()> {
        self.change(id, "UPDATE conversation SET pinned = ?2 WHERE id = ?1", &pinned)
    }

    /// Changes the settings of a conversation, from its next turn on.
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

    /// Marks a conversation as deleted. [`Self::restore`] undoes it until [`Self::purge`].
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub fn delete(&self, id: u64) -> Result<()> {
        self.change(
            id,
            "UPDATE conversation SET deleted_at = ?2 WHERE id = ?1",
            &self.now_ms(),
        )
    }

    /// Restores a deleted conversation.
    ///
    /// # Errors
    /// As [`Self::rename`]: also if it was purged.
    pub fn restore(&self, id: u64) -> Result<()> {
        self.change(
            id,
            "UPDATE conversation SET deleted_at = ?2 WHERE id = ?1",
            &None::<i64>,
        )
    }

    /// Erases the conversations that were deleted at least `age_ms` milliseconds ago, and what an earlier call could not
    /// erase. Does nothing in a directory that cannot be written.
    ///
    /// # Errors
    /// `Storage`; `Busy` if another process is reading: the conversations are gone then, but the log still has their bytes
    /// until a later call, or the end of the last process that uses the file.
    pub fn purge(&self, age_ms: i64) -> Result<()> {
        if self.0.is_read_only() {
            return Ok(());
        }
        let before = self.now_ms() - age_ms;
        self.0
            .write(|file| file.execute("DELETE FROM conversation WHERE deleted_at <= ?1", [before]))?;
        // The write-ahead log still has the content that was overwritten in the file, also that of an earlier purge.
        self.0.checkpoint()
    }

    /// Copies the write-ahead log into the file, and truncates the log.
    ///
    /// # Errors
    /// As [`Self::purge`].
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.0.checkpoint()
    }

    /// Saves the content of an answer so far.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub fn save(&self, answer: u64, draft: &AnswerDraft) -> Result<()> {
        let columns = Columns::encode(draft)?;
        self.0.try_write_relaxed(|file| Ok(columns.write(file, key(answer)?)?))
    }

    /// Saves the whole content of an answer, its final state and its outcome.
    ///
    /// # Errors
    /// `InvalidRequest` if its conversation was erased meanwhile, perhaps by another process; `Storage`, `Busy`.
    pub(crate) fn finish_answer(
        &self,
        answer: u64,
        draft: &AnswerDraft,
        state: &MessageState,
        outcome: Option<&AnswerOutcome>,
    ) -> Result<()> {
        let columns = Columns::encode(draft)?;
        let (state, outcome) = (json(state)?, outcome.map(json).transpose()?);
        let preview = excerpt(&draft.text, MAX_PREVIEW_CHARS);
        self.0.try_write(|file| {
            let answer = key(answer)?;
            columns.write(file, answer)?;
            let saved = file.execute(
                "UPDATE message SET state = ?2, told = coalesce(?3, told) WHERE id = ?1",
                params![answer, state, outcome],
            )?;
            if saved == 0 {
                return Err(erased().into());
            }
            file.execute(
                "UPDATE conversation SET updated_at = ?2,
                        preview = CASE WHEN ?3 = '' THEN preview ELSE ?3 END
                 WHERE id = (SELECT conversation FROM message WHERE id = ?1)",
                params![answer, self.now_ms(), preview],
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

/// An answer's content as column values.
struct Columns<'a> {
    draft: &'a AnswerDraft,
    parts: String,
    citations: String,
}

impl<'a> Columns<'a> {
    fn encode(draft: &'a AnswerDraft) -> Result<Self> {
        Ok(Self {
            draft,
            parts: json(&draft.parts)?,
            citations: json(&draft.citations)?,
        })
    }

    fn write(&self, file: &Transaction<'_>, answer: i64) -> rusqlite::Result<()> {
        let AnswerDraft {
            text,
            reasoning,
            reasoning_ms,
            omitted_messages,
            ..
        } = self.draft;
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

/// Returns the summary of a conversation.
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
        // A newer library may have written unknown settings; the conversation stays readable without them.
        settings: serde_json::from_str(&settings).unwrap_or_default(),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal(format!("a message has no JSON: {cause}")))
}

/// Converts an id to the key of a row. Fails for an id above SQLite's maximum, which no row has.
fn key(id: u64) -> Result<i64> {
    i64::try_from(id).map_err(|_| unknown(id))
}

/// Returns the error of an answer whose conversation was erased before its end.
fn erased() -> Error {
    Error::invalid_request(
        "the conversation was erased while its answer was on its way, so the answer is not stored; start a new one",
    )
    .because(ErrorReason::NotFound)
}

fn unknown(id: u64) -> Error {
    Error::invalid_request(format!(
        "there is no conversation or message `{id}`; list the conversations again"
    ))
    .because(ErrorReason::NotFound)
}

/// Ids of archives in memory: above those of any file, and exact as a number of JSON.
static TEMPORARY_ARCHIVES: AtomicI64 = AtomicI64::new(0);
const FIRST_TEMPORARY_ID: i64 = 1 << 48;
const TEMPORARY_IDS: i64 = 1 << 24;

const MAX_TITLE_CHARS: usize = 200;
const MAX_PREVIEW_CHARS: usize = 140;

const COLUMNS: &str = "id, coalesce(title, opening), pinned, created_at, updated_at, messages, preview, settings";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_file_of_conversations_has_an_identity_of_its_own() {
        let identity = |_| {
            let folder = tempfile::tempdir().expect("a folder");
            let archive = Archive::open_in(folder.path()).expect("it opens");
            let first = archive.identity().expect("no error").expect("it can be written");
            assert_eq!(archive.identity(), Ok(Some(first)));
            first
        };
        let seen: HashSet<_> = (0..16).map(identity).collect();
        assert_eq!(seen.len(), 16, "{seen:?}");
    }
}
