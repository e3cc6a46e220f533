//! A partially downloaded file.
//!
//! Bytes are only appended, each batch in one write, so the file's length is the resume offset, and no second record
//! can become inconsistent after a kill. A power loss may leave a tail that was never written; the hash check at the
//! end detects it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{unique_suffix, write_atomic};
use super::lock::Lock;
use crate::error::{Error, Result};
use crate::model::hash::to_hex;
use crate::model::hub::Remote;
use crate::net::url::redact_url;

/// A partial download on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialDownload {
    /// Exact reference of the file, without secrets.
    pub source: String,
    /// Bytes on the disk so far.
    pub done: u64,
    /// Size of the whole file in bytes.
    pub total: u64,
    /// Time of its last byte, in milliseconds since 1970.
    pub updated_at_ms: u64,
}

/// A partial file, locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(super) paths: PartialPaths,
    len: u64,
    /// Shared with in-flight writes, so that the lock is released after them even if their future is dropped.
    locked: Arc<LockedFile>,
}

#[derive(Debug)]
struct LockedFile {
    file: File,
    _lock: Lock,
}

/// Paths of the three files of a partial.
#[derive(Debug, Clone)]
pub(super) struct PartialPaths {
    pub(super) part: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) key: String,
}

/// `<key>.json`: identifies the remote file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    source: String,
    url: String,
    size_bytes: u64,
    sha256: Option<String>,
    commit: Option<String>,
    version: Option<String>,
}

impl Partial {
    /// Opens or creates the partial of a remote file. The caller has locked the store.
    pub(super) fn open_or_create(directory: &Path, remote: &Remote) -> Result<Self> {
        let paths = PartialPaths::new(directory, &partial_key(remote));
        let partial = Self::lock(paths, &remote.name)?;
        let manifest = Manifest::from_remote(remote);
        let known = Manifest::load(&partial.paths.manifest);
        // With a hash the key identifies the content, whatever its source.
        let same = remote.sha256.is_some() || known.as_ref().is_some_and(|known| known.is_same_file(&manifest));
        if partial.len > 0 && (!same || partial.len > remote.size_bytes) {
            return Self::restart(partial, &manifest);
        }
        if known.as_ref() != Some(&manifest) {
            manifest.write(&partial.paths.manifest)?;
        }
        Ok(partial)
    }

    /// Creates a partial without a remote, for an import. The caller has locked the store.
    pub(super) fn create_scratch(directory: &Path, name: &str) -> Result<Self> {
        let key = format!("{SCRATCH_PREFIX}{}", unique_suffix());
        Self::lock(PartialPaths::new(directory, &key), name)
    }

    /// Returns the length in bytes, which is the resume offset.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn path(&self) -> &Path {
        &self.paths.part
    }

    /// Appends on a blocking thread. A started write completes even if the future is dropped.
    pub(crate) async fn append(&mut self, bytes: bytes::Bytes) -> Result<()> {
        let locked = self.locked.clone();
        let length = bytes.len() as u64;
        let written = tokio::task::spawn_blocking(move || (&locked.file).write_all(&bytes)).await;
        let written = written.map_err(|cause| Error::unfinished(cause.is_panic()))?;
        written.map_err(|e| Error::file(&self.paths.part, "write", &e))?;
        self.len += length;
        Ok(())
    }

    /// Flushes appended bytes to disk (fsync).
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = self.locked.file.sync_all();
        synced.map_err(|e| Error::file(&self.paths.part, "write", &e))
    }

    /// Sets the length after the system copied a file to [`Self::path`].
    pub(super) fn set_len(&mut self, length: u64) {
        self.len = length;
    }

    /// Deletes the bytes and the manifest.
    pub(crate) fn discard(self) -> Result<()> {
        let emptied = self.locked.file.set_len(0);
        emptied.map_err(|e| Error::file(&self.paths.part, "empty", &e))?;
        remove_file(&self.paths.part)?;
        remove_file(&self.paths.manifest)
    }

    fn lock(paths: PartialPaths, name: &str) -> Result<Self> {
        let lock = Lock::try_acquire(&paths.lock).ok_or_else(|| {
            Error::busy(format!(
                "`{}` is being fetched by another download; wait for it or cancel it",
                name.escape_debug()
            ))
        })?;
        let failed = |e| Error::file(&paths.part, "open", &e);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&paths.part)
            .map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let locked = Arc::new(LockedFile { file, _lock: lock });
        Ok(Self { paths, len, locked })
    }

    fn restart(mut self, manifest: &Manifest) -> Result<Self> {
        let emptied = self.locked.file.set_len(0);
        emptied.map_err(|e| Error::file(&self.paths.part, "empty", &e))?;
        manifest.write(&self.paths.manifest)?;
        self.len = 0;
        Ok(self)
    }
}

impl PartialPaths {
    fn new(directory: &Path, key: &str) -> Self {
        Self {
            part: directory.join(format!("{key}.part")),
            manifest: directory.join(format!("{key}.json")),
            lock: directory.join(format!("{key}.lock")),
            key: key.to_owned(),
        }
    }
}

impl Manifest {
    fn from_remote(remote: &Remote) -> Self {
        Self {
            source: redact_url(&remote.source.to_string()),
            url: redact_url(&remote.url),
            size_bytes: remote.size_bytes,
            sha256: remote.sha256.clone(),
            commit: remote.commit.clone(),
            version: remote.version.clone(),
        }
    }

    fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::internal(format!("could not write `{}`: {cause}", path.display())))?;
        write_atomic(path, &text)
    }

    /// Returns whether size, commit and version are equal; for files without a hash, whose key is the address.
    fn is_same_file(&self, other: &Self) -> bool {
        (self.size_bytes, &self.commit, &self.version) == (other.size_bytes, &other.commit, &other.version)
    }
}

/// Reads up to `limit` bytes of the partial of a remote file, without locking it.
pub(super) fn read_prefix(directory: &Path, remote: &Remote, limit: u64) -> Option<Vec<u8>> {
    let paths = PartialPaths::new(directory, &partial_key(remote));
    let manifest = Manifest::load(&paths.manifest)?;
    if remote.sha256.is_none() && !manifest.is_same_file(&Manifest::from_remote(remote)) {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(&paths.part).ok()?;
    file.take(limit.min(remote.size_bytes)).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the path of the partial of a remote file.
pub(super) fn part_path(directory: &Path, remote: &Remote) -> PathBuf {
    PartialPaths::new(directory, &partial_key(remote)).part
}

/// Removes stale locks, manifests without data, and imports that a kill interrupted. Tries all, and returns the first error.
/// The caller has locked the store, so no partial can be locked meanwhile.
pub(super) fn remove_stale(directory: &Path) -> Result<()> {
    let mut result = Ok(());
    let entries = fs::read_dir(directory).map_err(|e| Error::file(directory, "list", &e))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        // A killed fit check leaves its sparse file; a running one needs it for seconds only.
        let stale = |path: &Path| path.metadata().ok()?.modified().ok()?.elapsed().ok();
        if path.extension().is_some_and(|end| end == SPARSE_FILE_EXTENSION)
            && stale(&path).is_some_and(|age| age > MAX_SPARSE_FILE_AGE)
        {
            // Already removed or in use; the next open retries.
            let _ = fs::remove_file(&path);
        }
        let Some(key) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".lock"))
        else {
            continue;
        };
        let paths = PartialPaths::new(directory, key);
        let Some(_lock) = Lock::try_acquire(&paths.lock) else {
            continue;
        };
        let empty = fs::metadata(&paths.part).map_or(true, |part| part.len() == 0);
        if empty || key.starts_with(SCRATCH_PREFIX) {
            let removed = remove_file(&paths.part)
                .and(remove_file(&paths.manifest))
                .and(remove_file(&paths.lock));
            result = result.and(removed);
        }
    }
    result
}

/// Lists the partial downloads with data, the newest first. Unreadable manifests and imports are not listed.
pub(super) fn list(directory: &Path) -> Result<Vec<PartialDownload>> {
    let mut found: Vec<PartialDownload> = manifests(directory)?
        .into_iter()
        .filter_map(|(paths, manifest)| {
            let part = fs::metadata(&paths.part).ok().filter(|part| part.len() > 0)?;
            let updated = part.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(PartialDownload {
                source: manifest.source,
                done: part.len(),
                total: manifest.size_bytes,
                updated_at_ms: u64::try_from(updated.as_millis()).ok()?,
            })
        })
        .collect();
    found.sort_by_key(|partial| std::cmp::Reverse(partial.updated_at_ms));
    Ok(found)
}

/// Removes the files of a partial download. The caller has locked the store.
pub(super) fn remove(directory: &Path, partial: &PartialDownload) -> Result<()> {
    for (paths, manifest) in manifests(directory)? {
        if manifest.source == partial.source && manifest.size_bytes == partial.total {
            let locked = Partial::lock(paths, &manifest.source)?;
            let lock = locked.paths.lock.clone();
            locked.discard()?;
            remove_file(&lock)?;
        }
    }
    Ok(())
}

/// Returns the readable manifests of a directory, which may be missing.
fn manifests(directory: &Path) -> Result<Vec<(PartialPaths, Manifest)>> {
    let entries = match fs::read_dir(directory) {
        // A store that cannot be written may lack it.
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| Error::file(directory, "list", &e))?,
    };
    let manifest = |path: PathBuf| {
        let key = path.file_name()?.to_str()?.strip_suffix(".json")?;
        Some((PartialPaths::new(directory, key), Manifest::load(&path)?))
    };
    Ok(entries.filter_map(|entry| manifest(entry.ok()?.path())).collect())
}

/// Removes a file. A missing file is not an error.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::file(path, "remove", &e)),
        _ => Ok(()),
    }
}

/// Returns the hash of the file, else of its address: hex digits, so never a path.
fn partial_key(remote: &Remote) -> String {
    match &remote.sha256 {
        Some(sha256) => sha256.clone(),
        None => format!("address-{}", to_hex(&Sha256::digest(remote.url.as_bytes()))),
    }
}

/// Prefix of the keys of imports.
const SCRATCH_PREFIX: &str = "import-";

/// Extension of the sparse files of fit checks.
pub(crate) const SPARSE_FILE_EXTENSION: &str = "outline";

/// Age at which the sparse file of a fit check counts as stale.
const MAX_SPARSE_FILE_AGE: std::time::Duration = std::time::Duration::from_secs(600);
