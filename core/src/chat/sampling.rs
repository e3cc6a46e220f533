//! Sampling options of a request ([`SamplingOptions`]), named presets, and the values that an answer was sampled with.
//!
//! `engine::presets` resolves a preset for a model.

use serde::{Deserialize, Serialize};

/// How the next token is picked. Unset: what the model's file recommends (`general.sampling.*`), else the field's usual.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SamplingOptions {
    /// How freely it answers, in one word: what it means for the model fills in what is unset below.
    pub preset: Option<SamplingPreset>,
    /// 0 always takes the likeliest token (greedy, repeatable); about 0.7 is balanced, 1.0 creative. 0 to 5.
    pub temperature: Option<f32>,
    /// Nucleus sampling: the smallest set of tokens whose probabilities reach this sum. Over 0, up to 1.
    pub top_p: Option<f32>,
    /// Only the k likeliest tokens; 0 means all.
    pub top_k: Option<u32>,
    /// Only tokens at least this likely, relative to the likeliest. 0 to 1.
    pub min_p: Option<f32>,
    /// Over 1 discourages tokens of the last 64. 1 is off.
    pub repeat_penalty: Option<f32>,
    /// Lowers a token by how often it appeared. -2 to 2, 0 is off.
    pub frequency_penalty: Option<f32>,
    /// Lowers a token that appeared at all. -2 to 2, 0 is off.
    pub presence_penalty: Option<f32>,
    /// The same seed, model, request and machine give the same answer.
    pub seed: Option<u32>,
    /// The answer ends before the first of these; they are not part of it.
    pub stop: Vec<String>,
}

/// How freely a model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingPreset {
    /// The likeliest words: facts, code, translations.
    Precise,
    /// As most people want it most of the time.
    Balanced,
    /// Unlikely words as well: stories, ideas.
    Creative,
}

/// What stands behind a preset for one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingPresetValues {
    /// Which one.
    pub preset: SamplingPreset,
    /// Its temperature.
    pub temperature: Option<f32>,
    /// Its top-p. Unset: the place's own.
    pub top_p: Option<f32>,
    /// Why these, for a person to read.
    pub reason: String,
}

/// What an answer was sampled with, as far as the library said so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppliedSampling {
    /// The preset, where one was asked for.
    pub preset: Option<SamplingPreset>,
    /// The temperature. Unset: the place's own.
    pub temperature: Option<f32>,
    /// The top-p. Unset: the place's own.
    pub top_p: Option<f32>,
    /// Why these, for a person to read.
    pub reason: String,
}

/// What the file of a model recommends (`general.sampling.*` of a GGUF). Unset where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recommended {
    /// `general.sampling.temp`
    pub temperature: Option<f32>,
    /// `general.sampling.top_p`
    pub top_p: Option<f32>,
}
