//! A model of one megabyte that really runs: `fakes/src/tiny_models`.

use nearside_fakes::tiny_models::{TinyShape, runnable};

use crate::error::Result;

/// Returns a GGUF file of about one megabyte with random weights, which loads and answers in milliseconds: real inference for
/// the tests of an app. Each printable character of ASCII is a token. It writes noise, the same for the same prompt and seed.
#[uniffi::export]
pub(crate) fn tiny_model() -> Result<Vec<u8>> {
    Ok(runnable(TinyShape::Full, None))
}
