//! Stores the states of conversations when their memory is freed.

use nearside_llama::Context;

use super::{BORROWED_BYTES, SavedCaches, cut_to};
use crate::engine::local::content_origin::ContentOrigin;
use crate::engine::local::write_allowance::WriteAllowance;

impl SavedCaches {
    /// Returns the bytes of the states that were written so far.
    pub(in crate::engine::local) fn stored_bytes(&self) -> u64 {
        self.0.stored.written()
    }

    /// Lowers the bytes that may be written from now on to those that the engine may write when it ends. Also ends the writing
    /// of a state that takes more.
    pub(in crate::engine::local) fn lower_last_bytes(&self, bytes: u64) {
        self.0.stored.lower_last(bytes);
    }

    /// Frees all copies, and stores those of stored conversations, the most recently used first, up to this many bytes.
    pub(in crate::engine::local) fn store_copies(&self, bytes: u64) {
        self.store_copies_beside(0, &mut WriteAllowance::new(&self.0.stored, bytes));
    }

    /// Frees all copies, clears the context, and stores the states of stored conversations, that of the context first.
    pub(in crate::engine::local) fn store_all(&self, context: &mut Context) {
        // An engine that is only dropped stores nothing.
        let last = self.0.stored.last().unwrap_or(0);
        let mut allowed = WriteAllowance::new(&self.0.stored, last);
        let (origin, checkpoints, limit) =
            self.change(|copies| (copies.origin, copies.checkpoints.clone(), copies.limit));
        if let Some((_, tokens)) = origin
            .stored(context.position() as usize)
            .filter(|_| allowed.left() > 0)
        {
            cut_to(context, &checkpoints, tokens as u32);
            let size = context.saved_bytes();
            // The others go first if the memory would not hold both.
            if self.bytes().saturating_add(size) > limit {
                self.store_copies_beside(size, &mut allowed);
                // They went with the copies, and belong to the state.
                self.change(|copies| copies.checkpoints = checkpoints);
            }
            self.store_context(context, &mut allowed);
        }
        self.store_copies_beside(0, &mut allowed);
        self.change(|copies| {
            copies.free();
            copies.origin = ContentOrigin::default();
        });
        context.clear();
    }

    /// Stores the state of the conversation that the context holds and keeps, if it is a stored one and may be written.
    pub(super) fn store_context(&self, context: &Context, allowed: &mut WriteAllowance<'_>) {
        let (states, origin, checkpoints, limit) = self.change(|copies| {
            let states = copies.states.clone().filter(|_| copies.may_keep(copies.origin));
            (states, copies.origin, copies.checkpoints.clone(), copies.limit)
        });
        let held = context.position() as usize;
        let (Some(states), Some((conversation, tokens))) = (states, origin.stored(held)) else {
            return;
        };
        let size = context.saved_bytes();
        if tokens == held && size <= limit.max(BORROWED_BYTES) {
            allowed.write(size, 0, |is_stopped| {
                let cache = context.save(u64::MAX);
                cache.is_some_and(|cache| states.store(conversation, &cache, &checkpoints, is_stopped))
            });
        }
    }

    /// Frees all copies, and stores those of stored conversations beside `kept` bytes, the most recently used first.
    fn store_copies_beside(&self, kept: u64, allowed: &mut WriteAllowance<'_>) {
        let (mut others, states) = self.change(|copies| {
            let others = std::mem::take(&mut copies.others);
            copies.free();
            (others, copies.states.clone())
        });
        let Some(states) = states else { return };
        // Not under the lock: a request may need it.
        while let Some(saved) = others.pop() {
            if let Some((conversation, tokens)) = saved.origin.stored(saved.cache.tokens().len())
                && tokens == saved.cache.tokens().len()
            {
                allowed.write(saved.cache.bytes(), kept, |is_stopped| {
                    states.store(conversation, &saved.cache, &saved.checkpoints, is_stopped)
                });
            }
        }
    }
}
