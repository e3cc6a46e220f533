//! Conversations as an app uses them: kept by the library, so that the app stores nothing.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use super::history::{apply_defaults, truncate_history};
use super::inner::{Inner, blocking, join_result};
use super::{Answers, Nearside, facts, record};
use crate::chat::{
    ChatRequest, ChatStream, Conversation, ConversationSettings, ConversationSummary, ExportFormat, MessageState,
    SearchHit, export,
};
use crate::error::Result;
use crate::route::{CostRow, RouteDecision};
use crate::state::{Archive, Turn};
use crate::stream::{CancelToken, Stream};
use crate::sync::lock;

/// The conversations of this library's directory. Clones share them.
///
/// Answers are written down while they stream: a kill loses at most a second of one, and what was there is found as
/// [`MessageState::Interrupted`]. Where a request leaves the model, the provider or the preset open, the conversation's
/// settings fill it in. One answer at a time is written in one conversation. They work for as long as their [`Nearside`]
/// lives.
#[derive(Debug, Clone)]
pub struct Conversations {
    inner: Arc<Inner>,
    archive: Arc<Archive>,
    answers: Answers,
    handle: Handle,
}

impl Nearside {
    /// The conversations that are kept in the library's directory; the first call opens their file, and erases what was
    /// deleted more than an hour before.
    ///
    /// # Errors
    /// `Storage` if the file cannot be opened, `Busy` if another process holds it.
    pub fn conversations(&self) -> Result<Conversations> {
        let mut open = lock(&self.inner.archive);
        let archive = match &*open {
            Some(archive) => Arc::clone(archive),
            None => {
                let archive = Arc::new(Archive::open(self.inner.config.directory.as_ref())?);
                archive.purge(UNDO_MS)?;
                Arc::clone(open.insert(archive))
            }
        };
        Ok(Conversations {
            inner: Arc::clone(&self.inner),
            archive,
            answers: self.answers.clone(),
            handle: self.handle.clone(),
        })
    }
}

impl Conversations {
    /// The conversations, pinned ones first, then by when something was last said. `limit` unset: all.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn list(&self, limit: Option<u32>, offset: u32) -> Result<Vec<ConversationSummary>> {
        self.with(move |archive| archive.list(limit, offset)).await
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub async fn create(&self, settings: ConversationSettings) -> Result<ConversationSummary> {
        self.with(move |archive| archive.create(&settings)).await
    }

    /// The branch that is shown, with what has come so far of an answer under way.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`.
    pub async fn open(&self, id: u64) -> Result<Conversation> {
        // Before and after: an answer may begin or end while the file is read.
        let written = || lock(&self.inner.active_answers).get(&id).copied().flatten();
        let before = written();
        let mut conversation = self.with(move |archive| archive.load_conversation(id)).await?;
        let live = [before, written()];
        for message in &mut conversation.messages {
            if message.state == MessageState::Interrupted && live.contains(&Some(message.id)) {
                message.state = MessageState::Writing;
            }
        }
        Ok(conversation)
    }

    /// Gives a conversation a title; none: the first words of its first message again.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`, `Busy`.
    pub async fn rename(&self, id: u64, title: Option<String>) -> Result<()> {
        self.with(move |archive| archive.rename(id, title.as_deref())).await
    }

    /// Pins a conversation above the others, or no longer.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn set_pinned(&self, id: u64, pinned: bool) -> Result<()> {
        self.with(move |archive| archive.set_pinned(id, pinned)).await
    }

    /// Changes what a conversation is asked with, from the next question on.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn configure(&self, id: u64, settings: ConversationSettings) -> Result<()> {
        self.with(move |archive| archive.configure(id, &settings)).await
    }

    /// Takes a conversation out of sight, for [`Self::restore`] to bring back, until [`Self::purge`] or the first start
    /// after an hour.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn delete(&self, id: u64) -> Result<()> {
        self.with(move |archive| archive.delete(id)).await
    }

    /// Brings a deleted conversation back.
    ///
    /// # Errors
    /// As [`Self::rename`]: also where it was purged.
    pub async fn restore(&self, id: u64) -> Result<()> {
        self.with(move |archive| archive.restore(id)).await
    }

    /// Erases what was deleted, for good.
    ///
    /// # Errors
    /// `Storage`, `Busy`.
    pub async fn purge(&self) -> Result<()> {
        self.with(|archive| archive.purge(0)).await
    }

    /// Shows the branch that goes through this version of a message.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn choose(&self, id: u64, message: u64) -> Result<Conversation> {
        self.with(move |archive| archive.select_version(id, message)).await?;
        self.open(id).await
    }

    /// The conversations that hold all words of the query, the last one by its beginning as well: titles first, then
    /// the newest.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn search(&self, query: String, limit: u32) -> Result<Vec<SearchHit>> {
        self.with(move |archive| archive.search(&query, limit)).await
    }

    /// Writes out the branch that is shown.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn export(&self, id: u64, format: ExportFormat) -> Result<String> {
        export(&self.open(id).await?, format)
    }

    /// Returns the routing decision for this as the next message, without sending it.
    ///
    /// # Errors
    /// As [`Nearside::route`], and those of [`Self::open`].
    pub async fn route(&self, id: u64, request: ChatRequest) -> Result<RouteDecision> {
        let request = self.next(id, request).await?;
        let inner = Arc::clone(&self.inner);
        let decide = async move { facts::decide_with_refresh(&inner, &request, &CancelToken::default()).await };
        join_result(self.handle.spawn(decide).await)
    }

    /// What this would cost, said next, here and everywhere.
    ///
    /// # Errors
    /// As [`Nearside::cost`], and those of [`Self::open`].
    pub async fn cost(&self, id: u64, request: ChatRequest) -> Result<Vec<CostRow>> {
        let request = self.next(id, request).await?;
        blocking(&self.inner, move |inner| inner.cost(&request)).await
    }

    /// Says something and asks for the answer: `request.messages` are only what is new. Returns at once; everything,
    /// errors too, comes on the stream. Dropping the stream ends the answer, and what came of it stays.
    pub fn send(&self, id: u64, mut request: ChatRequest) -> ChatStream {
        let new = std::mem::take(&mut request.messages);
        self.turn(id, Turn::Next(new), request)
    }

    /// Puts other words in the place of a question, and asks for the answer to them. The old ones stay as a version.
    pub fn edit(&self, id: u64, message: u64, mut request: ChatRequest) -> ChatStream {
        let with = std::mem::take(&mut request.messages);
        self.turn(id, Turn::Edit { message, with }, request)
    }

    /// Asks for another version of an answer, here or elsewhere.
    pub fn regenerate(&self, id: u64, message: u64, mut request: ChatRequest) -> ChatStream {
        request.messages.clear();
        self.turn(id, Turn::Regenerate { message }, request)
    }

    /// Goes on with the last answer where it broke off, here or elsewhere. Only what is new is streamed; it is kept as
    /// one answer.
    pub fn resume(&self, id: u64, mut request: ChatRequest) -> ChatStream {
        request.messages.clear();
        self.turn(id, Turn::Resume, request)
    }

    fn turn(&self, id: u64, turn: Turn, request: ChatRequest) -> ChatStream {
        let asked = Instant::now();
        let (stream, sink) = Stream::new();
        let (inner, archive) = (Arc::clone(&self.inner), Arc::clone(&self.archive));
        let answer = async move { record::answer(inner, archive, id, turn, request, sink, asked).await };
        self.answers.spawn(answer, &self.handle);
        stream
    }

    /// The request as it would be asked next.
    async fn next(&self, id: u64, mut request: ChatRequest) -> Result<ChatRequest> {
        let new = std::mem::take(&mut request.messages);
        let (history, settings) = self.with(move |archive| archive.preview(id, &new)).await?;
        apply_defaults(&mut request, &settings, history);
        request.check()?;
        let (request, _) = truncate_history(&self.inner, request).await?;
        Ok(request)
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Archive) -> Result<T> + Send + 'static) -> Result<T> {
        let archive = Arc::clone(&self.archive);
        blocking(&self.inner, move |_| work(&archive)).await
    }
}

/// How long a deletion can be undone by an app that does not purge.
const UNDO_MS: i64 = 60 * 60 * 1000;
