//! Resolves unset sampling fields: from the model's file, else llama.cpp's defaults.

use nearside_llama::{Model, SamplerParams};

use crate::chat::Recommended;
use crate::chat::{AppliedSampling, ChatRequest, MIN_REPEAT_PENALTY, SamplingOptions};
use crate::engine::presets;

/// Resolves unset fields from the preset, the vendor's recommendation, or the model's file.
pub(super) fn apply_preset(request: &mut ChatRequest, id: &str, model: &Model) -> AppliedSampling {
    let name = model.meta("general.name").unwrap_or_default();
    let read = |key: &str| model.meta(key);
    let recommended = Recommended {
        temperature: read_recommended(&read, TEMPERATURE),
        top_p: read_recommended(&read, TOP_P),
    };
    presets::resolve(request, &[id, &name], recommended)
}

/// Returns the sampler parameters for one answer.
///
/// A field of the request takes precedence, then `general.sampling.*` of the GGUF, then llama.cpp's defaults
/// (temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalties).
pub(super) fn sampler_params(sampling: &SamplingOptions, model: &Model) -> SamplerParams {
    read_params(sampling, &|key| model.meta(key))
}

fn read_params(sampling: &SamplingOptions, meta: &dyn Fn(&str) -> Option<String>) -> SamplerParams {
    let pick = |value: Option<f32>, field: Field, default: f32| {
        value.or_else(|| read_recommended(meta, field)).unwrap_or(default)
    };
    let top_k = sampling.top_k.map(|k| i32::try_from(k).unwrap_or(i32::MAX));
    SamplerParams {
        temperature: pick(sampling.temperature, TEMPERATURE, 0.8),
        top_k: top_k
            .or_else(|| read_recommended(meta, TOP_K).map(|k| k as i32))
            .unwrap_or(40),
        top_p: pick(sampling.top_p, TOP_P, 0.95),
        min_p: pick(sampling.min_p, MIN_P, 0.05),
        repeat_penalty: pick(sampling.repeat_penalty, REPEAT_PENALTY, 1.0),
        frequency_penalty: sampling.frequency_penalty.unwrap_or(0.0),
        presence_penalty: sampling.presence_penalty.unwrap_or(0.0),
        // llama.cpp replaces this value by a random seed, also where a request names it.
        seed: sampling.seed.map_or(u32::MAX, |seed| seed.min(u32::MAX - 1)),
        ..SamplerParams::default()
    }
}

/// Reads a recommended value from the model's file. A value outside of the range of its field becomes the nearest one in
/// it: a mistake of the file must not fail every request.
fn read_recommended(meta: &dyn Fn(&str) -> Option<String>, field: Field) -> Option<f32> {
    let value: f32 = meta(&format!("general.sampling.{}", field.key))?.parse().ok()?;
    value.is_finite().then(|| value.clamp(field.low, field.high))
}

/// A field of the model's file, and the range that requests allow it.
#[derive(Debug, Clone, Copy)]
struct Field {
    key: &'static str,
    low: f32,
    high: f32,
}

const TEMPERATURE: Field = Field {
    key: "temp",
    low: 0.0,
    high: 5.0,
};
/// The least value keeps one token, as a value of 0 does.
const TOP_P: Field = Field {
    key: "top_p",
    low: f32::MIN_POSITIVE,
    high: 1.0,
};
const TOP_K: Field = Field {
    key: "top_k",
    low: 0.0,
    high: 1e6,
};
const MIN_P: Field = Field {
    key: "min_p",
    low: 0.0,
    high: 1.0,
};
const REPEAT_PENALTY: Field = Field {
    key: "penalty_repeat",
    low: MIN_REPEAT_PENALTY,
    high: 10.0,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ChatMessage;

    fn params(file: &[(&str, &str)]) -> SamplerParams {
        read_params(&SamplingOptions::default(), &|key| {
            let key = key.strip_prefix("general.sampling.")?;
            let found = file.iter().find(|(name, _)| *name == key)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn a_file_that_recommends_nonsense_gets_the_nearest_value_that_a_request_may_have() {
        let wild = ["-1", "1e9", "0", "nan", "inf", "abc", "0.3"];
        for value in wild {
            let file = [TEMPERATURE, TOP_P, TOP_K, MIN_P, REPEAT_PENALTY].map(|field| (field.key, value));
            let params = params(&file);
            let mut request = ChatRequest::new(vec![ChatMessage::user("hello")]);
            request.sampling = SamplingOptions {
                temperature: Some(params.temperature),
                top_p: Some(params.top_p),
                min_p: Some(params.min_p),
                repeat_penalty: Some(params.repeat_penalty),
                ..SamplingOptions::default()
            };
            assert_eq!(request.check(), Ok(()), "{value}: {params:?}");
            assert!(params.top_k >= 0);
        }
        let sound = params(&[("temp", "0.3"), ("penalty_repeat", "1.1"), ("top_k", "64")]);
        assert_eq!((sound.temperature, sound.repeat_penalty, sound.top_k), (0.3, 1.1, 64));
    }
}
