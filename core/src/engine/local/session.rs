//! The context of a loaded model: tracks the KV cache; prefill and decoding check a cancel flag and a deadline.
//!
//! Answers and benchmarks both use it, so that `nearside bench` measures the code that `nearside chat` runs.

use nearside_llama::{AbortSignal, Context, Decoded, MemoryPart, Model, Sampler, Token};

use super::error::map_llama_error;
use crate::error::{Error, Result};
use crate::model::CacheType;
use crate::model::fit::context_params;

/// A context and the tokens in its KV cache.
#[derive(Debug)]
pub(super) struct DecodeSession {
    context: Context,
    /// The tokens in the cache, in order.
    held: Vec<Token>,
    batch: usize,
    threads: u32,
}

/// Result of decoding tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeOutcome {
    /// All tokens were decoded.
    Complete,
    /// Stopped early; the cache holds a prefix of them.
    Stopped,
}

impl DecodeSession {
    /// Creates a context of `context` tokens.
    pub(super) fn new(model: &Model, context: u32, cache: CacheType, threads: u32) -> Result<Self> {
        let params = context_params(context, cache, threads);
        let context = Context::new(model, &params).map_err(map_llama_error)?;
        Ok(Self {
            context,
            held: Vec::new(),
            batch: params.batch as usize,
            threads,
        })
    }

    /// Returns the context size in tokens.
    pub(super) fn capacity(&self) -> u32 {
        self.context.capacity()
    }

    /// Returns whether the context is full.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= self.capacity() as usize
    }

    /// Returns the number of compute threads.
    pub(super) fn threads(&self) -> u32 {
        self.threads
    }

    /// Returns the memory that llama.cpp allocated, by buffer.
    pub(super) fn memory(&self) -> Result<Vec<MemoryPart>> {
        self.context.memory().map_err(map_llama_error)
    }

    /// Truncates the cache to the longest common prefix with `prompt` and returns its length in tokens.
    ///
    /// Always less than `prompt.len()`: the last token must be decoded again to produce logits.
    pub(super) fn reuse_prefix(&mut self, prompt: &[Token]) -> u32 {
        let same = self
            .held
            .iter()
            .zip(prompt)
            .take_while(|(held, new)| held == new)
            .count();
        let keep = same.min(prompt.len().saturating_sub(1));
        if keep < self.held.len() {
            // Some architectures cannot remove a part of the cache: then all of it is cleared.
            if keep == 0 || !self.context.trim(keep as u32) {
                self.context.clear();
            }
            self.held.truncate(self.context.position() as usize);
        }
        self.held.len() as u32
    }

    /// Decodes the tokens in batches, checking the signal throughout.
    pub(super) fn decode<'a>(&mut self, tokens: &[Token], stop: impl Into<AbortSignal<'a>>) -> Result<DecodeOutcome> {
        let stop = stop.into();
        let batches = tokens.len().div_ceil(self.batch);
        for (n, batch) in tokens.chunks(self.batch).enumerate() {
            let decoded = self.context.decode(batch, n + 1 == batches, stop);
            match decoded {
                Ok(Decoded::Whole) => self.held.extend_from_slice(batch),
                Ok(Decoded::Aborted) => {
                    let kept = (self.context.position() as usize)
                        .saturating_sub(self.held.len())
                        .min(batch.len());
                    self.held.extend_from_slice(&batch[..kept]);
                    return Ok(DecodeOutcome::Stopped);
                }
                Err(error) => {
                    self.clear();
                    return Err(map_llama_error(error));
                }
            }
        }
        Ok(DecodeOutcome::Complete)
    }

    /// Samples the next token from the logits of the last decode.
    pub(super) fn sample(&mut self, sampler: &mut Sampler) -> Result<Token> {
        self.context.sample(sampler).map_err(|error| match error {
            nearside_llama::LlamaError::Grammar(text) => Error::internal(text),
            other => map_llama_error(other),
        })
    }

    /// Clears the KV cache.
    pub(super) fn clear(&mut self) {
        self.context.clear();
        self.held.clear();
    }
}
