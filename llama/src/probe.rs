//! Memory planning for a model that is not downloaded yet.
//!
//! llama.cpp loads the file in a mode that plans every buffer, allocates none and reads no weights. The head of a GGUF
//! file (a few megabytes) is therefore enough, if the file has its full size: a sparse file. The numbers equal those of
//! the real load with the same parameters, to the byte.

use std::path::Path;

use crate::context::ContextHandle;
use crate::{ContextParams, LlamaError, MemoryPart, Model, ModelParams};

/// A model that is planned, not loaded. Takes a few tens of megabytes (its vocabulary), and a quarter of a second for a
/// 7B.
#[derive(Debug)]
pub struct Probe {
    model: Model,
}

impl Probe {
    /// Reads the head of the GGUF file at `path` and plans its weights for a load with these parameters.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub fn from_file(path: &Path, params: &ModelParams) -> Result<Self, LlamaError> {
        Ok(Self {
            model: Model::load_with(path, *params, true, &mut |_| true)?,
        })
    }

    /// Returns the memory that the model needs with such a context. Takes a few milliseconds.
    ///
    /// # Errors
    /// Those of [`Context::new`](crate::Context::new).
    pub fn memory(&self, params: &ContextParams) -> Result<Vec<MemoryPart>, LlamaError> {
        params.validate()?;
        ContextHandle::new(&self.model, params)?.memory()
    }

    /// Returns the context length that the model was trained with, in tokens.
    pub fn context_train(&self) -> u32 {
        self.model.context_train()
    }

    /// Returns the number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        self.model.vocab_size()
    }

    /// Returns the size of all tensors in bytes.
    pub fn size(&self) -> u64 {
        self.model.size()
    }

    /// Returns one value of the file's metadata, as text.
    pub fn meta(&self, key: &str) -> Option<String> {
        self.model.meta(key)
    }
}
