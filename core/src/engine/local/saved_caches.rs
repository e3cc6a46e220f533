//! Copies of the KV caches of earlier conversations, so that a conversation that comes back is not prefilled again.
//!
//! A context holds one conversation. When another one takes it, the content is copied into memory, up to a limit that the
//! load's plan leaves free; the least recently used copy goes first. Copies were chosen over several sequences in one
//! cache, because sequences share the context's tokens: two long conversations would evict each other.
//!
//! Where an engine stores states, a conversation that neither the context nor a copy has comes from its file, and the content
//! of context and copies goes to files when it would be thrown away: only that of conversations that are stored themselves.
//!
//! Recurrent, hybrid and sliding-window models cannot cut their cache at any token. For them, prefill leaves checkpoints, so
//! that an edited turn, or one whose reasoning the template dropped, is prefilled from the last checkpoint before it.

mod forgetting;
mod storing;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nearside_llama::{CacheCheckpoint, Context, SavedCache, Token, common_prefix};

use super::content_origin::ContentOrigin;
use super::engine_states::EngineStates;
use super::state_files::StoredState;
use super::write_allowance::{StoredBytes, WriteAllowance};
use crate::engine::JobConversation;
use crate::sync::lock;

/// The copies of one engine. Clones share them; any thread may free them.
#[derive(Debug, Clone, Default)]
pub(super) struct SavedCaches(Arc<SharedCopies>);

#[derive(Debug, Default)]
struct SharedCopies {
    copies: Mutex<Copies>,
    /// Bytes that they take, readable while a copy is made: that takes tenths of a second.
    bytes: AtomicU64,
    stored: StoredBytes,
}

#[derive(Debug, Default)]
struct Copies {
    /// Of the conversations that the context does not hold. Least recently used first.
    others: Vec<SavedConversation>,
    /// Of the conversation that the context holds. Shortest first.
    checkpoints: Vec<Arc<CacheCheckpoint>>,
    /// The position at which the last message of the user begins.
    message: u32,
    /// Of the content of the context.
    origin: ContentOrigin,
    /// Deleted conversations, and when that was: nothing of them is copied or stored any more.
    forgotten: HashMap<u64, Instant>,
    /// The conversations that the context has had since it was created or overwritten; `None`: requests outside of any.
    held: HashSet<Option<u64>>,
    /// Whether a conversation was deleted since the context was last looked at.
    has_new_deletion: bool,
    last_deletion: Option<Instant>,
    /// As [`LoadOrder::has_long_rope`](crate::model::fit::LoadOrder::has_long_rope), of the context and of all copies.
    has_long_rope: bool,
    /// Bytes that all may take.
    limit: u64,
    states: Option<EngineStates>,
}

/// A copy or a file that serves a prompt.
enum Found {
    Copy { at: usize, tokens: u32 },
    Stored(StoredState),
}

/// A request for the content of the context.
pub(super) struct Wanted<'a> {
    pub(super) prompt: &'a [Token],
    /// The conversation that the prompt is of.
    pub(super) conversation: Option<JobConversation>,
    pub(super) requested_at: Instant,
    /// Returns whether the request ended: nothing more is read for it.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
}

/// The cache of one conversation, with the checkpoints that it can go back to.
#[derive(Debug)]
struct SavedConversation {
    cache: SavedCache,
    checkpoints: Vec<Arc<CacheCheckpoint>>,
    origin: ContentOrigin,
}

impl SavedCaches {
    /// Frees all copies, and sets the bytes that new ones may take, and the stored states of the model that is loaded now.
    pub(super) fn restart(&self, limit: u64, states: Option<EngineStates>) {
        self.change(|copies| {
            *copies = Copies {
                limit,
                states,
                // They may have been deleted while the model loaded for one of them.
                forgotten: std::mem::take(&mut copies.forgotten),
                last_deletion: copies.last_deletion,
                ..Copies::default()
            }
        });
    }

    /// Sets how the context computes, before it has content. Copies and states that were computed otherwise are of no use to it:
    /// the copies are freed.
    pub(super) fn set_rope(&self, is_long: bool) {
        self.change(|copies| {
            if let Some(states) = &mut copies.states {
                states.set_rope(is_long);
            }
            if std::mem::replace(&mut copies.has_long_rope, is_long) != is_long {
                copies.free();
                copies.origin = ContentOrigin::default();
            }
        });
    }

    /// Returns the bytes that the copies take.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Frees all copies. Nothing is stored.
    pub(super) fn clear(&self) {
        self.change(Copies::free);
    }

    /// Stores the state of the conversation that the context holds and keeps, if it is a stored one and takes at most this
    /// many bytes.
    pub(super) fn store_present(&self, context: &Context, most: u64) {
        self.store_context(context, &mut WriteAllowance::new(&self.0.stored, most));
    }

    /// Lowers the bytes that copies may take, until the next load, and frees what exceeds them.
    pub(super) fn lower_limit(&self, most: impl FnOnce(u64) -> u64) {
        self.change(|copies| {
            copies.limit = copies.limit.min(most(copies.limit));
            copies.evict();
        });
    }

    /// Makes the context hold as much of the prompt as it, a copy or a stored state has, and returns how many tokens that is.
    /// A conversation that it held so far is copied first.
    pub(super) fn reuse(&self, context: &mut Context, wanted: &Wanted<'_>) -> u32 {
        self.change(|copies| copies.reuse(context, wanted))
    }

    /// Copies the conversation that the context holds, and clears the context.
    pub(super) fn leave(&self, context: &mut Context) {
        self.change(|copies| {
            if context.position() >= MIN_SAVED_TOKENS {
                copies.save(context);
            }
            copies.checkpoints.clear();
            copies.origin = ContentOrigin::default();
            context.clear();
        });
    }

    /// Adds a checkpoint of the context's present content, if the context needs checkpoints. `message`: the position at which
    /// the last message of the user begins, or soon after.
    pub(super) fn add_checkpoint(&self, context: &Context, message: u32) {
        if context.position() > 0 && !context.can_trim_anywhere() {
            self.change(|copies| copies.add_checkpoint(context, message));
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
    fn free(&mut self) {
        self.others.clear();
        self.checkpoints.clear();
    }

    fn reuse(&mut self, context: &mut Context, wanted: &Wanted<'_>) -> u32 {
        let prompt = wanted.prompt;
        // One that was asked before the deletion, and waited, brings nothing back.
        if let Some(conversation) = wanted.conversation
            && self
                .forgotten
                .get(&conversation.id)
                .is_some_and(|at| *at < wanted.requested_at)
        {
            self.forgotten.remove(&conversation.id);
        }
        if wanted.conversation.is_none() {
            self.note_outside(wanted.requested_at);
        }
        let held = context.position();
        let common = common_prefix(context.held_tokens(), prompt);
        let served = match context.can_trim(common) {
            true => common,
            false => latest_checkpoint(&self.checkpoints, context.held_tokens(), common).map_or(0, length),
        };
        let found = self.find_best(context, prompt, served.saturating_add(MIN_GAIN_TOKENS));
        let leaves = found.is_some() || u64::from(served) * 2 < u64::from(held);
        let taken = match &found {
            Some(Found::Copy { at, .. }) => Some(self.others.remove(*at)),
            _ => None,
        };
        if leaves && held - served >= MIN_SAVED_TOKENS {
            // A copy of a conversation alone outlives a deletion, and may be stored.
            if self.origin.tokens >= served.max(MIN_SAVED_TOKENS) as usize {
                self.cut_to_own(context);
            }
            self.save(context);
        }
        match (found, taken) {
            (Some(Found::Copy { tokens, .. }), Some(best)) => {
                self.restore(context, &best);
                if u64::from(tokens) * 2 < best.cache.tokens().len() as u64 {
                    // Another conversation with the same beginning.
                    self.others.push(best);
                }
            }
            (Some(Found::Stored(state)), _) => {
                if let Some(best) = self.load_stored(context, &state, wanted.is_stopped) {
                    self.restore(context, &best);
                    if context.position() == 0 {
                        state.delete();
                    }
                }
            }
            _ => {}
        }
        let common = common_prefix(context.held_tokens(), prompt);
        cut_to(context, &self.checkpoints, common);
        self.origin = self.origin.extended(wanted.conversation, context.position() as usize);
        self.held.insert(wanted.conversation.map(|own| own.id));
        let held = context.held_tokens();
        self.checkpoints
            .retain(|checkpoint| held.starts_with(checkpoint.tokens()));
        self.evict();
        context.position()
    }

    fn restore(&mut self, context: &mut Context, saved: &SavedConversation) {
        context.restore(&saved.cache);
        self.checkpoints.clone_from(&saved.checkpoints);
        self.origin = saved.origin;
        self.held.insert(saved.origin.conversation.map(|own| own.id));
        if saved.origin.tokens < saved.cache.tokens().len() {
            self.held.insert(None);
        }
    }

    /// Returns the copy or the stored state that serves the longest part of the prompt, if that is more than `least` tokens.
    fn find_best(&self, context: &Context, prompt: &[Token], least: u32) -> Option<Found> {
        let copy = self.find_copy(context, prompt).filter(|(_, tokens)| *tokens > least);
        let least = copy.map_or(least, |(_, tokens)| tokens.saturating_add(MIN_GAIN_TOKENS));
        let stored = self.find_stored(context, prompt).filter(|(_, tokens)| *tokens > least);
        match stored {
            Some((state, _)) => Some(Found::Stored(state)),
            None => copy.map(|(at, tokens)| Found::Copy { at, tokens }),
        }
    }

    /// Returns the stored state that serves the longest part of the prompt, of those that the memory can hold.
    fn find_stored(&self, context: &Context, prompt: &[Token]) -> Option<(StoredState, u32)> {
        let most = self.limit.max(BORROWED_BYTES);
        let served = |state: &StoredState| {
            let held = &state.header.tokens;
            let common = common_prefix(held, prompt);
            if context.can_trim_anywhere() || common as usize == held.len() {
                return common;
            }
            let points = state.header.checkpoints.iter().map(|checkpoint| checkpoint.tokens);
            points.filter(|tokens| *tokens <= common).max().unwrap_or(0)
        };
        let fits = |state: &StoredState| {
            let tokens = state.header.tokens.len();
            tokens <= context.capacity() as usize && state.header.body_bytes().is_some_and(|bytes| bytes <= most)
        };
        let candidates = self.states.as_ref()?.candidates().into_iter().filter(fits);
        let each = candidates.map(|state| {
            let tokens = served(&state);
            (state, tokens)
        });
        each.max_by_key(|(_, tokens)| *tokens)
    }

    /// Reads a stored state. Copies that would not fit beside it are freed.
    fn load_stored(
        &mut self,
        context: &Context,
        state: &StoredState,
        is_stopped: &dyn Fn() -> bool,
    ) -> Option<SavedConversation> {
        self.make_room(state.header.body_bytes()?);
        let states = self.states.as_ref()?;
        let (cache, checkpoints) = states.load_state(context.model(), state, is_stopped)?;
        Some(SavedConversation {
            origin: ContentOrigin {
                conversation: Some(JobConversation {
                    id: state.header.conversation,
                    is_stored: true,
                }),
                tokens: cache.tokens().len(),
            },
            cache,
            checkpoints,
        })
    }

    /// Returns the copy that serves the longest part of the prompt, and how many tokens that is.
    fn find_copy(&self, context: &Context, prompt: &[Token]) -> Option<(usize, u32)> {
        let served = |saved: &SavedConversation| {
            let held = saved.cache.tokens();
            let common = common_prefix(held, prompt);
            match context.can_trim_anywhere() || common as usize == held.len() {
                true => common,
                false => latest_checkpoint(&saved.checkpoints, held, common).map_or(0, length),
            }
        };
        // A reduced context may hold less than a copy.
        let fits = |saved: &SavedConversation| saved.cache.tokens().len() <= context.capacity() as usize;
        let each = self.others.iter().enumerate().filter(|(_, saved)| fits(saved));
        each.map(|(at, saved)| (at, served(saved)))
            .max_by_key(|(_, tokens)| *tokens)
    }

    /// Copies the content of the context, in place of older states of the same conversation.
    fn save(&mut self, context: &Context) {
        let held = context.held_tokens();
        // Before the copy is made: both together must not take more than the limit.
        let bytes = context.saved_bytes();
        if bytes > self.limit || !self.may_keep(self.origin) {
            return;
        }
        self.others.retain(|other| !held.starts_with(other.cache.tokens()));
        self.make_room(bytes);
        if let Some(cache) = context.save(self.limit) {
            self.others.push(SavedConversation {
                cache,
                checkpoints: self.checkpoints.clone(),
                origin: self.origin,
            });
            self.evict();
        }
    }

    fn add_checkpoint(&mut self, context: &Context, message: u32) {
        let is_last = |last: &Arc<CacheCheckpoint>| length(last) == context.position();
        if self.checkpoints.last().is_some_and(is_last) {
            return;
        }
        if let Some(checkpoint) = context.save_checkpoint(self.limit / MAX_CHECKPOINTS as u64) {
            self.checkpoints.push(Arc::new(checkpoint));
            self.message = message;
            if self.checkpoints.len() > MAX_CHECKPOINTS {
                self.remove_checkpoint();
            }
            self.evict();
        }
    }

    /// Removes the oldest checkpoint of at least one, but not the last ones before the last message, however long that is: it may be edited.
    fn remove_checkpoint(&mut self) {
        let is_before = |checkpoint: &Arc<CacheCheckpoint>| length(checkpoint) <= self.message;
        let before = self.checkpoints.partition_point(is_before);
        // Where there is none after it, they go too.
        let goes_first = before > MESSAGE_CHECKPOINTS || before == self.checkpoints.len();
        self.checkpoints.remove(if goes_first { 0 } else { before });
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
                self.remove_checkpoint();
            } else {
                return;
            }
        }
    }
}

/// Cuts the content of a context to its first tokens, or to a checkpoint within them.
fn cut_to(context: &mut Context, checkpoints: &[Arc<CacheCheckpoint>], tokens: u32) {
    if context.can_trim(tokens) {
        context.trim(tokens);
    } else if let Some(checkpoint) = latest_checkpoint(checkpoints, context.held_tokens(), tokens) {
        context.restore_checkpoint(checkpoint);
    } else {
        context.clear();
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
/// Memory that a state may take on its way from or to its file, for some tenths of a second, where the limit is less.
const BORROWED_BYTES: u64 = 64 << 20;
/// Checkpoints of one conversation; at one for each batch of 512 tokens, they reach 4,096 tokens back.
const MAX_CHECKPOINTS: usize = 8;
/// Those of them that stay before a longer message: where it begins is only nearly known.
const MESSAGE_CHECKPOINTS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_lowered_and_never_raised_before_the_next_load() {
        let saved = SavedCaches::default();
        let limit = || lock(&saved.0.copies).limit;
        saved.restart(100, None);
        saved.lower_limit(|_| 200);
        assert_eq!(limit(), 100);
        saved.lower_limit(|limit| limit / 2);
        saved.clear();
        assert_eq!(limit(), 50);
        saved.restart(80, None);
        assert_eq!(limit(), 80);
    }
}
