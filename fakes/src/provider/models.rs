//! The providers' information endpoints: models, prices, data policies, health.

use nearside::engine::remote::ProviderKind as Dialect;
use serde_json::{Value, json};

use super::offer::Offer;

/// Returns the models of the dialect.
pub(super) fn ids(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenRouter => &[
            "deepseek/deepseek-r1",
            "openai/gpt-oss-20b:free",
            "vendor/retiring",
            LEAKY,
        ],
        Dialect::DeepSeek => &["deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash"],
        Dialect::Groq => &["openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3-32b"],
        Dialect::Fireworks => &[
            "accounts/fireworks/models/deepseek-v4p1-flash",
            "accounts/fireworks/models/gpt-oss-120b",
        ],
        Dialect::OpenAi => &["gpt-5.2", "gpt-4.1-mini"],
        Dialect::Ollama => &["qwen3:8b", "tiny:latest", "gpt-oss:120b-cloud"],
        Dialect::LlamaServer => &["SmolLM2-135M-Instruct.gguf"],
        _ => &["Qwen/Qwen3-8B"],
    }
}

/// Returns whether this model name refers to one of these models.
pub(super) fn is_known(dialect: Dialect, known: &[String], model: &str) -> bool {
    let named = |name: &str| known.iter().any(|one| one == name);
    match dialect {
        // `:nitro`, `:floor` and `:exacto` select an upstream, not a model.
        Dialect::OpenRouter => named(model) || model.rsplit_once(':').is_some_and(|(model, _)| named(model)),
        Dialect::Ollama => named(model) || named(&format!("{model}:latest")),
        _ => named(model),
    }
}

/// Returns the response for an information endpoint; `None` if the path is unknown. `path` is relative to the base
/// address.
pub(super) fn answer(dialect: Dialect, offer: &Offer, path: &str) -> Option<Value> {
    let Offer {
        models: known,
        forwarded,
        ..
    } = offer;
    match (dialect, path) {
        (Dialect::Ollama, "/api/version") => Some(json!({ "version": "0.12.3" })),
        (Dialect::Ollama, "/api/tags") => {
            let tags = known.iter().map(|id| with_remote(ollama_tag(id), forwarded, id));
            Some(json!({ "models": tags.collect::<Vec<_>>() }))
        }
        // The first model that chats is in memory.
        (Dialect::Ollama, "/api/ps") => {
            let loaded = known.iter().find(|id| !is_embedding(id) && !is_cloud(id));
            Some(json!({ "models": loaded.map(|id| ollama_tag(id)).into_iter().collect::<Vec<_>>() }))
        }
        (Dialect::Ollama, _) => None,
        (Dialect::OpenRouter, "/models" | "/models/user") => Some(json!({
            "data": list(known, openrouter_model), "total_count": known.len(), "links": { "next": null },
        })),
        (Dialect::OpenRouter, "/endpoints/zdr") => {
            let private: Vec<_> = known.iter().filter(|id| *id != LEAKY).cloned().collect();
            Some(json!({ "data": list(&private, openrouter_endpoint) }))
        }
        (Dialect::OpenRouter, "/providers") => Some(providers()),
        (Dialect::OpenRouter, "/key") => Some(json!({ "data": {
            "label": "sk-or-v1-rec...ded", "limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly",
            "usage": 25.5, "usage_daily": 25.5, "usage_weekly": 25.5, "usage_monthly": 25.5,
            "byok_usage": 0, "is_free_tier": false, "is_management_key": false, "expires_at": null,
            "rate_limit": { "interval": "1h", "note": "This field is deprecated and safe to ignore.", "requests": 1000 },
        } })),
        (Dialect::OpenRouter, path) => {
            let model = path.strip_prefix("/models/")?.strip_suffix("/endpoints")?.to_owned();
            known.contains(&model).then(|| {
                let mut answer = openrouter_model(&model);
                answer["endpoints"] = json!([openrouter_endpoint(&model)]);
                json!({ "data": answer })
            })
        }
        (Dialect::LlamaServer, "/models") => {
            let models = list(
                known,
                |id| json!({ "name": id, "model": id, "type": "model", "capabilities": ["completion"] }),
            );
            Some(json!({ "models": models, "object": "list", "data": list(known, llama_model) }))
        }
        (_, "/models") => {
            let entry = match dialect {
                Dialect::DeepSeek => deepseek_model,
                Dialect::Groq => groq_model,
                Dialect::Fireworks => fireworks_model,
                Dialect::OpenAi => openai_model,
                _ => compatible_model,
            };
            Some(json!({ "object": "list", "data": list(known, entry) }))
        }
        _ => None,
    }
}

/// Answers `POST /api/show`; `None` for an unknown model.
pub(super) fn show(offer: &Offer, model: &str) -> Option<Value> {
    if !is_known(Dialect::Ollama, &offer.models, model) {
        return None;
    }
    let tiny = model.trim_end_matches(":latest") == TINY;
    let abilities: &[&str] = if is_embedding(model) {
        &["embedding"]
    } else if tiny {
        &["completion"]
    } else {
        &["completion", "tools", "thinking", "vision"]
    };
    let mut shown = json!({
        "license": "Apache-2.0", "modelfile": "", "parameters": "temperature 0.6", "template": "{{ .Prompt }}",
        "details": ollama_tag(model)["details"].take(),
        "model_info": { "general.architecture": "qwen3", "general.parameter_count": 8_190_735_360_u64,
                        "qwen3.context_length": 40_960, "qwen3.embedding_length": 4096 },
        "capabilities": abilities, "modified_at": "2026-10-01T08:00:00.000000000+02:00",
    });
    shown = with_remote(shown, &offer.forwarded, model);
    shown = with_remote(shown, &offer.forwarded_unlisted, model);
    Some(shown)
}

/// Adds where Ollama forwards requests for a model, if it does.
fn with_remote(mut entry: Value, forwarded: &[String], id: &str) -> Value {
    if is_cloud(id) || forwarded.iter().any(|one| one == id) {
        entry["remote_host"] = json!("https://ollama.com:443");
        entry["remote_model"] = json!(id.trim_end_matches("cloud").trim_end_matches(['-', ':']));
    }
    entry
}

fn is_cloud(id: &str) -> bool {
    id.ends_with("-cloud") || id.ends_with(":cloud")
}

fn is_embedding(id: &str) -> bool {
    id.contains("embed") || id.contains("minilm") || id.starts_with("bge")
}

fn list(known: &[String], entry: fn(&str) -> Value) -> Value {
    Value::Array(known.iter().map(|id| entry(id)).collect())
}

fn openrouter_model(id: &str) -> Value {
    let free = id.ends_with(":free");
    let mut model = json!({
        "id": id, "canonical_slug": id, "hugging_face_id": null, "name": format!("Recorded: {id}"),
        "created": 1_760_000_000, "description": "", "context_length": 163_840,
        "architecture": { "modality": "text+image->text", "input_modalities": ["text", "image"],
                          "output_modalities": ["text"], "tokenizer": "DeepSeek", "instruct_type": "deepseek-r1" },
        "pricing": pricing(free),
        "top_provider": { "context_length": 163_840, "max_completion_tokens": 32_768, "is_moderated": false },
        "per_request_limits": null, "supported_parameters": PARAMETERS, "default_parameters": {},
        "expiration_date": null,
        "reasoning": { "supported_efforts": ["high", "medium", "low"], "default_effort": "medium",
                       "default_enabled": true, "supports_max_tokens": true, "mandatory": false },
        "links": { "details": format!("/api/v1/models/{id}/endpoints") },
    });
    if free {
        model["architecture"]["input_modalities"] = json!(["text"]);
        model["supported_parameters"] = json!(["max_tokens", "temperature", "stop"]);
        model["reasoning"] = Value::Null;
    }
    if id == "vendor/retiring" {
        model["expiration_date"] = json!("2026-12-31");
    }
    model
}

fn openrouter_endpoint(id: &str) -> Value {
    let percentiles = json!({ "p50": 0.25, "p75": 0.35, "p90": 0.48, "p99": 0.85 });
    json!({
        "model_id": id, "model_name": id, "name": format!("DeepInfra | {id}"), "provider_name": "DeepInfra",
        "tag": "deepinfra/fp8", "quantization": "fp8", "context_length": 163_840, "max_completion_tokens": 32_768,
        "max_prompt_tokens": null, "pricing": pricing(id.ends_with(":free")), "supported_parameters": PARAMETERS,
        "status": 0, "uptime_last_5m": 100, "uptime_last_30m": 99.5, "uptime_last_1d": 99.8,
        "latency_last_30m": percentiles, "throughput_last_30m": { "p50": 45.2, "p75": 38.5, "p90": 28.3, "p99": 15.1 },
        "supports_implicit_caching": true,
    })
}

/// Returns US dollars per token, as strings.
fn pricing(free: bool) -> Value {
    if free {
        return json!({ "prompt": "0", "completion": "0", "request": "0", "image": "0" });
    }
    json!({ "prompt": "0.0000007", "completion": "0.0000025", "request": "0", "image": "0", "web_search": "0",
            "internal_reasoning": "0", "input_cache_read": "0.00000035" })
}

fn providers() -> Value {
    let provider = |name: &str, slug: &str, headquarters: &str, datacenters: Value| {
        json!({ "name": name, "slug": slug, "headquarters": headquarters, "datacenters": datacenters,
                "privacy_policy_url": format!("https://{slug}.example/privacy"),
                "terms_of_service_url": format!("https://{slug}.example/terms"), "status_page_url": null })
    };
    json!({ "data": [
        provider("DeepInfra", "deepinfra", "US", json!(["US"])),
        provider("DeepSeek", "deepseek", "CN", json!(["CN"])),
        provider("Fireworks", "fireworks", "US", json!(["US", "DE"])),
        // Many publish no data.
        { "name": "Nebula", "slug": "nebula", "headquarters": null, "datacenters": null,
          "privacy_policy_url": null, "terms_of_service_url": null, "status_page_url": null },
    ] })
}

fn ollama_tag(id: &str) -> Value {
    if is_embedding(id) {
        return json!({
            "name": id, "model": id, "modified_at": "2026-10-01T08:00:00.000000000+02:00", "size": 45_960_996,
            "digest": "1b226e2802dbb772b5fc32a58f103ca1804ef7501331012de126ab22f67475ef",
            "details": { "parent_model": "", "format": "gguf", "family": "bert", "families": ["bert"],
                         "parameter_size": "23M", "quantization_level": "F16" },
        });
    }
    json!({
        "name": id, "model": id, "modified_at": "2026-10-01T08:00:00.000000000+02:00", "size": 5_225_388_164_u64,
        "digest": "500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41",
        "details": { "parent_model": "", "format": "gguf", "family": "qwen3", "families": ["qwen3"],
                     "parameter_size": "8.2B", "quantization_level": "Q4_K_M" },
    })
}

fn llama_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_760_000_000, "owned_by": "llamacpp",
            "meta": { "vocab_type": 2, "n_vocab": 49_152, "n_ctx_train": 8192, "n_embd": 576,
                      "n_params": 134_515_008, "size": 98_362_432 } })
}

fn deepseek_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "owned_by": "deepseek" })
}

fn groq_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_760_000_000, "owned_by": "OpenAI",
            "active": id != "qwen/qwen3-32b", "context_window": 131_072, "public_apps": null,
            "max_completion_tokens": 65_536 })
}

fn fireworks_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_760_000_000, "owned_by": "fireworks",
            "kind": "HF_BASE_MODEL", "supports_chat": true, "supports_image_input": false, "supports_tools": true,
            "context_length": 163_840 })
}

fn openai_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_760_000_000, "owned_by": "system" })
}

fn compatible_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": 1_760_000_000, "owned_by": "vllm", "root": id, "parent": null,
            "max_model_len": 32_768, "permission": [] })
}

const PARAMETERS: [&str; 11] = [
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "reasoning",
    "include_reasoning",
    "response_format",
    "structured_outputs",
];

/// A model of OpenRouter that no upstream serves under zero retention.
pub(super) const LEAKY: &str = "vendor/leaky";
/// A model of Ollama without reasoning and tool calls.
pub(super) const TINY: &str = "tiny";
