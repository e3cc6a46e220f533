//! What a model would need, before it is there.
//!
//! llama.cpp loads the file in a mode that plans every buffer and allocates none, and no weight is read. So the head of a
//! GGUF file is enough (a few megabytes), as long as the file has its full size: a sparse file. The numbers are those of
//! the real load with the same parameters, to the byte.

use std::path::Path;

use crate::context::Handle;
use crate::{ContextParams, Error, LoadMode, MemoryPart, Model, ModelParams};

/// A model that is planned, not loaded: a few tens of megabytes (its vocabulary), for a 7B a quarter of a second.
#[derive(Debug)]
pub struct Probe {
    model: Model,
}

impl Probe {
    /// Reads the head of the GGUF file at `path` and plans its weights for `mode`.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn open(path: &Path, mode: LoadMode) -> Result<Self, Error> {
        let params = ModelParams {
            load_mode: mode,
            ..ModelParams::default()
        };
        Ok(Self {
            model: Model::load_with(path, params, true, &mut |_| true)?,
        })
    }

    /// What the model with such a context would take. A few milliseconds, so many can be tried.
    ///
    /// # Errors
    /// [`Error::Input`] and [`Error::Context`] as for [`Context::new`](crate::Context::new).
    pub fn need(&self, params: &ContextParams) -> Result<Vec<MemoryPart>, Error> {
        params.check()?;
        Handle::new(&self.model, params)?.memory()
    }

    /// Tokens of context that the model was trained with.
    pub fn context_train(&self) -> u32 {
        self.model.context_train()
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        self.model.vocab_size()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        self.model.parameters()
    }

    /// Bytes of all tensors.
    pub fn size(&self) -> u64 {
        self.model.size()
    }

    /// Family, size and quantization in llama.cpp's words.
    pub fn description(&self) -> String {
        self.model.description()
    }

    /// One value of the file's metadata, as text.
    pub fn meta(&self, key: &str) -> Option<String> {
        self.model.meta(key)
    }
}
