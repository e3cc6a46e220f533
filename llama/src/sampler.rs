//! Choosing the next token: temperature and its kin, penalties, grammars, and a budget for thinking.
//!
//! The chain is llama.cpp's own (`common/sampling.h`), in its order: penalties, top-k, top-p, min-p, temperature, and a
//! draw from what is left. Tokens that the model's file suppresses stay suppressed.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;
use serde_json::json;

use crate::chat::Thinking;
use crate::{Error, Model, Token, ffi, nesting};

/// How to choose. The defaults are llama.cpp's.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerParams {
    /// 0 or less always takes the likeliest token.
    pub temperature: f32,
    /// Keeps the likeliest so many; 0 or less keeps all.
    pub top_k: i32,
    /// Keeps the likeliest that together have this probability; 1 keeps all.
    pub top_p: f32,
    /// Keeps those at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Divides the logits of tokens seen lately; 1 does nothing.
    pub repeat_penalty: f32,
    /// Lowers a token for each time it was seen lately; 0 does nothing.
    pub frequency_penalty: f32,
    /// Lowers a token that was seen lately; 0 does nothing.
    pub presence_penalty: f32,
    /// How many tokens "lately" is.
    pub penalty_last_n: u32,
    /// The same seed draws the same tokens; `u32::MAX` draws a seed.
    pub seed: u32,
    /// What the reply must look like.
    pub grammar: Option<Grammar>,
    /// How the model marks its thoughts. Needed for a budget, and lets a lazy grammar ignore what is only thought.
    pub thinking: Option<Thinking>,
    /// Most tokens of thought; then the end of thinking is forced. Needs `thinking`.
    pub thinking_budget: Option<u32>,
    /// What the template has already written of the reply ([`Rendered::generation_prompt`](crate::Rendered)): grammar and
    /// budget start after it.
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
    /// The rules; the reply is a `root`.
    pub gbnf: String,
    /// Whether the reply is free until a trigger, and follows the rules from there.
    pub lazy: bool,
    /// What ends the freedom of a lazy grammar.
    pub triggers: Vec<Trigger>,
    /// Where it comes from: decides whether it begins before or after what the template wrote of the reply.
    pub kind: GrammarKind,
    /// Control words that triggers may be.
    pub preserved: Vec<String>,
}

impl Grammar {
    /// A grammar of the caller's own for the whole reply.
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

/// Where a grammar comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrammarKind {
    /// The caller: begins with the first generated token.
    User,
    /// A template, for a JSON schema: begins with what the template wrote of the reply.
    Format,
    /// A template, for tool calls: likewise.
    Tools,
}

/// What starts a lazy grammar, as llama.cpp's templates give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// This token.
    Token(Token),
    /// This text.
    Word(String),
    /// Text in which this regular expression is found; its first group is where the grammar begins.
    Pattern(String),
    /// Text that matches this regular expression as a whole.
    PatternFull(String),
}

/// Draws tokens from a [`Context`](crate::Context) of the same model.
pub struct Sampler {
    raw: NonNull<ffi::Sampler>,
    model: Model,
}

impl Sampler {
    /// # Errors
    /// [`Error::Input`] for a parameter that is not a number or out of range, [`Error::Grammar`] for a grammar that does
    /// not parse.
    pub fn new(model: &Model, params: &SamplerParams) -> Result<Self, Error> {
        params.check()?;
        let constraint = params.constraint();
        let raw = ffi::SamplerParams {
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
        let mut sampler = std::ptr::null_mut();
        // SAFETY: the model is live; `raw` and the constraint that it points to outlive the call.
        ffi::check(|error| unsafe { ffi::ns_sampler_new(model.raw(), &raw const raw, &raw mut sampler, error) })
            .map_err(|reason| Error::Grammar(or_generic(reason)))?;
        let raw = NonNull::new(sampler).ok_or_else(|| Error::Grammar(or_generic(String::new())))?;
        Ok(Self {
            raw,
            model: model.clone(),
        })
    }

    /// Resets the sampler to its initial state.
    ///
    /// # Errors
    /// [`Error::Grammar`], which would have come from [`new`](Self::new) already.
    pub fn reset(&mut self) -> Result<(), Error> {
        // SAFETY: the sampler is live, and so is the model that it points to.
        ffi::check(|error| unsafe { ffi::ns_sampler_reset(self.raw.as_ptr(), error) })
            .map_err(|reason| Error::Grammar(or_generic(reason)))
    }

    /// Lets the penalties know a prompt, as llama.cpp's own programs do.
    ///
    /// # Errors
    /// [`Error::Input`] for a token that the vocabulary does not have.
    pub fn observe(&mut self, prompt: &[Token]) -> Result<(), Error> {
        if !prompt.iter().all(|token| self.model.has_token(*token)) {
            return Err(Error::Input("a token is not in the vocabulary".to_owned()));
        }
        // SAFETY: the sampler is live and the tokens outlive the call.
        ffi::check(|error| unsafe { ffi::ns_sampler_observe(self.raw.as_ptr(), prompt.as_ptr(), prompt.len(), error) })
            .map_err(|reason| Error::Grammar(or_generic(reason)))
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// # Safety
    /// `context` must be live, used by no other thread, of this sampler's model, and have logits.
    pub(crate) unsafe fn sample(&mut self, context: *mut sys::llama_context) -> Result<Token, Error> {
        let mut token = 0;
        // SAFETY: the sampler is live; the caller vouches for `context`.
        ffi::check(|error| unsafe { ffi::ns_sampler_sample(self.raw.as_ptr(), context, &raw mut token, error) })
            .map_err(|reason| match reason.as_str() {
                NO_LOGITS | NOT_A_NUMBER => Error::Decode(reason),
                _ => Error::Grammar("no token of this model can follow it here".to_owned()),
            })?;
        Ok(token)
    }
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}

// SAFETY: plain memory bound to no thread; used through `&mut` only.
unsafe impl Send for Sampler {}

impl Drop for Sampler {
    fn drop(&mut self) {
        // SAFETY: made by `ns_sampler_new`, freed once, before the model that it points to.
        unsafe { ffi::ns_sampler_free(self.raw.as_ptr()) }
    }
}

impl SamplerParams {
    fn check(&self) -> Result<(), Error> {
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
                return Err(Error::Input(format!(
                    "`{name}` is from {} to {}, not {value}",
                    range.start(),
                    range.end()
                )));
            }
        }
        if self.penalty_last_n > MOST_LAST_N {
            return Err(Error::Input(format!("`penalty_last_n` is at most {MOST_LAST_N}")));
        }
        if let Some(grammar) = &self.grammar {
            if grammar.gbnf.trim().is_empty() {
                return Err(Error::Grammar("it is empty".to_owned()));
            }
            // Those of templates are llama.cpp's own, over JSON whose depth was bounded.
            if grammar.kind == GrammarKind::User {
                nesting::check_grammar(&grammar.gbnf).map_err(Error::Grammar)?;
            }
            for trigger in &grammar.triggers {
                if let Trigger::Pattern(pattern) | Trigger::PatternFull(pattern) = trigger {
                    nesting::check_pattern(pattern).map_err(Error::Grammar)?;
                }
            }
        }
        if self.thinking_budget.is_some() && self.thinking.is_none() {
            return Err(Error::Input("`thinking_budget` needs `thinking`".to_owned()));
        }
        Ok(())
    }

    fn constraint(&self) -> Option<String> {
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
    // The numbers are llama.cpp's common_grammar_trigger_type.
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

fn or_generic(reason: String) -> String {
    if reason.is_empty() {
        "llama.cpp cannot use it".to_owned()
    } else {
        reason
    }
}

const MOST_LAST_N: u32 = 1 << 16;
/// The two failures of `ns_sampler_sample` that are the model's, not the grammar's.
const NO_LOGITS: &str = "there is nothing to sample from";
const NOT_A_NUMBER: &str = "the model computed something that is not a number";
