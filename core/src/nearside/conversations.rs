//! Conversations as an app uses them: the library stores them, so that the app stores nothing.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use super::history::{append_partial, apply_defaults};
use super::pending::PendingRequest;
use super::{Answers, Inner, Nearside, blocking, decide, join_result, lock, record};
use crate::chat::{
    ChatRequest, ChatStream, Conversation, ConversationSettings, ConversationSummary, ConversationTurn, ExportFormat,
    MessageState, SearchHit, export,
};
use crate::error::Result;
use crate::route::{CostRow, RouteDecision};
use crate::state::{Archive, Turn};
use crate::stream::{CancelToken, Stream};

/// Conversations: those of this library's data directory, or temporary ones. Clones share them.
///
/// The library stores answers while they stream: a kill of the process loses at most a second, and the message is then
/// [`MessageState::Interrupted`]. Fields that a request leaves unset come from the conversation's settings. Each
/// conversation has at most one active answer. Usable for as long as their [`Nearside`] lives.
#[derive(Debug, Clone)]
pub struct Conversations {
    inner: Arc<Inner>,
    source: ArchiveSource,
    answers: Answers,
    handle: Handle,
}

/// Where the conversations are.
#[derive(Debug, Clone)]
enum ArchiveSource {
    /// In their file, which the first use opens.
    Stored,
    /// In memory.
    Temporary(Arc<Archive>),
}

impl Nearside {
    /// Returns the conversations in the library's data directory. Reads nothing: the first use opens their file, and erases
    /// those deleted more than an hour before. Every call may return `Storage` if the file cannot be opened, and `Busy` if
    /// another process has locked it.
    pub fn conversations(&self) -> Conversations {
        self.conversations_from(ArchiveSource::Stored)
    }

    /// Returns conversations that are in memory only: none yet, and all of them are gone with the last clone. No file has
    /// anything of them; the costs of their answers are recorded all the same.
    ///
    /// # Errors
    /// `Storage`, without memory.
    pub fn temporary_conversations(&self) -> Result<Conversations> {
        let archive = Arc::new(Archive::in_memory()?.with_clock(self.inner.clock.clone()));
        Ok(self.conversations_from(ArchiveSource::Temporary(archive)))
    }

    fn conversations_from(&self, source: ArchiveSource) -> Conversations {
        Conversations {
            inner: Arc::clone(&self.inner),
            source,
            answers: self.answers.clone(),
            handle: self.handle.clone(),
        }
    }
}

impl ArchiveSource {
    /// Returns the archive. May wait for the disk.
    fn archive(&self, inner: &Inner) -> Result<Arc<Archive>> {
        match self {
            Self::Stored => inner.archive(),
            Self::Temporary(archive) => Ok(Arc::clone(archive)),
        }
    }
}

impl Conversations {
    /// Returns the conversations, pinned ones first, then by the time of the last message. `limit` unset: all.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn list(&self, limit: Option<u32>, offset: u32) -> Result<Vec<ConversationSummary>> {
        self.with(move |archive| archive.list(limit, offset)).await
    }

    /// Creates a conversation.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub async fn create(&self, settings: ConversationSettings) -> Result<ConversationSummary> {
        self.with(move |archive| archive.create(&settings)).await
    }

    /// Returns a conversation with its selected branch, including the content so far of an active answer.
    ///
    /// # Errors
    /// `InvalidRequest` for an unknown id; `Storage`.
    pub async fn open(&self, id: u64) -> Result<Conversation> {
        // Before and after: an answer may start or end while the file is read.
        let active = || lock(&self.inner.active_answers).get(&id).copied().flatten();
        let before = active();
        let mut conversation = self.with(move |archive| archive.load_conversation(id)).await?;
        let active = [before, active()];
        for message in &mut conversation.messages {
            if message.state == MessageState::Interrupted && active.contains(&Some(message.id)) {
                message.state = MessageState::Writing;
            }
        }
        Ok(conversation)
    }

    /// Sets the title. Unset: the first words of the first message.
    ///
    /// # Errors
    /// `InvalidRequest` for an unknown id; `Storage`, `Busy`.
    pub async fn rename(&self, id: u64, title: Option<String>) -> Result<()> {
        self.with(move |archive| archive.rename(id, title.as_deref())).await
    }

    /// Pins or unpins it.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn set_pinned(&self, id: u64, pinned: bool) -> Result<()> {
        self.with(move |archive| archive.set_pinned(id, pinned)).await
    }

    /// Sets its request defaults, from the next request on.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn configure(&self, id: u64, settings: ConversationSettings) -> Result<()> {
        self.with(move |archive| archive.configure(id, &settings)).await
    }

    /// Marks it as deleted, and deletes its stored states. [`Self::restore`] undoes that until [`Self::purge`], or the first start after an hour.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn delete(&self, id: u64) -> Result<()> {
        let source = self.source.clone();
        blocking(&self.inner, move |inner| {
            source.archive(inner)?.delete(id)?;
            inner.local_models.forget_conversation(id);
            Ok(())
        })
        .await
    }

    /// Restores a deleted conversation.
    ///
    /// # Errors
    /// As [`Self::rename`], also if it was purged.
    pub async fn restore(&self, id: u64) -> Result<()> {
        self.with(move |archive| archive.restore(id)).await
    }

    /// Erases deleted conversations permanently.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub async fn purge(&self) -> Result<()> {
        let source = self.source.clone();
        blocking(&self.inner, move |inner| {
            let purged = source.archive(inner)?.purge(0);
            inner.local_models.remove_gone_states();
            purged
        })
        .await
    }

    /// Selects the branch through this version of a message.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn choose(&self, id: u64, message: u64) -> Result<Conversation> {
        self.with(move |archive| archive.select_version(id, message)).await?;
        self.open(id).await
    }

    /// Searches the full text for all words of the query, the last one as a prefix, in scripts without spaces for any part of
    /// a text; by title first, then the newest.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn search(&self, query: String, limit: u32) -> Result<Vec<SearchHit>> {
        self.with(move |archive| archive.search(&query, limit)).await
    }

    /// Returns the selected branch as text.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn export(&self, id: u64, format: ExportFormat) -> Result<String> {
        export(&self.open(id).await?, format)
    }

    /// Returns the routing decision for this turn, without sending it: `request` holds what [`Self::send`], [`Self::edit`],
    /// [`Self::regenerate`] or [`Self::resume`] would be given.
    ///
    /// # Errors
    /// As [`Nearside::route`], and those of [`Self::open`].
    pub async fn route(&self, id: u64, request: ChatRequest, turn: ConversationTurn) -> Result<RouteDecision> {
        let pending = self.turn_request(id, request, turn).await?;
        let inner = Arc::clone(&self.inner);
        let decide = async move { decide::decide(&inner, &pending, &CancelToken::default()).await };
        Ok(join_result(self.handle.spawn(decide).await)?.decision)
    }

    /// Estimates the cost of this turn, as [`Nearside::cost`] does.
    ///
    /// # Errors
    /// As [`Nearside::cost`], and those of [`Self::open`].
    pub async fn cost(&self, id: u64, request: ChatRequest, turn: ConversationTurn) -> Result<Vec<CostRow>> {
        let pending = self.turn_request(id, request, turn).await?;
        blocking(&self.inner, move |inner| inner.cost(&pending)).await
    }

    /// Appends the request's messages and generates an answer. `messages` holds the new ones only. Returns immediately;
    /// errors arrive on the stream. Dropping the stream cancels the answer and keeps its content so far.
    pub fn send(&self, id: u64, mut request: ChatRequest) -> ChatStream {
        let new = std::mem::take(&mut request.messages);
        self.turn(id, Turn::Next(new), request)
    }

    /// Replaces a user message by a new version and generates an answer. The old version is kept.
    pub fn edit(&self, id: u64, message: u64, mut request: ChatRequest) -> ChatStream {
        let with = std::mem::take(&mut request.messages);
        self.turn(id, Turn::Edit { message, with }, request)
    }

    /// Generates another version of an answer.
    pub fn regenerate(&self, id: u64, message: u64, mut request: ChatRequest) -> ChatStream {
        request.messages.clear();
        self.turn(id, Turn::Regenerate { message }, request)
    }

    /// Continues the last answer where it was interrupted. Streams the new part only; both are stored as one answer.
    pub fn resume(&self, id: u64, mut request: ChatRequest) -> ChatStream {
        request.messages.clear();
        self.turn(id, Turn::Resume, request)
    }

    fn turn(&self, id: u64, turn: Turn, request: ChatRequest) -> ChatStream {
        let requested_at = Instant::now();
        let (stream, sink) = Stream::new();
        let (inner, source) = (Arc::clone(&self.inner), self.source.clone());
        let answer = async move {
            match blocking(&inner, move |inner| source.archive(inner)).await {
                Ok(archive) => record::answer(inner, archive, id, turn, request, sink, requested_at).await,
                Err(error) => sink.finish(Err(error)),
            }
        };
        self.answers.spawn(answer, &self.handle);
        stream
    }

    /// Returns the request as this turn would send it.
    async fn turn_request(&self, id: u64, mut request: ChatRequest, turn: ConversationTurn) -> Result<PendingRequest> {
        let new = std::mem::take(&mut request.messages);
        let turn = match turn {
            ConversationTurn::Next => Turn::Next(new),
            ConversationTurn::Edit { message } => Turn::Edit { message, with: new },
            ConversationTurn::Regenerate { message } => Turn::Regenerate { message },
            ConversationTurn::Resume => Turn::Resume,
        };
        let next = self.with(move |archive| archive.preview(id, &turn)).await?;
        request.sensitivity = request.sensitivity.max(next.sensitivity);
        apply_defaults(&mut request, &next.settings, next.history);
        let resumed = append_partial(&mut request, &next.progress.text);
        request.check()?;
        Ok(PendingRequest {
            request: Arc::new(request),
            kept_turns: Some(if resumed { 2 } else { 1 }),
            conversation: None,
            pinned: next.tool_target,
            begun: None,
            requested_at: Instant::now(),
        })
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Archive) -> Result<T> + Send + 'static) -> Result<T> {
        let source = self.source.clone();
        blocking(&self.inner, move |inner| work(&*source.archive(inner)?)).await
    }
}
