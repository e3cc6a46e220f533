//! A SQLite file shared by several threads and processes: opening, migration, transactions, error mapping.
//!
//! Each call is one transaction: a kill at any moment leaves the state before or after it. A newer library's file is
//! left unchanged; an older one is migrated by the steps of its [`Schema`]. This module does not depend on the content.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

/// Name, content and migrations of a file.
#[derive(Debug)]
pub(super) struct Schema {
    /// File name in the library's directory.
    pub(super) file: &'static str,
    /// The content, for the error of a damaged file.
    pub(super) holds: &'static str,
    /// SQL that migrates version n to n + 1. Steps are only ever added.
    pub(super) steps: &'static [&'static str],
}

/// An open file.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    schema: &'static Schema,
    /// Reads have their own connection, so that they never wait for a write to reach the disk.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    /// Connection with `synchronous = NORMAL`: a commit survives a kill of the process, not a power loss.
    relaxed_writer: Mutex<Connection>,
}

impl Schema {
    /// Returns the version after all steps.
    fn version(&self) -> i64 {
        self.steps.len() as i64
    }
}

impl Database {
    /// Opens the schema's file in `directory`; creates both if they are missing, and migrates an older file.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be opened, is damaged, or was written by a newer version of the library:
    /// it is left unchanged. [`Error::Busy`] if another process writes to it for longer than five seconds.
    pub(super) fn open_or_create(directory: &Path, schema: &'static Schema) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|e| Error::file(directory, "create", &e))?;
        let path = directory.join(schema.file);
        let mut writer = connect(&path, schema)?;
        let version = migrate(&mut writer, schema).map_err(|e| map_sqlite_error(&path, schema, &e))?;
        let supported = schema.version();
        if version > supported {
            return Err(Error::storage(format!(
                "`{}` was written by a newer version of this library (its format is {version}, this one supports \
                 {supported}); update the app",
                path.display(),
            )));
        }
        let (reader, relaxed_writer) = (connect(&path, schema)?, connect(&path, schema)?);
        let relaxed = relaxed_writer.execute_batch("PRAGMA synchronous = NORMAL;");
        relaxed.map_err(|e| map_sqlite_error(&path, schema, &e))?;
        Ok(Self {
            path,
            schema,
            reader: Mutex::new(reader),
            writer: Mutex::new(writer),
            relaxed_writer: Mutex::new(relaxed_writer),
        })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a read transaction: a consistent snapshot.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.transact(&self.reader, TransactionBehavior::Deferred, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Runs a read transaction like [`Self::read`], for work that may return an [`Error`].
    pub(super) fn try_read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.transact(&self.reader, TransactionBehavior::Deferred, work)
    }

    /// Runs a write transaction: rolled back on an error, durable on return.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.transact(&self.writer, TransactionBehavior::Immediate, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Runs a write transaction like [`Self::write`], for work that may return an [`Error`].
    pub(super) fn try_write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.transact(&self.writer, TransactionBehavior::Immediate, work)
    }

    /// Copies the write-ahead log into the file, and truncates the log.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let result = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        result.map_err(|e| map_sqlite_error(&self.path, self.schema, &e))
    }

    /// Runs a write transaction like [`Self::try_write`] but without an fsync, for reservations: survives a kill of the
    /// process at once, and a power loss from the next [`Self::write`] on. (A power loss ends the answer, too.) `BEGIN
    /// IMMEDIATE` excludes other writers before its first read.
    pub(super) fn try_write_relaxed<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.transact(&self.relaxed_writer, TransactionBehavior::Immediate, work)
    }

    fn transact<T>(
        &self,
        connection: &Mutex<Connection>,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>,
    ) -> Result<T> {
        // A panic rolled its transaction back, so the connection is in a valid state.
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| match error {
            TxError::Rejected(error) => error,
            TxError::Sql(cause) => map_sqlite_error(&self.path, self.schema, &cause),
        })
    }
}

fn connect(path: &Path, schema: &Schema) -> Result<Connection> {
    // Not rusqlite's default flags: they would read a path that begins with `file:` as an address.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|e| map_sqlite_error(path, schema, &e))?;
    set_up(&mut connection).map_err(|e| map_sqlite_error(path, schema, &e))?;
    Ok(connection)
}

/// Why a transaction failed.
#[derive(Debug)]
pub(crate) enum TxError {
    /// SQLite failed.
    Sql(rusqlite::Error),
    /// The work returned an error.
    Rejected(Error),
}

impl From<rusqlite::Error> for TxError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Sql(cause)
    }
}

impl From<Error> for TxError {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}

fn set_up(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    enable_wal(connection)?;
    // With FULL a commit is on disk before it returns; `fullfsync` does on Apple systems what fsync does elsewhere.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON; \
         PRAGMA secure_delete = ON;",
    )
}

/// Enables WAL. Where the file system does not support it the journal mode stays unchanged: slower, but as safe.
fn enable_wal(connection: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            // SQLite does not wait here while another process makes this change for the first time.
            Err(cause) if is_busy(&cause) && started.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map(|_| ()),
        }
    }
}

/// Applies the missing steps, and returns the version of the file.
fn migrate(connection: &mut Connection, schema: &Schema) -> rusqlite::Result<i64> {
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let at: i64 = version(connection)?;
    if at >= schema.version() {
        return Ok(at);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated the file meanwhile.
    let at: i64 = version(&transaction)?;
    for (step, to) in schema.steps.iter().zip(1..) {
        if to > at {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", to)?;
        }
    }
    transaction.commit()?;
    Ok(at.max(schema.version()))
}

fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Maps a SQLite error to an [`Error`] with a remedy.
fn map_sqlite_error(path: &Path, schema: &Schema, cause: &rusqlite::Error) -> Error {
    let path = path.display();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::storage(format!(
            "`{path}` is damaged and was left unchanged; restore a copy of it, or move it away to start without \
             {} in it",
            schema.holds
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::busy(format!(
            "another process has been writing to `{path}` for seconds; try again"
        )),
        Some(ErrorCode::DiskFull) => Error::storage(format!(
            "could not write `{path}`: the disk is full; free some space and try again"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::storage(format!(
            "could not open `{path}` for writing: {cause}; check the permissions of the file and its folder"
        )),
        _ => Error::storage(format!("could not use `{path}`: {cause}")),
    }
}

/// SQLite busy timeout.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
