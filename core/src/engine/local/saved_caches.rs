//! Copies of the KV caches of earlier conversations, so that a conversation that comes back is not prefilled again.
//!
//! A context holds one conversation. When another one takes it, the content is copied into memory, up to a limit that the
//! load's plan leaves free; the least recently used copy goes first. Copies were chosen over several sequences in one
//! cache, because sequences share the context's tokens: two long conversations would evict each other.
//!
//! Recurrent, hybrid and sliding-window models cannot cut their cache at any token. For them, prefill leaves checkpoints, so
//! that an edited turn, or one whose reasoning the template dropped, is prefilled from the last checkpoint before it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nearside_llama::{CacheCheckpoint, Context, SavedCache, Token, common_prefix};

use crate::sync::lock;

/// The copies of one engine. Clones share them; any thread may free them.
#[derive(Debug, Clone, Default)]
pub(super) struct SavedCaches(Arc<SharedCopies>);

#[derive(Debug, Default)]
struct SharedCopies {
    copies: Mutex<Copies>,
    /// Bytes that they take, readable while a copy is made: that takes tenths of a second.
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Copies {
    /// Of the conversations that the context does not hold. Least recently used first.
    others: Vec<SavedConversation>,
    /// Of the conversation that the context holds. Shortest first.
    checkpoints: Vec<Arc<CacheCheckpoint>>,
    /// Bytes that all may take.
    limit: u64,
}

/// The cache of one conversation, with the checkpoints that it can go back to.
#[derive(Debug)]
struct SavedConversation {
    cache: SavedCache,
    checkpoints: Vec<Arc<CacheCheckpoint>>,
}

impl SavedCaches {
    /// Frees all copies, and sets the bytes that new ones may take.
    pub(super) fn restart(&self, limit: u64) {
        self.change(|copies| copies.restart(limit));
    }

    /// Returns the bytes that the copies take.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Frees all copies.
    pub(super) fn clear(&self) {
        // In one change: a load that begins meanwhile sets its own limit.
        self.change(|copies| copies.restart(copies.limit));
    }

    /// Lowers the bytes that copies may take, until the next load, and frees what exceeds them.
    pub(super) fn lower_limit(&self, most: impl FnOnce(u64) -> u64) {
        self.change(|copies| {
            copies.limit = copies.limit.min(most(copies.limit));
            copies.evict();
        });
    }

    /// Makes the context hold as much of `prompt` as it or a copy has, and returns how many tokens that is. A conversation
    /// that it held so far is copied first.
    pub(super) fn reuse(&self, context: &mut Context, prompt: &[Token]) -> u32 {
        self.change(|copies| copies.reuse(context, prompt))
    }

    /// Copies the conversation that the context holds, and clears the context.
    pub(super) fn leave(&self, context: &mut Context) {
        self.change(|copies| {
            if context.position() >= MIN_SAVED_TOKENS {
                copies.save(context);
            }
            copies.checkpoints.clear();
            context.clear();
        });
    }

    /// Adds a checkpoint of the context's present content, if the context needs checkpoints.
    pub(super) fn add_checkpoint(&self, context: &Context) {
        if context.position() > 0 && !context.can_trim_anywhere() {
            self.change(|copies| copies.add_checkpoint(context));
        }
    }

    fn change<T>(&self, work: impl FnOnce(&mut Copies) -> T) -> T {
        let mut copies = lock(&self.0.copies);
        let done = work(&mut copies);
        self.0.bytes.store(copies.bytes(), Ordering::Relaxed);
        done
    }
}

impl Copies {
    fn restart(&mut self, limit: u64) {
        *self = Self {
            limit,
            ..Self::default()
        };
    }

    fn reuse(&mut self, context: &mut Context, prompt: &[Token]) -> u32 {
        let held = context.position();
        let common = common_prefix(context.held_tokens(), prompt);
        let served = match context.can_trim(common) {
            true => common,
            false => latest_checkpoint(&self.checkpoints, context.held_tokens(), common).map_or(0, length),
        };
        let best = self.take_best(context, prompt, served.saturating_add(MIN_GAIN_TOKENS));
        let leaves = best.is_some() || u64::from(served) * 2 < u64::from(held);
        if leaves && held - served >= MIN_SAVED_TOKENS {
            self.save(context);
        }
        if let Some((best, served)) = best {
            context.restore(&best.cache);
            self.checkpoints.clone_from(&best.checkpoints);
            if u64::from(served) * 2 < best.cache.tokens().len() as u64 {
                // Another conversation with the same beginning.
                self.others.push(best);
            }
        }
        let common = common_prefix(context.held_tokens(), prompt);
        if context.can_trim(common) {
            context.trim(common);
        } else if let Some(checkpoint) = latest_checkpoint(&self.checkpoints, context.held_tokens(), common) {
            context.restore_checkpoint(checkpoint);
        } else {
            context.clear();
        }
        let held = context.held_tokens();
        self.checkpoints
            .retain(|checkpoint| held.starts_with(checkpoint.tokens()));
        self.evict();
        context.position()
    }

    /// Removes the copy that serves the longest part of the prompt, if that is more than `least` tokens, and returns it with
    /// their number.
    fn take_best(&mut self, context: &Context, prompt: &[Token], least: u32) -> Option<(SavedConversation, u32)> {
        let served = |saved: &SavedConversation| {
            let held = saved.cache.tokens();
            let common = common_prefix(held, prompt);
            match context.can_trim_anywhere() || common as usize == held.len() {
                true => common,
                false => latest_checkpoint(&saved.checkpoints, held, common).map_or(0, length),
            }
        };
        let each = self.others.iter().map(served).enumerate();
        let (at, most) = each.max_by_key(|(_, tokens)| *tokens)?;
        (most > least).then(|| (self.others.remove(at), most))
    }

    /// Copies the content of the context, in place of older states of the same conversation.
    fn save(&mut self, context: &Context) {
        let held = context.held_tokens();
        // Before the copy is made: both together must not take more than the limit.
        let bytes = context.saved_bytes();
        if bytes > self.limit {
            return;
        }
        self.others.retain(|other| !held.starts_with(other.cache.tokens()));
        self.make_room(bytes);
        if let Some(cache) = context.save(self.limit) {
            self.others.push(SavedConversation {
                cache,
                checkpoints: self.checkpoints.clone(),
            });
            self.evict();
        }
    }

    fn add_checkpoint(&mut self, context: &Context) {
        let is_last = |last: &Arc<CacheCheckpoint>| length(last) == context.position();
        if self.checkpoints.last().is_some_and(is_last) {
            return;
        }
        if let Some(checkpoint) = context.save_checkpoint(self.limit / MAX_CHECKPOINTS as u64) {
            self.checkpoints.push(Arc::new(checkpoint));
            if self.checkpoints.len() > MAX_CHECKPOINTS {
                self.checkpoints.remove(0);
            }
            self.evict();
        }
    }

    /// Returns the bytes that the copies take. Conversations share checkpoints, which count once.
    fn bytes(&self) -> u64 {
        let caches: u64 = self.others.iter().map(|saved| saved.cache.bytes()).sum();
        let shared = self.others.iter().flat_map(|saved| &saved.checkpoints);
        let mut seen = HashSet::new();
        let each = shared.chain(&self.checkpoints);
        let once = each.filter(|checkpoint| seen.insert(Arc::as_ptr(checkpoint)));
        caches + once.map(|checkpoint| checkpoint.bytes()).sum::<u64>()
    }

    /// Frees copies until the limit is kept.
    fn evict(&mut self) {
        self.make_room(0);
    }

    /// Frees copies until this many bytes more are within the limit, or none is left.
    fn make_room(&mut self, bytes: u64) {
        while self.bytes().saturating_add(bytes) > self.limit {
            if !self.others.is_empty() {
                self.others.remove(0);
            } else if !self.checkpoints.is_empty() {
                self.checkpoints.remove(0);
            } else {
                return;
            }
        }
    }
}

/// Returns the last checkpoint of this content within its first `common` tokens.
fn latest_checkpoint<'c>(
    checkpoints: &'c [Arc<CacheCheckpoint>],
    held: &[Token],
    common: u32,
) -> Option<&'c Arc<CacheCheckpoint>> {
    let is_usable =
        |checkpoint: &&Arc<CacheCheckpoint>| length(checkpoint) <= common && held.starts_with(checkpoint.tokens());
    checkpoints.iter().rfind(is_usable)
}

fn length(checkpoint: &Arc<CacheCheckpoint>) -> u32 {
    checkpoint.tokens().len() as u32
}

/// A copy that serves less more than the context itself is not worth its restoring.
const MIN_GAIN_TOKENS: u32 = 32;
/// What takes a moment to prefill is not copied.
const MIN_SAVED_TOKENS: u32 = 64;
/// Checkpoints of one conversation; at one for each batch of 512 tokens, they reach 4,096 tokens back.
const MAX_CHECKPOINTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_lowered_and_never_raised_before_the_next_load() {
        let saved = SavedCaches::default();
        let limit = || lock(&saved.0.copies).limit;
        saved.restart(100);
        saved.lower_limit(|_| 200);
        assert_eq!(limit(), 100);
        saved.lower_limit(|limit| limit / 2);
        saved.clear();
        assert_eq!(limit(), 50);
        saved.restart(80);
        assert_eq!(limit(), 80);
    }
}
