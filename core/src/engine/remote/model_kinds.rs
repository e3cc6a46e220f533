//! Kinds of models by their names: `data/model_kinds.json`, dated and with its sources.
//!
//! It is the fallback for providers that list embeddings, speech and image models without a word about what they do. A
//! server's own statement takes precedence.

use std::sync::LazyLock;

use serde::Deserialize;

use super::dialect::ProviderKind;

/// Returns false if a model of this name does not complete chats; `None` if the name does not say.
pub(super) fn chat_by_name(kind: ProviderKind, id: &str) -> Option<bool> {
    let id = id.to_ascii_lowercase();
    let applies = |row: &&KindRow| row.providers.is_empty() || row.providers.contains(&kind);
    let mut rows = TABLE.not_chat.iter().filter(applies);
    rows.any(|row| row.names.iter().any(|name| matches_name(&id, name)))
        .then_some(false)
}

/// Returns whether the id contains the name as a word: at its start or behind a separator, and with a separator or the end
/// behind it. A `*` at either end of the name lifts the condition there.
fn matches_name(id: &str, name: &str) -> bool {
    let (open_start, open_end) = (name.starts_with('*'), name.ends_with('*'));
    let name = name.trim_matches('*');
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    id.match_indices(name).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| id.as_bytes().get(before));
        let after = id.as_bytes().get(at + name.len());
        (open_start || !is_word(before)) && (open_end || !is_word(after))
    })
}

#[derive(Debug, Deserialize)]
struct KindTable {
    not_chat: Vec<KindRow>,
}

/// Names of one kind of model.
#[derive(Debug, Deserialize)]
struct KindRow {
    /// The kinds of provider that it applies to. Empty: all.
    #[serde(default)]
    providers: Vec<ProviderKind>,
    names: Vec<String>,
}

static TABLE: LazyLock<KindTable> = LazyLock::new(|| {
    // A unit test parses the file; an unreadable one would only mean that names say nothing.
    serde_json::from_str(include_str!("../../../data/model_kinds.json")).unwrap_or(KindTable { not_chat: vec![] })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        let table: serde_json::Value =
            serde_json::from_str(include_str!("../../../data/model_kinds.json")).expect("JSON");
        assert!(!TABLE.not_chat.is_empty());
        for row in table["not_chat"].as_array().expect("rows") {
            for field in ["kind", "as_of", "source"] {
                assert!(row[field].as_str().is_some_and(|text| !text.is_empty()), "{row}");
            }
            for name in row["names"].as_array().expect("names") {
                let name = name.as_str().expect("text");
                assert_eq!(name, name.to_ascii_lowercase());
                assert!(name.trim_matches('*').len() > 1, "{name}");
            }
        }
    }

    #[test]
    fn models_that_complete_no_chats_are_known_by_name_and_no_chat_model_is_taken_for_one() {
        let not_chat = "text-embedding-3-small text-embedding-ada-002 nomic-embed-text:latest mxbai-embed-large \
            all-minilm:latest bge-m3 BAAI/bge-reranker-v2-m3 intfloat/multilingual-e5-large snowflake-arctic-embed \
            text-embedding-nomic-embed-text-v1.5 qwen3-embedding:8b Qwen/Qwen3-Reranker-0.6B jina-embeddings-v3 \
            thenlper/gte-large whisper-1 whisper-large-v3-turbo distil-whisper-large-v3-en gpt-4o-transcribe \
            gpt-4o-mini-transcribe tts-1 tts-1-hd gpt-4o-mini-tts playai-tts-arabic canopylabs/orpheus-v1-english \
            dall-e-3 gpt-image-1 chatgpt-image-latest sora-2 black-forest-labs/FLUX.1-schnell \
            stabilityai/stable-diffusion-xl-base-1.0 omni-moderation-latest text-moderation-stable \
            meta-llama/llama-guard-4-12b meta-llama/llama-prompt-guard-2-22m openai/gpt-oss-safeguard-20b \
            shieldgemma:2b babbage-002 davinci-002 gpt-3.5-turbo-instruct gpt-realtime-mini gpt-4o-realtime-preview \
            gpt-audio-mini o1-pro o3-deep-research computer-use-preview gpt-5.2-pro gpt-5-codex";
        for id in not_chat.split_ascii_whitespace() {
            assert_eq!(chat_by_name(ProviderKind::OpenAi, id), Some(false), "{id}");
        }
        let chat = "gpt-5.2 gpt-4.1-mini gpt-4o o3-mini chatgpt-4o-latest llama3.2 llama3.2:latest qwen3:8b gemma3n:e4b \
            llava:13b deepseek/deepseek-r1 openai/gpt-oss-120b kimi-k2-thinking SmolLM2-135M-Instruct.gguf phi4-mini \
            mistral-large-2411 command-r-plus codestral-latest gemini-2.5-flash google/gemma-3-27b-it minicpm-v:8b \
            mimo-v2-flash ministral-3b accounts/fireworks/models/deepseek-v4p1-flash nous-hermes2 stable-code:3b \
            stablelm2 vicuna:13b granite3.3:8b smollm2 e5x-chat";
        for id in chat.split_ascii_whitespace() {
            assert_eq!(chat_by_name(ProviderKind::OpenAi, id), None, "{id}");
        }
        assert_eq!(chat_by_name(ProviderKind::OpenRouter, "openai/gpt-5.2-pro"), None);
    }
}
