//! The parts of OpenAI's message format that chat templates and providers share.

use serde_json::{Value, json};

use crate::chat::{MessageRole, ReasoningEffort, ToolDefinition};

/// Returns the role's name in a message.
pub(super) fn role_name(role: MessageRole) -> &'static str {
    match role {
        MessageRole::System => "system",
        MessageRole::User => "user",
        MessageRole::Assistant => "assistant",
        MessageRole::Tool => "tool",
    }
}

/// Returns the name of an effort.
pub(super) fn effort_name(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
    }
}

/// Returns the tool's definition. [`crate::chat::ChatRequest::check`] ensures that its parameters are a JSON object.
pub(super) fn tool_json(tool: &ToolDefinition) -> Value {
    let parameters: Value = serde_json::from_str(&tool.parameters).unwrap_or_else(|_| json!({}));
    let function = json!({ "name": tool.name, "description": tool.description, "parameters": parameters });
    json!({ "type": "function", "function": function })
}
