//! Chat templates, and reading replies back: llama.cpp's own engine, with its parsers for thoughts and tool calls.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use serde_json::Value;

use crate::backend::start;
use crate::{Error, Grammar, GrammarKind, Model, SamplerParams, Trigger, ffi, nesting, stack};

/// How a model wants to be talked to.
pub struct ChatTemplate {
    raw: NonNull<ffi::Template>,
}

impl ChatTemplate {
    /// The template in the model's file; ChatML when it has none.
    ///
    /// # Errors
    /// [`Error::Template`] when it does not parse.
    pub fn from_model(model: &Model) -> Result<Self, Error> {
        for key in ["tokenizer.chat_template", "tokenizer.chat_template.tool_use"] {
            nesting::check_template(&model.meta(key).unwrap_or_default()).map_err(Error::Template)?;
        }
        Self::new(Some(model), "", "", "")
    }

    /// A template in Jinja, with what it may use as `bos_token` and `eos_token`.
    ///
    /// # Errors
    /// [`Error::Template`] when it is empty or does not parse.
    pub fn from_source(template: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        nesting::check_template(template).map_err(Error::Template)?;
        Self::new(None, template, bos, eos)
    }

    /// The text to continue, and how its continuation will have to be read.
    ///
    /// # Errors
    /// [`Error::Input`] for JSON that does not parse or nests deeper than 128, [`Error::Template`] when the template cannot
    /// render it, [`Error::Grammar`] for a grammar together with tools or a schema.
    pub fn render(&self, prompt: &Prompt<'_>) -> Result<Rendered, Error> {
        prompt.check()?;
        let raw = ffi::Prompt {
            messages: prompt.messages_json.into(),
            tools: prompt.tools_json.into(),
            json_schema: prompt.json_schema.into(),
            grammar: prompt.grammar.into(),
            thinking: prompt.thinking,
            continue_final: prompt.continue_final,
        };
        // SAFETY: the template is live and only read; `raw` and the texts that it points to outlive the call.
        let json =
            ffi::text(|out, error| unsafe { ffi::ns_template_render(self.raw.as_ptr(), &raw const raw, out, error) })
                .map_err(|reason| Error::Template(or_generic(reason)))?;
        let json: Value = serde_json::from_str(&json).map_err(|_| Error::Template(or_generic(String::new())))?;
        Ok(Rendered::from_json(&json))
    }

    fn new(model: Option<&Model>, source: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        start();
        let model = model.map_or(std::ptr::null_mut(), Model::raw);
        let mut template = std::ptr::null_mut();
        // SAFETY: the model is null or live, and only read during the call, as are the texts.
        ffi::check(|error| unsafe {
            ffi::ns_template_new(model, source.into(), bos.into(), eos.into(), &raw mut template, error)
        })
        .map_err(|reason| Error::Template(or_generic(reason)))?;
        NonNull::new(template)
            .map(|raw| Self { raw })
            .ok_or_else(|| Error::Template(or_generic(String::new())))
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").finish_non_exhaustive()
    }
}

// SAFETY: plain memory bound to no thread.
unsafe impl Send for ChatTemplate {}

impl Drop for ChatTemplate {
    fn drop(&mut self) {
        // SAFETY: made by `ns_template_new`, freed once.
        unsafe { ffi::ns_template_free(self.raw.as_ptr()) }
    }
}

/// What to render.
#[derive(Clone, Copy, Default)]
pub struct Prompt<'a> {
    /// The conversation, a JSON array in the shape of OpenAI's chat messages (`tool_calls` and `reasoning_content` too).
    pub messages_json: &'a str,
    /// The tools, a JSON array in the shape of OpenAI's function tools.
    pub tools_json: Option<&'a str>,
    /// A JSON schema that the reply must follow.
    pub json_schema: Option<&'a str>,
    /// A GBNF grammar that the reply must follow.
    pub grammar: Option<&'a str>,
    /// Whether a model that can think should.
    pub thinking: bool,
    /// Whether the last message is the beginning of the reply.
    pub continue_final: bool,
}

impl Prompt<'_> {
    /// llama.cpp parses and renders JSON recursively, so what nests too deep must not reach it.
    fn check(&self) -> Result<(), Error> {
        let messages = json("the messages are", self.messages_json)?;
        for call in messages
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|message| message["tool_calls"].as_array())
            .flatten()
        {
            if let Some(arguments) = call["function"]["arguments"].as_str() {
                json("the arguments of a tool call are", arguments)?;
            }
        }
        for (name, text) in [("the tools are", self.tools_json), ("the schema is", self.json_schema)] {
            if let Some(text) = text {
                nesting::check_schema(&json(name, text)?).map_err(Error::Input)?;
            }
        }
        if let Some(grammar) = self.grammar {
            nesting::check_grammar(grammar).map_err(Error::Grammar)?;
            if self.tools_json.is_some() || self.json_schema.is_some() {
                return Err(Error::Grammar(
                    "it cannot be combined with tools or a schema".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// A prompt, and how the reply to it is constrained and read.
#[derive(Clone, PartialEq)]
pub struct Rendered {
    /// The text to tokenize, with control words to be parsed. It begins without the begin-of-text token if the model adds
    /// one by itself.
    pub prompt: String,
    /// What the reply must look like, if tools, a schema or a grammar were given.
    pub grammar: Option<Grammar>,
    /// Texts that end the reply.
    pub stops: Vec<String>,
    /// Control words that must stay visible in the reply for the parser ([`Model::single_tokens`]).
    pub preserved_tokens: Vec<String>,
    /// Whether this template knows thoughts.
    pub supports_thinking: bool,
    /// How thoughts are marked, if it does.
    pub thinking: Option<Thinking>,
    /// The end of `prompt` that already belongs to the reply: `<think>` and its like.
    pub generation_prompt: String,
    format: i32,
    parser: String,
}

impl Rendered {
    /// Lets `params` follow what the template asks for: grammar, thinking marks, and where the reply began.
    pub fn constrain(&self, params: SamplerParams) -> SamplerParams {
        SamplerParams {
            grammar: self.grammar.clone(),
            thinking: self.thinking.clone(),
            generation_prompt: self.generation_prompt.clone(),
            ..params
        }
    }

    /// A parser for the reply to this prompt.
    ///
    /// # Errors
    /// [`Error::Template`] when llama.cpp refuses what it made itself.
    pub fn parser(&self) -> Result<ReplyParser, Error> {
        start();
        let mut parser = std::ptr::null_mut();
        // SAFETY: the texts outlive the call.
        ffi::check(|error| unsafe {
            ffi::ns_parser_new(
                self.format,
                self.generation_prompt.as_str().into(),
                self.parser.as_str().into(),
                &raw mut parser,
                error,
            )
        })
        .map_err(|reason| Error::Template(or_generic(reason)))?;
        NonNull::new(parser)
            .map(|raw| ReplyParser { raw })
            .ok_or_else(|| Error::Template(or_generic(String::new())))
    }

    fn from_json(json: &Value) -> Self {
        let thinking = Thinking {
            start: text(&json["thinking_start"]),
            ends: texts(&json["thinking_ends"]),
        };
        let gbnf = text(&json["grammar"]);
        let preserved = texts(&json["preserved"]);
        Self {
            prompt: text(&json["prompt"]),
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
            stops: texts(&json["stops"]),
            preserved_tokens: preserved,
            supports_thinking: json["supports_thinking"].as_bool().unwrap_or_default(),
            thinking: (!thinking.start.is_empty() && !thinking.ends.is_empty()).then_some(thinking),
            generation_prompt: text(&json["generation_prompt"]),
            format: json["format"]
                .as_i64()
                .and_then(|format| i32::try_from(format).ok())
                .unwrap_or_default(),
            parser: text(&json["parser"]),
        }
    }
}

/// How a model marks its thoughts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinking {
    /// `<think>`
    pub start: String,
    /// `</think>`; some models have several.
    pub ends: Vec<String>,
}

/// Reads a reply while it grows.
pub struct ReplyParser {
    raw: NonNull<ffi::Parser>,
}

impl ReplyParser {
    /// What `text`, the whole reply so far, says. With `partial` the reply is not over: what could still become a mark or a
    /// tool call is held back.
    ///
    /// # Errors
    /// [`Error::Template`] when the reply does not have the shape that the template asks for.
    pub fn parse(&mut self, text: &str, partial: bool) -> Result<Reply, Error> {
        stack::with_room(stack::deepest_brackets(text), BRACKET_LEVEL, || {
            self.parse_here(text, partial)
        })?
    }

    fn parse_here(&self, text: &str, partial: bool) -> Result<Reply, Error> {
        // SAFETY: the parser is live and only read; `text` outlives the call.
        let json = ffi::text(|out, error| unsafe {
            ffi::ns_parser_parse(self.raw.as_ptr(), text.into(), partial, out, error)
        })
        .map_err(|_| Error::Template("the reply does not have the shape that it asks for".to_owned()))?;
        let json: Value = serde_json::from_str(&json).map_err(|_| Error::Template(or_generic(String::new())))?;
        Ok(Reply::from_json(&json))
    }
}

impl std::fmt::Debug for ReplyParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyParser").finish_non_exhaustive()
    }
}

// SAFETY: plain memory bound to no thread.
unsafe impl Send for ReplyParser {}
// SAFETY: parsing only reads it.
unsafe impl Sync for ReplyParser {}

impl Drop for ReplyParser {
    fn drop(&mut self) {
        // SAFETY: made by `ns_parser_new`, freed once.
        unsafe { ffi::ns_parser_free(self.raw.as_ptr()) }
    }
}

/// A reply, taken apart.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// What was thought, without the white space around it.
    pub reasoning: String,
    /// What was said.
    pub content: String,
    /// What is to be called.
    pub tool_calls: Vec<ToolCall>,
}

impl Reply {
    fn from_json(json: &Value) -> Self {
        let reasoning = text(&json["reasoning"]).trim().to_owned();
        let mut content = text(&json["content"]);
        if !reasoning.is_empty() {
            // The newlines between a thought and what is said belong to the mark.
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
                    id: text(&call["id"]),
                    name: text(&call["name"]),
                    arguments: text(&call["arguments"]),
                })
                .collect(),
        }
    }
}

/// A call that the model asks for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// The model's own name for this call; often empty.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON; cut anywhere while the reply is partial.
    pub arguments: String,
}

/// The GBNF grammar of all JSON that follows `schema`.
///
/// # Errors
/// [`Error::Grammar`] for what is no JSON schema, or one that llama.cpp cannot express.
pub fn json_schema_to_grammar(schema: &str) -> Result<String, Error> {
    start();
    let value = json("the schema is", schema).map_err(|error| Error::Grammar(error.to_string()))?;
    nesting::check_schema(&value).map_err(Error::Grammar)?;
    // SAFETY: the text outlives the call.
    ffi::text(|out, error| unsafe { ffi::ns_schema_to_grammar(schema.into(), out, error) })
        .map_err(|reason| Error::Grammar(or_generic(reason)))
}

fn json(what: &str, text: &str) -> Result<Value, Error> {
    // serde_json's own text would quote what it stumbled over.
    serde_json::from_str(text).map_err(|error| {
        Error::Input(format!(
            "{what} no JSON, or nested too deep (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn texts(json: &Value) -> Vec<String> {
    json.as_array().into_iter().flatten().map(text).collect()
}

fn or_generic(reason: String) -> String {
    if reason.is_empty() {
        "llama.cpp cannot use it".to_owned()
    } else {
        reason
    }
}

/// Stack that a level of brackets in a tool call may take.
const BRACKET_LEVEL: usize = 16 << 10;
