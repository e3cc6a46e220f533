//! A sparse file with a model's full size that contains only its head.
//!
//! llama.cpp checks that every tensor lies inside the file but reads none of them, so a sparse file stands in for a
//! model that is not downloaded. It takes only the few megabytes of the head on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::model::store::SPARSE_FILE_EXTENSION;

/// The sparse file; removed on drop.
#[derive(Debug)]
pub(super) struct SparseModelFile {
    path: PathBuf,
}

impl SparseModelFile {
    /// Copies the first `head_length` bytes of `source` into a new file beside it, and grows that to `size`.
    pub(super) fn create(source: &Path, head_length: u64, size: u64) -> Result<Self> {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let mut name = source.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{number}.{SPARSE_FILE_EXTENSION}", std::process::id()));
        let path = source.with_file_name(name);

        let from = File::open(source).map_err(|cause| Error::file(source, "read", &cause))?;
        let failed = |cause: std::io::Error| Error::file(&path, "write", &cause);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(failed)?;
        // From here on, drop removes the file.
        let sparse_file = Self { path: path.clone() };
        let mut head = Vec::new();
        from.take(head_length)
            .read_to_end(&mut head)
            .map_err(|cause| Error::file(source, "read", &cause))?;
        if (head.len() as u64) < head_length {
            return Err(Error::corrupt(format!(
                "`{}` holds {} bytes of a head of {head_length}; download it again",
                source.display(),
                head.len()
            )));
        }
        file.write_all(&head).map_err(failed)?;
        file.set_len(size).map_err(failed)?;
        Ok(sparse_file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SparseModelFile {
    fn drop(&mut self) {
        // Best effort: `partial::remove_stale` removes leftovers by their extension.
        if let Err(cause) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %cause, "a sparse file could not be removed");
        }
    }
}
