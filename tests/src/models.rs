//! Paths of the real models that tests run on.

#![allow(clippy::expect_used, reason = "part of tests, though it is not under `cfg(test)`")]

use std::path::PathBuf;

/// Returns the path of the model file `name` in `NEARSIDE_MODELS`, by default `~/.cache/nearside/models`.
///
/// # Panics
/// If the file is missing: a test without its model must not pass.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let folder = std::env::var_os("NEARSIDE_MODELS").map_or_else(
        || {
            std::env::home_dir()
                .expect("a home folder")
                .join(".cache")
                .join("nearside")
                .join("models")
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.is_file(), "`{}` is not there: run `make models`", path.display());
    path
}
