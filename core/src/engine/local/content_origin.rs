//! Whose tokens a cache holds: what may be stored of it, and what must go with a deleted conversation.

use super::state_files::MIN_STORED_TOKENS;
use crate::engine::JobConversation;

/// Whose tokens a cache holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ContentOrigin {
    pub(super) conversation: Option<JobConversation>,
    /// The tokens from the first on that are the conversation's. Those after them came with a request outside of it.
    pub(super) tokens: usize,
}

impl ContentOrigin {
    /// Returns the origin of a content of which `kept` tokens stay, after a request of this conversation was added.
    pub(super) fn extended(self, conversation: Option<JobConversation>, kept: usize) -> Self {
        match conversation {
            // Of its own: the prompt has all of it.
            Some(_) => Self {
                conversation,
                tokens: usize::MAX,
            },
            None if kept == 0 => Self::default(),
            None => Self {
                tokens: self.tokens.min(kept),
                ..self
            },
        }
    }

    /// Returns the conversation, and how many of its tokens may be stored.
    pub(super) fn stored(self, held: usize) -> Option<(u64, usize)> {
        let conversation = self.conversation.filter(|conversation| conversation.is_stored)?;
        let tokens = self.tokens.min(held);
        (tokens >= MIN_STORED_TOKENS).then_some((conversation.id, tokens))
    }
}
