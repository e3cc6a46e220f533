//! The models on this device. Each is absent, partial or whole, and a kill at any moment leaves one of the three.
//!
//! ```text
//! models/<id>/<file>.gguf    whole: size and hash were checked, and it is renamed here, directory and all, in one step
//! models/<id>/model.json     what it is and which references led to it
//! partial/<key>.part         the beginning of a file; its length is what is held, for it only ever grows at its end
//! partial/<key>.json         which file that is
//! partial/<key>.lock         held while the file is being fetched
//! staging/                   a model on its way from partial to models
//! trash/                     a model on its way out
//! lock                       held for the moments in which names change
//! ```
//!
//! Paths are made from ids and file names of our own making; a name from the network never becomes one. `model.json`
//! holds no absolute path: iOS moves an app's folder with every update. Everything here blocks; async code calls it on a
//! blocking thread. Unknown files are left alone and not listed.

mod files;
mod import;
mod install;
mod lock;
mod partial;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use install::Verified;
pub(crate) use partial::{Partial, SPARSE_FILE_EXTENSION};
pub use record::InstalledModel;
use record::Record;

use super::hub::{Remote, has_label};
use super::reference::{HubFile, ModelRef};
use crate::error::{Error, Result};
use crate::format::format_bytes;
use files::{sync_directory, unique_suffix};
use lock::Lock;

/// The models under one directory. Several, also in several processes, may share it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store under `directory`, which is created if need be, and clears up after a kill.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be made or read.
    pub fn open(directory: &Path) -> Result<Self> {
        for name in [MODELS, PARTIAL, STAGING, TRASH] {
            let path = directory.join(name);
            fs::create_dir_all(&path).map_err(|e| Error::file(&path, "create", &e))?;
        }
        let root = fs::canonicalize(directory).map_err(|e| Error::file(directory, "open", &e))?;
        let store = Self { root };
        let _index_lock = store.lock_index();
        store.recover_staging()?;
        partial::remove_stale(&store.subdirectory(PARTIAL))?;
        store.empty_trash();
        Ok(store)
    }

    /// Every whole model, by id.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<InstalledModel>> {
        let records = self.records()?;
        Ok(records.iter().map(|(at, record)| record.to_installed(at)).collect())
    }

    /// The whole model that a reference means, without asking any network: by its id, its path, or a reference that led
    /// to it before.
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

    /// Removes a model: at once for everybody, then its bytes.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] if there is no such model, [`Error::Storage`] if it cannot be removed.
    pub fn remove(&self, reference: &ModelRef) -> Result<InstalledModel> {
        let _index_lock = self.lock_index();
        let Some(model) = self.find(reference)? else {
            return Err(Error::not_installed(format!("model `{reference}` is not installed")));
        };
        let at = self.subdirectory(MODELS).join(&model.id);
        let trash = self
            .subdirectory(TRASH)
            .join(format!("{}-{}", model.id, unique_suffix()));
        fs::rename(&at, &trash).map_err(|e| Error::file(&at, "remove", &e))?;
        sync_directory(&self.subdirectory(MODELS))?;
        self.empty_trash();
        Ok(model)
    }

    /// Copies a file into the store; the original may go afterwards. Where the file system can share blocks between
    /// copies it does. Never a hard link: a later edit of the original would change the model.
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

    /// The partial file of a download, for this caller alone.
    ///
    /// # Errors
    /// [`Error::Busy`] while another download fetches the same file.
    pub(crate) fn open_partial(&self, remote: &Remote) -> Result<Partial> {
        let _index_lock = self.lock_index();
        Partial::open_or_create(&self.subdirectory(PARTIAL), remote)
    }

    /// The bytes of a download that are here already, at most `most`. Needs no lock: the file only grows.
    pub(crate) fn read_prefix(&self, remote: &Remote, most: u64) -> Vec<u8> {
        partial::read_prefix(&self.subdirectory(PARTIAL), remote, most).unwrap_or_default()
    }

    /// Where the bytes of a download are that are here already.
    pub(crate) fn partial_path(&self, remote: &Remote) -> PathBuf {
        partial::part_path(&self.subdirectory(PARTIAL), remote)
    }

    /// Fails unless `bytes` more would leave the disk some room.
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
        )))
    }

    fn records(&self) -> Result<Vec<(PathBuf, Record)>> {
        let directory = self.subdirectory(MODELS);
        let entries = fs::read_dir(&directory).map_err(|e| Error::file(&directory, "list", &e))?;
        let mut records: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|at| Record::load(&at).map(|record| (at, record)))
            .collect();
        records.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(records)
    }

    fn subdirectory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Locks the directory of models. Never held during network I/O or hashing.
    fn lock_index(&self) -> Lock {
        Lock::acquire(&self.root.join("lock"))
    }

    /// What cannot be deleted now is deleted at the next chance.
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
    done.unwrap_or_else(|cause| Err(Error::internal(format!("work on files ended early: {cause}"))))
}

/// Whether `reference` refers to this model.
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

const MODELS: &str = "models";
const PARTIAL: &str = "partial";
const STAGING: &str = "staging";
const TRASH: &str = "trash";

/// What a download leaves free on the disk: a phone without any misbehaves.
const MIN_FREE_BYTES: u64 = 64 << 20;
