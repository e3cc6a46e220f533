//! What the library remembers between runs: one SQLite file, `state.db`, in its directory.
//!
//! ```text
//! provider     how each provider was set up; never a credential
//! model_list   what a provider said it offers, and when; goes with the provider
//! speed        rates that were seen, by target; a provider's go with it
//! need         the memory that a local model was found to need
//! setting      single values, such as the policy
//! ledger       every answer that may have cost something; stays when its provider goes
//! ```
//!
//! Conversations are in a file of their own, [`Archive`]: what people wrote can be left out of a backup, moved or
//! deleted without touching what they set up and spent, and a long search holds up no reservation.
//!
//! Each call is one transaction, and what a call wrote is on the disk when the call returns, a reservation excepted.
//! Calls block for the time of a small write, and up to five seconds while another process writes. This module knows the
//! plain types that it keeps and decides nothing.

mod archive;
mod database;
mod ledger;
mod measured;
mod providers;
mod settings;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Transaction;

pub(crate) use archive::AnswerOutcome;
pub use archive::{AnswerDraft, Archive, PendingAnswer, Turn};
pub(crate) use database::TxError;
use database::{Database, Schema};
pub use ledger::{Caps, EntryId, Ledger, Left, Reservation, SpendingGroup, SpendingRow};

use crate::error::Result;

/// The open file.
#[derive(Debug)]
pub struct State(Database);

impl State {
    /// Opens `state.db` in `directory`; makes both if they are missing, and brings an older file up to date.
    ///
    /// # Errors
    /// `Storage` if the file cannot be opened, is damaged, or was written by a newer version of the library: it is left
    /// as it is. `Busy` if another process writes to it for longer than five seconds.
    pub fn open(directory: &Path) -> Result<Self> {
        Database::open(directory, &SCHEMA).map(Self)
    }

    /// Runs a read transaction: a consistent snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.read(work)
    }

    /// Runs a write transaction: rolled back on an error, durable on return.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.write(work)
    }

    /// Write transaction without an fsync, for reservations: survives a kill of the process at once, and a power loss
    /// from the next [`State::write`] on. (A power loss ends the answer as well.)
    pub(crate) fn try_write_relaxed<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.0.try_write_relaxed(work)
    }

    /// The day of a moment in UTC, as `2026-11-22`. The file's own calendar, so that the ledger's days are the same.
    ///
    /// # Errors
    /// Those of the file.
    pub fn day(&self, moment: SystemTime) -> Result<String> {
        let moment = seconds(moment);
        self.read(|file| file.query_row("SELECT date(?1, 'unixepoch')", [moment], |row| row.get(0)))
    }
}

/// Seconds since 1970, as the file keeps moments.
pub(crate) fn seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Inverse of [`seconds`].
fn from_unix_seconds(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

static SCHEMA: Schema = Schema {
    file: "state.db",
    holds: "the providers, the policy and the spending",
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
    -- AUTOINCREMENT: the number of an entry that was released is never given to another.
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
