//! Completes the tool calls of a history that is sent: providers reject a call whose result does not follow at once, and a
//! result without its call, at every later turn. The stored messages do not change.

use super::message::{ChatMessage, ContentPart, MessageRole};

/// Adds a result that says so to every call that was not run, right after its message. A result that comes later, or whose
/// call is missing, becomes text of the user.
pub(super) fn complete_tool_calls(messages: impl Iterator<Item = ChatMessage>) -> Vec<ChatMessage> {
    let mut history = History::default();
    for message in messages {
        history.push(message);
    }
    history.close_calls();
    history.messages
}

/// The messages so far, and the calls whose results may still follow.
#[derive(Default)]
struct History {
    messages: Vec<ChatMessage>,
    /// Id and name of each open call.
    calls: Vec<(String, String)>,
    /// Where their results belong.
    results_at: usize,
}

impl History {
    fn push(&mut self, mut message: ChatMessage) {
        if self.calls.is_empty() && !message.parts.iter().any(is_tool_part) {
            self.messages.push(message);
            return;
        }
        let (results, others): (Vec<_>, Vec<_>) = std::mem::take(&mut message.parts)
            .into_iter()
            .partition(|part| self.answers_call(part));
        if !results.is_empty() {
            let role = MessageRole::Tool;
            self.messages.push(ChatMessage { role, parts: results });
        }
        if others.is_empty() {
            return;
        }
        self.close_calls();
        message.parts = others.into_iter().map(to_text).collect();
        if message.role == MessageRole::Tool {
            message.role = MessageRole::User;
        }
        let calls = message.parts.iter().filter_map(|part| match part {
            ContentPart::ToolCall { id, name, .. } => Some((id.clone(), name.clone())),
            _ => None,
        });
        self.calls = calls.collect();
        self.messages.push(message);
        self.results_at = self.messages.len();
    }

    /// Returns whether the part is the result of an open call, and closes that call.
    fn answers_call(&mut self, part: &ContentPart) -> bool {
        let ContentPart::ToolResult { id, .. } = part else {
            return false;
        };
        let open = self.calls.iter().position(|(call, _)| call == id);
        open.is_some_and(|at| {
            self.calls.remove(at);
            true
        })
    }

    /// Adds the results of the calls that have none.
    fn close_calls(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        if calls.is_empty() {
            return;
        }
        let parts = calls.into_iter().map(|(id, name)| ContentPart::ToolResult {
            id,
            name,
            content: NOT_RUN.to_owned(),
        });
        let message = ChatMessage {
            role: MessageRole::Tool,
            parts: parts.collect(),
        };
        self.messages.insert(self.results_at, message);
    }
}

fn is_tool_part(part: &ContentPart) -> bool {
    matches!(part, ContentPart::ToolCall { .. } | ContentPart::ToolResult { .. })
}

/// Converts a result without an open call to text.
fn to_text(part: ContentPart) -> ContentPart {
    match part {
        ContentPart::ToolResult { name, content, .. } => ContentPart::Text {
            text: format!("Result of `{name}`: {content}"),
        },
        other => other,
    }
}

/// Content of the result of a call that was not run.
const NOT_RUN: &str = "This call was not run, so it has no result.";

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(ids: &[&str]) -> ChatMessage {
        let call = |id: &&str| ContentPart::ToolCall {
            id: (*id).to_owned(),
            name: "weather".into(),
            arguments: "{}".into(),
        };
        ChatMessage {
            role: MessageRole::Assistant,
            parts: ids.iter().map(call).collect(),
        }
    }

    fn result(id: &str, content: &str) -> ChatMessage {
        let part = ContentPart::ToolResult {
            id: id.into(),
            name: "weather".into(),
            content: content.into(),
        };
        ChatMessage {
            role: MessageRole::Tool,
            parts: vec![part],
        }
    }

    fn completed(messages: &[ChatMessage]) -> Vec<ChatMessage> {
        complete_tool_calls(messages.iter().cloned())
    }

    #[test]
    fn a_history_whose_calls_have_results_stays_as_it_is() {
        let messages = [
            ChatMessage::user("hi"),
            calls(&["a", "b"]),
            result("b", "rain"),
            result("a", "sun"),
            // Some models count from the start in every turn.
            calls(&["a"]),
            result("a", "fog"),
            ChatMessage::assistant("fog"),
        ];
        assert_eq!(completed(&messages), messages);
    }

    #[test]
    fn a_call_without_a_result_gets_one_right_after_it() {
        let user = ChatMessage::user("never mind");
        let before = [calls(&["a"]), user.clone()];
        assert_eq!(completed(&before), [calls(&["a"]), result("a", NOT_RUN), user.clone()]);
        let partly = [calls(&["a", "b"]), result("a", "sun"), user.clone()];
        let expected = [calls(&["a", "b"]), result("b", NOT_RUN), result("a", "sun"), user];
        assert_eq!(completed(&partly), expected);
        assert_eq!(
            completed(&[calls(&["a"]), calls(&["a"])]),
            [calls(&["a"]), result("a", NOT_RUN), calls(&["a"]), result("a", NOT_RUN)]
        );
    }

    #[test]
    fn a_result_that_comes_too_late_becomes_text_of_the_user() {
        let messages = [
            calls(&["a"]),
            ChatMessage::user("never mind"),
            ChatMessage::assistant("well"),
            result("a", "sun"),
        ];
        let sent = completed(&messages);
        assert_eq!(sent[..2], [calls(&["a"]), result("a", NOT_RUN)]);
        assert_eq!(sent[4], ChatMessage::user("Result of `weather`: sun"));
        assert_eq!(sent.len(), 5);
    }
}
