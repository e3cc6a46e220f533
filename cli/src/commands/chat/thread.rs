//! The conversation that `chat` goes on with: a stored one, a new one, which is stored with its first answer, or one that is
//! not stored at all.

use nearside::chat::{
    ChatMessage, ChatRequest, ContentPart, Conversation, ConversationSettings, ConversationTurn, MessageRole,
};
use nearside::route::RouteDecision;
use nearside::{Conversations, Error, ErrorReason, Nearside};

use super::answer::{self, OpenCall};
use super::consent;
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
    /// Calls that the last answer made, and the results so far.
    calls: Vec<OpenCall>,
    results: Vec<ContentPart>,
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
        let mut request = args.to_request(&mut session.interrupt).await?;
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
        let mut calls = vec![];
        if let Some(id) = id {
            let conversation = session.interrupt.race(conversations.open(id)).await;
            let conversation = conversation.map_err(|error| explain_unknown(id, error))?;
            calls = open_calls(&conversation);
            let summary = conversation.summary;
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
            calls,
            results: vec![],
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

    /// Whether the next input is the result of a call.
    pub(super) fn awaits_result(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Prints the answer to a prompt or, after calls of the model, to their results: each call is one input. Returns whether it
    /// was interrupted. Nothing is stored of a prompt that may not be sent.
    pub(super) async fn answer(
        &mut self,
        nearside: &Nearside,
        prompt: String,
        args: &RequestArgs,
        display: ReasoningDisplay,
        session: &mut CliSession,
    ) -> Result<bool, CliError> {
        let Some(message) = self.next_message(prompt) else {
            return Ok(false);
        };
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
        if self.calls.is_empty() {
            self.images.clear();
        }
        self.forget_calls();
        let turn = ChatRequest {
            consent: self.request.consent.clone(),
            ..turn
        };
        let max_tokens = turn.limits.max_tokens;
        let stream = self.conversations.send(id, turn);
        let end = answer::print_answer(&stream, display, max_tokens, session).await;
        let end = end.map_err(explain_erased)?;
        self.calls = end.calls;
        Ok(end.interrupted)
    }

    /// Returns the message of this input; `None` if calls are left whose results are not given.
    fn next_message(&mut self, input: String) -> Option<ChatMessage> {
        if self.calls.is_empty() {
            let mut message = ChatMessage::user(input);
            message.parts.extend(self.images.iter().cloned());
            return Some(message);
        }
        if self.results.len() == self.calls.len() {
            // They were given before, and could not be sent.
            self.results.clear();
        }
        let OpenCall { id, name } = self.calls.get(self.results.len())?.clone();
        let content = input;
        self.results.push(ContentPart::ToolResult { id, name, content });
        (self.results.len() == self.calls.len()).then(|| ChatMessage {
            role: MessageRole::Tool,
            parts: self.results.clone(),
        })
    }

    /// Tells a user whose result is next.
    pub(super) fn note_call(&self, session: &mut CliSession) {
        let next = match self.results.len() == self.calls.len() {
            true => self.calls.first(),
            false => self.calls.get(self.results.len()),
        };
        if let Some(call) = next.filter(|_| !session.output.is_json()) {
            let note = format!("the next line is the result of `{}`", call.name);
            session.output.print_note(&[dim(note)]);
        }
    }

    fn forget_calls(&mut self) {
        self.calls.clear();
        self.results.clear();
    }

    /// Fails unless one input is enough.
    ///
    /// # Errors
    /// `InvalidRequest` if several calls need their results.
    pub(super) fn expect_one_input(&self) -> Result<(), CliError> {
        if self.calls.len() < 2 {
            return Ok(());
        }
        let names: Vec<&str> = self.calls.iter().map(|call| call.name.as_str()).collect();
        let text = format!(
            "the conversation waits for {} results: {}",
            names.len(),
            names.join(", ")
        );
        let help = "leave `-p` out, and give each result on a line of standard input";
        Err(CliError::with_help(Error::invalid_request(text), help))
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
        self.forget_calls();
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

/// Names the commands that list and begin conversations in the error of one that was erased during its answer.
fn explain_erased(error: CliError) -> CliError {
    match error {
        CliError::Library(error) if error.reason() == ErrorReason::NotFound => {
            let help = "`nearside conversations list` lists the conversations, and `nearside chat` begins a new one";
            CliError::with_help(error, help)
        }
        other => other,
    }
}

/// Returns the calls at the end of a stored conversation.
fn open_calls(conversation: &Conversation) -> Vec<OpenCall> {
    let Some(last) = conversation.messages.last() else {
        return vec![];
    };
    let call = |part: &ContentPart| match part {
        ContentPart::ToolCall { id, name, .. } => Some(OpenCall {
            id: id.clone(),
            name: name.clone(),
        }),
        _ => None,
    };
    last.parts.iter().filter_map(call).collect()
}
