//! The models on this device. Each is absent, partial or complete; a kill at any moment leaves one of these states.
//!
//! ```text
//! models/<id>/<file>.gguf    a complete model: size and hash verified, moved here with its directory by one rename
//! models/<id>/model.json     its record, with the references that were resolved to it
//! partial/<key>.part         the start of a file; only appended to, so its length is the resume offset
//! partial/<key>.json         manifest: identifies the remote file
//! partial/<key>.lock         locked during a download of the file
//! staging/                   a model between partial and models
//! trash/                     a model being deleted
//! lock                       locked while names change
//! ```
//!
//! Paths consist of generated ids and file names, never of a name from the network. `model.json` contains no absolute
//! path, because iOS moves an app's directory with every update. All functions block; async code calls them on a
//! blocking thread. Unknown files are neither changed nor listed, and no stray file keeps the store from opening. A store
//! that cannot be written is read.

mod files;
mod import;
mod install;
mod lock;
mod partial;
mod record;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(crate) use files::{sync_directory, unique_suffix, write_atomic};
pub(crate) use install::Verified;
pub(crate) use lock::Lock;
pub use partial::PartialDownload;
pub(crate) use partial::{Partial, SPARSE_FILE_EXTENSION};
pub use record::InstalledModel;
use record::Record;

use super::hub::{Remote, has_label};
use super::reference::{HubFile, ModelRef};
use crate::error::{Error, ErrorReason, Result};
use crate::format::format_bytes;
use crate::net::url::redact_url;

/// The models under one directory, which several stores and processes may share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store under `directory`, creates that if missing, and cleans up after a kill as far as it can: what it cannot
    /// clean up waits for the next open. A directory that cannot be written is opened for reading.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be created or read.
    pub fn open(directory: &Path) -> Result<Self> {
        for name in [MODELS, PARTIAL, STAGING, TRASH] {
            let path = directory.join(name);
            if let Err(cause) = fs::create_dir_all(&path) {
                let error = Error::file(&path, "create", &cause);
                if error.reason() == ErrorReason::AccessDenied && directory.is_dir() {
                    break;
                }
                return Err(error);
            }
        }
        let root = fs::canonicalize(directory).map_err(|e| Error::file(directory, "open", &e))?;
        let store = Self { root };
        let _index_lock = store.lock_index();
        let cleaned = store
            .recover_staging()
            .and(partial::remove_stale(&store.subdirectory(PARTIAL)));
        if let Err(error) = cleaned {
            tracing::debug!(reason = error.reason().id(), "an earlier install is cleaned up later");
        }
        store.empty_trash();
        Ok(store)
    }

    /// Lists the installed models by id.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<InstalledModel>> {
        let records = self.records()?;
        Ok(records.iter().map(|(at, record)| record.to_installed(at)).collect())
    }

    /// Finds the installed model of a reference without network access: by its id, its path, or a reference that was
    /// resolved to it before.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be read.
    pub fn find(&self, reference: &ModelRef) -> Result<Option<InstalledModel>> {
        let records = self.records()?;
        let found = records
            .iter()
            .find(|(at, record)| matches_reference(reference, at, record));
        Ok(found.map(|(at, record)| record.to_installed(at)))
    }

    /// Lists the damaged models by id: their file is missing or has another size than it was installed with. They cannot
    /// answer, and take space until [`Self::remove`].
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<InstalledModel>> {
        let records = self.damaged_records()?;
        Ok(records.iter().map(|(at, record)| record.to_installed(at)).collect())
    }

    /// Removes a model, damaged or not: at once from all lists, then its bytes.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] if there is no such model, [`Error::Storage`] if it cannot be removed.
    pub fn remove(&self, reference: &ModelRef) -> Result<InstalledModel> {
        let _index_lock = self.lock_index();
        let mut records = self.records()?;
        records.append(&mut self.damaged_records()?);
        let found = records
            .iter()
            .find(|(at, record)| matches_reference(reference, at, record));
        let Some((at, record)) = found else {
            return Err(Error::not_installed(format!("model `{reference}` is not installed")));
        };
        let model = record.to_installed(at);
        self.discard(at)?;
        self.empty_trash();
        Ok(model)
    }

    /// Moves the directory of a model to the trash. The caller has locked the store.
    fn discard(&self, at: &Path) -> Result<()> {
        let id = at.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let trash = self.subdirectory(TRASH).join(format!("{id}-{}", unique_suffix()));
        fs::rename(at, &trash).map_err(|e| Error::file(at, "remove", &e))?;
        sync_directory(&self.subdirectory(MODELS))
    }

    /// Copies a file into the store; the original may be deleted afterwards. File systems that can share blocks between
    /// copies do so. Never a hard link: a later edit of the original would change the model.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if there is no such file, [`Error::Corrupt`] or [`Error::Unsupported`] if it is not a
    /// model that this build can run, [`Error::Storage`] if it cannot be copied.
    pub fn import(&self, path: &Path) -> Result<InstalledModel> {
        import::import_file(self, path)
    }

    /// Returns the installed model with this hash, if any, and adds `reference` to its known references.
    pub(crate) fn link_existing(&self, sha256: &str, reference: &ModelRef) -> Result<Option<InstalledModel>> {
        let _index_lock = self.lock_index();
        let records = self.records()?;
        let Some((at, record)) = records.into_iter().find(|(_, record)| record.sha256 == sha256) else {
            return Ok(None);
        };
        let mut record = record;
        if record.add_reference(reference) {
            record.write(&at)?;
        }
        Ok(Some(record.to_installed(&at)))
    }

    /// Opens and locks the partial file of a download.
    ///
    /// # Errors
    /// [`Error::Busy`] while another download fetches the same file.
    pub(crate) fn open_partial(&self, remote: &Remote) -> Result<Partial> {
        let _index_lock = self.lock_index();
        Partial::open_or_create(&self.subdirectory(PARTIAL), remote)
    }

    /// Lists the partial downloads, the newest first.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be read.
    pub fn partial_downloads(&self) -> Result<Vec<PartialDownload>> {
        partial::list(&self.subdirectory(PARTIAL))
    }

    /// Removes the partial downloads of a reference and returns them; `None`: all but those in progress.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] if the reference has none, [`Error::Busy`] while it is being downloaded, [`Error::Storage`].
    pub fn remove_partial(&self, reference: Option<&ModelRef>) -> Result<Vec<PartialDownload>> {
        let _index_lock = self.lock_index();
        let mut found = self.partial_downloads()?;
        if let Some(reference) = reference {
            found.retain(|partial| matches_source(reference, &partial.source));
            if found.is_empty() {
                let text = format!("there is no partial download of `{reference}`");
                return Err(Error::not_installed(text));
            }
        }
        let mut removed = Vec::with_capacity(found.len());
        for one in found {
            match partial::remove(&self.subdirectory(PARTIAL), &one) {
                Err(error) if error.reason() == ErrorReason::Busy && reference.is_none() => {}
                Err(error) => return Err(error),
                Ok(()) => removed.push(one),
            }
        }
        Ok(removed)
    }

    /// Reads up to `limit` bytes of a partial download. Needs no lock: the file only grows.
    pub(crate) fn read_prefix(&self, remote: &Remote, limit: u64) -> Vec<u8> {
        partial::read_prefix(&self.subdirectory(PARTIAL), remote, limit).unwrap_or_default()
    }

    /// Returns the path of a partial download.
    pub(crate) fn partial_path(&self, remote: &Remote) -> PathBuf {
        partial::part_path(&self.subdirectory(PARTIAL), remote)
    }

    /// Checks that `MIN_FREE_BYTES` would remain on the disk after writing `bytes`.
    ///
    /// # Errors
    /// [`Error::Storage`] with both numbers.
    pub(crate) fn check_disk_space(&self, name: &str, bytes: u64) -> Result<()> {
        // Unknown free space is not an error: the write fails if the disk is full.
        let Ok(free) = fs4::available_space(&self.root) else {
            return Ok(());
        };
        if bytes.saturating_add(MIN_FREE_BYTES) <= free {
            return Ok(());
        }
        Err(Error::storage(format!(
            "`{}` needs {} more on the disk and {} are free; free some space or take a smaller model",
            name.escape_debug(),
            format_bytes(bytes.saturating_add(MIN_FREE_BYTES)),
            format_bytes(free)
        ))
        .because(ErrorReason::DiskFull))
    }

    fn records(&self) -> Result<Vec<(PathBuf, Record)>> {
        let mut records = self.recorded()?;
        records.retain(|(at, record)| record.is_complete(at));
        Ok(records)
    }

    fn damaged_records(&self) -> Result<Vec<(PathBuf, Record)>> {
        let mut records = self.recorded()?;
        records.retain(|(at, record)| !record.is_complete(at));
        Ok(records)
    }

    /// Returns the directories with a record, by name.
    fn recorded(&self) -> Result<Vec<(PathBuf, Record)>> {
        let directory = self.subdirectory(MODELS);
        let entries = match fs::read_dir(&directory) {
            // A store that cannot be written may lack it.
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| Error::file(&directory, "list", &e))?,
        };
        let mut records: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|at| Record::from_directory(&at).map(|record| (at, record)))
            .collect();
        records.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(records)
    }

    fn subdirectory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Locks the names in the store. Must not be kept during network I/O or hashing.
    fn lock_index(&self) -> Lock {
        Lock::acquire(&self.root.join("lock"))
    }

    /// Deletes removed models. A failure is only logged; the next call retries.
    fn empty_trash(&self) {
        for entry in fs::read_dir(self.subdirectory(TRASH)).into_iter().flatten().flatten() {
            if let Err(cause) = fs::remove_dir_all(entry.path()) {
                tracing::debug!(%cause, "a removed model still takes space");
            }
        }
    }
}

/// Runs blocking work on tokio's blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|cause| Err(Error::unfinished(cause.is_panic())))
}

/// Returns whether `reference` refers to this model.
fn matches_reference(reference: &ModelRef, at: &Path, record: &Record) -> bool {
    match reference {
        ModelRef::Name { name } => record.id(at).eq_ignore_ascii_case(name),
        ModelRef::Path { path } => fs::canonicalize(path).is_ok_and(|path| path == at.join(&record.file)),
        ModelRef::Hub { .. } | ModelRef::Url { .. } if record.has_reference(reference) => true,
        ModelRef::Hub { repo, revision, file } => {
            let Ok(ModelRef::Hub {
                repo: its_repo,
                revision: its_revision,
                file: HubFile::Path { path },
            }) = ModelRef::parse(&record.source)
            else {
                return false;
            };
            let named = match file {
                HubFile::Default => has_label(&path, "Q4_K_M"),
                HubFile::Quantization { label } => has_label(&path, label),
                HubFile::Path { path: asked } => *asked == path,
            };
            let same_revision = *revision == its_revision || revision.is_some() && *revision == record.commit;
            named && same_revision && repo.eq_ignore_ascii_case(&its_repo)
        }
        ModelRef::Url { sha256, .. } => sha256.as_ref() == Some(&record.sha256),
    }
}

/// Returns whether a partial download from `source` is one of this reference: of any file of a repository if it names none,
/// and of the id that the model would get if it is only a name.
fn matches_source(reference: &ModelRef, source: &str) -> bool {
    match reference {
        ModelRef::Name { name } => {
            let path = source.split(['?', '#']).next().unwrap_or(source);
            let file = path.rsplit('/').next().unwrap_or(path);
            file.strip_suffix(".gguf").unwrap_or(file).eq_ignore_ascii_case(name)
        }
        ModelRef::Hub { repo, revision, file } => {
            let Ok(ModelRef::Hub {
                repo: its_repo,
                revision: its_revision,
                file: HubFile::Path { path },
            }) = ModelRef::parse(source)
            else {
                return false;
            };
            let named = match file {
                HubFile::Default => true,
                HubFile::Quantization { label } => has_label(&path, label),
                HubFile::Path { path: asked } => *asked == path,
            };
            named && *revision == its_revision && repo.eq_ignore_ascii_case(&its_repo)
        }
        ModelRef::Url { .. } => redact_url(&reference.to_string()) == source,
        ModelRef::Path { .. } => false,
    }
}

const MODELS: &str = "models";
const PARTIAL: &str = "partial";
const STAGING: &str = "staging";
const TRASH: &str = "trash";

/// Free space that a download must leave, because a phone with a full disk malfunctions.
const MIN_FREE_BYTES: u64 = 64 << 20;
