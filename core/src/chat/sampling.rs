//! Sampling options of a request ([`SamplingOptions`]), presets, and the values that were used for an answer.
//!
//! `engine::presets` resolves a preset for a model.

use serde::{Deserialize, Serialize};

/// Sampling parameters. Unset: the recommendation of the model's file (`general.sampling.*`), else the field's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SamplingOptions {
    /// Preset for the fields below: fills those that are unset with the values for this model.
    pub preset: Option<SamplingPreset>,
    /// 0 always chooses the likeliest token (greedy, repeatable); about 0.7 is balanced, 1.0 creative. 0 to 5.
    pub temperature: Option<f32>,
    /// Nucleus sampling: the smallest set of tokens whose probabilities reach this sum. Over 0, up to 1.
    pub top_p: Option<f32>,
    /// Keeps only the k likeliest tokens; 0 keeps all.
    pub top_k: Option<u32>,
    /// Keeps only tokens at least this likely, relative to the likeliest. 0 to 1.
    pub min_p: Option<f32>,
    /// Over 1 penalizes tokens among the last 64. 1 is off. 0.01 to 10.
    pub repeat_penalty: Option<f32>,
    /// Lowers a token by the number of its occurrences. -2 to 2, 0 is off.
    pub frequency_penalty: Option<f32>,
    /// Lowers a token that occurred at least once. -2 to 2, 0 is off.
    pub presence_penalty: Option<f32>,
    /// The same seed, model, request and device produce the same answer, on the device as long as the model reads the prompt in
    /// the same way. A prompt whose beginning is in the KV cache is computed in other batches than one that is not, which
    /// rounds differently: where two tokens are nearly equally likely, the other one may follow.
    pub seed: Option<u32>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
}

/// A named set of sampling values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingPreset {
    /// Low temperature: facts, code, translations.
    Precise,
    /// The default for general use.
    Balanced,
    /// High temperature: stories, ideas.
    Creative,
}

/// Sampling values of a preset for one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingPresetValues {
    /// The preset.
    pub preset: SamplingPreset,
    /// The temperature. Unset: the target's own default.
    pub temperature: Option<f32>,
    /// The top-p. Unset: the target's own default.
    pub top_p: Option<f32>,
    /// The reason for these values, to show to the user.
    pub reason: String,
}

/// Sampling values that the library used or sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppliedSampling {
    /// The requested preset, if any.
    pub preset: Option<SamplingPreset>,
    /// The temperature. Unset: the target's own default.
    pub temperature: Option<f32>,
    /// The top-p. Unset: the target's own default.
    pub top_p: Option<f32>,
    /// The reason for these values, to show to the user.
    pub reason: String,
}

/// Recommendation of a model's file (`general.sampling.*` of a GGUF). Unset where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recommended {
    /// `general.sampling.temp`
    pub temperature: Option<f32>,
    /// `general.sampling.top_p`
    pub top_p: Option<f32>,
}
