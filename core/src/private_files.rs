//! Files and directories of their owner alone, also where others share the device.
//!
//! Elsewhere than on Unix, the rights of the directory above hold.

use std::fs::{self, File};
use std::io::{ErrorKind, Result};
use std::path::Path;

/// Creates a directory, and those above it that are missing, for their owner alone. The rights of existing ones stay.
pub(crate) fn create_private_directory(directory: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Creates an empty file for its owner alone; takes the rights of others from one that exists, and from its log. SQLite
/// gives the rights of the file to a new log.
pub(crate) fn create_private(path: &Path) -> Result<()> {
    match new_private_file(path) {
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => Err(cause),
        _ => {
            // An earlier release created them with the usual rights. Another user's files stay as they are.
            #[cfg(unix)]
            for suffix in ["", "-wal", "-shm"] {
                let mut file = path.as_os_str().to_owned();
                file.push(suffix);
                let _ = fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600));
            }
            Ok(())
        }
    }
}

/// Creates a file for its owner alone, and opens it. Never opens an existing one: on Unix, closing it would release the
/// locks of this process's connections.
pub(crate) fn new_private_file(path: &Path) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
