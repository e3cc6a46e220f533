//! Decoding: computes tokens and appends them to the cache of a context.
//!
//! Each computation uses the number of threads that is fastest now ([`crate::pace`]), in turn with the other contexts of the
//! process ([`crate::turns`]). One that takes much longer than the last ones is interrupted and done again with fewer
//! threads, if the cache can go back.

#![allow(unsafe_code)]

use std::ptr;
use std::time::Instant;

use llama_cpp_sys_2 as sys;

use crate::abort::WatchedRun;
use crate::backend::with_compute_log;
use crate::cache::TILE_TOKENS;
use crate::pace::Pace;
use crate::{AbortSignal, Context, LlamaError, Token, ffi};

/// Outcome of [`Context::decode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// All tokens are in the cache.
    Whole,
    /// The signal was raised.
    Aborted {
        /// The number of tokens that the cache still holds, from the first on. Equals the number before the call, or 0
        /// for a model whose state cannot go back (recurrent and hybrid ones).
        kept: u32,
    },
}

impl Context {
    /// Returns how many of `rest` tokens the next [`decode`](Self::decode) should take: at most a batch, fewer while other
    /// contexts wait for their turn, and few to find out how many threads are fastest now.
    pub fn next_batch(&mut self, rest: usize) -> usize {
        let most = if self.turn.has_rivals() {
            SHARED_BATCH_TOKENS
        } else {
            self.batch() as usize
        };
        let size = rest.min(most);
        if size < MIN_SPLIT_TOKENS {
            return size;
        }
        let (position, units) = (self.position(), units_of(size));
        let is_trial = self.batch_pace.plan_next(Instant::now(), position, units).is_trial;
        if is_trial { TRIAL_TOKENS } else { size }
    }

    /// Decodes `tokens` and appends them to the cache. With `logits`, [`sample`](Self::sample) may follow.
    ///
    /// Contexts whose threads do not fit beside each other take turns. `abort` ends the wait for one, and is checked between
    /// the operations of the computation, so raising it from another thread ends the call
    /// after the current one (on a GPU: after this batch).
    ///
    /// # Errors
    /// [`LlamaError::Input`] for no tokens, more than a batch, more than the context can still hold, or tokens outside
    /// the vocabulary; [`LlamaError::Decode`] if the computation failed. After that all calls fail: discard the context.
    pub fn decode<'a>(
        &mut self,
        tokens: &[Token],
        logits: bool,
        abort: impl Into<AbortSignal<'a>>,
    ) -> Result<Decoded, LlamaError> {
        let abort = abort.into();
        self.check_tokens(tokens)?;
        if self.has_failed {
            return Err(LlamaError::Decode("an earlier computation failed".to_owned()));
        }
        self.has_logits = false;
        loop {
            if abort.is_raised() {
                return Ok(Decoded::Aborted { kept: self.position() });
            }
            if !self.turn.begin(&abort, || self.threads.pause()) {
                return Ok(Decoded::Aborted { kept: self.position() });
            }
            let outcome = self.compute_paced(tokens, logits, &abort);
            self.turn.end();
            match outcome {
                Ok(Computed::Whole) => {
                    self.held.extend_from_slice(tokens);
                    self.has_logits = logits;
                    return Ok(Decoded::Whole);
                }
                // llama.cpp has removed the batch again, except from a cache that refuses to remove a part.
                Ok(Computed::Overdue) if self.cache_position() == self.position() => {}
                Ok(Computed::Overdue) => {
                    self.fail();
                    return Err(LlamaError::Decode(
                        "an interrupted computation left tokens behind".to_owned(),
                    ));
                }
                Ok(Computed::Aborted) => {
                    if self.cache_position() != self.position() {
                        self.clear();
                    }
                    return Ok(Decoded::Aborted { kept: self.position() });
                }
                Err(error) => {
                    self.fail();
                    return Err(error);
                }
            }
        }
    }

    /// Records that the content of the cache is unknown.
    pub(crate) fn fail(&mut self) {
        self.has_failed = true;
        self.has_logits = false;
        self.held.clear();
    }

    fn check_tokens(&self, tokens: &[Token]) -> Result<(), LlamaError> {
        let count = tokens.len();
        let room = self.capacity().saturating_sub(self.position());
        let problem = if count == 0 {
            "there is no token to decode".to_owned()
        } else if count > self.batch() as usize {
            format!("{count} tokens are more than the batch of {}", self.batch())
        } else if count > room as usize {
            format!("{count} tokens do not fit: the context has room for {room}")
        } else if tokens.iter().any(|token| !self.model.has_token(*token)) {
            "a token is not in the vocabulary".to_owned()
        } else {
            return Ok(());
        };
        Err(LlamaError::Input(problem))
    }

    /// Computes with the threads that are fastest now, and records how long it took.
    fn compute_paced(
        &mut self,
        tokens: &[Token],
        logits: bool,
        abort: &AbortSignal<'_>,
    ) -> Result<Computed, LlamaError> {
        let (position, can_repeat) = (self.position(), self.can_trim_anywhere());
        let units = units_of(tokens.len());
        let choice = self.pace_of(tokens).plan_next(Instant::now(), position, units);
        if self.threads.select(choice.threads) {
            // SAFETY: the context is live and uses the pools no longer than it lives.
            unsafe { self.threads.attach(self.raw()) }
        }
        let run = WatchedRun::new(*abort, choice.limit.filter(|_| can_repeat), self.operations);
        let outcome = self.compute(tokens, logits, &run);
        let (now, seconds) = (Instant::now(), run.seconds());
        let pace = self.pace_of(tokens);
        match outcome {
            Ok(Computed::Whole) => {
                pace.record(now, seconds, units);
                self.operations = run.polls();
            }
            Ok(Computed::Aborted) if run.is_overdue() => {
                pace.record_overdue(now, seconds, units);
                return Ok(Computed::Overdue);
            }
            _ => {}
        }
        outcome
    }

    fn pace_of(&mut self, tokens: &[Token]) -> &mut Pace {
        match tokens {
            [_] => &mut self.token_pace,
            _ => &mut self.batch_pace,
        }
    }

    /// Calls llama.cpp. The tokens are checked; an end by the limit is told as an abort.
    fn compute(&mut self, tokens: &[Token], logits: bool, run: &WatchedRun<'_>) -> Result<Computed, LlamaError> {
        self.output_flags.fill(0);
        if let Some(last) = self.output_flags.get_mut(tokens.len() - 1) {
            *last = i8::from(logits);
        }
        let batch = sys::llama_batch {
            n_tokens: i32::try_from(tokens.len()).unwrap_or(i32::MAX),
            token: tokens.as_ptr().cast_mut(),
            embd: ptr::null_mut(),
            // Null: the positions after those in sequence 0.
            pos: ptr::null_mut(),
            n_seq_id: ptr::null_mut(),
            seq_id: ptr::null_mut(),
            logits: self.output_flags.as_mut_ptr(),
        };
        let mut status = 0;
        let compute = || {
            self.abort.with_run(run, || {
                // SAFETY: llama.cpp only reads the tokens, and both arrays have at least `n_tokens` elements.
                ffi::call(|error| unsafe { ffi::ns_decode(self.raw(), batch, &raw mut status, error) }).map(|()| status)
            })
        };
        let (outcome, reason) = with_compute_log(compute, |outcome| matches!(outcome, Ok(ABORTED)));
        if logits && matches!(outcome, Ok(0)) {
            // SAFETY: the context is live. A GPU may still compute; a caller's clock must not end before it.
            unsafe { sys::llama_synchronize(self.raw()) }
        }
        match outcome {
            Ok(0) => Ok(Computed::Whole),
            Ok(ABORTED) => Ok(Computed::Aborted),
            Ok(1) => Err(LlamaError::Decode("the cache has no room for these tokens".to_owned())),
            Ok(other) if reason.is_empty() => Err(LlamaError::Decode(format!("llama.cpp returned status {other}"))),
            Ok(_) => Err(LlamaError::Decode(reason)),
            Err(thrown) => {
                self.handle.leak();
                Err(LlamaError::Decode(thrown))
            }
        }
    }
}

/// How a computation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Computed {
    Whole,
    /// The signal was raised.
    Aborted,
    /// It took too long.
    Overdue,
}

/// Returns the work of a computation: that for the tokens, and a fixed part, such as reading the weights.
fn units_of(tokens: usize) -> f64 {
    tokens as f64 + FIXED_TOKENS
}

/// The status of a computation that the abort callback ended.
const ABORTED: i32 = 2;
/// Tokens of a batch while another context waits for its turn.
const SHARED_BATCH_TOKENS: usize = 64;
/// Tokens of a batch that finds out how many threads are fastest.
const TRIAL_TOKENS: usize = 8;
/// Shorter batches are not divided for that: one of [`TILE_TOKENS`] computes faster than its parts.
const MIN_SPLIT_TOKENS: usize = TILE_TOKENS as usize + 1;
/// A batch takes as long as so many tokens more.
const FIXED_TOKENS: f64 = 4.0;
