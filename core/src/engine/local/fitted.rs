//! Renders and tokenizes the prompt, with as much of a conversation's history as the context holds, counted exactly.
//!
//! The newest turns are counted one by one until the context is full, with the markers that the template put around
//! messages when they were rendered; the whole prompt then decides. Older turns are neither rendered nor counted, so the
//! work depends on the context and not on the conversation; a cancel or a deadline ends it between two steps.

use std::ops::Range;

use nearside_llama::{LlamaError, Prompt, Rendered, Token};

use super::error::{AnswerError, map_llama_error, template_error};
use super::load::ReadyModel;
use super::prompt_tokens::PromptTokens;
use super::schema::Constraints;
use super::session::PromptEnd;
use super::stop::StopConditions;
use super::{prompt, sampling};
use crate::chat::history::{next_turn, omit, omittable, prompt_space, without};
use crate::chat::{AppliedSampling, ChatMessage, ChatRequest, ContentPart, MessageRole, OutputFormat, ReasoningMode};
use crate::engine::BegunAnswer;
use crate::engine::openai::effort_name;
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
    /// Whether it ends with the beginning of the answer.
    pub(super) is_continued: bool,
}

/// A request that is being fitted, and what renders and counts it.
#[derive(Clone, Copy)]
pub(super) struct Fitting<'a> {
    pub(super) loaded: &'a ReadyModel,
    pub(super) prompt_tokens: &'a PromptTokens,
    pub(super) id: &'a str,
    pub(super) constraints: &'a Constraints,
    pub(super) whole: &'a ChatRequest,
    /// The beginning of the answer, which is the last message of the request.
    pub(super) begun: Option<&'a BegunAnswer>,
    /// The largest context in tokens that it may have.
    pub(super) capacity: u32,
    pub(super) stop: &'a StopConditions,
}

impl Fitting<'_> {
    /// Builds the prompt that continues an answer; without one, or where the template cannot continue it, as
    /// [`Self::fit_kept`].
    ///
    /// # Errors
    /// Those of [`Self::fit_kept`].
    pub(super) fn fit_begun(
        &self,
        kept_turns: Option<u32>,
        begun: Option<&BegunAnswer>,
    ) -> Result<FittedPrompt, AnswerError> {
        if let Some(begun) = begun
            && let Some((request, has_words)) = continuation(self.whole, begun)
        {
            let continuing = Fitting {
                whole: &request,
                begun: Some(begun),
                ..*self
            };
            let kept_turns = kept_turns.map(|kept| kept - u32::from(has_words && kept > 1));
            match continuing.fit_kept(kept_turns) {
                Ok(fitted) if fitted.is_continued => return Ok(fitted),
                Err(error @ (AnswerError::Stopped | AnswerError::ModelUnusable(_))) => return Err(error),
                _ => {}
            }
        }
        self.fit_kept(kept_turns)
    }

    /// Builds the prompt of a request. Omits older turns that the context cannot hold if `kept_turns` says which must stay.
    ///
    /// # Errors
    /// `InvalidRequest` if the prompt does not fit and nothing more may be omitted; `Stopped` after a stop.
    fn fit_kept(&self, kept_turns: Option<u32>) -> Result<FittedPrompt, AnswerError> {
        let fitted = match kept_turns.filter(|kept| !omittable(&self.whole.messages, *kept).is_empty()) {
            Some(kept_turns) => self.fit(kept_turns)?,
            None => self.render_required(&(0..0))?,
        };
        self.check_length(&fitted)?;
        Ok(fitted)
    }

    /// Omits as few turns as the steps of [`omit`] allow.
    fn fit(&self, kept_turns: u32) -> Result<FittedPrompt, AnswerError> {
        let messages = &self.whole.messages;
        let available = prompt_space(self.capacity, self.whole.limits.max_tokens);
        if Self::may_fit(messages.iter(), available) {
            let fitted = self.render(&(0..0))?;
            if fitted.tokens.len() as u64 <= available {
                return Ok(fitted);
            }
        }
        let most = omittable(messages, kept_turns);
        let mut fitted = self.render_required(&most)?;
        let required = fitted.tokens.len() as u64;
        if required >= available {
            return Ok(fitted);
        }
        let mut omitted = most.clone();
        let mut contents: Vec<Option<u64>> = vec![None; messages.len()];
        // Of all the messages that are kept, so that rounding does not add up.
        let (mut markers, mut marked) = (MARKER_TOKENS, 1);
        for _ in 0..MAX_COUNTS {
            let (mut count, mut content) = (0, 0);
            let next = omit(messages, kept_turns, available, |turn| {
                for at in turn {
                    count += 1;
                    content += match contents[at] {
                        Some(content) => content,
                        None => {
                            let texts = messages[at].parts.iter().flat_map(part_texts);
                            *contents[at].insert(self.count_tokens(texts, available)?)
                        }
                    };
                }
                Ok::<_, AnswerError>(required + content + (count * markers).div_ceil(marked))
            })?;
            if next == omitted {
                break;
            }
            omitted = next;
            fitted = self.render(&omitted)?;
            // The template says what it really puts around a message.
            let kept = omitted.end..most.end;
            let content: u64 = contents[kept.clone()].iter().flatten().sum();
            markers = (fitted.tokens.len() as u64).saturating_sub(required + content);
            marked = kept.len().max(1) as u64;
        }
        while fitted.tokens.len() as u64 > available && omitted.end < most.end {
            omitted.end = next_turn(messages, omitted.end, most.end);
            fitted = self.render(&omitted)?;
        }
        Ok(fitted)
    }

    /// Returns whether the messages may have this few tokens. A count proves it; `false` only saves the count.
    fn may_fit<'m>(messages: impl Iterator<Item = &'m ChatMessage>, available: u64) -> bool {
        messages.map(text_bytes).sum::<u64>() / BYTES_PER_LONG_TOKEN <= available
    }

    /// Renders a part of the request that nothing more may be omitted from. Rejects one that is far too long by the count of
    /// its texts, which takes less than rendering.
    fn render_required(&self, omitted: &Range<usize>) -> Result<FittedPrompt, AnswerError> {
        let most = 2 * u64::from(self.capacity);
        let all = &self.whole.messages;
        let rest = || all[..omitted.start].iter().chain(&all[omitted.end..]);
        // Many templates drop reasoning.
        let is_printed = |part: &&ContentPart| !matches!(part, ContentPart::Reasoning { .. });
        let parts = rest().flat_map(|message| &message.parts).filter(is_printed);
        if !Self::may_fit(rest(), most) {
            let tokens = self.count_tokens(parts.flat_map(part_texts), most)?;
            if tokens > most {
                return Err(self.too_long(rest().count(), tokens, "more than ").into());
            }
        }
        self.render(omitted)
    }

    /// Renders and tokenizes the request without these messages.
    fn render(&self, omitted: &Range<usize>) -> Result<FittedPrompt, AnswerError> {
        self.poll_stop()?;
        let (loaded, messages) = (self.loaded, &self.whole.messages);
        let mut request = self.whole.with_messages(without(messages, omitted));
        let applied = sampling::apply_preset(&mut request, self.id, &loaded.model);
        let rendered = self.render_prompt(&request)?;
        self.poll_stop()?;
        let tokens = self
            .prompt_tokens
            .tokenize(&loaded.model, &loaded.control_words, &rendered.prompt)
            .map_err(map_llama_error)?;
        Ok(FittedPrompt {
            request,
            applied,
            tokens,
            omitted_messages: u32::try_from(omitted.len()).unwrap_or(u32::MAX),
            is_continued: self.begun.is_some_and(|begun| ends_with_begun(&rendered, begun)),
            rendered,
        })
    }

    /// Counts the tokens of texts without the markers that a template puts around them, until they exceed `most`.
    fn count_tokens<'t>(&self, texts: impl Iterator<Item = &'t str>, most: u64) -> Result<u64, AnswerError> {
        let mut count = 0;
        for text in texts {
            for piece in pieces(text) {
                self.poll_stop()?;
                count += match self.loaded.model.tokenize(piece, false, false) {
                    Ok(tokens) => tokens.len() as u64,
                    Err(_) => piece.len() as u64,
                };
                if count > most {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }

    fn render_prompt(&self, request: &ChatRequest) -> Result<Rendered, AnswerError> {
        let words = &self.loaded.control_words;
        let messages = prompt::messages_json(&request.messages, words)?;
        let tools = self.constraints.tools.as_deref().map(|tools| words.mask_json(tools));
        let prompt = Prompt {
            messages_json: &messages,
            tools_json: tools.as_deref(),
            json_schema: self.constraints.schema.as_deref(),
            reasoning_effort: match request.reasoning {
                ReasoningMode::Effort { effort } => Some(effort_name(effort)),
                _ => None,
            },
            thinking: request.reasoning != ReasoningMode::Off,
            continue_final: self.begun.is_some(),
            ..Prompt::default()
        };
        let trial = Prompt {
            messages_json: TRIAL_MESSAGES,
            ..Prompt::default()
        };
        let render = |prompt| self.loaded.template.render_while(prompt, &|| !self.stop.is_raised());
        match render(&prompt) {
            Ok(rendered) => Ok(rendered),
            Err(LlamaError::Cancelled) => Err(AnswerError::Stopped),
            // A template that refuses even the shortest conversation is the file's fault.
            Err(error @ LlamaError::Template(_)) => match render(&trial) {
                Ok(_) => Err(map_llama_error(error).into()),
                Err(LlamaError::Cancelled) => Err(AnswerError::Stopped),
                Err(_) => Err(AnswerError::ModelUnusable(template_error(error))),
            },
            Err(error) => Err(map_llama_error(error).into()),
        }
    }

    /// Returns which tokens at the end of a prompt another one of the same conversation may not have: the start of the answer
    /// that the template wrote, such as one without reasoning, and all from the last message of the user on, which may be edited.
    ///
    /// # Errors
    /// `Stopped` after a stop.
    pub(super) fn prompt_end(&self, fitted: &FittedPrompt) -> Result<PromptEnd, AnswerError> {
        if !self.loaded.session.needs_checkpoints() {
            return Ok(PromptEnd::default());
        }
        let start = &fitted.rendered.generation_prompt;
        let tail = self
            .loaded
            .model
            .tokenize(start, false, true)
            .map_or(0, |tokens| tokens.len());
        let messages = &fitted.request.messages;
        let last = messages.iter().rposition(|message| message.role == MessageRole::User);
        let parts = messages[last.unwrap_or_default()..]
            .iter()
            .flat_map(|message| &message.parts);
        let message = self.count_tokens(parts.flat_map(part_texts), u64::MAX)?;
        Ok(PromptEnd {
            tail: tail + 1,
            message: message as usize,
        })
    }

    fn check_length(&self, fitted: &FittedPrompt) -> Result<()> {
        if fitted.tokens.is_empty() {
            return Err(Error::invalid_request("the prompt is empty; add a message with text"));
        }
        if fitted.tokens.len() >= self.capacity as usize {
            let (needed, messages) = (fitted.tokens.len() as u64 + 1, fitted.request.messages.len());
            return Err(self.too_long(messages, needed, ""));
        }
        Ok(())
    }

    fn too_long(&self, messages: usize, needed: u64, bound: &str) -> Error {
        let (capacity, order) = (self.capacity, &self.loaded.order);
        let remedy = if capacity >= order.trained_context {
            ", which is all that the model was trained with; send fewer"
        } else if capacity >= self.whole.limits.context.unwrap_or(order.max_context) {
            "; send fewer, or use a larger context"
        } else {
            ", and there is no memory now for a larger one; send fewer, or close other apps"
        };
        let text =
            format!("the {messages} messages need {bound}{needed} tokens and the context holds {capacity}{remedy}");
        Error::invalid_request(text).because(ErrorReason::ContextExceeded)
    }

    fn poll_stop(&self) -> Result<(), AnswerError> {
        match self.stop.is_raised() {
            true => Err(AnswerError::Stopped),
            false => Ok(()),
        }
    }
}

/// Splits a text into pieces that are tokenized in a moment.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = text.floor_char_boundary(PIECE_BYTES);
        let (piece, rest) = text.split_at_checked(end).filter(|(piece, _)| !piece.is_empty())?;
        text = rest;
        Some(piece)
    })
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

/// Returns the request that ends with the beginning of the answer, and whether the prompt to go on was taken out for it.
/// `None` if the answer has a form that it began without.
fn continuation(whole: &ChatRequest, begun: &BegunAnswer) -> Option<(ChatRequest, bool)> {
    if whole.output != OutputFormat::Text {
        return None;
    }
    let has_words = !begun.text.trim().is_empty();
    let kept = whole.messages.len().checked_sub(if has_words { 2 } else { 0 })?;
    let part = |text: &String, part: fn(String) -> ContentPart| (!text.is_empty()).then(|| part(text.clone()));
    let answer = ChatMessage {
        role: MessageRole::Assistant,
        parts: [
            part(&begun.reasoning, |text| ContentPart::Reasoning { text }),
            part(&begun.text, |text| ContentPart::Text { text }),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    let messages = whole.messages[..kept].iter().cloned().chain([answer]).collect();
    Some((whole.with_messages(messages), has_words))
}

/// Returns whether a prompt ends with the beginning of the answer, and its parser finds there what was begun, so that the
/// rest can be told from it.
fn ends_with_begun(rendered: &Rendered, begun: &BegunAnswer) -> bool {
    let end = if begun.text.is_empty() {
        &begun.reasoning
    } else {
        &begun.text
    };
    let is_free = rendered.grammar.as_ref().is_none_or(|grammar| grammar.lazy);
    let parsed = rendered.parser().and_then(|mut parser| parser.parse_reply("", false));
    is_free
        && rendered.generation_prompt.ends_with(end)
        && rendered.prompt.ends_with(&rendered.generation_prompt)
        && parsed.is_ok_and(|parsed| parsed.reasoning == begun.reasoning && parsed.content == begun.text)
}

/// About what templates put around a message, before the first count.
const MARKER_TOKENS: u64 = 5;
/// How often the turns are counted: again after the template showed what it puts around them.
const MAX_COUNTS: u32 = 3;
/// Text with more bytes for each token is rare.
const BYTES_PER_LONG_TOKEN: u64 = 8;
/// Bytes that are tokenized between two polls of the stop conditions.
const PIECE_BYTES: usize = 16 << 10;
/// The shortest conversation.
const TRIAL_MESSAGES: &str = r#"[{"role":"user","content":"hello"}]"#;
