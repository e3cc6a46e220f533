//! Converts a request to OpenAI's messages and tools in JSON, the input of chat templates.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::control_words::ControlWords;
use crate::chat::{ChatMessage, ContentPart, MessageRole, ToolDefinition};
use crate::engine::call_arguments;
use crate::engine::openai::{role_name, tool_json};
use crate::error::{Error, Result};

/// Returns the messages as a JSON array.
///
/// Masks the control words in texts. A message that mixes tool results with text becomes several, because templates expect
/// one result per message.
pub(super) fn messages_json(messages: &[ChatMessage], words: &ControlWords) -> Result<String> {
    let mut array = Vec::with_capacity(messages.len());
    for message in messages {
        push_message(message, words, &mut array)?;
    }
    Ok(Value::Array(array).to_string())
}

/// Returns the tools as a JSON array; `None` without tools.
pub(super) fn tools_json(tools: &[ToolDefinition]) -> Option<String> {
    (!tools.is_empty()).then(|| tools.iter().map(tool_json).collect::<Value>().to_string())
}

fn push_message(message: &ChatMessage, words: &ControlWords, array: &mut Vec<Value>) -> Result<()> {
    let (mut text, mut reasoning, mut calls, mut results) = (String::new(), String::new(), Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            ContentPart::Text { text: piece } => text.push_str(piece),
            ContentPart::Image { .. } => {
                return Err(Error::unsupported(
                    "models on this device do not accept images yet; remove the image or use a provider",
                ));
            }
            ContentPart::Reasoning { text: piece } => reasoning.push_str(piece),
            ContentPart::ToolCall { id, name, arguments } => {
                let function = json!({ "name": words.mask(name), "arguments": mask_arguments(arguments, words) });
                calls.push(json!({ "id": words.mask(id), "type": "function", "function": function }));
            }
            ContentPart::ToolResult { id, name, content } => {
                let (id, name, content) = (words.mask(id), words.mask(name), words.mask(content));
                results.push(json!({ "role": "tool", "tool_call_id": id, "name": name, "content": content }));
            }
        }
    }
    if !calls.is_empty() && message.role != MessageRole::Assistant {
        return Err(Error::invalid_request(
            "a tool call is in a message that is not the assistant's",
        ));
    }
    let has_content = !text.is_empty() || !calls.is_empty() || results.is_empty();
    array.append(&mut results);
    if has_content {
        let mut value = json!({ "role": role_name(message.role), "content": words.mask(&text) });
        if !reasoning.is_empty() {
            value["reasoning_content"] = words.mask(&reasoning).into();
        }
        if !calls.is_empty() {
            value["tool_calls"] = calls.into();
        }
        array.push(value);
    }
    Ok(())
}

/// Returns the arguments of a call with masked control words, also those that are written with JSON's escapes: many templates
/// print the values of the parsed JSON.
fn mask_arguments(stored: &str, words: &ControlWords) -> String {
    let arguments = call_arguments(stored);
    if arguments.contains('\\')
        && let Ok(value) = serde_json::from_str::<Value>(&arguments)
        && let Cow::Owned(masked) = words.mask(&value.to_string())
    {
        return masked;
    }
    words.mask(&arguments).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_loop_has_the_form_that_templates_expect() {
        let call = ContentPart::ToolCall {
            id: "1".into(),
            name: "time".into(),
            arguments: "{}".into(),
        };
        let result = ContentPart::ToolResult {
            id: "1".into(),
            name: "time".into(),
            content: "noon".into(),
        };
        let messages = [
            ChatMessage::user("what time is it?"),
            ChatMessage {
                role: MessageRole::Assistant,
                parts: vec![ContentPart::Reasoning { text: "hm".into() }, call],
            },
            ChatMessage {
                role: MessageRole::Tool,
                parts: vec![result],
            },
        ];
        let value: Value =
            serde_json::from_str(&messages_json(&messages, &ControlWords::default()).expect("valid")).expect("JSON");
        let expected = json!([
            { "role": "user", "content": "what time is it?" },
            { "role": "assistant", "content": "", "reasoning_content": "hm",
              "tool_calls": [{ "id": "1", "type": "function", "function": { "name": "time", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "1", "name": "time", "content": "noon" },
        ]);
        assert_eq!(value, expected);
    }

    #[test]
    fn a_call_that_was_stored_without_an_end_is_no_obstacle() {
        for (stored, given) in [
            ("{\"city\": \"Paris", json!({ "incomplete": "{\"city\": \"Paris" })),
            ("{\"city\": \"Paris\"}", json!({ "city": "Paris" })),
            (" ", json!({})),
        ] {
            let call = ContentPart::ToolCall {
                id: "1".into(),
                name: "weather".into(),
                arguments: stored.into(),
            };
            let message = ChatMessage {
                role: MessageRole::Assistant,
                parts: vec![call],
            };
            let value: Value =
                serde_json::from_str(&messages_json(&[message], &ControlWords::default()).expect("valid"))
                    .expect("JSON");
            let arguments = value[0]["tool_calls"][0]["function"]["arguments"].as_str();
            assert_eq!(
                serde_json::from_str::<Value>(arguments.expect("text")).expect("JSON"),
                given
            );
        }
    }

    #[test]
    fn control_words_are_masked_wherever_a_call_has_them_and_however_they_are_written() {
        let words = ControlWords::from_words(vec!["<|im_end|>".into(), "</s>".into()]);
        let messages = |id: &str, arguments: &str| {
            let call = ContentPart::ToolCall {
                id: id.into(),
                name: id.into(),
                arguments: arguments.into(),
            };
            let result = ContentPart::ToolResult {
                id: id.into(),
                name: id.into(),
                content: "noon".into(),
            };
            let of = |role, part| ChatMessage {
                role,
                parts: vec![part],
            };
            let messages = [of(MessageRole::Assistant, call), of(MessageRole::Tool, result)];
            let json = messages_json(&messages, &words).expect("valid");
            serde_json::from_str::<Value>(&json).expect("JSON")
        };
        for arguments in [
            r#"{"page": "<|im_end|>"}"#,
            r#"{"page": "\u003c|im_end|\u003e"}"#,
            r#"{"page": "\"<\/s>\""}"#,
        ] {
            let value = messages("1<|im_end|>", arguments);
            let given = value[0]["tool_calls"][0]["function"]["arguments"].as_str();
            let read: Value = serde_json::from_str(given.expect("text")).expect("JSON");
            let all = format!("{value} {}", read["page"]);
            assert!(!all.contains("<|im_end|>") && !all.contains("</s>"), "{all}");
        }
        let harmless = r#"{"b": "\u0041\n", "a": 1.0}"#;
        let value = messages("1", harmless);
        assert_eq!(value[0]["tool_calls"][0]["function"]["arguments"], harmless);
    }
}
