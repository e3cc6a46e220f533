//! A model's file on this device, as routing and loading need it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::InstalledModel;

/// A model's file on this device.
#[derive(Debug, Clone)]
pub(super) struct LocalModel {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
    /// The training context in tokens; unset for a file that is not installed.
    pub(super) context_length: Option<u32>,
}

/// Tells whether a file was replaced.
pub(super) type FileStamp = Option<(u64, SystemTime)>;

impl From<InstalledModel> for LocalModel {
    fn from(model: InstalledModel) -> Self {
        Self {
            id: model.id,
            path: model.path.into(),
            sha256: model.sha256,
            size_bytes: model.size_bytes,
            context_length: Some(model.context_length),
        }
    }
}

/// Returns the stamp of a file.
pub(super) fn file_stamp(path: &Path) -> FileStamp {
    let file = path.metadata().ok()?;
    Some((file.len(), file.modified().ok()?))
}
