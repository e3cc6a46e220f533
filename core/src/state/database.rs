//! A SQLite file shared by several threads and processes: opening, migration, transactions, error mapping.
//!
//! Each call is one transaction: a kill at any moment leaves the state before or after it. A newer library's file is
//! left alone; an older one is migrated by the steps of its [`Schema`]. Nothing here knows what the file contains.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Result};

/// What a file holds.
#[derive(Debug)]
pub(super) struct Schema {
    /// Its name in the library's directory.
    pub(super) file: &'static str,
    /// What a person loses who begins it anew.
    pub(super) holds: &'static str,
    /// What makes version n + 1 out of version n. Steps are only ever added.
    pub(super) steps: &'static [&'static str],
}

/// The open file.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    schema: &'static Schema,
    /// Reads never wait for a write to reach the disk: they have a connection of their own.
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
    /// Connection with `synchronous = NORMAL`: a commit survives a kill of the process, not a power loss.
    relaxed_writer: Mutex<Connection>,
}

impl Schema {
    /// The version that the steps lead to.
    fn version(&self) -> i64 {
        self.steps.len() as i64
    }
}

impl Database {
    /// Opens the schema's file in `directory`; makes both if they are missing, and brings an older file up to date.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be opened, is damaged, or was written by a newer version of the library: it
    /// is left as it is. [`Error::Busy`] if another process writes to it for longer than five seconds.
    pub(super) fn open(directory: &Path, schema: &'static Schema) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|e| Error::file(directory, "create", &e))?;
        let path = directory.join(schema.file);
        let mut writer = connect(&path, schema)?;
        let version = migrate(&mut writer, schema).map_err(|e| map_sqlite_error(&path, schema, &e))?;
        let known = schema.version();
        if version > known {
            return Err(Error::storage(format!(
                "`{}` was written by a newer version of this library (its format is {version}, this one knows \
                 {known}); update the app",
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

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a read transaction: a consistent snapshot.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.transact(&self.reader, TransactionBehavior::Deferred, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Like [`Self::read`], for work that may return an [`Error`].
    pub(super) fn try_read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.transact(&self.reader, TransactionBehavior::Deferred, work)
    }

    /// Runs a write transaction: rolled back on an error, durable on return.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.transact(&self.writer, TransactionBehavior::Immediate, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Like [`Self::write`], for work that may return an [`Error`].
    pub(super) fn try_write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.transact(&self.writer, TransactionBehavior::Immediate, work)
    }

    /// Brings everything from the log beside the file into the file, and empties the log.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        done.map_err(|e| map_sqlite_error(&self.path, self.schema, &e))
    }

    /// Like [`Self::try_write`] but without an fsync, for reservations: survives a kill of the process at once, and a
    /// power loss from the next [`Self::write`] on. (A power loss ends the answer as well.) `BEGIN IMMEDIATE` excludes
    /// other writers from its reads on.
    pub(super) fn try_write_relaxed<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.transact(&self.relaxed_writer, TransactionBehavior::Immediate, work)
    }

    fn transact<T>(
        &self,
        connection: &Mutex<Connection>,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>,
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
    // With FULL a commit is on the disk before it returns; `fullfsync` says on Apple's systems what fsync says elsewhere.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON; \
         PRAGMA secure_delete = ON;",
    )
}

/// Enables WAL. Where the file system does not support it the journal mode stays unchanged: slower, but as safe.
fn enable_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            // SQLite does not wait here while another process makes the same change for the first time.
            Err(cause) if is_busy(&cause) && begun.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map(|_| ()),
        }
    }
}

/// Applies what is missing, and says which version the file has now.
fn migrate(connection: &mut Connection, schema: &Schema) -> rusqlite::Result<i64> {
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let at: i64 = version(connection)?;
    if at >= schema.version() {
        return Ok(at);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
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

/// Maps a SQLite error.
fn map_sqlite_error(path: &Path, schema: &Schema, cause: &rusqlite::Error) -> Error {
    let path = path.display();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::storage(format!(
            "`{path}` is damaged and was left as it is; put a copy in its place, or move it away to begin anew without \
             {} that it holds",
            schema.holds
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

/// SQLite busy timeout.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
