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
            copies.forgotten.extend(deleted);
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
    /// was any.
    pub(in crate::engine::local) fn wipe_forgotten(&self, context: &mut Context) -> bool {
        self.change(|copies| {
            let is_new = std::mem::take(&mut copies.has_new_deletion);
            let is_forgotten = |id: &Option<u64>| match id {
                Some(id) => copies.forgotten.contains_key(id),
                None => is_new,
            };
            if !copies.held.iter().any(is_forgotten) {
                return false;
            }
            copies.held.clear();
            // Behind the content of another one there may be more of it.
            let other = copies
                .may_keep(copies.origin)
                .then(|| copies.take_own(context))
                .flatten();
            context.wipe();
            match other {
                Some(other) if context.restore(&other) > 0 => {
                    let tokens = other.tokens();
                    copies
                        .checkpoints
                        .retain(|checkpoint| tokens.starts_with(checkpoint.tokens()));
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

    /// Copies what the context has of its conversation, and leaves no more in it. `None` if there is nothing, or the copy would take
    /// more than copies may.
    fn take_own(&mut self, context: &mut Context) -> Option<SavedCache> {
        let own = u32::try_from(self.origin.tokens).unwrap_or(u32::MAX);
        cut_to(context, &self.checkpoints, own.min(context.position()));
        let most = self.limit.max(BORROWED_BYTES);
        let bytes = context.saved_bytes();
        if bytes > most {
            return None;
        }
        self.make_room(bytes);
        context.save(most)
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
