//! Which of the app's two directories holds which file, and the move of an earlier release's files into the second.
//!
//! | directory | files | backed up |
//! |---|---|---|
//! | `directory` | models and partial downloads (`model::store`) | no: they can be fetched again |
//! | data directory | [`DATA_FILES`]: conversations; providers, policy, ledger, and the model lists and measurements that belong to them | yes |
//!
//! Earlier releases had one directory. The first open with a data directory moves the data files there, once and whole:
//!
//! ```text
//! data/moving      the move's id: the journal's files belong into this directory and no other
//! from/moving      the journal: the same id, and the files, which the data directory did not have. From here on it goes on
//! for each file    its log is copied into it, then one rename; on another file system copy, fsync, rename, remove
//! from/moved       the journal, renamed: the move is complete
//! ```
//!
//! A kill at any moment leaves each file whole in one of the two directories, or the same in both; the next open continues.
//! A lock lets processes that start at once take turns; a file that another process has open is not moved (`Busy`). A file
//! that the data directory already has is never replaced.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};

use super::database::{BUSY_TIMEOUT, Schema, is_busy, map_sqlite_error};
use super::{SCHEMA, archive};
use crate::error::{Error, ErrorReason, Result};
use crate::model::store::{Lock, sync_directory, unique_suffix, write_atomic};
use crate::private_files::{create_private_directory, new_private_file};

/// Files of the data directory. Everything else is in the first directory.
static DATA_FILES: [&Schema; 2] = [&SCHEMA, &archive::SCHEMA];

/// A step of the move that has just been completed. For tests, which kill the process after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveStep {
    /// The data directory has the id.
    Claimed,
    /// The journal is written.
    Journaled,
    /// A file's log was copied into it.
    Consolidated,
    /// A part of a file was copied to another file system.
    Copied,
    /// A file is complete in the data directory.
    Arrived,
    /// A file is gone from the first directory.
    Removed,
    /// The journal is closed.
    Finished,
}

/// Prepares the two directories: moves the data files of an earlier release from `from` to `to`. Does nothing if the two are
/// one.
///
/// # Errors
/// `Storage`; `Busy` while another process has such a file open; `InvalidRequest` if `to` is `from` and its files were moved
/// away before, or some of them: a move that was killed is completed only with its data directory.
pub fn move_data(from: &Path, to: &Path) -> Result<()> {
    move_data_with(from, to, false, &mut |_| {})
}

/// Moves the data files like [`move_data`], and reports each step; with `copy` as if `to` were on another file system.
///
/// # Errors
/// As [`move_data`].
#[doc(hidden)]
pub fn move_data_with(from: &Path, to: &Path, copy: bool, report: &mut dyn FnMut(MoveStep)) -> Result<()> {
    let (journal, moved) = (from.join(JOURNAL), from.join(MOVED));
    let present = |path: &Path| path.try_exists().map_err(|e| Error::file(path, "read", &e));
    if is_same(from, to) {
        let from = from.display();
        let text = match (present(&journal)?, present(&moved)?) {
            (true, _) => format!("a move of data from or to `{from}` is not finished; name both directories again"),
            (false, true) => format!("the data of `{from}` was moved to a data directory; name that directory again"),
            (false, false) => return Ok(()),
        };
        return Err(Error::invalid_request(text).because(ErrorReason::InvalidParameter));
    }
    let claim = to.join(JOURNAL);
    let mut waiting = present(&journal)? || present(&claim)?;
    for schema in DATA_FILES {
        waiting |= present(&from.join(schema.file))?;
    }
    if !waiting {
        return Ok(());
    }
    create_private_directory(to).map_err(|e| Error::file(to, "create", &e))?;
    let _lock = Lock::acquire(&from.join(LOCK));
    let Some(files) = resume_or_begin(&journal, &claim, from, to, report)? else {
        return Ok(());
    };
    for schema in files {
        move_file(schema, from, to, copy, report)?;
    }
    fs::rename(&journal, &moved).map_err(|e| Error::file(&moved, "create", &e))?;
    sync_directory(from)?;
    report(MoveStep::Finished);
    remove(&claim)
}

/// Returns the files to move into this data directory; `None` if there are none, or if they are on their way to another.
fn resume_or_begin(
    journal: &Path,
    claim: &Path,
    from: &Path,
    to: &Path,
    report: &mut dyn FnMut(MoveStep),
) -> Result<Option<Vec<&'static Schema>>> {
    if let Some(text) = read_text(journal)? {
        let mut lines = text.lines();
        if lines.next() != read_text(claim)?.as_deref() {
            tracing::warn!("an unfinished move of the data goes to another data directory");
            return Ok(None);
        }
        let listed: Vec<&str> = lines.collect();
        let files = DATA_FILES.into_iter().filter(|schema| listed.contains(&schema.file));
        return Ok(Some(files.collect()));
    }
    let movable = |schema: &&Schema| from.join(schema.file).exists() && !to.join(schema.file).exists();
    let files: Vec<&Schema> = DATA_FILES.into_iter().filter(movable).collect();
    if files.is_empty() {
        // Left by a kill after the last step.
        remove(claim)?;
        return Ok(None);
    }
    let id = unique_suffix();
    write_atomic(claim, id.as_bytes())?;
    sync_directory(to)?;
    report(MoveStep::Claimed);
    let names: Vec<&str> = files.iter().map(|schema| schema.file).collect();
    write_atomic(journal, format!("{id}\n{}\n", names.join("\n")).as_bytes())?;
    sync_directory(from)?;
    report(MoveStep::Journaled);
    Ok(Some(files))
}

/// Moves one file. If the data directory has it already, the journal proves that it arrived by this move.
fn move_file(
    schema: &'static Schema,
    from: &Path,
    to: &Path,
    copy: bool,
    report: &mut dyn FnMut(MoveStep),
) -> Result<()> {
    let (source, target) = (from.join(schema.file), to.join(schema.file));
    if !target.exists() {
        if !source.exists() {
            return Ok(());
        }
        // Left by a kill.
        remove(&target.with_extension(INCOMING))?;
        if !consolidate(&source, schema)? {
            // A damaged file moves as it is, with its log: opening it says what is wrong, and the others open.
            let log = |path: &Path| path.with_file_name(format!("{}-wal", schema.file));
            let _ = fs::rename(log(&source), log(&target));
        }
        report(MoveStep::Consolidated);
        let renamed = !copy && fs::rename(&source, &target).is_ok();
        if !renamed {
            copy_durably(&source, &target, report)?;
        }
        sync_directory(to)?;
        report(MoveStep::Arrived);
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        remove(&from.join(format!("{}{suffix}", schema.file)))?;
    }
    sync_directory(from)?;
    report(MoveStep::Removed);
    Ok(())
}

/// Copies a file's write-ahead log into it and removes the log, so that the file alone is whole. Returns `false` for a
/// damaged file. Fails while another connection has it open.
fn consolidate(path: &Path, schema: &Schema) -> Result<bool> {
    // SQLite removes the log of a file that it cannot read.
    if !has_header(path).map_err(|cause| Error::file(path, "read", &cause))? {
        return Ok(false);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let leave_wal = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let started = Instant::now();
        loop {
            let mode =
                connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
            match mode {
                Err(cause) if is_busy(&cause) && started.elapsed() < BUSY_TIMEOUT => {
                    std::thread::sleep(BUSY_TIMEOUT / 500);
                }
                mode => return mode,
            }
        }
    };
    match leave_wal() {
        Ok(mode) if mode.eq_ignore_ascii_case("delete") => Ok(true),
        Ok(_) => Err(in_use(path)),
        Err(cause) if is_busy(&cause) => Err(in_use(path)),
        Err(cause) => match map_sqlite_error(path, schema, &cause) {
            error if error.reason() == ErrorReason::Damaged => Ok(false),
            error => Err(error),
        },
    }
}

/// Returns whether a file begins as each of SQLite does; an empty one is sound, too.
fn has_header(path: &Path) -> std::io::Result<bool> {
    let mut header = Vec::new();
    File::open(path)?
        .take(SQLITE_HEADER.len() as u64)
        .read_to_end(&mut header)?;
    Ok(header.is_empty() || header == SQLITE_HEADER)
}

fn in_use(path: &Path) -> Error {
    Error::busy(format!(
        "another process has `{}` open, so it cannot be moved to the data directory; close that one and try again",
        path.display()
    ))
}

/// Copies a file so that it appears at `target` complete and on the disk, or not at all.
fn copy_durably(source: &Path, target: &Path, report: &mut dyn FnMut(MoveStep)) -> Result<()> {
    let incoming = target.with_extension(INCOMING);
    let copied = copy_parts(source, &incoming, report);
    let arrived = copied.and_then(|()| fs::rename(&incoming, target));
    arrived.map_err(|cause| {
        // A full disk must not stay full of it.
        let _ = fs::remove_file(&incoming);
        Error::file(target, "write", &cause)
    })
}

fn copy_parts(source: &Path, incoming: &Path, report: &mut dyn FnMut(MoveStep)) -> std::io::Result<()> {
    let (mut reader, mut writer) = (File::open(source)?, new_private_file(incoming)?);
    let mut part = vec![0; PART_BYTES];
    loop {
        match reader.read(&mut part)? {
            0 => break,
            length => writer.write_all(part.get(..length).unwrap_or_default())?,
        }
        report(MoveStep::Copied);
    }
    writer.sync_all()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    one == other || canonical(one).is_some_and(|path| canonical(other) == Some(path))
}

/// Reads a small text file; `None` if it is missing.
fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::file(path, "read", &cause)),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::file(path, "remove", &cause)),
        _ => Ok(()),
    }
}

/// As in <https://www.sqlite.org/fileformat2.html>, 1.3.1.
const SQLITE_HEADER: &[u8] = b"SQLite format 3\0";
const JOURNAL: &str = "moving";
const MOVED: &str = "moved";
/// Extension of a file while it is copied.
const INCOMING: &str = "incoming";
const LOCK: &str = "moving.lock";
/// Bytes copied at once.
const PART_BYTES: usize = 256 << 10;
