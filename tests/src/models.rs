//! Paths of the real models that tests run on.

#![allow(clippy::expect_used, reason = "part of tests, though it is not under `cfg(test)`")]

use std::path::PathBuf;

/// The SHA-256 of `smollm2.gguf`.
pub const SMOLLM2_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Returns the path of the model file `name` in `NEARSIDE_MODELS`, by default `~/.cache/nearside/models`.
///
/// # Panics
/// If the file is missing: a test without its model must not pass.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let folder = match std::env::var_os("NEARSIDE_MODELS") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .expect("a home folder")
            .join(".cache/nearside/models"),
    };
    let path = folder.join(name);
    assert!(path.is_file(), "`{}` is not there: run `make models`", path.display());
    path
}
