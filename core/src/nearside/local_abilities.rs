//! Capabilities of the models on this device, as the head of each file says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::local_model::{FileStamp, LocalModel, file_stamp};
use super::lock;
use crate::engine::remote::ModelCapabilities;
use crate::model::gguf::Head;

/// The capabilities that were read so far. A head is read only for a request whose decision depends on it, and once as long
/// as its file stays the same.
#[derive(Debug, Default)]
pub(super) struct LocalAbilities {
    calls_tools: Mutex<HashMap<PathBuf, (FileStamp, bool)>>,
}

impl LocalAbilities {
    /// Returns the capabilities of a model that matter to a request with these needs. May block for the read of a head.
    pub(super) fn of(&self, model: &LocalModel, needed: &ModelCapabilities) -> ModelCapabilities {
        ModelCapabilities {
            tools: !needed.tools || self.calls_tools(model),
            ..CAPABILITIES
        }
    }

    /// Returns whether the chat template of the model shows it the tools of a request. An unreadable file says nothing: its
    /// own error is the one to tell.
    fn calls_tools(&self, model: &LocalModel) -> bool {
        let stamp = file_stamp(&model.path);
        let known = lock(&self.calls_tools).get(&model.path).copied();
        if let Some((_, calls_tools)) = known.filter(|(read, _)| *read == stamp) {
            return calls_tools;
        }
        // Without a template the model cannot chat at all, which its verdict says.
        let calls_tools = match Head::read_file(&model.path) {
            Ok(head) => head.renders_tools || !head.has_chat_template,
            Err(_) => true,
        };
        lock(&self.calls_tools).insert(model.path.clone(), (stamp, calls_tools));
        calls_tools
    }
}

/// Capabilities of every local model: grammars constrain output to a schema.
const CAPABILITIES: ModelCapabilities = ModelCapabilities {
    tools: true,
    images: false,
    json_schema: true,
    reasoning: true,
    web_search: false,
};
