//! The context of a loaded model: prefill and decoding in batches, with a cancel flag and a deadline.
//!
//! A context whose computation failed is freed at once, and the next request gets a new one. The failure may be that of a
//! GPU, which the old context has lost for good.
//!
//! Answers and benchmarks both use it, so that `nearside bench` measures the code that `nearside chat` runs.

use nearside_llama::{AbortSignal, Context, ContextParams, Decoded, LlamaError, MemoryPart, Model, Sampler, Token};

use super::error::map_llama_error;
use crate::error::{Error, Result};
use crate::model::CacheType;
use crate::model::fit::context_params;

/// A context that is replaced after a failure.
#[derive(Debug)]
pub(super) struct DecodeSession {
    model: Model,
    params: ContextParams,
    /// `None` after a failed computation.
    context: Option<Context>,
    capacity: u32,
    threads: u32,
}

/// Result of decoding tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeOutcome {
    /// All tokens were decoded.
    Complete,
    /// Stopped early; the cache holds a prefix of all tokens so far, possibly an empty one.
    Stopped,
}

impl DecodeSession {
    /// Creates a context of `context` tokens.
    pub(super) fn new(model: &Model, context: u32, cache: CacheType, threads: u32) -> Result<Self> {
        let params = context_params(context, cache, threads);
        let context = Context::new(model, &params).map_err(map_llama_error)?;
        Ok(Self {
            model: model.clone(),
            // llama.cpp rounds it up, and the user gets what was asked for.
            capacity: context.capacity().min(params.context),
            params,
            threads: context.threads(),
            context: Some(context),
        })
    }

    /// Returns the context size in tokens.
    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Returns whether the context is full.
    pub(super) fn is_full(&self) -> bool {
        self.context
            .as_ref()
            .is_some_and(|context| context.position() >= self.capacity)
    }

    /// Returns the number of compute threads.
    pub(super) fn threads(&self) -> u32 {
        self.threads
    }

    /// Returns the memory that llama.cpp allocated, by buffer.
    pub(super) fn memory(&mut self) -> Result<Vec<MemoryPart>> {
        self.context()?.memory().map_err(map_llama_error)
    }

    /// Truncates the cache to the longest common prefix with `prompt` and returns its length in tokens; see
    /// [`Context::reuse_prefix`].
    pub(super) fn reuse_prefix(&mut self, prompt: &[Token]) -> u32 {
        self.context.as_mut().map_or(0, |context| context.reuse_prefix(prompt))
    }

    /// Decodes the tokens in batches, checking the signal throughout. After a stop, [`reuse_prefix`](Self::reuse_prefix)
    /// says how many of them a later request finds.
    pub(super) fn decode<'a>(&mut self, tokens: &[Token], stop: impl Into<AbortSignal<'a>>) -> Result<DecodeOutcome> {
        let stop = stop.into();
        let context = self.context()?;
        let size = context.batch() as usize;
        let batches = tokens.len().div_ceil(size);
        for (n, batch) in tokens.chunks(size).enumerate() {
            match context.decode(batch, n + 1 == batches, stop) {
                Ok(Decoded::Whole) => {}
                Ok(Decoded::Aborted { .. }) => return Ok(DecodeOutcome::Stopped),
                Err(error) => return Err(self.map_failure(error)),
            }
        }
        Ok(DecodeOutcome::Complete)
    }

    /// Samples the next token from the logits of the last decode.
    pub(super) fn sample(&mut self, sampler: &mut Sampler) -> Result<Token> {
        match self.context()?.sample(sampler) {
            Ok(token) => Ok(token),
            Err(LlamaError::Grammar(text)) => Err(Error::internal(text)),
            Err(error) => Err(self.map_failure(error)),
        }
    }

    /// Clears the KV cache.
    pub(super) fn clear(&mut self) {
        if let Some(context) = &mut self.context {
            context.clear();
        }
    }

    /// Returns the context, a new one after a failure.
    fn context(&mut self) -> Result<&mut Context> {
        let context = match self.context.take() {
            Some(context) => context,
            None => Context::new(&self.model, &self.params).map_err(map_llama_error)?,
        };
        Ok(self.context.insert(context))
    }

    /// Frees the context if the computation itself failed.
    fn map_failure(&mut self, error: LlamaError) -> Error {
        if matches!(error, LlamaError::Decode(_) | LlamaError::Damaged(_)) {
            self.context = None;
        }
        map_llama_error(error)
    }
}
