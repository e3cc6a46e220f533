//! The conversation that `chat` goes on with: a stored one, a new one, which is stored with its first answer, or one that is
//! not stored at all.

use nearside::chat::{ChatMessage, ChatRequest, ContentPart, ConversationSettings, ConversationTurn};
use nearside::route::RouteDecision;
use nearside::{Conversations, Error, Nearside};

use super::{answer, consent};
use crate::args::RequestArgs;
use crate::args::values::ReasoningDisplay;
use crate::commands::conversations::explain_unknown;
use crate::error::CliError;
use crate::output::{dim, plain};
use crate::session::CliSession;

/// A conversation, begun or not.
#[derive(Debug)]
pub(super) struct Thread {
    conversations: Conversations,
    /// Unset before its first prompt.
    id: Option<u64>,
    settings: ConversationSettings,
    /// The request of each turn, without messages; its consent is valid until another conversation begins.
    request: ChatRequest,
    /// Whether it is stored.
    stored: bool,
    /// Images of the next prompt.
    images: Vec<ContentPart>,
}

impl Thread {
    /// Prepares the conversation `id`, or a new one. In a data directory that cannot be written a new one is not stored.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`.
    pub(super) async fn prepare(
        nearside: &Nearside,
        args: &RequestArgs,
        id: Option<u64>,
        forget: bool,
        session: &mut CliSession,
    ) -> Result<Self, CliError> {
        let mut request = args.to_request()?;
        request.messages.clear();
        let images = args.read_images()?;
        let mut settings = args.to_settings();
        let mut stored = !forget;
        if stored && id.is_none() && nearside.is_read_only() {
            stored = false;
            session.output.print_note(&[dim(
                "the data directory cannot be written; the conversation is not stored",
            )]);
        }
        let conversations = match stored {
            true => nearside.conversations(),
            false => nearside.temporary_conversations()?,
        };
        if let Some(id) = id {
            let conversation = session.interrupt.race(conversations.open(id)).await;
            let summary = conversation.map_err(|error| explain_unknown(id, error))?.summary;
            let note = format!("going on with conversation {id}: {}", summary.title);
            if !session.output.is_json() {
                session.output.print_note(&[plain(note)]);
            }
            let kept = summary.settings;
            let changed = settings.system.is_some() && settings.system != kept.system;
            settings = ConversationSettings {
                system: settings.system.or_else(|| kept.system.clone()),
                ..kept
            };
            if changed {
                session
                    .interrupt
                    .race(conversations.configure(id, settings.clone()))
                    .await?;
            }
        }
        Ok(Self {
            conversations,
            id,
            settings,
            request,
            stored,
            images,
        })
    }

    /// Returns the model or provider that is named; `None` if the best target answers.
    pub(super) fn target_name(&self) -> Option<String> {
        let (request, settings) = (&self.request, &self.settings);
        let named = request.model.as_ref().or(request.provider.as_ref());
        named
            .or(settings.model.as_ref())
            .or(settings.provider.as_ref())
            .cloned()
    }

    /// Prints the answer to a prompt. Returns whether it was interrupted. Nothing is stored of a prompt that may not be sent.
    pub(super) async fn answer(
        &mut self,
        nearside: &Nearside,
        prompt: String,
        args: &RequestArgs,
        display: ReasoningDisplay,
        session: &mut CliSession,
    ) -> Result<bool, CliError> {
        let mut message = ChatMessage::user(prompt);
        message.parts.extend(self.images.iter().cloned());
        let turn = ChatRequest {
            messages: vec![message],
            ..self.request.clone()
        };
        if let Some(target) = consent::obtain(self.decide(nearside, turn.clone()), args, session).await? {
            self.request.consent = Some(target);
        }
        let id = match self.id {
            Some(id) => id,
            None => {
                let created = self.conversations.create(self.settings.clone());
                *self.id.insert(session.interrupt.race(created).await?.id)
            }
        };
        self.images.clear();
        let turn = ChatRequest {
            consent: self.request.consent.clone(),
            ..turn
        };
        let max_tokens = turn.limits.max_tokens;
        answer::print_answer(&self.conversations.send(id, turn), display, max_tokens, session).await
    }

    /// Returns the routing decision for a turn. Stores nothing, also of the first one.
    async fn decide(&self, nearside: &Nearside, mut turn: ChatRequest) -> Result<RouteDecision, Error> {
        match self.id {
            Some(id) => self.conversations.route(id, turn, ConversationTurn::Next).await,
            None => {
                let system = self.settings.system.iter().map(ChatMessage::system);
                turn.messages = system.chain(turn.messages).collect();
                nearside.route(turn).await
            }
        }
    }

    /// Leaves this conversation; the next prompt begins another, with the same system prompt.
    pub(super) fn begin_another(&mut self, session: &mut CliSession) {
        self.note_id(session);
        self.id = None;
        self.request.consent = None;
    }

    /// Sets the system prompt from the next turn on; empty: removes it.
    pub(super) async fn set_system(&mut self, text: &str, session: &mut CliSession) -> Result<(), CliError> {
        self.settings.system = Some(text.to_owned()).filter(|text| !text.is_empty());
        if let Some(id) = self.id {
            let configured = self.conversations.configure(id, self.settings.clone());
            session.interrupt.race(configured).await?;
        }
        Ok(())
    }

    /// Tells a user how to go on with it later.
    pub(super) fn note_id(&self, session: &mut CliSession) {
        if let Some(id) = self.id.filter(|_| self.stored && !session.output.is_json()) {
            let note = format!("stored as conversation {id}; `nearside chat --conversation {id}` goes on with it");
            session.output.print_note(&[dim(note)]);
        }
    }
}
