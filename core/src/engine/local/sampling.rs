//! Resolves unset sampling fields: from the model's file, else llama.cpp's defaults.

use nearside_llama::{Model, SamplerParams};

use crate::chat::Recommended;
use crate::chat::{AppliedSampling, ChatRequest, SamplingOptions};
use crate::engine::presets;

/// Resolves unset fields from the preset, the vendor's advice, or the model's file.
pub(super) fn apply_preset(request: &mut ChatRequest, id: &str, model: &Model) -> AppliedSampling {
    let name = model.meta("general.name").unwrap_or_default();
    let recommended = Recommended {
        temperature: read_recommended(model, "temp"),
        top_p: read_recommended(model, "top_p"),
    };
    presets::resolve(request, &[id, &name], recommended)
}

/// The sampler for one answer.
///
/// A field of the request wins; then `general.sampling.*` of the GGUF, where a maker may recommend; then llama.cpp's
/// own defaults (temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalties).
pub(super) fn sampler_params(asked: &SamplingOptions, model: &Model) -> SamplerParams {
    let pick =
        |asked: Option<f32>, key: &str, usual: f32| asked.or_else(|| read_recommended(model, key)).unwrap_or(usual);
    let top_k = asked.top_k.map(|k| i32::try_from(k).unwrap_or(i32::MAX));
    SamplerParams {
        temperature: pick(asked.temperature, "temp", 0.8),
        top_k: top_k
            .or_else(|| read_recommended(model, "top_k").map(|k| k as i32))
            .unwrap_or(40),
        top_p: pick(asked.top_p, "top_p", 0.95),
        min_p: pick(asked.min_p, "min_p", 0.05),
        repeat_penalty: pick(asked.repeat_penalty, "penalty_repeat", 1.0),
        frequency_penalty: asked.frequency_penalty.unwrap_or(0.0),
        presence_penalty: asked.presence_penalty.unwrap_or(0.0),
        // llama.cpp draws one where none is given.
        seed: asked.seed.unwrap_or(u32::MAX),
        ..SamplerParams::default()
    }
}

/// What the model's file recommends.
fn read_recommended(model: &Model, key: &str) -> Option<f32> {
    let value: f32 = model.meta(&format!("general.sampling.{key}"))?.parse().ok()?;
    value.is_finite().then_some(value)
}
