//! Renders and tokenizes the prompt, with as much of a conversation's history as the context holds, counted exactly.
//!
//! Each message is counted by itself, so that the same turns are omitted again when the conversation grows, and the KV
//! cache stays valid; the whole prompt then decides.

use nearside_llama::{LlamaError, Prompt, Rendered, Token};

use super::error::{AnswerError, map_llama_error, template_error};
use super::load::LoadedModel;
use super::schema::Constraints;
use super::{prompt, sampling};
use crate::chat::history::{next_turn, omit, omittable, prompt_space, without};
use crate::chat::{AppliedSampling, ChatMessage, ChatRequest, ContentPart, ReasoningMode};
use crate::error::{Error, ErrorReason, Result};

/// A prompt that the context holds.
pub(super) struct FittedPrompt {
    /// The request with the messages of the prompt, and its sampling resolved.
    pub(super) request: ChatRequest,
    pub(super) applied: AppliedSampling,
    pub(super) rendered: Rendered,
    pub(super) tokens: Vec<Token>,
    /// Number of messages that are not in it.
    pub(super) omitted_messages: u32,
}

/// Builds the prompt of a request. Omits older turns that the context cannot hold if `kept_turns` says which must stay.
///
/// # Errors
/// `InvalidRequest` if the prompt does not fit and nothing more may be omitted.
pub(super) fn fit_prompt(
    loaded: &LoadedModel,
    id: &str,
    constraints: &Constraints,
    whole: ChatRequest,
    kept_turns: Option<u32>,
) -> Result<FittedPrompt, AnswerError> {
    let Some(kept_turns) = kept_turns.filter(|kept| !omittable(&whole.messages, *kept).is_empty()) else {
        let fitted = render_and_tokenize(loaded, id, constraints, whole)?;
        check_length(loaded, &fitted)?;
        return Ok(fitted);
    };
    let available = prompt_space(loaded.session.capacity(), whole.limits.max_tokens);
    let mut fitted = render_and_tokenize(loaded, id, constraints, whole.clone())?;
    let needed = fitted.tokens.len() as u64;
    if needed <= available {
        return Ok(fitted);
    }
    let limit = omittable(&whole.messages, kept_turns).end;
    let mut omitted = omit(&whole.messages, kept_turns, needed, available, |message| {
        message_tokens(loaded, message)
    });
    loop {
        let request = whole.with_messages(without(&whole.messages, &omitted));
        fitted = render_and_tokenize(loaded, id, constraints, request)?;
        fitted.omitted_messages = u32::try_from(omitted.len()).unwrap_or(u32::MAX);
        if fitted.tokens.len() as u64 <= available || omitted.end >= limit {
            break;
        }
        omitted.end = next_turn(&whole.messages, omitted.end, limit);
    }
    check_length(loaded, &fitted)?;
    Ok(fitted)
}

fn render_and_tokenize(
    loaded: &LoadedModel,
    id: &str,
    constraints: &Constraints,
    mut request: ChatRequest,
) -> Result<FittedPrompt, AnswerError> {
    let applied = sampling::apply_preset(&mut request, id, &loaded.model);
    let rendered = render_prompt(loaded, &request, constraints)?;
    let tokens = loaded
        .model
        .tokenize(&rendered.prompt, true, true)
        .map_err(map_llama_error)?;
    Ok(FittedPrompt {
        request,
        applied,
        rendered,
        tokens,
        omitted_messages: 0,
    })
}

/// Counts the tokens of a message, with the markers that a template puts around it.
fn message_tokens(loaded: &LoadedModel, message: &ChatMessage) -> u64 {
    let count = |text: &str| {
        loaded
            .model
            .tokenize(text, false, false)
            .map_or(text.len(), |tokens| tokens.len())
    };
    let parts = message.parts.iter().map(|part| match part {
        ContentPart::Text { text } | ContentPart::Reasoning { text } => count(text),
        ContentPart::ToolCall { name, arguments, .. } => count(name) + count(arguments) + MARKER_TOKENS,
        ContentPart::ToolResult { name, content, .. } => count(name) + count(content) + MARKER_TOKENS,
        ContentPart::Image { .. } => 0,
    });
    (parts.sum::<usize>() + MARKER_TOKENS) as u64
}

fn render_prompt(
    loaded: &LoadedModel,
    request: &ChatRequest,
    constraints: &Constraints,
) -> Result<Rendered, AnswerError> {
    let messages = prompt::messages_json(&request.messages)?;
    let prompt = Prompt {
        messages_json: &messages,
        tools_json: constraints.tools.as_deref(),
        json_schema: constraints.schema.as_deref(),
        grammar: None,
        thinking: request.reasoning != ReasoningMode::Off,
        continue_final: false,
    };
    loaded.template.render(&prompt).map_err(|error| {
        let trial = Prompt {
            messages_json: TRIAL_MESSAGES,
            ..Prompt::default()
        };
        match error {
            // A template that refuses even the shortest conversation is the file's fault.
            LlamaError::Template(_) if loaded.template.render(&trial).is_err() => {
                AnswerError::ModelUnusable(template_error(error))
            }
            other => map_llama_error(other).into(),
        }
    })
}

fn check_length(loaded: &LoadedModel, fitted: &FittedPrompt) -> Result<()> {
    if fitted.tokens.is_empty() {
        return Err(Error::invalid_request("the prompt is empty; add a message with text"));
    }
    let capacity = loaded.session.capacity();
    if fitted.tokens.len() >= capacity as usize {
        let (needed, messages) = (fitted.tokens.len() + 1, fitted.request.messages.len());
        let text = format!(
            "the {messages} messages need {needed} tokens and the context holds {capacity}; send fewer, or use a larger \
             context"
        );
        return Err(Error::invalid_request(text).because(ErrorReason::ContextExceeded));
    }
    Ok(())
}

/// About what templates put around a message or a call.
const MARKER_TOKENS: usize = 5;
/// The shortest conversation.
const TRIAL_MESSAGES: &str = r#"[{"role":"user","content":"hello"}]"#;
