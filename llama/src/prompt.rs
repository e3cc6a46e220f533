//! The input of a chat template, and its copy for the thread that renders it.

use serde_json::Value;

use crate::{LlamaError, ffi, nesting};

/// Input of [`ChatTemplate::render`](crate::ChatTemplate::render).
#[derive(Clone, Copy, Default)]
pub struct Prompt<'a> {
    /// The conversation: a JSON array of OpenAI chat messages, with `tool_calls` and `reasoning_content`.
    pub messages_json: &'a str,
    /// The tools: a JSON array of OpenAI function tools.
    pub tools_json: Option<&'a str>,
    /// A JSON schema that the reply must follow.
    pub json_schema: Option<&'a str>,
    /// A GBNF grammar that the reply must follow.
    pub grammar: Option<&'a str>,
    /// The template's variable `reasoning_effort`, such as `low`; templates without it ignore it.
    pub reasoning_effort: Option<&'a str>,
    /// Whether a model that supports thinking should think.
    pub thinking: bool,
    /// Whether the last message is the start of the reply.
    pub continue_final: bool,
}

impl Prompt<'_> {
    /// Returns the bytes of the input.
    pub(crate) fn bytes(&self) -> usize {
        let optional = [self.tools_json, self.json_schema, self.grammar];
        self.messages_json.len() + optional.into_iter().flatten().map(str::len).sum::<usize>()
    }

    /// Checks the JSON and its depth, because llama.cpp parses and renders JSON recursively.
    pub(crate) fn validate(&self) -> Result<(), LlamaError> {
        let messages = parse_json("the messages are", self.messages_json)?;
        for call in messages
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|message| message["tool_calls"].as_array())
            .flatten()
        {
            if let Some(arguments) = call["function"]["arguments"].as_str() {
                parse_json("the arguments of a tool call are", arguments)?;
            }
        }
        for (name, text) in [("the tools are", self.tools_json), ("the schema is", self.json_schema)] {
            if let Some(text) = text {
                nesting::check_schema(&parse_json(name, text)?).map_err(LlamaError::Input)?;
            }
        }
        if let Some(grammar) = self.grammar {
            nesting::check_grammar(grammar).map_err(LlamaError::Grammar)?;
            if self.tools_json.is_some() || self.json_schema.is_some() {
                return Err(LlamaError::Grammar(
                    "it cannot be combined with tools or a schema".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// A prompt for a thread that may outlive its caller's wait.
pub(crate) struct OwnedPrompt {
    messages: String,
    tools: Option<String>,
    json_schema: Option<String>,
    grammar: Option<String>,
    /// JSON.
    reasoning_effort: Option<String>,
    thinking: bool,
    continue_final: bool,
}

impl OwnedPrompt {
    /// Copies a prompt.
    pub(crate) fn new(prompt: &Prompt<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            messages: prompt.messages_json.to_owned(),
            tools: owned(prompt.tools_json),
            json_schema: owned(prompt.json_schema),
            grammar: owned(prompt.grammar),
            reasoning_effort: prompt.reasoning_effort.map(|effort| Value::from(effort).to_string()),
            thinking: prompt.thinking,
            continue_final: prompt.continue_final,
        }
    }

    /// Borrows it for one call of the shim.
    pub(crate) fn as_raw(&self) -> ffi::RawPrompt {
        ffi::RawPrompt {
            messages: self.messages.as_str().into(),
            tools: self.tools.as_deref().into(),
            json_schema: self.json_schema.as_deref().into(),
            grammar: self.grammar.as_deref().into(),
            reasoning_effort: self.reasoning_effort.as_deref().into(),
            thinking: self.thinking,
            continue_final: self.continue_final,
        }
    }
}

/// Parses JSON, and names it `what` in an error, which quotes nothing of it.
pub(crate) fn parse_json(what: &str, text: &str) -> Result<Value, LlamaError> {
    // serde_json's own text would quote the input.
    serde_json::from_str(text).map_err(|error| {
        LlamaError::Input(format!(
            "{what} invalid JSON, or nested too deeply (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}
