//! Runs an answer inside a conversation, and saves it while it streams.
//!
//! ```text
//! turn ──► its place in the tree ──► request with the history ──► Inner::dispatch ──► chunks ──► the app
//!                                                                                    └──► saved every 300 ms
//! ```
//!
//! `Done` is sent after the final state is on disk. A failed intermediate save is only logged, because the next one
//! contains everything; a failed final save is returned.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::history::{apply_defaults, truncate_history};
use super::inner::{Inner, blocking, join_result};
use crate::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, ContentPart, MessageState, StoredCitation};
use crate::error::{Error, Result};
use crate::state::{AnswerDraft, AnswerOutcome, Archive, Turn};
use crate::stream::{Stream, StreamSender};
use crate::sync::lock;

/// Answers a turn of a conversation; says the last word whatever happens.
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
        Ok(ready) => ready,
        Err(error) => return sink.finish(Err(error)),
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return failed(error, recorder, sink, guard).await,
    };
    let (stream, inner_sink) = Stream::new();
    tokio::join!(
        inner.dispatch(request, inner_sink, requested_at),
        forward_and_record(stream, recorder, sink, guard)
    );
}

/// Gives the answer its place, and makes the request whole. A request that cannot be asked is refused before anything
/// is written down; what fails after that is an answer that failed.
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
    let resumed = matches!(turn, Turn::Resume);
    let file = Arc::clone(archive);
    let asking = blocking(inner, move |_| file.begin(conversation, &turn)).await?;
    guard.set_answer(asking.answer);
    let said = asking.progress.text.clone();
    apply_defaults(&mut request, &asking.settings, asking.history);
    if resumed && !said.trim().is_empty() {
        request.messages.push(ChatMessage::assistant(said));
        request.messages.push(ChatMessage::user(super::CONTINUE_PROMPT));
    }
    let mut recorder = Recorder::new(Arc::clone(archive), asking.answer, asking.progress);
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
                let told = AnswerOutcome {
                    receipt: summary.receipt.clone(),
                    usage: summary.usage,
                    timings: summary.timings,
                };
                let state = MessageState::Done { stop: summary.stop };
                let kept = recorder.finish_answer(state, Some(told)).await;
                drop(guard);
                return sink.finish(kept.map(|()| chunk));
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
    failed(error, recorder, sink, guard).await;
}

/// Saves the partial answer as failed, then sends the error.
async fn failed(error: Error, recorder: Recorder, sink: StreamSender<Chunk>, guard: ActiveAnswerGuard) {
    let state = MessageState::Failed {
        error: error.to_string(),
    };
    if let Err(error) = recorder.finish_answer(state, None).await {
        tracing::warn!(kind = ?error.kind(), "how an answer ended could not be written down");
    }
    // Release the guard before finishing, so that the consumer can start the next turn at once.
    drop(guard);
    sink.finish(Err(error));
}

/// What came so far, and when it was last written down.
struct Recorder {
    archive: Arc<Archive>,
    answer: u64,
    progress: AnswerDraft,
    /// When what is new must be on its way to the disk; unset where nothing is new.
    due: Option<Instant>,
    saving: Option<JoinHandle<()>>,
    /// When it began to think, and how long it had thought before.
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
                let (since, before) = *self
                    .thinking
                    .get_or_insert_with(|| (Instant::now(), progress.reasoning_ms));
                progress.reasoning.push_str(text);
                progress.reasoning_ms = before + u64::try_from(since.elapsed().as_millis()).unwrap_or_default();
            }
            Chunk::Text { text } => {
                if let Some((since, before)) = self.thinking.take() {
                    progress.reasoning_ms = before + u64::try_from(since.elapsed().as_millis()).unwrap_or_default();
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
        self.due.get_or_insert_with(|| Instant::now() + SAVE_EVERY);
    }

    /// Returns when something is to be saved.
    async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Saves, and waits for nothing: while a save is under way the next one waits its turn.
    fn save(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            self.due = Some(Instant::now() + SAVE_EVERY / 4);
            return;
        }
        self.due = None;
        let (archive, answer, progress) = (Arc::clone(&self.archive), self.answer, self.progress.clone());
        self.saving = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = archive.save(answer, &progress) {
                tracing::warn!(kind = ?error.kind(), "an answer under way could not be written down");
            }
        }));
    }

    /// Writes all of it down, and how it ended.
    async fn finish_answer(mut self, state: MessageState, told: Option<AnswerOutcome>) -> Result<()> {
        // A save that is still under way must not come after this.
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let Self {
            archive,
            answer,
            progress,
            ..
        } = self;
        let finish = move || archive.finish(answer, &progress, &state, told.as_ref());
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
                "an answer is being written in this conversation; wait for its end or cancel it",
            )),
            Entry::Vacant(place) => {
                place.insert(None);
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

/// A kill loses what came since the last save, and at most a second.
const SAVE_EVERY: Duration = Duration::from_millis(300);
