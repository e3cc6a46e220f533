//! The context of a loaded model: prefill and decoding in batches, with a cancel flag and a deadline, as its [`Governor`]
//! allows.
//!
//! A context grows when a conversation needs more than was planned, as far as the memory of the moment allows, and is reduced
//! to what its conversation needs after a memory warning. The content moves through a copy, so that no token is prefilled
//! again.
//!
//! A model with short and long factors for its rotations computes otherwise in a context beyond the short ones. Content does not
//! move there: the context becomes so large only before a prompt, which is then prefilled again as a whole.
//!
//! A context whose computation failed is freed at once, and the next request gets a new one. The failure may be that of a
//! GPU, which the old context has lost for good.
//!
//! Answers and benchmarks both use it, so that `nearside bench` measures the code that `nearside chat` runs.

use std::time::Duration;

use nearside_llama::{
    AbortSignal, Context, ContextParams, Decoded, LlamaError, MemoryPart, Model, Sampler, TILE_TOKENS, Token,
};

use super::error::{map_llama_error, no_memory, no_token};
use super::governor::{Governor, NextStep};
use super::saved_caches::{SavedCaches, Wanted};
use crate::chat::history::prompt_space;
use crate::error::{Error, Result};
use crate::model::fit::{LoadOrder, context_params, round_context};

/// A context that is replaced after a failure.
#[derive(Debug)]
pub(super) struct DecodeSession {
    model: Model,
    order: LoadOrder,
    params: ContextParams,
    /// `None` after a failed computation.
    context: Option<Context>,
    /// The size in tokens to which the context may grow for the job.
    capacity: u32,
    /// The present size of the context in tokens.
    size: u32,
    threads: u32,
    needs_checkpoints: bool,
    saved: SavedCaches,
    governor: Governor,
}

/// The end of a prompt, in tokens. The next prompt may have another one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PromptEnd {
    /// The last tokens, with which the answer begins.
    pub(super) tail: usize,
    /// The last message of the user and all after it, before them, without what the template writes around them.
    pub(super) message: usize,
}

/// Result of decoding tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecodeOutcome {
    /// All tokens were decoded.
    Complete,
    /// Stopped early; the cache holds a prefix of all tokens so far, possibly an empty one.
    Stopped,
    /// The context was reduced, and there is no memory for one that holds all tokens. The cache holds a prefix of them.
    NoMemory,
}

impl DecodeSession {
    /// Creates a context as this order says. Conversations that it holds no longer are copied to `saved`.
    pub(super) fn new(model: &Model, order: &LoadOrder, saved: SavedCaches, governor: Governor) -> Result<Self> {
        let params = context_params(order.context, order.cache_type, order.threads);
        let context = Context::new(model, &params).map_err(map_llama_error)?;
        saved.set_rope(order.has_long_rope(params.context));
        Ok(Self {
            model: model.clone(),
            order: *order,
            // llama.cpp rounds it up, and the user gets what was asked for.
            capacity: params.context,
            size: params.context,
            params,
            threads: context.threads(),
            needs_checkpoints: !context.can_trim_anywhere(),
            context: Some(context),
            saved,
            governor,
        })
    }

    /// Returns the largest context size in tokens that a job with this limit may have now.
    pub(super) fn reachable_capacity(&self, limit: Option<u32>) -> u32 {
        let planned = self.size.max(self.params.context);
        let reached = self.governor.reachable_context(limit);
        reached.unwrap_or(planned.min(limit.unwrap_or(planned)))
    }

    /// Sets the context size that a job may have: as much as its prompt and answer need, by doubling, and at most `most`.
    pub(super) fn set_capacity(&mut self, prompt: usize, max_tokens: Option<u32>, most: u32) {
        let mut size = self.size.max(self.params.context).min(most).max(1);
        let needed =
            |size: u32| prompt as u64 + max_tokens.map_or(u64::from(size) - prompt_space(size, None), u64::from);
        while size < most && needed(size) > u64::from(size) {
            size = size.saturating_mul(2).min(most);
        }
        self.capacity = size;
    }

    /// Returns whether the cache cannot be cut at every token, so that prefill leaves checkpoints.
    pub(super) fn needs_checkpoints(&self) -> bool {
        self.needs_checkpoints
    }

    /// Returns whether the context is full.
    pub(super) fn is_full(&self) -> bool {
        self.context
            .as_ref()
            .is_some_and(|context| context.position() >= self.capacity)
    }

    /// Forgets the waits of an earlier job.
    pub(super) fn begin_job(&mut self) {
        self.governor.begin_job();
    }

    /// Returns the time since the last call in which the model waited because of the device's state.
    pub(super) fn take_waited(&mut self) -> Duration {
        self.governor.take_waited()
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
        self.context().map_or(0, |context| {
            let common = saved.reuse(context, wanted);
            context.trim(context.worth_keeping(common, wanted.prompt.len() as u32))
        })
    }

    /// Makes the context hold a prompt of so many tokens. Returns how large it is: where there is no memory, not large enough.
    pub(super) fn make_room(&mut self, prompt: usize) -> u32 {
        let needed = u32::try_from(prompt).unwrap_or(u32::MAX).saturating_add(1);
        let movable = self.order.movable_sizes(self.size);
        // After an error there is no context; the next one has the planned size.
        if !movable.contains(&self.capacity) {
            // Now, and not in the middle of the answer.
            let _ = self.grow_to(needed.max(movable.end().saturating_add(1)), self.capacity);
        }
        if needed > self.size {
            let _ = self.grow_to(needed, self.capacity);
        }
        self.size
    }

    /// Stores the states of stored conversations, and clears the cache and its copies.
    pub(super) fn store_all(&mut self) {
        if let Some(context) = &mut self.context {
            self.saved.store_all(context);
        }
    }

    /// Overwrites the cache if it has a conversation that was deleted. Returns whether it had.
    pub(super) fn wipe_forgotten(&mut self) -> bool {
        let (saved, governor) = (&self.saved, &self.governor);
        self.context
            .as_mut()
            .is_some_and(|context| saved.wipe_forgotten(context, || governor.growth_bytes()))
    }

    /// Decodes the rest of a prompt as [`decode`](Self::decode) does. Leaves checkpoints where the cache cannot be cut: before
    /// it, after each [`CHECKPOINT_TOKENS`], and before its end.
    pub(super) fn prefill(&mut self, tokens: &[Token], end: PromptEnd, stop: AbortSignal<'_>) -> Result<DecodeOutcome> {
        if !self.needs_checkpoints {
            return self.decode(tokens, stop);
        }
        let whole = self.position() as usize + tokens.len();
        let message = whole.saturating_sub(end.tail + end.message) as u32;
        let (body, tail) = tokens.split_at(tokens.len().saturating_sub(end.tail));
        let mut to_come = tokens.len();
        for batch in body.chunks(CHECKPOINT_TOKENS).chain(tail.chunks(CHECKPOINT_TOKENS)) {
            let saved = self.saved.clone();
            saved.add_checkpoint(self.context()?, message);
            to_come -= batch.len();
            let outcome = self.decode_before(batch, to_come, stop)?;
            if outcome != DecodeOutcome::Complete {
                return Ok(outcome);
            }
        }
        Ok(DecodeOutcome::Complete)
    }

    /// Decodes the tokens in batches, checking the signal throughout. After a stop, [`reuse_prefix`](Self::reuse_prefix)
    /// says how many of them a later request finds.
    pub(super) fn decode<'a>(&mut self, tokens: &[Token], stop: impl Into<AbortSignal<'a>>) -> Result<DecodeOutcome> {
        self.decode_before(tokens, 0, stop.into())
    }

    /// Decodes a part of a prompt, of which so many tokens follow.
    fn decode_before(&mut self, tokens: &[Token], to_come: usize, stop: AbortSignal<'_>) -> Result<DecodeOutcome> {
        let mut rest = tokens;
        while !rest.is_empty() {
            let Self {
                governor,
                context,
                threads,
                ..
            } = self;
            let pause = || context.iter_mut().for_each(Context::pause_threads);
            let threads = match governor.next_step(*threads, &stop, pause) {
                NextStep::Compute { threads } => threads,
                NextStep::ReduceMemory => {
                    self.reduce(rest.len() + to_come)?;
                    continue;
                }
                NextStep::StoreState => {
                    if let Some(context) = &self.context {
                        self.saved.store_present(context, PAUSED_STORED_BYTES);
                    }
                    continue;
                }
                NextStep::Stop => return Ok(DecodeOutcome::Stopped),
            };
            let needed = self.position() as usize + rest.len();
            if needed > self.size as usize {
                let most = match self.position() {
                    0 => u32::MAX,
                    _ => *self.order.movable_sizes(self.size).end(),
                };
                self.grow_to(u32::try_from(needed).unwrap_or(u32::MAX), most)?;
                if needed > self.size as usize {
                    return Ok(DecodeOutcome::NoMemory);
                }
            }
            let context = self.context()?;
            context.limit_threads(threads);
            let size = batch_size(context.next_batch(rest.len()), rest.len());
            let (batch, after) = rest.split_at(size);
            let decoded = context.decode(batch, after.is_empty(), stop);
            self.governor.end_batch();
            match decoded {
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

    /// Gives the empty context the planned size.
    ///
    /// # Errors
    /// `TooLarge` if it was reduced and the memory is not there any more; those of creating a context.
    pub(super) fn restore_planned(&mut self) -> Result<()> {
        let planned = self.params.context;
        self.capacity = planned;
        if self.size > planned {
            self.resize(planned)?;
        } else {
            self.grow_to(planned, planned)?;
        }
        match self.size == planned {
            true => Ok(()),
            false => Err(no_memory(planned as usize, "use a smaller context")),
        }
    }

    /// Clears the KV cache, and keeps no copy of it.
    pub(super) fn discard(&mut self) {
        if let Some(context) = &mut self.context {
            context.clear();
        }
    }

    fn position(&self) -> u32 {
        self.context.as_ref().map_or(0, Context::position)
    }

    /// Returns the context, a new one after a failure.
    fn context(&mut self) -> Result<&mut Context> {
        if let Some(context) = self.context.take() {
            return Ok(self.context.insert(context));
        }
        let context = Context::new(&self.model, &self.params_for(self.size)).map_err(map_llama_error)?;
        Ok(self.set_context(context, self.size))
    }

    /// Takes a new context of this size in tokens, and reports what it takes.
    fn set_context(&mut self, context: Context, size: u32) -> &mut Context {
        self.size = size;
        self.saved.set_rope(self.order.has_long_rope(size));
        self.report(&context);
        self.context.insert(context)
    }

    /// Reports the size of the context, and what it takes.
    fn report(&self, context: &Context) {
        if let Ok((cache, compute)) = buffers(context) {
            self.governor.report_context(self.size, cache, compute);
        }
    }

    /// Frees the context, and reports that it takes nothing until the next one is created, which is at most as large as planned.
    fn drop_context(&mut self) {
        self.context = None;
        self.size = self.size.min(self.params.context);
        self.governor.report_context(self.size, 0, 0);
    }

    fn params_for(&self, size: u32) -> ContextParams {
        ContextParams {
            context: size,
            ..self.params
        }
    }

    /// Reduces the context to its content and `coming` tokens, if that frees at least half of it.
    fn reduce(&mut self, coming: usize) -> Result<()> {
        let needed = self
            .position()
            .saturating_add(u32::try_from(coming).unwrap_or(u32::MAX));
        let least = *self.order.movable_sizes(self.size).start();
        let size = round_context(needed.saturating_add(SPARE_TOKENS).max(least));
        if size > self.size / 2 {
            return Ok(());
        }
        let before = self.buffer_bytes()?;
        self.resize(size)?;
        if self.size > size {
            return Ok(());
        }
        let freed = before.saturating_sub(self.buffer_bytes()?);
        tracing::info!(
            tokens = self.size,
            freed,
            "the context is reduced after a memory warning"
        );
        self.governor.report_reduction(self.size, freed);
        Ok(())
    }

    /// Makes the context hold at least `needed` tokens, and up to as many again for what follows, as far as the job, the memory
    /// of the moment and `most` allow.
    fn grow_to(&mut self, needed: u32, most: u32) -> Result<()> {
        self.context()?;
        let most = most.min(self.capacity);
        if needed <= self.size || needed > most {
            return Ok(());
        }
        let token_bytes = self.order.token_bytes;
        let for_tokens = |tokens: u32| token_bytes.saturating_mul(tokens.into());
        let mut extra = needed;
        loop {
            let size = round_context(needed.saturating_add(extra)).min(most);
            // The content is copied meanwhile.
            let more = for_tokens(size - self.size).saturating_add(for_tokens(self.position()));
            if let Some(rest) = self.governor.reserve_growth(size, for_tokens(size), more) {
                self.saved.lower_limit(|limit| limit.min(rest));
                self.resize(size)?;
                if self.size >= needed || extra == 0 {
                    return Ok(());
                }
                // The system has less than it seemed, or not in one piece.
                extra = 0;
            } else if extra == 0 {
                return Ok(());
            } else {
                extra = if extra > SPARE_TOKENS { extra / 2 } else { 0 };
            }
        }
    }

    /// Moves the content into a context of another size, as far as it can move there. If there is no memory for that, the old size
    /// is kept. After an error there is no context, and so no content.
    fn resize(&mut self, size: u32) -> Result<()> {
        let Some(context) = &self.context else {
            self.size = size;
            return Ok(());
        };
        let movable = self.order.movable_sizes(self.size);
        let copy = context.save(u64::MAX);
        if copy.is_none() && context.position() > 0 && movable.contains(&size) {
            self.report(context);
            return Ok(());
        }
        // Before the new one is created: there may not be memory for both.
        self.context = None;
        let created = Context::new(&self.model, &self.params_for(size)).map(|context| (context, size));
        let created =
            created.or_else(|_| Context::new(&self.model, &self.params_for(self.size)).map(|it| (it, self.size)));
        let (mut context, size) = created.map_err(|error| {
            self.drop_context();
            map_llama_error(error)
        })?;
        if let Some(copy) = copy.filter(|_| movable.contains(&size))
            && (context.restore(&copy) as usize) < copy.tokens().len()
        {
            self.drop_context();
            return Err(Error::internal("the cache could not be moved to another context"));
        }
        self.set_context(context, size);
        Ok(())
    }

    fn buffer_bytes(&mut self) -> Result<u64> {
        buffers(self.context()?).map(|(cache, compute)| cache + compute)
    }

    /// Frees the context if the computation itself failed.
    fn map_failure(&mut self, error: LlamaError) -> Error {
        if matches!(error, LlamaError::Decode(_) | LlamaError::NotANumber) {
            self.drop_context();
        }
        map_llama_error(error)
    }
}

/// Returns the bytes of the cache and of the compute buffers.
fn buffers(context: &Context) -> Result<(u64, u64)> {
    let parts = context.memory().map_err(map_llama_error)?;
    let sum = |of: fn(&MemoryPart) -> u64| parts.iter().map(of).sum();
    Ok((sum(|part| part.cache), sum(|part| part.compute)))
}

/// Returns the tokens of the next batch of `rest`, at most `size`: fewer if the last batch would be too small to be fast.
fn batch_size(size: usize, rest: usize) -> usize {
    let tile = TILE_TOKENS as usize;
    let is_last_small = (1..tile).contains(&(rest - size));
    if is_last_small && size >= 2 * tile {
        rest - tile
    } else {
        size
    }
}

/// The most bytes of a state that is stored when an answer pauses: the system gives an app some seconds in the background.
const PAUSED_STORED_BYTES: u64 = 64 << 20;
/// Space that a reduced context leaves for the rest of an answer.
const SPARE_TOKENS: u32 = 256;
/// Tokens between two checkpoints: each takes a copy, and the way back to the last one is prefilled again.
const CHECKPOINT_TOKENS: usize = 512;
