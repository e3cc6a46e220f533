//! Persistent state of the library: one SQLite file, `state.db`, in its data directory.
//!
//! ```text
//! provider     settings of each provider; never a credential
//! model_list   a provider's models, and the time of the fetch; deleted with the provider
//! speed        measured rates by target; a provider's are deleted with it
//! need         measured memory of local models
//! setting      single values, such as the policy
//! ledger       every answer that may have cost something; kept when its provider is deleted
//! ```
//!
//! Conversations have their own file, [`Archive`]: they can be excluded from a backup, moved or deleted without the
//! settings and the costs, and a long search delays no reservation. `relocation` decides which directory holds which file.
//!
//! Model lists, speeds and needs could be fetched or measured again. They are here all the same: a list and its speeds are
//! deleted with their provider in one transaction, they are small, and after a move to another phone the averages adapt.
//!
//! In a directory that cannot be written all of it can be read; writes are errors, except those of lists and measurements,
//! which are dropped.
//!
//! Each call is one transaction, and its writes are on the disk when it returns, except a reservation. Calls block for
//! the time of a small write, and up to five seconds while another process writes. This module stores plain types and
//! has no logic of its own.

mod archive;
mod database;
mod ledger;
mod measured;
mod providers;
mod relocation;
mod settings;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Transaction;

pub(crate) use archive::AnswerOutcome;
pub use archive::{AnswerDraft, Archive, PendingAnswer, Turn};
pub(crate) use database::TxError;
use database::{Database, Schema};
pub use ledger::{Caps, EntryId, Ledger, Left, Reservation, SpendingGroup, SpendingRow};

#[doc(hidden)]
pub use relocation::move_data_with;
pub use relocation::{MoveStep, move_data};

use crate::error::Result;

/// The open `state.db`.
#[derive(Debug)]
pub struct State(Database);

impl State {
    /// Opens `state.db` in `directory`; creates both if they are missing, and migrates an older file. Opens it for reading
    /// only where the directory cannot be written.
    ///
    /// # Errors
    /// `Storage` if the file cannot be opened, is damaged, or was written by a newer version of the library: it is left
    /// unchanged. `Busy` if another process writes to it for longer than five seconds.
    pub fn open_in(directory: &Path) -> Result<Self> {
        Database::open_or_create(directory, &SCHEMA).map(Self)
    }

    /// Creates a state in memory: it ends with this object.
    ///
    /// # Errors
    /// `Storage`.
    pub(crate) fn in_memory() -> Result<Self> {
        Database::in_memory(&SCHEMA).map(Self)
    }

    /// Runs a read transaction: a consistent snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.read(work)
    }

    /// Runs a write transaction: rolled back on an error, durable on return.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.write(work)
    }

    /// Runs a write transaction like [`State::write`] for content that can be fetched or measured again: does nothing in a
    /// directory that cannot be written.
    pub(crate) fn write_cache(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
        match self.0.is_read_only() {
            true => Ok(()),
            false => self.0.write(work),
        }
    }

    /// Returns the number of transactions so far, for tests of what a call costs.
    #[cfg(feature = "testing")]
    pub fn transactions(&self) -> u64 {
        self.0.transactions()
    }

    /// Returns whether the directory cannot be written, so that nothing is recorded.
    pub fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    /// Runs a write transaction without an fsync, for reservations: survives a kill of the process at once, and a power
    /// loss from the next [`State::write`] on. (A power loss ends the answer as well.)
    pub(crate) fn try_write_relaxed<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.0.try_write_relaxed(work)
    }

    /// Returns the day of a moment in UTC, as `2026-11-22`, computed by SQLite as the ledger's days are.
    ///
    /// # Errors
    /// Those of the file.
    pub fn day(&self, moment: SystemTime) -> Result<String> {
        let moment = seconds(moment);
        self.read(|file| file.query_row("SELECT date(?1, 'unixepoch')", [moment], |row| row.get(0)))
    }
}

/// Converts a moment to seconds since 1970, as the file stores it.
pub(crate) fn seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Converts seconds since 1970 to a moment.
fn from_unix_seconds(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

static SCHEMA: Schema = Schema {
    file: "state.db",
    holds: "the providers, the policy and the spending",
    define_functions: |_| Ok(()),
    steps: &["
    CREATE TABLE provider (
        name TEXT PRIMARY KEY,
        settings TEXT NOT NULL
    ) STRICT;
    CREATE TABLE model_list (
        provider TEXT PRIMARY KEY REFERENCES provider (name) ON DELETE CASCADE,
        models TEXT NOT NULL,
        fetched_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE speed (
        target TEXT PRIMARY KEY,
        provider TEXT REFERENCES provider (name) ON DELETE CASCADE,
        prompt_tokens_per_second REAL,
        tokens_per_second REAL,
        first_token_ms REAL
    ) STRICT;
    CREATE INDEX speed_provider ON speed (provider);
    CREATE TABLE need (
        key TEXT PRIMARY KEY,
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE setting (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
    -- AUTOINCREMENT: the id of a released entry is never reused.
    CREATE TABLE ledger (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        provider TEXT,
        model TEXT NOT NULL,
        purpose TEXT NOT NULL,
        reserved INTEGER NOT NULL,
        charged INTEGER,
        source TEXT,
        prompt_tokens INTEGER NOT NULL DEFAULT 0,
        cached_tokens INTEGER NOT NULL DEFAULT 0,
        completion_tokens INTEGER NOT NULL DEFAULT 0,
        reasoning_tokens INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX ledger_at ON ledger (at);
"],
};
