//! Deletes what memory has of conversations that were deleted.

use std::time::Instant;

use nearside_llama::{Context, SavedCache};

use super::{BORROWED_BYTES, Copies, SavedCaches, cut_to};
use crate::engine::JobConversation;
use crate::engine::local::content_origin::ContentOrigin;

impl SavedCaches {
    /// Frees the copies of conversations that were deleted at these moments; no new ones are made, and nothing of them is stored,
    /// until they are asked again. [`Self::wipe_forgotten`] must follow, between two jobs: the context may have one.
    ///
    /// A request outside of any conversation may have had their texts, such as one for a title: nothing of it stays.
    pub(in crate::engine::local) fn forget(&self, deleted: impl IntoIterator<Item = (u64, Instant)>) {
        self.change(|copies| {
            for (conversation, at) in deleted {
                copies.forgotten.insert(conversation, at);
                copies.last_deletion = copies.last_deletion.max(Some(at));
            }
            copies.has_new_deletion = true;
            let mut others = std::mem::take(&mut copies.others);
            others.retain(|other| copies.may_keep(other.origin) && other.origin.tokens >= other.cache.tokens().len());
            copies.others = others;
            if !copies.may_keep(copies.origin) {
                copies.checkpoints.clear();
            }
        });
    }

    #[cfg(test)]
    pub(in crate::engine::local) fn has_forgotten(&self, conversation: u64) -> bool {
        crate::sync::lock(&self.0.copies).forgotten.contains_key(&conversation)
    }

    /// Overwrites what the context has of conversations that were deleted, and of requests outside of any. Returns whether there
    /// was any. What else it has is copied meanwhile: `spare` returns how many bytes that may take, if copies may take less.
    pub(in crate::engine::local) fn wipe_forgotten(&self, context: &mut Context, spare: impl FnOnce() -> u64) -> bool {
        let has_forgotten = |copies: &mut Copies| {
            let has_forgotten = copies.has_forgotten_content();
            // Later requests were made after it.
            copies.has_new_deletion &= has_forgotten;
            has_forgotten
        };
        if !self.change(has_forgotten) {
            return false;
        }
        // Not under the lock: the app is asked.
        let spare = spare();
        self.change(|copies| {
            copies.has_new_deletion = false;
            copies.held.clear();
            // Behind the content of another one there may be more of it.
            let other = match copies.may_keep(copies.origin) {
                true => copies.take_own(context, spare),
                false => None,
            };
            context.wipe();
            match other {
                Some(other) if context.restore(&other) > 0 => {
                    copies.held.insert(copies.origin.conversation.map(|own| own.id));
                }
                _ => {
                    copies.checkpoints.clear();
                    copies.origin = ContentOrigin::default();
                }
            }
            true
        })
    }
}

impl Copies {
    /// Returns whether a content may be copied or stored: not if its conversation was deleted.
    pub(super) fn may_keep(&self, origin: ContentOrigin) -> bool {
        let is_forgotten = |own: JobConversation| self.forgotten.contains_key(&own.id);
        !origin.conversation.is_some_and(is_forgotten)
    }

    /// Notes that a request was made before the last deletion, and outside of any conversation: it may have the text of the deleted
    /// one.
    pub(super) fn note_outside(&mut self, requested_at: Instant) {
        self.has_new_deletion |= self.last_deletion.is_some_and(|at| at >= requested_at);
    }

    /// Copies what the context has of its conversation, and leaves no more in it. `None` if there is nothing, or the copy would take
    /// too much. It lives for a moment, so that no other copy is freed for it.
    fn take_own(&mut self, context: &mut Context, spare: u64) -> Option<SavedCache> {
        self.cut_to_own(context);
        context.save(self.limit.max(BORROWED_BYTES).max(spare))
    }

    /// Cuts off what the context has behind its conversation.
    pub(super) fn cut_to_own(&mut self, context: &mut Context) {
        let own = u32::try_from(self.origin.tokens).unwrap_or(u32::MAX);
        cut_to(context, &self.checkpoints, own.min(context.position()));
        let held = context.held_tokens();
        self.checkpoints
            .retain(|checkpoint| held.starts_with(checkpoint.tokens()));
    }

    /// Returns whether the context has had a conversation that was deleted, or a request that may have had its text.
    fn has_forgotten_content(&self) -> bool {
        self.held.iter().any(|id| match id {
            Some(id) => self.forgotten.contains_key(id),
            None => self.has_new_deletion,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::lock;

    #[test]
    fn a_conversation_that_is_deleted_during_the_load_is_not_kept() {
        let saved = SavedCaches::default();
        saved.forget([(7, Instant::now())]);
        saved.restart(100, None);
        let origin = |id| ContentOrigin {
            conversation: Some(JobConversation { id, is_stored: true }),
            tokens: usize::MAX,
        };
        let may_keep = |id| lock(&saved.0.copies).may_keep(origin(id));
        assert!(!may_keep(7) && may_keep(8));
    }
}
