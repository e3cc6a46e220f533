//! Notices a prompt whose beginning changed although its conversation is one that was read before: the KV cache holds it in
//! vain, because a prompt shares only what stands before its first change.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use crate::chat::{CacheMiss, ChatMessage, ChatRequest, MessageRole};

/// The last prompts of a loaded model, by hashes.
#[derive(Debug, Default)]
pub(super) struct RecentPrompts {
    prompts: VecDeque<PromptHashes>,
    hasher: RandomState,
}

#[derive(Debug)]
struct PromptHashes {
    system: u64,
    tools: u64,
    /// Of each message but the system prompts, in order.
    messages: Vec<u64>,
}

impl RecentPrompts {
    /// Notes the prompt of a request. Returns what changed at its beginning since the last prompt of the same conversation.
    pub(super) fn note(&mut self, request: &ChatRequest) -> Option<CacheMiss> {
        let (system, rest): (Vec<_>, Vec<_>) = request.messages.iter().partition(|message| is_system(message));
        let new = PromptHashes {
            system: self.hasher.hash_one(format!("{system:?}")),
            tools: self.hasher.hash_one(format!("{:?}", request.tools)),
            messages: rest
                .iter()
                .map(|message| self.hasher.hash_one(format!("{message:?}")))
                .collect(),
        };
        let is_same = |old: &PromptHashes| !old.messages.is_empty() && new.messages.starts_with(&old.messages);
        let old = self
            .prompts
            .iter()
            .rposition(is_same)
            .and_then(|at| self.prompts.remove(at));
        let changed = old.and_then(|old| {
            if old.system != new.system {
                Some(CacheMiss::SystemPromptChanged)
            } else {
                (old.tools != new.tools).then_some(CacheMiss::ToolsChanged)
            }
        });
        if self.prompts.len() >= MAX_PROMPTS {
            self.prompts.pop_front();
        }
        self.prompts.push_back(new);
        changed
    }
}

fn is_system(message: &ChatMessage) -> bool {
    message.role == MessageRole::System
}

/// More conversations than are active at the same time.
const MAX_PROMPTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ToolDefinition;

    #[test]
    fn a_changed_beginning_is_named_and_another_conversation_is_not_one() {
        let mut recent = RecentPrompts::default();
        let request = |time: &str, turns: &[&str]| {
            let turns = turns.iter().map(|text| ChatMessage::user(*text));
            ChatRequest::new(
                [ChatMessage::system(format!("It is {time}."))]
                    .into_iter()
                    .chain(turns)
                    .collect(),
            )
        };
        assert_eq!(recent.note(&request("9:00", &["a"])), None);
        assert_eq!(recent.note(&request("9:00", &["a", "b"])), None);
        assert_eq!(recent.note(&request("9:01", &["c"])), None, "another conversation");
        let changed = Some(CacheMiss::SystemPromptChanged);
        assert_eq!(recent.note(&request("9:02", &["a", "b", "d"])), changed);
        assert_eq!(recent.note(&request("9:02", &["c", "e"])), changed);
        assert_eq!(recent.note(&request("9:02", &["c", "e", "f"])), None);
        let mut with_tool = request("9:02", &["c", "e", "f", "g"]);
        with_tool.tools = vec![ToolDefinition {
            name: "tides".into(),
            description: "The tides.".into(),
            parameters: "{}".into(),
        }];
        assert_eq!(recent.note(&with_tool), Some(CacheMiss::ToolsChanged));
        for n in 0..100 {
            assert_eq!(recent.note(&request("9:03", &[&n.to_string()])), None);
        }
        assert!(recent.prompts.len() <= MAX_PROMPTS);
    }
}
