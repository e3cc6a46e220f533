//! Converts a request to OpenAI's messages and tools in JSON, the input of chat templates.

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
                let function = json!({ "name": name, "arguments": words.mask(&call_arguments(arguments)) });
                calls.push(json!({ "id": id, "type": "function", "function": function }));
            }
            ContentPart::ToolResult { id, name, content } => {
                results
                    .push(json!({ "role": "tool", "tool_call_id": id, "name": name, "content": words.mask(content) }));
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
}
