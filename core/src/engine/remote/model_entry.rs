//! Parses one entry of a provider's model list. Each fact is read from every field in which a server states it.

use serde_json::Value;

use super::dialect::ProviderKind;
use super::model_kinds::chat_by_name;
use super::provider::{ModelCapabilities, RemoteModel, TokenPrice};

/// Parses an entry; `None` if it has no id, or the model is inactive. `today` dates the price.
pub(super) fn parse_model(kind: ProviderKind, entry: &Value, today: &str) -> Option<RemoteModel> {
    let id = ["id", "model", "name", "key"]
        .into_iter()
        .find_map(|field| non_empty(&entry[field]))?;
    // Groq also lists inactive models.
    if entry["active"].as_bool() == Some(false) {
        return None;
    }
    let contexts = [
        &entry["loaded_context_length"],
        &entry["context_length"],
        &entry["context_window"],
        &entry["max_model_len"],
        &entry["max_context_length"],
        &entry["meta"]["n_ctx"],
        &entry["meta"]["n_ctx_train"],
        &entry["details"]["context_length"],
    ];
    let outputs = [
        &entry["top_provider"]["max_completion_tokens"],
        &entry["max_completion_tokens"],
    ];
    let sizes = [&entry["size"], &entry["size_bytes"], &entry["meta"]["size"]];
    let parameters = [
        &entry["meta"]["n_params"],
        &entry["details"]["parameter_size"],
        &entry["params_string"],
    ];
    Some(RemoteModel {
        id: id.to_owned(),
        name: non_empty(&entry["name"]).unwrap_or(id).to_owned(),
        context: contexts.into_iter().find_map(token_count),
        max_output: outputs.into_iter().find_map(token_count),
        abilities: parse_abilities(kind, entry),
        price: parse_price(kind, entry, today),
        retires: entry["expiration_date"]
            .as_str()
            .map(|date| date.chars().take(10).collect()),
        proxied: is_forwarded(entry) || RemoteModel::is_proxied_id(kind, id),
        chat: parse_chat(entry).or_else(|| chat_by_name(kind, id)),
        loaded: entry["state"] == "loaded"
            || entry["status"]["value"] == "loaded"
            || entry["loaded_instances"]
                .as_array()
                .is_some_and(|loaded| !loaded.is_empty()),
        parameters: parameters.into_iter().find_map(parameter_count),
        size_bytes: sizes.into_iter().find_map(Value::as_u64).filter(|size| *size > 0),
    })
}

/// Returns whether the entry says that the server forwards requests for the model to another host.
pub(super) fn is_forwarded(entry: &Value) -> bool {
    ["remote_host", "remote_model"]
        .into_iter()
        .any(|field| non_empty(&entry[field]).is_some())
}

/// Returns whether the entry says that the model completes chats; `None` if it does not say.
pub(super) fn parse_chat(entry: &Value) -> Option<bool> {
    let capabilities = &entry["capabilities"];
    if let Some(list) = capabilities.as_array().filter(|list| !list.is_empty()) {
        let chats = |name: &Value| {
            matches!(
                name.as_str(),
                Some("completion" | "chat" | "chat_completion" | "chat-completion")
            )
        };
        return Some(list.iter().any(chats));
    }
    let flags = [
        &entry["supports_chat"],
        &capabilities["completion_chat"],
        &capabilities["chat_completion"],
    ];
    if let Some(chats) = flags.into_iter().find_map(Value::as_bool) {
        return Some(chats);
    }
    let modalities = [
        &entry["architecture"]["output_modalities"],
        &entry["output_modalities"],
        &entry["supported_output_modalities"],
    ];
    if let Some(outputs) = modalities.into_iter().find(|outputs| outputs.is_array()) {
        return Some(has_entry(outputs, "text"));
    }
    if let Some((_, output)) = entry["architecture"]["modality"]
        .as_str()
        .and_then(|text| text.split_once("->"))
    {
        return Some(output.contains("text"));
    }
    let words = [
        &entry["type"],
        &entry["model_type"],
        &entry["mode"],
        &entry["task"],
        &entry["task"]["name"],
    ];
    words.into_iter().filter_map(Value::as_str).find_map(chat_by_word)
}

/// Returns whether a model whose type has this name completes chats; `None` for a name that says nothing, such as `model`.
fn chat_by_word(word: &str) -> Option<bool> {
    let word = word.to_ascii_lowercase();
    let is = |words: &[&str]| words.iter().any(|known| word.contains(known));
    if is(&[
        "embed",
        "rerank",
        "image",
        "audio",
        "speech",
        "transcri",
        "tts",
        "moderation",
        "video",
        "classif",
    ]) && !is(&["image-text-to-text", "audio-text-to-text"])
    {
        return Some(false);
    }
    is(&[
        "chat",
        "llm",
        "vlm",
        "text-generation",
        "text generation",
        "-to-text",
        "responses",
    ])
    .then_some(true)
}

fn parse_abilities(kind: ProviderKind, entry: &Value) -> Option<ModelCapabilities> {
    match kind {
        ProviderKind::OpenRouter => {
            let parameters = &entry["supported_parameters"];
            parameters.is_array().then(|| ModelCapabilities {
                tools: has_entry(parameters, "tools"),
                images: has_entry(&entry["architecture"]["input_modalities"], "image"),
                json_schema: has_entry(parameters, "structured_outputs"),
                reasoning: has_entry(parameters, "reasoning"),
                web_search: true,
            })
        }
        ProviderKind::Fireworks => entry["supports_tools"].as_bool().map(|tools| ModelCapabilities {
            tools,
            images: entry["supports_image_input"].as_bool() == Some(true),
            json_schema: true,
            reasoning: true,
            web_search: false,
        }),
        _ => None,
    }
}

/// Parses OpenRouter's price: US dollars per token, as text.
fn parse_price(kind: ProviderKind, entry: &Value, today: &str) -> Option<TokenPrice> {
    if kind != ProviderKind::OpenRouter {
        return None;
    }
    let per_million = |name: &str| scaled_price(&entry["pricing"][name], 6);
    Some(TokenPrice {
        usd_in: per_million("prompt")?,
        usd_out: per_million("completion")?,
        usd_cached: per_million("input_cache_read"),
        usd_request: scaled_price(&entry["pricing"]["request"], 0).unwrap_or(0.0),
        usd_search: scaled_price(&entry["pricing"]["web_search"], 0).filter(|usd| *usd > 0.0),
        as_of: today.to_owned(),
    })
}

/// Parses a price, times ten to the `zeros`. The decimal point moves in the text, so that 0.00000005 dollars per token
/// are 0.05 per million, and not the 0.049999999999999996 of a multiplication. A negative one is unknown: OpenRouter's own
/// routers have -1, because the price depends on the model that they select.
fn scaled_price(value: &Value, zeros: i32) -> Option<f64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text.as_str(), 0),
    };
    let scaled: f64 = format!("{mantissa}e{}", exponent.checked_add(zeros)?).parse().ok()?;
    (scaled.is_finite() && scaled >= 0.0).then_some(scaled)
}

/// Parses a number of parameters: a number, or a text such as `8.2B`, `134.52M` or `8x7B`.
fn parameter_count(value: &Value) -> Option<u64> {
    if let Some(count) = value.as_u64() {
        return Some(count).filter(|count| *count > 0);
    }
    let text = value.as_str()?.trim().to_ascii_uppercase();
    let (number, unit) = match text.char_indices().last()? {
        (at, 'K') => (&text[..at], 1e3),
        (at, 'M') => (&text[..at], 1e6),
        (at, 'B') => (&text[..at], 1e9),
        (at, 'T') => (&text[..at], 1e12),
        _ => (text.as_str(), 1.0),
    };
    let mut product = unit;
    for factor in number.split('X') {
        product *= factor.trim().parse::<f64>().ok()?;
    }
    (product.is_finite() && product >= 1.0).then_some(product.round() as u64)
}

fn token_count(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
}

/// Returns whether the list contains this text.
pub(super) fn has_entry(list: &Value, name: &str) -> bool {
    let mut entries = list.as_array().into_iter().flatten();
    entries.any(|entry| entry.as_str() == Some(name))
}

fn non_empty(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_price_per_token_is_exact_per_million() {
        for (text, expected) in [
            ("0.00000005", 0.05),
            ("0.0000007", 0.7),
            ("0.00000235", 2.35),
            ("5e-8", 0.05),
            ("0", 0.0),
        ] {
            assert_eq!(scaled_price(&json!(text), 6), Some(expected), "{text}");
        }
        assert_eq!(scaled_price(&json!(0.0000025), 6), Some(2.5));
        assert_eq!(scaled_price(&json!("-1"), 6), None);
        assert_eq!(scaled_price(&json!("free"), 6), None);
    }

    #[test]
    fn an_entry_says_whether_its_model_chats() {
        for (entry, chat) in [
            (json!({ "capabilities": ["completion", "tools"] }), Some(true)),
            (json!({ "capabilities": ["embedding"] }), Some(false)),
            (json!({ "capabilities": { "completion_chat": false } }), Some(false)),
            (json!({ "supports_chat": false }), Some(false)),
            (
                json!({ "architecture": { "output_modalities": ["image"] } }),
                Some(false),
            ),
            (
                json!({ "architecture": { "modality": "text+image->text" } }),
                Some(true),
            ),
            (json!({ "type": "embeddings" }), Some(false)),
            (json!({ "type": "vlm" }), Some(true)),
            (json!({ "type": "model" }), None),
            (json!({ "model_type": "rerank" }), Some(false)),
            (json!({ "mode": "image_generation" }), Some(false)),
            (json!({ "task": "image-text-to-text" }), Some(true)),
            (json!({}), None),
        ] {
            assert_eq!(parse_chat(&entry), chat, "{entry}");
        }
    }

    #[test]
    fn sizes_are_read_in_every_spelling() {
        for (value, expected) in [
            (json!("8.2B"), Some(8_200_000_000)),
            (json!("134.52M"), Some(134_520_000)),
            (json!("8x7B"), Some(56_000_000_000)),
            (json!(134_515_008), Some(134_515_008)),
            (json!(""), None),
            (json!("large"), None),
        ] {
            assert_eq!(parameter_count(&value), expected, "{value}");
        }
    }
}
