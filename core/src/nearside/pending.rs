//! A request on its way to an answer: shared and never copied whole, with what its conversation adds to it.

use std::sync::Arc;
use std::time::Instant;

use crate::chat::{ChatRequest, RouteTarget};
use crate::engine::{BegunAnswer, JobConversation};

/// A request, and what its conversation knows of it.
#[derive(Debug, Clone)]
pub(super) struct PendingRequest {
    pub(super) request: Arc<ChatRequest>,
    /// The last turns that must reach the target; older ones may be omitted where its context cannot hold them. Unset:
    /// the request is outside of a conversation, and is sent whole or not at all.
    pub(super) kept_turns: Option<u32>,
    /// The conversation that the request is a turn of.
    pub(super) conversation: Option<JobConversation>,
    /// The target of the tool loop that the request continues, as the conversation stored it.
    pub(super) pinned: Option<RouteTarget>,
    /// The answer that the request resumes, as in [`crate::engine::Job`].
    pub(super) begun: Option<BegunAnswer>,
    /// When the request was made; its deadline counts from here.
    pub(super) requested_at: Instant,
}

impl PendingRequest {
    /// Wraps a request outside of a conversation that is made now.
    pub(super) fn whole(request: ChatRequest) -> Self {
        Self {
            request: Arc::new(request),
            kept_turns: None,
            conversation: None,
            pinned: None,
            begun: None,
            requested_at: Instant::now(),
        }
    }

    /// Returns when the request must be answered; `None` if it does not say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.request.limits.deadline(self.requested_at)
    }

    /// Returns whether its deadline passed.
    pub(super) fn is_late(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }
}
