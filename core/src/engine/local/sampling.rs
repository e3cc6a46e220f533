//! Resolves unset sampling fields: from the model's file, else llama.cpp's defaults.

use nearside_llama::{Model, SamplerParams};

use crate::chat::Recommended;
use crate::chat::{AppliedSampling, ChatRequest, SamplingOptions};
use crate::engine::presets;

/// Resolves unset fields from the preset, the vendor's recommendation, or the model's file.
pub(super) fn apply_preset(request: &mut ChatRequest, id: &str, model: &Model) -> AppliedSampling {
    let name = model.meta("general.name").unwrap_or_default();
    let recommended = Recommended {
        temperature: read_recommended(model, "temp"),
        top_p: read_recommended(model, "top_p"),
    };
    presets::resolve(request, &[id, &name], recommended)
}

/// Returns the sampler parameters for one answer.
///
/// A field of the request takes precedence, then `general.sampling.*` of the GGUF, then llama.cpp's defaults
/// (temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalties).
pub(super) fn sampler_params(sampling: &SamplingOptions, model: &Model) -> SamplerParams {
    let pick =
        |value: Option<f32>, key: &str, default: f32| value.or_else(|| read_recommended(model, key)).unwrap_or(default);
    let top_k = sampling.top_k.map(|k| i32::try_from(k).unwrap_or(i32::MAX));
    SamplerParams {
        temperature: pick(sampling.temperature, "temp", 0.8),
        top_k: top_k
            .or_else(|| read_recommended(model, "top_k").map(|k| k as i32))
            .unwrap_or(40),
        top_p: pick(sampling.top_p, "top_p", 0.95),
        min_p: pick(sampling.min_p, "min_p", 0.05),
        repeat_penalty: pick(sampling.repeat_penalty, "penalty_repeat", 1.0),
        frequency_penalty: sampling.frequency_penalty.unwrap_or(0.0),
        presence_penalty: sampling.presence_penalty.unwrap_or(0.0),
        // llama.cpp replaces this value by a random seed.
        seed: sampling.seed.unwrap_or(u32::MAX),
        ..SamplerParams::default()
    }
}

/// Reads a recommended value from the model's file.
fn read_recommended(model: &Model, key: &str) -> Option<f32> {
    let value: f32 = model.meta(&format!("general.sampling.{key}"))?.parse().ok()?;
    value.is_finite().then_some(value)
}
