//! The context of a loaded model: prefill and decoding in batches, with a cancel flag and a deadline.
//!
//! A context whose computation failed is freed at once, and the next request gets a new one. The failure may be that of a
//! GPU, which the old context has lost for good.
//!
//! Answers and benchmarks both use it, so that `nearside bench` measures the code that `nearside chat` runs.

use nearside_llama::{AbortSignal, Context, ContextParams, Decoded, LlamaError, MemoryPart, Model, Sampler, Token};

use super::error::{map_llama_error, no_token};
use super::saved_caches::{SavedCaches, Wanted};
use crate::error::{Error, Result};
use crate::model::fit::{LoadOrder, context_params};

/// A context that is replaced after a failure.
#[derive(Debug)]
pub(super) struct DecodeSession {
    model: Model,
    params: ContextParams,
    /// `None` after a failed computation.
    context: Option<Context>,
    capacity: u32,
    threads: u32,
    saved: SavedCaches,
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
    /// Creates a context as this order says. Conversations that it holds no longer are copied to `saved`.
    pub(super) fn new(model: &Model, order: &LoadOrder, saved: SavedCaches) -> Result<Self> {
        let params = context_params(order.context, order.cache_type, order.threads);
        let context = Context::new(model, &params).map_err(map_llama_error)?;
        Ok(Self {
            model: model.clone(),
            // llama.cpp rounds it up, and the user gets what was asked for.
            capacity: context.capacity().min(params.context),
            params,
            threads: context.threads(),
            context: Some(context),
            saved,
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

    /// Makes the compute threads sleep until the next decode.
    pub(super) fn pause_threads(&mut self) {
        if let Some(context) = &mut self.context {
            context.pause_threads();
        }
    }

    /// Returns the memory that llama.cpp allocated, by buffer.
    pub(super) fn memory(&mut self) -> Result<Vec<MemoryPart>> {
        self.context()?.memory().map_err(map_llama_error)
    }

    /// Makes the cache hold as much of the prompt as it, or the copy or the stored state of an earlier conversation, has, and
    /// returns how many tokens that is: less than the prompt.
    pub(super) fn reuse_prefix(&mut self, wanted: &Wanted<'_>) -> u32 {
        let saved = self.saved.clone();
        // After a failure the conversation may still be in a file.
        self.context().map_or(0, |context| saved.reuse(context, wanted))
    }

    /// Stores the states of stored conversations, and clears the cache and its copies.
    pub(super) fn store_all(&mut self) {
        if let Some(context) = &mut self.context {
            self.saved.store_all(context);
        }
    }

    /// Decodes the rest of a prompt as [`decode`](Self::decode) does. Leaves checkpoints where the cache cannot be cut: before
    /// it, after each batch, and before its last `tail` tokens, which may be missing in the next prompt.
    pub(super) fn prefill(&mut self, tokens: &[Token], tail: usize, stop: AbortSignal<'_>) -> Result<DecodeOutcome> {
        let context = self.context()?;
        if context.can_trim_anywhere() {
            return self.decode(tokens, stop);
        }
        let size = context.batch() as usize;
        let (body, tail) = tokens.split_at(tokens.len().saturating_sub(tail));
        for batch in body.chunks(size).chain(tail.chunks(size)) {
            let saved = self.saved.clone();
            saved.add_checkpoint(self.context()?);
            if self.decode(batch, stop)? == DecodeOutcome::Stopped {
                return Ok(DecodeOutcome::Stopped);
            }
        }
        Ok(DecodeOutcome::Complete)
    }

    /// Decodes the tokens in batches, checking the signal throughout. After a stop, [`reuse_prefix`](Self::reuse_prefix)
    /// says how many of them a later request finds.
    pub(super) fn decode<'a>(&mut self, tokens: &[Token], stop: impl Into<AbortSignal<'a>>) -> Result<DecodeOutcome> {
        let stop = stop.into();
        let context = self.context()?;
        let mut rest = tokens;
        while !rest.is_empty() {
            let most = if context.has_rivals() {
                SHARED_BATCH_TOKENS
            } else {
                usize::MAX
            };
            let size = rest.len().min(context.batch() as usize).min(most);
            let (batch, after) = rest.split_at(size);
            match context.decode(batch, after.is_empty(), stop) {
                Ok(Decoded::Whole) => rest = after,
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
            Err(LlamaError::Grammar(_)) => Err(no_token()),
            Err(error) => Err(self.map_failure(error)),
        }
    }

    /// Clears the KV cache. The conversation that it holds is copied first.
    pub(super) fn clear(&mut self) {
        if let Some(context) = &mut self.context {
            self.saved.leave(context);
        }
    }

    /// Clears the KV cache, and keeps no copy of it.
    pub(super) fn discard(&mut self) {
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
        if matches!(error, LlamaError::Decode(_) | LlamaError::NotANumber) {
            self.context = None;
        }
        map_llama_error(error)
    }
}

/// Tokens of a batch while another model waits for its turn.
const SHARED_BATCH_TOKENS: usize = 64;
