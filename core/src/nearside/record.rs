//! Runs an answer inside a conversation, and saves it while it streams.
//!
//! ```text
//! turn ──► a row in the tree ──► request with the history ──► Inner::dispatch ──► chunks ──► the app
//!                                                                                    └──► saved every 300 ms
//! ```
//!
//! `Done` is sent after the final state is on disk. A failed intermediate save is only logged, because the next one
//! contains everything; a failed final save is returned.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::history::{append_partial, apply_defaults, truncate_history};
use super::{Inner, blocking, join_result, lock};
use crate::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, ContentPart, MessageState, StoredCitation};
use crate::error::{Error, Result};
use crate::state::{AnswerDraft, AnswerOutcome, Archive, Turn};
use crate::stream::{Stream, StreamSender};

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
    let (request, recorder) = match prepare(&inner, &archive, conversation, turn, request, &guard).await {
        Ok(prepared) => prepared,
        Err(error) => {
            // As in `finish_failed`: the consumer may start the next turn at once.
            drop(guard);
            return sink.finish(Err(error));
        }
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return finish_failed(error, recorder, sink, guard).await,
    };
    let (stream, inner_sink) = Stream::new();
    tokio::join!(
        inner.dispatch(request, inner_sink, requested_at),
        forward_and_record(stream, recorder, sink, guard)
    );
}

/// Stores the turn and completes the request. An invalid request is rejected before anything is stored; a later error
/// is stored as that of the answer.
async fn prepare(
    inner: &Arc<Inner>,
    archive: &Arc<Archive>,
    conversation: u64,
    turn: Turn,
    mut request: ChatRequest,
    guard: &ActiveAnswerGuard,
) -> Result<(Result<ChatRequest>, Recorder)> {
    let mut sample = request.clone();
    sample.messages = vec![ChatMessage::user("…")];
    sample.check()?;
    let shared = Arc::clone(archive);
    let pending = blocking(inner, move |_| shared.begin(conversation, &turn)).await?;
    guard.set_answer(pending.answer);
    apply_defaults(&mut request, &pending.settings, pending.history);
    append_partial(&mut request, &pending.progress.text);
    let mut recorder = Recorder::new(Arc::clone(archive), pending.answer, pending.progress);
    let request = truncate_history(inner, request)
        .await
        .map(|(request, omitted_messages)| {
            if omitted_messages > 0 {
                recorder.progress.omitted_messages = omitted_messages;
            }
            request
        });
    Ok((request, recorder))
}

/// Forwards chunks and saves them until the stream ends.
async fn forward_and_record(
    stream: ChatStream,
    mut recorder: Recorder,
    sink: StreamSender<Chunk>,
    guard: ActiveAnswerGuard,
) {
    let cancel = sink.cancel().clone();
    let mut cancelled = false;
    let error = loop {
        let batch = tokio::select! {
            biased;
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                stream.cancel();
                continue;
            }
            () = recorder.due() => {
                recorder.save();
                continue;
            }
            batch = stream.next_batch() => batch,
        };
        let batch = match batch {
            Ok(batch) if batch.is_empty() => break Error::internal("an engine ended without `Done` or an error"),
            Ok(batch) => batch,
            Err(error) => break error,
        };
        for chunk in batch {
            if let Chunk::Done { summary } = &chunk {
                let outcome = AnswerOutcome {
                    receipt: summary.receipt.clone(),
                    usage: summary.usage,
                    timings: summary.timings,
                };
                let state = MessageState::Done { stop: summary.stop };
                let saved = recorder.finish_answer(state, Some(outcome)).await;
                drop(guard);
                return sink.finish(saved.map(|()| chunk));
            }
            recorder.add(&chunk);
            if cancelled {
                continue;
            }
            // Keep saving while the consumer is slow or the app is suspended.
            let sending = sink.send(chunk);
            tokio::pin!(sending);
            loop {
                tokio::select! {
                    biased;
                    _ = &mut sending => break,
                    () = recorder.due() => recorder.save(),
                }
            }
        }
    };
    finish_failed(error, recorder, sink, guard).await;
}

/// Saves the partial answer as failed, then sends the error.
async fn finish_failed(error: Error, recorder: Recorder, sink: StreamSender<Chunk>, guard: ActiveAnswerGuard) {
    let state = MessageState::Failed {
        error: error.to_string(),
        reason: Some(error.reason()),
    };
    if let Err(error) = recorder.finish_answer(state, None).await {
        tracing::warn!(kind = ?error.kind(), "the end of an answer could not be saved");
    }
    // Release the guard before finishing, so that the consumer can start the next turn at once.
    drop(guard);
    sink.finish(Err(error));
}

/// The answer so far, and its saves.
struct Recorder {
    archive: Arc<Archive>,
    answer: u64,
    progress: AnswerDraft,
    /// When new content must be saved; unset if there is none.
    due: Option<Instant>,
    saving: Option<JoinHandle<()>>,
    /// Start of the current reasoning, and the milliseconds of earlier reasoning.
    thinking: Option<(Instant, u64)>,
}

impl Recorder {
    fn new(archive: Arc<Archive>, answer: u64, progress: AnswerDraft) -> Self {
        Self {
            archive,
            answer,
            progress,
            due: None,
            saving: None,
            thinking: None,
        }
    }

    fn add(&mut self, chunk: &Chunk) {
        let progress = &mut self.progress;
        match chunk {
            Chunk::Started { .. } | Chunk::Done { .. } => return,
            Chunk::Reasoning { text } => {
                let (start, earlier_ms) = *self
                    .thinking
                    .get_or_insert_with(|| (Instant::now(), progress.reasoning_ms));
                progress.reasoning.push_str(text);
                progress.reasoning_ms = earlier_ms + u64::try_from(start.elapsed().as_millis()).unwrap_or_default();
            }
            Chunk::Text { text } => {
                if let Some((start, earlier_ms)) = self.thinking.take() {
                    progress.reasoning_ms = earlier_ms + u64::try_from(start.elapsed().as_millis()).unwrap_or_default();
                }
                progress.text.push_str(text);
            }
            Chunk::ToolCall { id, name, arguments } => progress.parts.push(ContentPart::ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
            }),
            Chunk::Citation { url, title } => progress.citations.push(StoredCitation {
                url: url.clone(),
                title: title.clone(),
            }),
        }
        self.due.get_or_insert_with(|| Instant::now() + SAVE_INTERVAL);
    }

    /// Waits until new content must be saved.
    async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Saves in the background. If a save is still running, the next one is postponed.
    fn save(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            self.due = Some(Instant::now() + SAVE_INTERVAL / 4);
            return;
        }
        self.due = None;
        let (archive, answer, progress) = (Arc::clone(&self.archive), self.answer, self.progress.clone());
        self.saving = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = archive.save(answer, &progress) {
                tracing::warn!(kind = ?error.kind(), "an active answer could not be saved");
            }
        }));
    }

    /// Saves the complete answer and its end.
    async fn finish_answer(mut self, state: MessageState, outcome: Option<AnswerOutcome>) -> Result<()> {
        // A save that is still running must not come after this.
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let finish = move || {
            self.archive
                .finish_answer(self.answer, &self.progress, &state, outcome.as_ref())
        };
        join_result(tokio::task::spawn_blocking(finish).await)
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
