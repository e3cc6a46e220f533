//! Chat templates and reply parsers: llama.cpp's own implementation, with its parsers for thoughts and tool calls.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use serde_json::Value;

use crate::backend::init_backend;
use crate::limits::{self, IsWanted, Running, TemplateLimits};
use crate::prompt::{OwnedPrompt, Prompt, parse_json};
use crate::{Grammar, GrammarKind, LlamaError, Model, SamplerParams, ThinkingTags, Trigger, ffi, nesting, stack};

/// A chat template: renders a conversation into a prompt. It runs in bounded time, memory and stack, on a thread of its own: one
/// without an end is an error.
#[derive(Debug)]
pub struct ChatTemplate {
    handle: Arc<TemplateHandle>,
}

impl ChatTemplate {
    /// Parses the template in the model's file, and runs it on trial messages; uses ChatML if it has none.
    ///
    /// # Errors
    /// [`LlamaError::Template`] if it is invalid, takes more than two seconds, or exceeds another limit;
    /// [`LlamaError::TemplateBusy`] if others take all threads.
    pub fn from_model(model: &Model) -> Result<Self, LlamaError> {
        Self::from_model_while(model, &|| true)
    }

    /// Like [`Self::from_model`], as long as it is wanted: `is_wanted` is polled. The last step, which has the model, goes on for
    /// at most as long as the others took.
    ///
    /// # Errors
    /// Those of [`Self::from_model`]; [`LlamaError::Cancelled`] once it is not wanted any more.
    pub fn from_model_while(model: &Model, is_wanted: &dyn Fn() -> bool) -> Result<Self, LlamaError> {
        let limits = TemplateLimits::for_trial();
        for (key, is_required) in [
            ("tokenizer.chat_template", true),
            ("tokenizer.chat_template.tool_use", false),
        ] {
            let text = model.meta(key).unwrap_or_default();
            nesting::check_template(&text).map_err(LlamaError::Template)?;
            if !text.is_empty() {
                let texts = [text, model.bos_text(), model.eos_text()];
                let checked = check(texts, true, limits, is_wanted)?;
                // llama.cpp does without an invalid template for tools.
                checked.or_else(|error| if is_required { Err(error) } else { Ok(()) })?;
            }
        }
        Self::create(Some(model.clone()), ["", "", ""], limits, is_wanted)
    }

    /// Parses a Jinja template, and runs it on trial messages; `bos` and `eos` are its variables `bos_token` and `eos_token`.
    ///
    /// # Errors
    /// [`LlamaError::Template`] if it is empty or invalid, or exceeds the limits.
    pub fn from_source(template: &str, bos: &str, eos: &str) -> Result<Self, LlamaError> {
        nesting::check_template(template).map_err(LlamaError::Template)?;
        if template.is_empty() {
            return Err(LlamaError::Template("the template is empty".to_owned()));
        }
        let limits = TemplateLimits::for_input(template.len());
        Self::from_text([template, bos, eos], limits, &|| true)
    }

    /// Parses a Jinja template within these limits.
    pub(crate) fn from_text(
        texts: [&str; 3],
        limits: TemplateLimits,
        is_wanted: IsWanted<'_>,
    ) -> Result<Self, LlamaError> {
        check(texts.map(str::to_owned), true, limits, is_wanted)??;
        Self::create(None, texts, limits, is_wanted)
    }

    /// Checks the syntax of a Jinja template without running any of it.
    ///
    /// # Errors
    /// [`LlamaError::Template`] if it is invalid; [`LlamaError::TemplateBusy`] if others take all threads.
    pub fn check_syntax(template: &str) -> Result<(), LlamaError> {
        nesting::check_template(template).map_err(LlamaError::Template)?;
        let limits = TemplateLimits::for_input(template.len());
        check([template, "", ""].map(str::to_owned), false, limits, &|| true)?
    }

    /// Renders the prompt, and returns it with everything needed to constrain and parse the reply.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for JSON that is invalid or nests deeper than 128; [`LlamaError::Template`] if the template
    /// cannot render it, or exceeds the limits; [`LlamaError::Grammar`] for an invalid grammar, or one together with tools or
    /// a schema.
    pub fn render(&self, prompt: &Prompt<'_>) -> Result<Rendered, LlamaError> {
        self.render_while(prompt, &|| true)
    }

    /// Like [`Self::render`], as long as it is wanted: `is_wanted` is polled.
    ///
    /// # Errors
    /// Those of [`Self::render`]; [`LlamaError::Cancelled`] once it is not wanted any more.
    pub fn render_while(&self, prompt: &Prompt<'_>, is_wanted: &dyn Fn() -> bool) -> Result<Rendered, LlamaError> {
        self.render_within(prompt, TemplateLimits::for_input(prompt.bytes()), is_wanted)
    }

    /// Renders within these limits.
    pub(crate) fn render_within(
        &self,
        prompt: &Prompt<'_>,
        limits: TemplateLimits,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Rendered, LlamaError> {
        prompt.validate()?;
        let handle = Arc::clone(&self.handle);
        let owned = OwnedPrompt::new(prompt);
        let json = limits::with_limits(limits, is_wanted, move |limits| {
            let raw = owned.as_raw();
            // SAFETY: the template is live and only read; `raw`, the texts that it points to, and the limits outlive the call.
            ffi::call_for_json(|out, error| unsafe {
                ffi::ns_template_render(handle.0.as_ptr(), &raw const raw, limits, out, error)
            })
        })?;
        Ok(Rendered::from_json(&json))
    }

    /// Creates a template from a model, or from its source and the variables `bos_token` and `eos_token`. These must have been
    /// run before, within these limits for each template: once a thread has the model, no cancel leaves it, because the model would
    /// stay in memory with the thread.
    fn create(
        model: Option<Model>,
        texts: [&str; 3],
        limits: TemplateLimits,
        is_wanted: IsWanted<'_>,
    ) -> Result<Self, LlamaError> {
        init_backend();
        let running = Running::begin(is_wanted)?;
        let is_wanted: IsWanted<'_> = if model.is_some() { &|| true } else { is_wanted };
        let [source, bos, eos] = texts.map(str::to_owned);
        let created = limits::run_reserved(running, limits.for_both_again(), is_wanted, move |limits| {
            let raw = model.as_ref().map_or(std::ptr::null_mut(), Model::raw);
            let texts = [&source, &bos, &eos].map(|text| text.as_str().into());
            // SAFETY: the model is null or live; model, texts and limits are only used during the call.
            ffi::call_for_object(|out, error| unsafe {
                ffi::ns_template_new(raw, texts[0], texts[1], texts[2], limits, out, error)
            })
            .map(TemplateHandle)
        });
        created?
            .map_err(LlamaError::Template)
            .map(|handle| Self {
                handle: Arc::new(handle),
            })
            .map_err(keep_first_line)
    }
}

/// Parses a template with its variables `bos_token` and `eos_token`, and with `run` runs it on trial messages. The inner error is
/// that of the template.
fn check(
    texts: [String; 3],
    run: bool,
    limits: TemplateLimits,
    is_wanted: IsWanted<'_>,
) -> Result<Result<(), LlamaError>, LlamaError> {
    init_backend();
    let checked = limits::run_limited(limits, is_wanted, move |limits| {
        let texts = [&texts[0], &texts[1], &texts[2]].map(|text| text.as_str().into());
        // SAFETY: the texts and the limits outlive the call.
        ffi::call(|error| unsafe { ffi::ns_template_check(texts[0], texts[1], texts[2], run, limits, error) })
    })?;
    Ok(checked.map_err(|reason| keep_first_line(LlamaError::Template(reason))))
}

/// A template of llama.cpp, freed on drop.
#[derive(Debug)]
struct TemplateHandle(NonNull<ffi::RawTemplate>);

// SAFETY: plain memory that is bound to no thread.
unsafe impl Send for TemplateHandle {}
// SAFETY: rendering only reads it; llama.cpp shares templates between threads itself.
unsafe impl Sync for TemplateHandle {}

impl Drop for TemplateHandle {
    fn drop(&mut self) {
        // SAFETY: created by `ns_template_new`, freed once.
        unsafe { ffi::ns_template_free(self.0.as_ptr()) }
    }
}

/// A rendered prompt, with the constraints and the parser of its reply.
#[derive(Clone, PartialEq)]
pub struct Rendered {
    /// The text to tokenize with `parse_special`. It has no begin-of-text token if the tokenizer adds one.
    pub prompt: String,
    /// The grammar of the reply, if tools, a schema or a grammar were given.
    pub grammar: Option<Grammar>,
    /// Texts that end the reply.
    pub stops: Vec<String>,
    /// Control tokens that must stay visible in the reply for the parser ([`Model::single_tokens`]).
    pub preserved_tokens: Vec<String>,
    /// Whether this template supports thinking.
    pub supports_thinking: bool,
    /// The thinking tags, if the template has them.
    pub thinking: Option<ThinkingTags>,
    /// The end of `prompt` that already belongs to the reply, such as `<think>`.
    pub generation_prompt: String,
    format: i32,
    parser: String,
}

impl Rendered {
    /// Returns `params` with the constraints of the template: grammar, thinking tags and the start of the reply.
    pub fn constrain(&self, params: SamplerParams) -> SamplerParams {
        SamplerParams {
            grammar: self.grammar.clone(),
            thinking: self.thinking.clone(),
            generation_prompt: self.generation_prompt.clone(),
            ..params
        }
    }

    /// Creates a parser for the reply to this prompt.
    ///
    /// # Errors
    /// [`LlamaError::Template`] if llama.cpp rejects a parser that it generated.
    pub fn parser(&self) -> Result<ReplyParser, LlamaError> {
        init_backend();
        let (prompt, arena) = (self.generation_prompt.as_str().into(), self.parser.as_str().into());
        // SAFETY: the texts outlive the call.
        ffi::call_for_object(|out, error| unsafe { ffi::ns_parser_new(self.format, prompt, arena, out, error) })
            .map(|raw| ReplyParser { raw })
            .map_err(LlamaError::Template)
    }

    fn from_json(json: &Value) -> Self {
        let thinking = ThinkingTags {
            start: to_string(&json["thinking_start"]),
            ends: to_strings(&json["thinking_ends"]),
        };
        let gbnf = to_string(&json["grammar"]);
        let preserved = to_strings(&json["preserved"]);
        Self {
            prompt: to_string(&json["prompt"]),
            grammar: (!gbnf.is_empty()).then(|| Grammar {
                gbnf,
                lazy: json["grammar_lazy"].as_bool().unwrap_or_default(),
                triggers: json["triggers"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Trigger::from_json)
                    .collect(),
                kind: match json["grammar_kind"].as_str() {
                    Some("tools") => GrammarKind::Tools,
                    Some("format") => GrammarKind::Format,
                    _ => GrammarKind::User,
                },
                preserved: preserved.clone(),
            }),
            stops: to_strings(&json["stops"]),
            preserved_tokens: preserved,
            supports_thinking: json["supports_thinking"].as_bool().unwrap_or_default(),
            thinking: (!thinking.start.is_empty() && !thinking.ends.is_empty()).then_some(thinking),
            generation_prompt: to_string(&json["generation_prompt"]),
            format: json["format"]
                .as_i64()
                .and_then(|format| i32::try_from(format).ok())
                .unwrap_or_default(),
            parser: to_string(&json["parser"]),
        }
    }
}

/// Parses a reply during and after its generation.
pub struct ReplyParser {
    raw: NonNull<ffi::RawParser>,
}

impl ReplyParser {
    /// Parses `text`, the whole reply so far. `partial` means that more follows: text that could become a tag or a tool
    /// call is withheld.
    ///
    /// # Errors
    /// [`LlamaError::Template`] if the reply does not have the template's format; [`LlamaError::Input`] if it nests too
    /// deeply.
    pub fn parse_reply(&mut self, text: &str, partial: bool) -> Result<ParsedReply, LlamaError> {
        stack::with_stack(stack::bracket_depth(text), BRACKET_LEVEL_BYTES, || {
            self.parse_on_this_stack(text, partial)
        })?
    }

    fn parse_on_this_stack(&self, text: &str, partial: bool) -> Result<ParsedReply, LlamaError> {
        // SAFETY: the parser is live and only read; `text` outlives the call.
        ffi::call_for_json(|out, error| unsafe {
            ffi::ns_parser_parse(self.raw.as_ptr(), text.into(), partial, out, error)
        })
        .map(|json| ParsedReply::from_json(&json))
        .map_err(|_| LlamaError::Template("the reply does not have the required format".to_owned()))
    }
}

impl std::fmt::Debug for ReplyParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyParser").finish_non_exhaustive()
    }
}

// SAFETY: plain memory that is bound to no thread.
unsafe impl Send for ReplyParser {}
// SAFETY: parsing only reads it.
unsafe impl Sync for ReplyParser {}

impl Drop for ReplyParser {
    fn drop(&mut self) {
        // SAFETY: created by `ns_parser_new`, freed once.
        unsafe { ffi::ns_parser_free(self.raw.as_ptr()) }
    }
}

/// A parsed reply.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ParsedReply {
    /// The reasoning, trimmed.
    pub reasoning: String,
    /// The text of the answer.
    pub content: String,
    /// The tool calls.
    pub tool_calls: Vec<ToolCall>,
}

impl ParsedReply {
    fn from_json(json: &Value) -> Self {
        let reasoning = to_string(&json["reasoning"]).trim().to_owned();
        let mut content = to_string(&json["content"]);
        if !reasoning.is_empty() {
            // The newlines after a thought belong to its end tag.
            content = content.trim_start().to_owned();
        }
        Self {
            reasoning,
            content,
            tool_calls: json["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|call| ToolCall {
                    id: to_string(&call["id"]),
                    name: to_string(&call["name"]),
                    arguments: to_string(&call["arguments"]),
                })
                .collect(),
        }
    }
}

/// A tool call of the model.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// The model's id for this call; often empty.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// JSON; may be cut off at any point while the reply is partial.
    pub arguments: String,
}

/// Converts a JSON schema to a GBNF grammar.
///
/// # Errors
/// [`LlamaError::Grammar`] for an invalid JSON schema, or one that llama.cpp cannot express.
pub fn json_schema_to_grammar(schema: &str) -> Result<String, LlamaError> {
    init_backend();
    let value = parse_json("the schema is", schema).map_err(|error| LlamaError::Grammar(error.to_string()))?;
    nesting::check_schema(&value).map_err(LlamaError::Grammar)?;
    // SAFETY: the text outlives the call.
    ffi::call_for_text(|out, error| unsafe { ffi::ns_schema_to_grammar(schema.into(), out, error) })
        .map_err(LlamaError::Grammar)
}

/// Returns a parser's error with the first line of its text: the others quote the template.
fn keep_first_line(error: LlamaError) -> LlamaError {
    let LlamaError::Template(reason) = error else {
        return error;
    };
    let line = reason.lines().next().unwrap_or_default().trim();
    LlamaError::Template(line.trim_end_matches([':', '.']).to_owned())
}

fn to_string(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn to_strings(json: &Value) -> Vec<String> {
    json.as_array().into_iter().flatten().map(to_string).collect()
}

/// Maximum stack per bracket level in a tool call.
const BRACKET_LEVEL_BYTES: usize = 16 << 10;
