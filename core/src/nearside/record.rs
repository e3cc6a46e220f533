//! Runs an answer inside a conversation, and saves it while it streams.
//!
//! ```text
//! turn ──► a row in the tree ──► request with the history ──► Inner::dispatch ──► chunks ──► the app
//!                                                                  └──► draft ──► saved every 300 ms
//! ```
//!
//! Chunks reach the app directly; the draft sees each before the app does. `Done` is sent after the final state is on
//! disk. A failed intermediate save is only logged, because the next one contains everything; a failed final save is
//! returned.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::draft::SharedDraft;
use super::history::{append_partial, apply_defaults, begun_answer};
use super::pending::PendingRequest;
use super::{Inner, blocking, join_result, lock};
use crate::chat::{ChatMessage, ChatRequest, Chunk, MessageState};
use crate::engine::JobConversation;
use crate::error::{Error, Result};
use crate::state::{AnswerOutcome, Archive, Turn};
use crate::stream::StreamSender;

/// Answers a turn of a conversation. Always finishes the sender, with `Done` or an error.
pub(super) async fn answer(
    inner: Arc<Inner>,
    archive: Arc<Archive>,
    conversation: u64,
    turn: Turn,
    request: ChatRequest,
    sink: StreamSender<Chunk>,
    requested_at: Instant,
) {
    let guard = match ActiveAnswerGuard::acquire(&inner, conversation) {
        Ok(guard) => guard,
        Err(error) => return sink.finish(Err(error)),
    };
    let (pending, mut recorder) =
        match prepare(&inner, &archive, conversation, turn, request, requested_at, &guard).await {
            Ok(prepared) => prepared,
            Err(error) => {
                // As below: the consumer may start the next turn at once.
                drop(guard);
                return sink.finish(Err(error));
            }
        };
    let answered = {
        let draft = Some(Arc::clone(&recorder.draft));
        let mut answering = std::pin::pin!(inner.dispatch(&pending, &sink, draft));
        loop {
            tokio::select! {
                biased;
                answered = &mut answering => break answered,
                () = recorder.wait() => recorder.save_if_due(),
            }
        }
    };
    let last = recorder.finish_answer(answered.last).await;
    // Release the guard before finishing, so that the consumer can start the next turn at once.
    drop(guard);
    inner.record_notes(answered.notes);
    sink.finish(last);
}

/// Stores the turn and completes the request. An invalid request is rejected before anything is stored.
async fn prepare(
    inner: &Arc<Inner>,
    archive: &Arc<Archive>,
    conversation: u64,
    turn: Turn,
    mut request: ChatRequest,
    requested_at: Instant,
    guard: &ActiveAnswerGuard,
) -> Result<(PendingRequest, Recorder)> {
    let new = match &turn {
        Turn::Next(messages) | Turn::Edit { with: messages, .. } if !messages.is_empty() => messages.clone(),
        _ => vec![ChatMessage::user("…")],
    };
    request.with_messages(new).check()?;
    let shared = Arc::clone(archive);
    let sensitivity = request.sensitivity;
    let pending = blocking(inner, move |_| shared.begin(conversation, &turn, sensitivity)).await?;
    request.sensitivity = sensitivity.max(pending.sensitivity);
    guard.set_answer(pending.answer);
    let begun = begun_answer(&pending);
    apply_defaults(&mut request, &pending.settings, pending.history);
    let resumed = append_partial(&mut request, &pending.progress.text);
    let recorder = Recorder {
        archive: Arc::clone(archive),
        answer: pending.answer,
        draft: Arc::new(SharedDraft::new(pending.progress)),
        due: None,
        saving: None,
    };
    let pending = PendingRequest {
        request: Arc::new(request),
        // A resumed answer needs its question, which is the turn before.
        kept_turns: Some(if resumed { 2 } else { 1 }),
        conversation: Some(JobConversation {
            id: conversation,
            is_stored: !archive.is_temporary(),
        }),
        pinned: pending.tool_target,
        begun,
        requested_at,
    };
    Ok((pending, recorder))
}

/// Saves the draft of one answer.
struct Recorder {
    archive: Arc<Archive>,
    answer: u64,
    draft: Arc<SharedDraft>,
    /// When new content must be saved; unset if there is none.
    due: Option<Instant>,
    saving: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Waits until new content arrives, or must be saved.
    async fn wait(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => self.draft.changed().await,
        }
    }

    /// Saves in the background once new content is old enough. If a save is still running, the next one is postponed.
    fn save_if_due(&mut self) {
        if self.due.is_none() {
            self.due = Some(Instant::now() + SAVE_INTERVAL);
            return;
        }
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            self.due = Some(Instant::now() + SAVE_INTERVAL / 4);
            return;
        }
        self.due = None;
        let (archive, answer, draft) = (Arc::clone(&self.archive), self.answer, Arc::clone(&self.draft));
        self.saving = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = archive.save(answer, &draft.snapshot()) {
                tracing::warn!(kind = ?error.kind(), "an active answer could not be saved");
            }
        }));
    }

    /// Saves the complete answer and its end. Returns the last item of the stream: if a `Done` cannot be saved, that error
    /// replaces it.
    async fn finish_answer(mut self, last: Result<Chunk>) -> Result<Chunk> {
        // A save that is still running must not come after this.
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let (state, outcome) = match &last {
            Ok(Chunk::Done { summary }) => {
                let outcome = AnswerOutcome {
                    receipt: summary.receipt.clone(),
                    usage: summary.usage,
                    timings: summary.timings,
                };
                (MessageState::Done { stop: summary.stop }, Some(outcome))
            }
            Ok(_) => {
                return Err(Error::internal(
                    "an answer ended without a last word; this is a bug, please report it",
                ));
            }
            Err(error) => {
                let state = MessageState::Failed {
                    error: error.to_string(),
                    reason: Some(error.reason()),
                };
                (state, None)
            }
        };
        let finish = move || {
            let draft = self.draft.take();
            self.archive
                .finish_answer(self.answer, &draft, &state, outcome.as_ref())
        };
        let saved = join_result(tokio::task::spawn_blocking(finish).await);
        match (last, saved) {
            (Ok(_), Err(error)) => Err(error),
            (last, Ok(())) => last,
            (last, Err(error)) => {
                tracing::warn!(kind = ?error.kind(), "the end of an answer could not be saved");
                last
            }
        }
    }
}

/// Guard: while it lives, its conversation has an active answer.
struct ActiveAnswerGuard {
    inner: Arc<Inner>,
    conversation: u64,
}

impl ActiveAnswerGuard {
    fn acquire(inner: &Arc<Inner>, conversation: u64) -> Result<Self> {
        match lock(&inner.active_answers).entry(conversation) {
            Entry::Occupied(_) => Err(Error::busy(
                "this conversation has an active answer; wait until it ends, or cancel it",
            )),
            Entry::Vacant(entry) => {
                entry.insert(None);
                Ok(Self {
                    inner: Arc::clone(inner),
                    conversation,
                })
            }
        }
    }

    fn set_answer(&self, answer: u64) {
        lock(&self.inner.active_answers).insert(self.conversation, Some(answer));
    }
}

impl Drop for ActiveAnswerGuard {
    fn drop(&mut self) {
        lock(&self.inner.active_answers).remove(&self.conversation);
    }
}

/// Interval of saves. A kill loses the content since the last one, at most a second.
const SAVE_INTERVAL: Duration = Duration::from_millis(300);
