//! Sampling of the next token: temperature, top-k, top-p, min-p, penalties, grammars, and a thinking budget.
//!
//! The chain is llama.cpp's own (`common/sampling.h`), in its order: penalties, top-k, top-p, min-p, temperature, and a
//! draw from the remaining tokens. Tokens that the model's file suppresses stay suppressed.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;
use serde_json::json;

use crate::{LlamaError, Model, Token, ffi, nesting};

/// Sampling parameters. The defaults are llama.cpp's.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerParams {
    /// At 0 or less, the likeliest token is always chosen.
    pub temperature: f32,
    /// Number of likeliest tokens to keep; 0 or less keeps all.
    pub top_k: i32,
    /// Keeps the likeliest tokens whose probabilities reach this sum; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens with at least this fraction of the likeliest token's probability; 0 keeps all.
    pub min_p: f32,
    /// Divides the positive logits of recent tokens, multiplies the negative ones; 1 is off.
    pub repeat_penalty: f32,
    /// Subtracted from a token's logit for each recent occurrence; 0 is off.
    pub frequency_penalty: f32,
    /// Subtracted from a token's logit once if it occurred recently; 0 is off.
    pub presence_penalty: f32,
    /// Number of tokens that count as recent.
    pub penalty_last_n: u32,
    /// The same seed draws the same tokens; `u32::MAX` draws a seed.
    pub seed: u32,
    /// The grammar that the reply must follow.
    pub grammar: Option<Grammar>,
    /// The model's thinking tags. Required for a budget; with them, a lazy grammar ignores triggers inside a thought.
    pub thinking: Option<ThinkingTags>,
    /// Maximum thinking tokens; then the end tag is forced. Needs `thinking`.
    pub thinking_budget: Option<u32>,
    /// The start of the reply that the template wrote ([`Rendered::generation_prompt`](crate::Rendered)). The thinking
    /// budget and the template's own grammars process it first.
    pub generation_prompt: String,
}

impl Default for SamplerParams {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalty_last_n: 64,
            seed: u32::MAX,
            grammar: None,
            thinking: None,
            thinking_budget: None,
            generation_prompt: String::new(),
        }
    }
}

/// A grammar in llama.cpp's GBNF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grammar {
    /// The rules; `root` matches the reply.
    pub gbnf: String,
    /// Whether the reply is unconstrained until a trigger.
    pub lazy: bool,
    /// The triggers of a lazy grammar.
    pub triggers: Vec<Trigger>,
    /// Its origin, which determines whether it includes the start of the reply that the template wrote.
    pub kind: GrammarKind,
    /// Control tokens that can be triggers, as text.
    pub preserved: Vec<String>,
}

impl Grammar {
    /// Creates a grammar of kind [`GrammarKind::User`] for the whole reply.
    pub fn new(gbnf: impl Into<String>) -> Self {
        Self {
            gbnf: gbnf.into(),
            lazy: false,
            triggers: Vec::new(),
            kind: GrammarKind::User,
            preserved: Vec::new(),
        }
    }
}

/// Origin of a grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrammarKind {
    /// The caller: it starts at the first generated token.
    User,
    /// A template, for a JSON schema: it includes the start of the reply that the template wrote.
    Format,
    /// A template, for tool calls: it includes the same start.
    Tools,
}

/// A trigger of a lazy grammar, as llama.cpp's templates return it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// This token.
    Token(Token),
    /// This text.
    Word(String),
    /// Text that contains a match of this regular expression; the grammar starts at its first group.
    Pattern(String),
    /// Text that matches this regular expression as a whole.
    PatternFull(String),
}

/// The tags around a model's thoughts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThinkingTags {
    /// Such as `<think>`.
    pub start: String,
    /// Such as `</think>`; some models have several.
    pub ends: Vec<String>,
}

/// Draws tokens from a [`Context`](crate::Context) of the same model.
pub struct Sampler {
    raw: NonNull<ffi::RawSampler>,
    model: Model,
}

impl Sampler {
    /// Creates a sampler for `model`.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for a parameter that is NaN or out of range; [`LlamaError::Grammar`] for an invalid
    /// grammar.
    pub fn new(model: &Model, params: &SamplerParams) -> Result<Self, LlamaError> {
        params.validate()?;
        let constraint = params.constraint_json();
        let raw = ffi::RawSamplerParams {
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
            min_p: params.min_p,
            repeat_penalty: params.repeat_penalty,
            frequency_penalty: params.frequency_penalty,
            presence_penalty: params.presence_penalty,
            penalty_last_n: i32::try_from(params.penalty_last_n).unwrap_or(i32::MAX),
            seed: params.seed,
            thinking_budget: params
                .thinking_budget
                .map_or(-1, |budget| i32::try_from(budget).unwrap_or(i32::MAX)),
            constraint: constraint.as_deref().into(),
        };
        // SAFETY: the model is live; `raw` and the constraint that it points to outlive the call.
        ffi::call_for_object(|out, error| unsafe { ffi::ns_sampler_new(model.raw(), &raw const raw, out, error) })
            .map(|raw| Self {
                raw,
                model: model.clone(),
            })
            .map_err(LlamaError::Grammar)
    }

    /// Resets the sampler to its initial state.
    ///
    /// # Errors
    /// [`LlamaError::Grammar`], for a cause that [`new`](Self::new) would have returned already.
    pub fn reset(&mut self) -> Result<(), LlamaError> {
        // SAFETY: the sampler is live, and so is the model that it points to.
        ffi::call(|error| unsafe { ffi::ns_sampler_reset(self.raw.as_ptr(), error) }).map_err(LlamaError::Grammar)
    }

    /// Feeds a prompt to the penalties, as llama.cpp's own programs do.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for a token outside the vocabulary.
    pub fn observe(&mut self, prompt: &[Token]) -> Result<(), LlamaError> {
        if !prompt.iter().all(|token| self.model.has_token(*token)) {
            return Err(LlamaError::Input("a token is not in the vocabulary".to_owned()));
        }
        // SAFETY: the sampler is live and the tokens outlive the call.
        ffi::call(|error| unsafe { ffi::ns_sampler_observe(self.raw.as_ptr(), prompt.as_ptr(), prompt.len(), error) })
            .map_err(LlamaError::Grammar)
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Samples the next token and updates the state with it.
    ///
    /// # Safety
    /// `context` must be live, used by no other thread, of this sampler's model, and have logits.
    pub(crate) unsafe fn sample(&mut self, context: *mut sys::llama_context) -> Result<Token, LlamaError> {
        let mut token = 0;
        // SAFETY: the sampler is live; the caller guarantees the conditions on `context`.
        ffi::call(|error| unsafe { ffi::ns_sampler_sample(self.raw.as_ptr(), context, &raw mut token, error) })
            .map_err(|reason| match reason.as_str() {
                NO_LOGITS => LlamaError::Decode(reason),
                NOT_A_NUMBER => LlamaError::Damaged(reason),
                _ => LlamaError::Grammar("no token of this model can continue the reply".to_owned()),
            })?;
        Ok(token)
    }
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}

// SAFETY: plain memory that is bound to no thread, and used through `&mut` only.
unsafe impl Send for Sampler {}

impl Drop for Sampler {
    fn drop(&mut self) {
        // SAFETY: created by `ns_sampler_new`, freed once, before the model that it points to.
        unsafe { ffi::ns_sampler_free(self.raw.as_ptr()) }
    }
}

impl SamplerParams {
    fn validate(&self) -> Result<(), LlamaError> {
        let numbers = [
            ("temperature", self.temperature, 0.0..=100.0),
            ("top_p", self.top_p, 0.0..=1.0),
            ("min_p", self.min_p, 0.0..=1.0),
            ("repeat_penalty", self.repeat_penalty, 0.01..=100.0),
            ("frequency_penalty", self.frequency_penalty, -100.0..=100.0),
            ("presence_penalty", self.presence_penalty, -100.0..=100.0),
        ];
        for (name, value, range) in numbers {
            if !range.contains(&value) {
                return Err(LlamaError::Input(format!(
                    "`{name}` must be from {} to {}, not {value}",
                    range.start(),
                    range.end()
                )));
            }
        }
        if self.penalty_last_n > MAX_PENALTY_LAST_N {
            return Err(LlamaError::Input(format!(
                "a penalty looks back over at most {MAX_PENALTY_LAST_N} tokens"
            )));
        }
        if let Some(grammar) = &self.grammar {
            if grammar.gbnf.trim().is_empty() {
                return Err(LlamaError::Grammar("it is empty".to_owned()));
            }
            // llama.cpp generates those of templates from JSON whose depth was checked.
            if grammar.kind == GrammarKind::User {
                nesting::check_grammar(&grammar.gbnf).map_err(LlamaError::Grammar)?;
            }
            for trigger in &grammar.triggers {
                if let Trigger::Pattern(pattern) | Trigger::PatternFull(pattern) = trigger {
                    nesting::check_pattern(pattern).map_err(LlamaError::Grammar)?;
                }
            }
        }
        if self.thinking_budget.is_some() && self.thinking.is_none() {
            return Err(LlamaError::Input(
                "a budget for reasoning needs a model with marks of reasoning".to_owned(),
            ));
        }
        Ok(())
    }

    fn constraint_json(&self) -> Option<String> {
        if self.grammar.is_none() && self.thinking.is_none() {
            return None;
        }
        let mut out = json!({ "generation_prompt": self.generation_prompt });
        if let Some(grammar) = &self.grammar {
            out["gbnf"] = json!(grammar.gbnf);
            out["lazy"] = json!(grammar.lazy);
            out["preserved"] = json!(grammar.preserved);
            out["kind"] = json!(match grammar.kind {
                GrammarKind::User => "user",
                GrammarKind::Format => "format",
                GrammarKind::Tools => "tools",
            });
            out["triggers"] = grammar.triggers.iter().map(Trigger::to_json).collect();
        }
        if let Some(thinking) = &self.thinking {
            out["thinking_start"] = json!(thinking.start);
            out["thinking_ends"] = json!(thinking.ends);
        }
        Some(out.to_string())
    }
}

impl Trigger {
    // The numbers are those of llama.cpp's `common_grammar_trigger_type`.
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Token(token) => json!({ "type": 0, "value": "", "token": token }),
            Self::Word(word) => json!({ "type": 1, "value": word }),
            Self::Pattern(pattern) => json!({ "type": 2, "value": pattern }),
            Self::PatternFull(pattern) => json!({ "type": 3, "value": pattern }),
        }
    }

    pub(crate) fn from_json(json: &serde_json::Value) -> Option<Self> {
        let value = json["value"].as_str().unwrap_or_default().to_owned();
        match json["type"].as_u64()? {
            0 => Some(Self::Token(i32::try_from(json["token"].as_i64()?).ok()?)),
            1 => Some(Self::Word(value)),
            2 => Some(Self::Pattern(value)),
            3 => Some(Self::PatternFull(value)),
            _ => None,
        }
    }
}

const MAX_PENALTY_LAST_N: u32 = 1 << 16;
/// The two errors of `ns_sampler_sample` that concern the model, not the grammar.
const NO_LOGITS: &str = "there are no logits to sample from";
const NOT_A_NUMBER: &str = "the model computed a logit that is not a number";
