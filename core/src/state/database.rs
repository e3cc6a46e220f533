//! A SQLite file shared by several threads and processes: opening, migration, transactions, error mapping.
//!
//! Each call is one transaction: a kill at any moment leaves the state before or after it. A newer library's file is
//! left unchanged; an older one is migrated by the steps of its [`Schema`]. In a directory that cannot be written the
//! file is read, and every write is an error. On Unix the file, its log, and a directory that is created for it are their
//! owner's alone. This module does not depend on the content.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use url::Url;

use crate::error::{Error, ErrorReason, Result};
use crate::private_files::{create_private, create_private_directory};

/// Name, content and migrations of a file.
#[derive(Debug)]
pub(super) struct Schema {
    /// File name in the library's directory.
    pub(super) file: &'static str,
    /// The content, for the error of a damaged file.
    pub(super) holds: &'static str,
    /// Defines the SQL functions that steps and triggers call, for a connection.
    pub(super) define_functions: fn(&Connection) -> rusqlite::Result<()>,
    /// SQL that migrates version n to n + 1. Steps are only ever added.
    pub(super) steps: &'static [&'static str],
}

/// An open file.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    schema: &'static Schema,
    /// Whether the directory cannot be written: every write is an error.
    read_only: bool,
    /// Whether the content ends with this object.
    in_memory: bool,
    /// Reads have their own connection, so that they never wait for a write to reach the disk.
    reader: Arc<Mutex<Connection>>,
    writer: Arc<Mutex<Connection>>,
    /// Connection with `synchronous = NORMAL`: a commit survives a kill of the process, not a power loss.
    relaxed_writer: Arc<Mutex<Connection>>,
    /// Number of transactions so far, for tests of what a call costs.
    transactions: AtomicU64,
}

impl Schema {
    /// Returns the version after all steps.
    fn version(&self) -> i64 {
        self.steps.len() as i64
    }
}

impl Database {
    /// Opens the schema's file in `directory`; creates both if they are missing, and migrates an older file. Opens it for
    /// reading only where the directory cannot be written.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be opened, is damaged, or was written by a newer version of the library:
    /// it is left unchanged. [`Error::Busy`] if another process writes to it for longer than five seconds.
    pub(super) fn open_or_create(directory: &Path, schema: &'static Schema) -> Result<Self> {
        let opened = Self::open_writable(directory, schema);
        match &opened {
            Err(error) if error.reason() == ErrorReason::AccessDenied && is_read_only(directory) => {
                Self::open_read_only(directory, schema).or(opened)
            }
            _ => opened,
        }
    }

    /// Creates a database in memory: its content ends with it.
    pub(super) fn in_memory(schema: &'static Schema) -> Result<Self> {
        let path = PathBuf::from(schema.file);
        let memory = memory(&path, schema)?;
        Ok(Self {
            in_memory: true,
            ..Self::sharing(memory, path, schema, false)
        })
    }

    fn open_writable(directory: &Path, schema: &'static Schema) -> Result<Self> {
        create_private_directory(directory).map_err(|e| Error::file(directory, "create", &e))?;
        let path = directory.join(schema.file);
        create_private(&path).map_err(|e| Error::file(&path, "create", &e))?;
        let mut writer = connect(&path, schema)?;
        let version = migrate(&mut writer, schema).map_err(|e| map_sqlite_error(&path, schema, &e))?;
        check_version(&path, schema, version)?;
        let (reader, relaxed_writer) = (connect(&path, schema)?, connect(&path, schema)?);
        let relaxed = relaxed_writer.execute_batch("PRAGMA synchronous = NORMAL;");
        relaxed.map_err(|e| map_sqlite_error(&path, schema, &e))?;
        let share = |connection| Arc::new(Mutex::new(connection));
        Ok(Self {
            path,
            schema,
            read_only: false,
            in_memory: false,
            reader: share(reader),
            writer: share(writer),
            relaxed_writer: share(relaxed_writer),
            transactions: AtomicU64::default(),
        })
    }

    /// Opens the file without writing to it. A missing file reads as an empty one, and so does another user's that
    /// this one may not read; an older one is migrated in memory.
    fn open_read_only(directory: &Path, schema: &'static Schema) -> Result<Self> {
        let path = directory.join(schema.file);
        let failed = |e: rusqlite::Error| map_sqlite_error(&path, schema, &e);
        if !path.exists() {
            return Ok(Self::sharing(memory(&path, schema)?, path, schema, true));
        }
        // Without a write-ahead log's index, which cannot be created here, SQLite reads the file only if it is told that
        // nothing changes it.
        let connection = connect_read_only(&path, false).or_else(|_| {
            tracing::debug!("a database is read without its write-ahead log");
            connect_read_only(&path, true)
        });
        let connection = match connection {
            Err(_) if is_hidden(&path) => {
                tracing::warn!(
                    holds = schema.holds,
                    "another user's data cannot be read; the library starts without it"
                );
                return Ok(Self::sharing(memory(&path, schema)?, path, schema, true));
            }
            connection => connection.map_err(failed)?,
        };
        let version = user_version(&connection).map_err(failed)?;
        check_version(&path, schema, version)?;
        if version == schema.version() {
            return Ok(Self::sharing(connection, path, schema, true));
        }
        let mut copy = Connection::open_in_memory().map_err(failed)?;
        let copied = Backup::new(&connection, &mut copy).and_then(|backup| backup.step(-1));
        copied.map_err(failed)?;
        (schema.define_functions)(&copy).map_err(failed)?;
        migrate(&mut copy, schema).map_err(failed)?;
        Ok(Self::sharing(copy, path, schema, true))
    }

    /// Uses one connection for everything.
    fn sharing(connection: Connection, path: PathBuf, schema: &'static Schema, read_only: bool) -> Self {
        let shared = Arc::new(Mutex::new(connection));
        Self {
            path,
            schema,
            read_only,
            in_memory: false,
            reader: Arc::clone(&shared),
            writer: Arc::clone(&shared),
            relaxed_writer: shared,
            transactions: AtomicU64::default(),
        }
    }

    /// Returns whether the directory cannot be written, so that every write is an error.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns whether the content ends with this object.
    pub(super) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Returns the number of transactions so far.
    #[cfg(feature = "testing")]
    pub(super) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
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
        self.check_writable()?;
        self.transact(&self.writer, TransactionBehavior::Immediate, |transaction| {
            Ok(work(transaction)?)
        })
    }

    /// Runs a write transaction like [`Self::write`], for work that may return an [`Error`].
    pub(super) fn try_write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.check_writable()?;
        self.transact(&self.writer, TransactionBehavior::Immediate, work)
    }

    /// Copies the write-ahead log into the file, and truncates the log: no byte that was overwritten or deleted is left.
    ///
    /// # Errors
    /// [`Error::Busy`] if another reader or writer kept the log in use, about a second long.
    pub(super) fn checkpoint(&self) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        for attempt in 0..CHECKPOINT_ATTEMPTS {
            if attempt > 0 {
                // Not under the lock: a writer of this process may be the next.
                std::thread::sleep(CHECKPOINT_TIMEOUT);
            }
            let truncated = self.try_checkpoint();
            match truncated {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(cause) if is_busy(&cause) => {}
                Err(cause) => return Err(map_sqlite_error(&self.path, self.schema, &cause)),
            }
        }
        Err(Error::busy(format!(
            "the log of `{}` still has what was erased, because another process is reading it; try again when that is done",
            self.path.display()
        )))
    }

    /// Returns whether the log was truncated. Waits for others for a short time only, because writers wait meanwhile.
    fn try_checkpoint(&self) -> rusqlite::Result<bool> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.busy_timeout(CHECKPOINT_TIMEOUT)?;
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        writer.busy_timeout(BUSY_TIMEOUT)?;
        busy.map(|busy| busy == 0)
    }

    /// Runs a write transaction like [`Self::try_write`] but without an fsync, for reservations: survives a kill of the
    /// process at once, and a power loss from the next [`Self::write`] on. (A power loss ends the answer, too.) `BEGIN
    /// IMMEDIATE` excludes other writers before its first read.
    pub(super) fn try_write_relaxed<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>) -> Result<T> {
        self.check_writable()?;
        self.transact(&self.relaxed_writer, TransactionBehavior::Immediate, work)
    }

    fn check_writable(&self) -> Result<()> {
        match self.read_only {
            true => Err(Error::storage(format!(
                "`{}` can only be read, so nothing was stored; change the permissions of its directory, or use another \
                 one",
                self.path.display()
            ))
            .because(ErrorReason::AccessDenied)),
            false => Ok(()),
        }
    }

    fn transact<T>(
        &self,
        connection: &Mutex<Connection>,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, TxError>,
    ) -> Result<T> {
        self.transactions.fetch_add(1, Ordering::Relaxed);
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
    let set_up = set_up(&mut connection).and_then(|()| (schema.define_functions)(&connection));
    set_up.map_err(|e| map_sqlite_error(path, schema, &e))?;
    Ok(connection)
}

/// Connects without writing; `immutable` promises that nothing changes the file meanwhile.
fn connect_read_only(path: &Path, immutable: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let address = std::path::absolute(path)
        .ok()
        .and_then(|path| Url::from_file_path(path).ok());
    let connection = match address.filter(|_| immutable) {
        Some(mut address) => {
            address.set_query(Some("immutable=1"));
            Connection::open_with_flags(address.as_str(), flags | OpenFlags::SQLITE_OPEN_URI)?
        }
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The first read shows whether it can be read at all.
    user_version(&connection)?;
    Ok(connection)
}

/// Returns whether this user may not read the file.
fn is_hidden(path: &Path) -> bool {
    File::open(path).is_err_and(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Creates an empty database in memory.
fn memory(path: &Path, schema: &Schema) -> Result<Connection> {
    let create = || {
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;")?;
        (schema.define_functions)(&connection)?;
        migrate(&mut connection, schema)?;
        Ok(connection)
    };
    create().map_err(|e| map_sqlite_error(path, schema, &e))
}

/// Returns whether files cannot be created in this directory, though it exists.
fn is_read_only(directory: &Path) -> bool {
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    match std::fs::OpenOptions::new().append(true).create(true).open(&probe) {
        Ok(file) => {
            drop(file);
            let _ = std::fs::remove_file(&probe);
            false
        }
        Err(cause) => {
            use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
            directory.is_dir() && matches!(cause.kind(), PermissionDenied | ReadOnlyFilesystem)
        }
    }
}

fn check_version(path: &Path, schema: &Schema, version: i64) -> Result<()> {
    let supported = schema.version();
    if version <= supported {
        return Ok(());
    }
    Err(Error::storage(format!(
        "`{}` was written by a newer version of this library (its format is {version}, this one supports {supported}); \
         update the app",
        path.display(),
    ))
    .because(ErrorReason::NewerVersion))
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
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
    let at = user_version(connection)?;
    if at >= schema.version() {
        return Ok(at);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated the file meanwhile.
    let at = user_version(&transaction)?;
    for (step, to) in schema.steps.iter().zip(1..) {
        if to > at {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", to)?;
        }
    }
    transaction.commit()?;
    Ok(at.max(schema.version()))
}

pub(super) fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Maps a SQLite error to an [`Error`] with a remedy.
pub(super) fn map_sqlite_error(path: &Path, schema: &Schema, cause: &rusqlite::Error) -> Error {
    let is_full = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs4::available_space(folder).is_ok_and(|free| free < MIN_FREE_BYTES)
    };
    let path = path.display();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error::storage(format!(
            "`{path}` is damaged and was left unchanged; restore a copy of it, or move it away to start without \
             {} in it",
            schema.holds
        ))
        .because(ErrorReason::Damaged),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::busy(format!(
            "another process has been writing to `{path}` for seconds; try again"
        )),
        // SQLite tells a full disk as any other failure where it does not write but makes a file larger.
        Some(code) if code == ErrorCode::DiskFull || (code == ErrorCode::SystemIoFailure && is_full()) => {
            Error::storage(format!(
                "could not write `{path}`: the disk is full; free some space and try again"
            ))
            .because(ErrorReason::DiskFull)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::storage(format!(
            "could not open `{path}` for writing: {cause}; check the permissions of the file and its directory"
        ))
        .because(ErrorReason::AccessDenied),
        _ => Error::storage(format!("could not use `{path}`: {cause}")),
    }
}

/// With less space than SQLite's smallest step, the disk is full.
const MIN_FREE_BYTES: u64 = 64 << 10;
/// SQLite busy timeout.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of a checkpoint, and the wait of and between them.
const CHECKPOINT_ATTEMPTS: u32 = 6;
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(100);
