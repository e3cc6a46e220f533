//! A request in the shape that chat templates are written for: OpenAI's messages and tools, as JSON.

use serde_json::{Value, json};

use crate::chat::{ChatMessage, ContentPart, MessageRole, ToolDefinition};
use crate::error::{Error, Result};

/// The conversation as a JSON array.
///
/// A message that mixes tool results with words becomes several, since a template knows one result to a message.
pub(super) fn messages_json(messages: &[ChatMessage]) -> Result<String> {
    let mut array = Vec::with_capacity(messages.len());
    for message in messages {
        push_message(message, &mut array)?;
    }
    Ok(Value::Array(array).to_string())
}

/// The tools as a JSON array; nothing if there are none.
pub(super) fn tools_json(tools: &[ToolDefinition]) -> Option<String> {
    let function = |tool: &ToolDefinition| {
        // `ChatRequest::check` saw to it that the parameters are a JSON object.
        let parameters: Value = serde_json::from_str(&tool.parameters).unwrap_or_else(|_| json!({}));
        let function = json!({ "name": tool.name, "description": tool.description, "parameters": parameters });
        json!({ "type": "function", "function": function })
    };
    let array: Vec<Value> = tools.iter().map(function).collect();
    (!array.is_empty()).then(|| Value::Array(array).to_string())
}

fn push_message(message: &ChatMessage, array: &mut Vec<Value>) -> Result<()> {
    let role = match message.role {
        MessageRole::System => "system",
        MessageRole::User => "user",
        MessageRole::Assistant => "assistant",
        MessageRole::Tool => "tool",
    };
    let (mut text, mut reasoning, mut calls, mut results) = (String::new(), String::new(), Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            ContentPart::Text { text: words } => text.push_str(words),
            ContentPart::Image { .. } => {
                return Err(Error::unsupported(
                    "models on this device do not see pictures yet; leave the picture out, or let a provider answer",
                ));
            }
            ContentPart::Reasoning { text: words } => reasoning.push_str(words),
            ContentPart::ToolCall { id, name, arguments } => {
                if serde_json::from_str::<Value>(arguments).is_err() {
                    return Err(Error::invalid_request(format!(
                        "the arguments of tool call `{id}` are not JSON"
                    )));
                }
                let function = json!({ "name": name, "arguments": arguments });
                calls.push(json!({ "id": id, "type": "function", "function": function }));
            }
            ContentPart::ToolResult { id, name, content } => {
                results.push(json!({ "role": "tool", "tool_call_id": id, "name": name, "content": content }));
            }
        }
    }
    if !calls.is_empty() && message.role != MessageRole::Assistant {
        return Err(Error::invalid_request(
            "a tool call stands in a message that is not the assistant's",
        ));
    }
    let words_of_its_own = !text.is_empty() || !calls.is_empty() || results.is_empty();
    array.append(&mut results);
    if words_of_its_own {
        let mut value = json!({ "role": role, "content": text });
        if !reasoning.is_empty() {
            value["reasoning_content"] = reasoning.into();
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
    fn a_tool_loop_is_told_as_templates_expect_it() {
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
        let told: Value = serde_json::from_str(&messages_json(&messages).expect("valid")).expect("JSON");
        let expected = json!([
            { "role": "user", "content": "what time is it?" },
            { "role": "assistant", "content": "", "reasoning_content": "hm",
              "tool_calls": [{ "id": "1", "type": "function", "function": { "name": "time", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "1", "name": "time", "content": "noon" },
        ]);
        assert_eq!(told, expected);
    }

    #[test]
    fn a_call_with_broken_arguments_is_refused() {
        let call = ContentPart::ToolCall {
            id: "1".into(),
            name: "time".into(),
            arguments: "{".into(),
        };
        let message = ChatMessage {
            role: MessageRole::Assistant,
            parts: vec![call],
        };
        assert!(messages_json(&[message]).is_err());
    }
}
