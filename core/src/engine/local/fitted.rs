//! Renders and tokenizes the prompt, with as much of a conversation's history as the context holds, counted exactly.
//!
//! The newest turns are counted one by one until the context is full, with the markers that the template put around
//! messages when they were rendered; the whole prompt then decides. Older turns are neither rendered nor counted.

use std::ops::Range;

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
    whole: &ChatRequest,
    kept_turns: Option<u32>,
) -> Result<FittedPrompt, AnswerError> {
    let fitting = Fitting {
        loaded,
        id,
        constraints,
        whole,
    };
    let fitted = match kept_turns.filter(|kept| !omittable(&whole.messages, *kept).is_empty()) {
        Some(kept_turns) => fitting.fit(kept_turns)?,
        None => fitting.render(&(0..0))?,
    };
    check_length(loaded, &fitted)?;
    Ok(fitted)
}

/// A request that is being fitted, and what renders and counts it.
struct Fitting<'a> {
    loaded: &'a LoadedModel,
    id: &'a str,
    constraints: &'a Constraints,
    whole: &'a ChatRequest,
}

impl Fitting<'_> {
    /// Omits as few turns as the steps of [`omit`] allow.
    fn fit(&self, kept_turns: u32) -> Result<FittedPrompt, AnswerError> {
        let messages = &self.whole.messages;
        let available = prompt_space(self.loaded.session.capacity(), self.whole.limits.max_tokens);
        if self.may_fit_whole(available) {
            let fitted = self.render(&(0..0))?;
            if fitted.tokens.len() as u64 <= available {
                return Ok(fitted);
            }
        }
        let most = omittable(messages, kept_turns);
        let mut fitted = self.render(&most)?;
        let required = fitted.tokens.len() as u64;
        if required >= available {
            return Ok(fitted);
        }
        let mut omitted = most.clone();
        let mut contents: Vec<Option<u64>> = vec![None; messages.len()];
        let mut markers = MARKER_TOKENS;
        for _ in 0..MAX_COUNTS {
            let mut needed = required;
            let next = omit(messages, kept_turns, available, |turn| {
                for at in turn {
                    let content = *contents[at].get_or_insert_with(|| self.content_tokens(&messages[at]));
                    needed += content + markers;
                }
                Ok::<_, AnswerError>(needed)
            })?;
            if next == omitted {
                break;
            }
            omitted = next;
            fitted = self.render(&omitted)?;
            // The template says what it really puts around a message.
            let kept = omitted.end..most.end;
            let content: u64 = contents[kept.clone()].iter().flatten().sum();
            let around = (fitted.tokens.len() as u64).saturating_sub(required + content);
            markers = around.div_ceil(kept.len().max(1) as u64);
        }
        while fitted.tokens.len() as u64 > available && omitted.end < most.end {
            omitted.end = next_turn(messages, omitted.end, most.end);
            fitted = self.render(&omitted)?;
        }
        Ok(fitted)
    }

    /// Returns whether the whole request may have this few tokens. A count proves it; `false` only saves the count.
    fn may_fit_whole(&self, available: u64) -> bool {
        let bytes = self.whole.messages.iter().map(text_bytes).sum::<u64>();
        bytes / BYTES_PER_LONG_TOKEN <= available
    }

    /// Renders and tokenizes the request without these messages.
    fn render(&self, omitted: &Range<usize>) -> Result<FittedPrompt, AnswerError> {
        let (loaded, messages) = (self.loaded, &self.whole.messages);
        let mut request = self.whole.with_messages(without(messages, omitted));
        let applied = sampling::apply_preset(&mut request, self.id, &loaded.model);
        let rendered = render_prompt(loaded, &request, self.constraints)?;
        let tokens = loaded
            .model
            .tokenize(&rendered.prompt, true, true)
            .map_err(map_llama_error)?;
        Ok(FittedPrompt {
            request,
            applied,
            rendered,
            tokens,
            omitted_messages: u32::try_from(omitted.len()).unwrap_or(u32::MAX),
        })
    }

    /// Counts the tokens of a message without the markers that a template puts around it.
    fn content_tokens(&self, message: &ChatMessage) -> u64 {
        let parts = message.parts.iter().flat_map(part_texts);
        let tokens = parts.map(|text| match self.loaded.model.tokenize(text, false, false) {
            Ok(tokens) => tokens.len() as u64,
            Err(_) => text.len() as u64,
        });
        tokens.sum()
    }
}

/// Returns the texts of a part, as a template prints them.
fn part_texts(part: &ContentPart) -> Vec<&str> {
    match part {
        ContentPart::Text { text } | ContentPart::Reasoning { text } => vec![text],
        ContentPart::ToolCall { name, arguments, .. } => vec![name, arguments],
        ContentPart::ToolResult { name, content, .. } => vec![name, content],
        ContentPart::Image { .. } => vec![],
    }
}

fn text_bytes(message: &ChatMessage) -> u64 {
    let texts = message.parts.iter().flat_map(part_texts);
    texts.map(|text| text.len() as u64).sum()
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

/// About what templates put around a message, before the first count.
const MARKER_TOKENS: u64 = 5;
/// How often the turns are counted: again after the template showed what it puts around them.
const MAX_COUNTS: u32 = 3;
/// Text with more bytes for each token is rare.
const BYTES_PER_LONG_TOKEN: u64 = 8;
/// The shortest conversation.
const TRIAL_MESSAGES: &str = r#"[{"role":"user","content":"hello"}]"#;
