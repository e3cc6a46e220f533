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
//! Several threads and several processes may have it open at once; each call is one transaction, and what a call wrote
//! is on the disk when the call returns, a reservation excepted. A kill at any moment leaves the state before a call or
//! after it. Calls block for the time of a small write, and up to five seconds while another process writes. This module knows the plain types
//! that it keeps and decides nothing.

mod measured;
mod providers;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

/// The open file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    /// Reads never wait for a write to reach the disk: they have a connection of their own.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    /// For what must outlive this process and not the machine's power: its commits do not wait for the disk.
    promiser: Mutex<Connection>,
}

impl State {
    /// Opens `state.db` in `directory`; makes both if they are missing, and brings an older file up to date.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be opened, is damaged, or was written by a newer version of the library: it
    /// is left as it is. [`Error::Busy`] if another process writes to it for longer than five seconds.
    pub fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|e| Error::file(directory, "create", &e))?;
        let path = directory.join(FILE);
        let mut writer = connect(&path)?;
        let version = migrate(&mut writer).map_err(|e| told(&path, &e))?;
        if version > VERSION {
            return Err(Error::storage(format!(
                "`{}` was written by a newer version of this library (its format is {version}, this one knows {}); \
                 update the app",
                path.display(),
                VERSION
            )));
        }
        let (reader, promiser) = (connect(&path)?, connect(&path)?);
        let relaxed = promiser.execute_batch("PRAGMA synchronous = NORMAL;");
        relaxed.map_err(|e| told(&path, &e))?;
        Ok(Self {
            path,
            reader: Mutex::new(reader),
            writer: Mutex::new(writer),
            promiser: Mutex::new(promiser),
        })
    }

    /// Reads, seeing one moment of the file.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.run(&self.reader, TransactionBehavior::Deferred, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Writes all of it or, on an error, nothing. It is on the disk on return.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.run(&self.writer, TransactionBehavior::Immediate, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Writes what an answer under way may take, or refuses. Nobody else writes between what it reads and what it writes.
    /// It survives a kill of the process at once, and a loss of power from the next [`State::write`] on: with the power
    /// the answer is lost, too.
    pub(crate) fn decide<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>) -> Result<T> {
        self.run(&self.promiser, TransactionBehavior::Immediate, work)
    }

    /// The day of a moment in UTC, as `2026-11-22`. The file's own calendar, so that the ledger's days are the same.
    ///
    /// # Errors
    /// Those of the file.
    pub fn day(&self, moment: SystemTime) -> Result<String> {
        let moment = seconds(moment);
        self.read(|file| file.query_row("SELECT date(?1, 'unixepoch')", [moment], |row| row.get(0)))
    }

    fn run<T>(
        &self,
        connection: &Mutex<Connection>,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
    ) -> Result<T> {
        // A panic in the middle rolled its transaction back: what it left is sound.
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|refusal| match refusal {
            Refusal::Told(error) => error,
            Refusal::Sql(cause) => told(&self.path, &cause),
        })
    }
}

fn connect(path: &Path) -> Result<Connection> {
    // Not rusqlite's default flags: they would read a path that begins with `file:` as an address.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|e| told(path, &e))?;
    set_up(&mut connection).map_err(|e| told(path, &e))?;
    Ok(connection)
}

/// Why work on the file came to nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The file would not.
    Sql(rusqlite::Error),
    /// The work itself would not.
    Told(Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Sql(cause)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// Seconds since 1970, as the file keeps moments.
pub(crate) fn seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The moment that [`seconds`] wrote.
fn moment(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    write_ahead(connection)?;
    // With FULL a commit is on the disk before it returns; `fullfsync` says on Apple's systems what fsync says elsewhere.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON;")
}

/// Readers and a writer at once. Where the file system cannot do that, the file stays as it is: slower, and as safe.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            // SQLite does not wait here while another process makes the same change for the first time.
            Err(cause) if is_busy(&cause) && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map(|_| ()),
        }
    }
}

/// Applies what is missing, and says which version the file has now.
fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let at: i64 = version(connection)?;
    if at >= VERSION {
        return Ok(at);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let at: i64 = version(&transaction)?;
    for (step, to) in MIGRATIONS.iter().zip(1..) {
        if to > at {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", to)?;
        }
    }
    transaction.commit()?;
    Ok(at.max(VERSION))
}

fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// The error that SQLite's error is for whoever called.
fn told(path: &Path, cause: &rusqlite::Error) -> Error {
    let path = path.display();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::storage(format!(
            "`{path}` is damaged and was left as it is; put a copy in its place, or move it away to begin anew without \
             the providers, the policy and the spending that it holds"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::busy(format!(
            "another process has been writing to `{path}` for seconds; try again"
        )),
        Some(ErrorCode::DiskFull) => Error::storage(format!(
            "could not write `{path}`: the disk is full; free some space and try again"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::storage(format!(
            "could not open `{path}` for writing: {cause}; check the rights of the file and its folder"
        )),
        _ => Error::storage(format!("could not use `{path}`: {cause}")),
    }
}

const FILE: &str = "state.db";

/// How long a call waits for another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// The version that [`MIGRATIONS`] lead to.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// What makes version n + 1 out of version n. Steps are only ever added.
const MIGRATIONS: [&str; 1] = ["
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
"];
