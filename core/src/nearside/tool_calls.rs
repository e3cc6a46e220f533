//! Recent tool calls and the target that made each, so that a tool loop stays on its target.
//!
//! In memory, for requests outside of conversations: their ids are unique where the library makes them. A conversation
//! finds the target in the receipt of its stored answer instead, also after a restart.

use std::sync::Mutex;

use super::lock;
use crate::chat::{ChatMessage, ContentPart, RouteTarget};

/// The recent calls, oldest first.
#[derive(Debug, Default)]
pub(super) struct ToolCallTargets(Mutex<Vec<RecentCall>>);

#[derive(Debug)]
struct RecentCall {
    id: String,
    name: String,
    arguments: String,
    target: RouteTarget,
}

impl ToolCallTargets {
    /// Remembers the target of a call.
    pub(super) fn insert(&self, id: &str, name: &str, arguments: &str, target: &RouteTarget) {
        let call = RecentCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            target: target.clone(),
        };
        let mut calls = lock(&self.0);
        if calls.len() >= MAX_CALLS {
            calls.remove(0);
        }
        calls.push(call);
    }

    /// Returns the target of the loop that these messages continue: the last one holds results of its calls. Of several
    /// calls with one id, which some models choose themselves, the one whose name and arguments the messages repeat.
    pub(super) fn target_of(&self, messages: &[ChatMessage]) -> Option<RouteTarget> {
        let results = messages.last()?.parts.iter();
        let ids: Vec<&String> = results
            .filter_map(|part| match part {
                ContentPart::ToolResult { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        if ids.is_empty() {
            return None;
        }
        let parts = messages.iter().rev().flat_map(|message| &message.parts);
        let repeated: Vec<_> = parts
            .filter_map(|part| match part {
                ContentPart::ToolCall { id, name, arguments } if ids.contains(&id) => Some((id, name, arguments)),
                _ => None,
            })
            .collect();
        let calls = lock(&self.0);
        let same = |call: &&RecentCall| repeated.contains(&(&call.id, &call.name, &call.arguments));
        let named = |call: &&RecentCall| ids.contains(&&call.id);
        let found = calls.iter().rev().find(same).or_else(|| calls.iter().rev().find(named));
        found.map(|call| call.target.clone())
    }
}

/// Maximum number of remembered calls.
const MAX_CALLS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::MessageRole;

    fn at(model: &str) -> RouteTarget {
        RouteTarget::Local { model: model.into() }
    }

    fn continuation(id: &str, arguments: &str) -> Vec<ChatMessage> {
        let call = ContentPart::ToolCall {
            id: id.into(),
            name: "tides".into(),
            arguments: arguments.into(),
        };
        let result = ContentPart::ToolResult {
            id: id.into(),
            name: "tides".into(),
            content: "06:00".into(),
        };
        let message = |role, part| ChatMessage {
            role,
            parts: vec![part],
        };
        vec![
            ChatMessage::user("when is high tide?"),
            message(MessageRole::Assistant, call),
            message(MessageRole::Tool, result),
        ]
    }

    #[test]
    fn an_id_that_two_models_chose_is_told_apart_by_the_call() {
        let calls = ToolCallTargets::default();
        calls.insert("tides:0", "tides", r#"{"at":"Brest"}"#, &at("one"));
        calls.insert("tides:0", "tides", r#"{"at":"Dover"}"#, &at("other"));
        let target = |arguments| calls.target_of(&continuation("tides:0", arguments));
        assert_eq!(target(r#"{"at":"Brest"}"#), Some(at("one")));
        assert_eq!(target(r#"{"at":"Dover"}"#), Some(at("other")));
        assert_eq!(target("{}"), Some(at("other")), "the newest");
        assert_eq!(calls.target_of(&continuation("tides:1", "{}")), None);
        assert_eq!(calls.target_of(&[ChatMessage::user("hello")]), None);
    }
}
