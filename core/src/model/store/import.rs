//! Imports a file of the device into the store.

use std::fs::{self, File};
use std::path::Path;

use super::install::Verified;
use super::partial::Partial;
use super::{InstalledModel, PARTIAL, Store};
use crate::error::{Error, Result};
use crate::model::gguf::Head;
use crate::model::hash::Hasher;

pub(super) fn import_file(store: &Store, path: &Path) -> Result<InstalledModel> {
    let found = fs::metadata(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::invalid_request(format!("there is no file `{}`", path.display())),
        _ => Error::file(path, "read", &cause),
    })?;
    if !found.is_file() {
        return Err(Error::invalid_request(format!("`{}` is not a file", path.display())));
    }
    // Validate before copying gigabytes.
    Head::read_file(path)?;
    let source = fs::canonicalize(path).map_err(|e| Error::file(path, "read", &e))?;
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut partial = {
        let _index_lock = store.lock_index();
        Partial::create_scratch(&store.subdirectory(PARTIAL), &name)?
    };
    let copied = copy_file(&source, &mut partial).and_then(|()| {
        // Hash the copy: the original may have changed meanwhile.
        Ok(Verified {
            head: Head::read_file(partial.path())?,
            sha256: Hasher::hash_file(partial.path(), partial.len())?,
            name,
            source: source.to_string_lossy().into_owned(),
            commit: None,
        })
    });
    match copied {
        Ok(verified) => store.install(partial, &verified, None),
        Err(error) => {
            partial.discard()?;
            Err(error)
        }
    }
}

/// Copies with the system's call, so that APFS, Btrfs and XFS can share the blocks.
fn copy_file(source: &Path, partial: &mut Partial) -> Result<()> {
    let failed = |e| Error::file(partial.path(), "write", &e);
    fs::copy(source, partial.path()).map_err(failed)?;
    let file = File::open(partial.path()).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    partial.set_len(length);
    Ok(())
}
