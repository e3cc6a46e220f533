//! The content of an answer while it is generated, shared by the producer, which adds chunks, and the task that saves it.

use std::sync::Mutex;
use std::time::Instant;

use tokio::sync::Notify;

use super::lock;
use crate::chat::{Chunk, ContentPart, StoredCitation};
use crate::engine::split_shown;
use crate::state::AnswerDraft;

/// An answer so far.
#[derive(Debug)]
pub(super) struct SharedDraft {
    state: Mutex<DraftState>,
    /// Notified by the first content after a snapshot.
    changed: Notify,
}

#[derive(Debug)]
struct DraftState {
    draft: AnswerDraft,
    /// Start of the current reasoning, and the milliseconds of earlier reasoning.
    thinking: Option<(Instant, u64)>,
    /// Bytes of text before the present attempt, which are not empty if an answer is resumed.
    earlier_bytes: usize,
    /// Whether there is content since the last snapshot.
    is_changed: bool,
}

impl SharedDraft {
    /// Starts with this content, which is not empty if an answer is resumed.
    pub(super) fn new(draft: AnswerDraft) -> Self {
        let state = DraftState {
            draft,
            thinking: None,
            earlier_bytes: 0,
            is_changed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Adds a chunk. Takes well under a microsecond, and never waits for the disk.
    pub(super) fn add(&self, chunk: &Chunk) {
        let mut state = lock(&self.state);
        state.add(chunk);
        if matches!(chunk, Chunk::Started { .. } | Chunk::Done { .. }) || state.is_changed {
            return;
        }
        state.is_changed = true;
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for content that no snapshot holds yet.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Copies the content so far.
    pub(super) fn snapshot(&self) -> AnswerDraft {
        let mut state = lock(&self.state);
        state.is_changed = false;
        state.draft.clone()
    }

    /// Moves the reasoning that was shown as text at the beginning of the present attempt to its place.
    pub(super) fn separate_reasoning(&self) {
        let mut state = lock(&self.state);
        let earlier_bytes = state.earlier_bytes;
        let draft = &mut state.draft;
        let Some((reasoning, text)) = draft.text.get(earlier_bytes..).and_then(split_shown) else {
            return;
        };
        draft.reasoning.push_str(reasoning.trim_start());
        draft.text = format!("{}{text}", &draft.text[..earlier_bytes]);
    }

    /// Takes the content.
    pub(super) fn take(&self) -> AnswerDraft {
        std::mem::take(&mut lock(&self.state).draft)
    }
}

impl DraftState {
    fn add(&mut self, chunk: &Chunk) {
        let draft = &mut self.draft;
        let elapsed_ms = |start: Instant| u64::try_from(start.elapsed().as_millis()).unwrap_or_default();
        match chunk {
            Chunk::Started { route } => {
                draft.omitted_messages = route.omitted_messages;
                self.earlier_bytes = draft.text.len();
            }
            Chunk::Done { .. } => {}
            Chunk::Reasoning { text } => {
                let (start, earlier_ms) = *self
                    .thinking
                    .get_or_insert_with(|| (Instant::now(), draft.reasoning_ms));
                draft.reasoning.push_str(text);
                draft.reasoning_ms = earlier_ms + elapsed_ms(start);
            }
            Chunk::Text { text } => {
                if let Some((start, earlier_ms)) = self.thinking.take() {
                    draft.reasoning_ms = earlier_ms + elapsed_ms(start);
                }
                draft.text.push_str(text);
            }
            Chunk::ToolCall { id, name, arguments } => draft.parts.push(ContentPart::ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
            }),
            Chunk::Citation { url, title } => draft.citations.push(StoredCitation {
                url: url.clone(),
                title: title.clone(),
            }),
        }
    }
}
