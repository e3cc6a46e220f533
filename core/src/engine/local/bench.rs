//! Benchmarks a model with the thread, session, sampler and reply parser of answers, on random tokens.
//!
//! Comparable with `llama-bench` of llama.cpp: prefill decodes a prompt of random tokens into an empty cache (`pp`),
//! generation decodes one token after the other into an empty cache (`tg`). Unlike there, generation includes sampling
//! and parsing, because an answer does.

use std::sync::Arc;
use std::time::Instant;

use nearside_llama::{MemoryPart, Sampler, SamplerParams, Token};
use serde::{Deserialize, Serialize};

use super::answer::tokens_per_second;
use super::error::{map_llama_error, measurement_cancelled};
use super::load::{LazyModel, ReadyModel};
use super::reply::ReplyAssembler;
use super::session::DecodeOutcome;
use super::stop::StopConditions;
use super::text::StopWords;
use crate::device;
use crate::error::{Error, Result};
use crate::model::MemoryEstimate;
use crate::model::gguf::Head;

/// Options of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchOptions {
    /// Tokens of the prompt; 0 skips prefill.
    pub prompt_tokens: u32,
    /// Tokens to generate; 0 skips generation.
    pub generate_tokens: u32,
    /// Measured runs of each, after one warm-up run.
    pub repetitions: u32,
}

/// Speed and memory of one model on this device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The model.
    pub model: BenchModel,
    /// Backends that hold the weights and compute, such as `CPU`, or `MTL0 + CPU` with Metal.
    pub backend: String,
    /// Number of compute threads.
    pub threads: u32,
    /// Prefill.
    pub prompt: BenchRates,
    /// Decoding.
    pub generate: BenchRates,
    /// Median milliseconds from the prompt to the first generated token, with the model loaded.
    pub first_token_ms: f64,
    /// Milliseconds to load the model; 0 if it was loaded already.
    pub load_ms: f64,
    /// Memory, predicted before the load and measured after it.
    pub memory: BenchMemory,
    /// Version of llama.cpp and the processor features that it uses.
    pub build: String,
}

/// The model that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchModel {
    /// The id of the installed model, or the path of its file.
    pub id: String,
    /// SHA-256 of the file; empty if unknown.
    pub sha256: String,
    /// For example `Q4_K_M`.
    pub quantization: String,
}

/// Speeds of one measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchRates {
    /// Tokens per run.
    pub tokens: u32,
    /// Tokens per second of each run.
    pub tokens_per_second: Vec<f64>,
}

/// Memory, predicted and measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchMemory {
    /// The estimate of the fit verdict.
    pub predicted: MemoryEstimate,
    /// The memory in use.
    pub measured: BenchMeasured,
}

/// Memory of a loaded model, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchMeasured {
    /// Weights.
    pub weights: u64,
    /// KV cache.
    pub cache: u64,
    /// Compute buffers.
    pub compute: u64,
    /// Peak resident memory of the process; 0 if the system does not report it.
    pub peak_rss: u64,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            prompt_tokens: 512,
            generate_tokens: 128,
            repetitions: 5,
        }
    }
}

/// Runs the benchmark. Stops early once the caller no longer waits, or the engine is closed.
pub(super) fn run_bench(model: &mut LazyModel, options: &BenchOptions, stop: &StopConditions) -> Result<BenchReport> {
    let settings = model.settings.clone();
    let quantization = Head::read_file(&settings.path)?.quantization;
    let (loaded, load_ms) = model.loaded(false)?;
    let capacity = loaded.order.context;
    if options.prompt_tokens.max(options.generate_tokens) >= capacity {
        let text = format!("the context holds {capacity} tokens; measure fewer, or use a larger context");
        return Err(Error::invalid_request(text));
    }
    let mut prompt = BenchRates {
        tokens: options.prompt_tokens,
        ..BenchRates::default()
    };
    let mut generate = BenchRates {
        tokens: options.generate_tokens,
        ..BenchRates::default()
    };
    let mut first_token = Vec::new();
    // A conversation is kept; what the rounds compute is none.
    loaded.session.clear();
    // What is predicted is that of the plan.
    loaded.session.restore_planned()?;
    // The first round warms up caches and clocks and is not measured.
    for round in 0..=options.repetitions {
        if options.prompt_tokens > 0 {
            let (speed, first_ms) = measure_prefill(loaded, options.prompt_tokens, stop)?;
            if round > 0 {
                prompt.tokens_per_second.push(speed);
                first_token.push(first_ms);
            }
        }
        if options.generate_tokens > 0 {
            let speed = measure_decode(loaded, options.generate_tokens, stop)?;
            if round > 0 {
                generate.tokens_per_second.push(speed);
            }
        }
    }
    loaded.session.discard();
    let parts = loaded.session.memory()?;
    let measured = BenchMeasured {
        weights: parts.iter().map(|part| part.weights).sum(),
        cache: parts.iter().map(|part| part.cache).sum(),
        compute: parts.iter().map(|part| part.compute).sum(),
        peak_rss: device::peak_resident_bytes(),
    };
    Ok(BenchReport {
        model: BenchModel {
            id: settings.id,
            sha256: String::new(),
            quantization,
        },
        backend: backend_name(&parts),
        threads: loaded.session.threads(),
        prompt,
        generate,
        first_token_ms: median(first_token),
        load_ms,
        memory: BenchMemory {
            predicted: loaded.order.need,
            measured,
        },
        build: nearside_llama::version(),
    })
}

/// Prefills random tokens into an empty cache. Returns tokens per second, and milliseconds to the first sampled token.
fn measure_prefill(loaded: &mut ReadyModel, count: u32, stop: &StopConditions) -> Result<(f64, f64)> {
    let tokens = random_tokens(loaded, count);
    let mut sampler = greedy_sampler(loaded)?;
    loaded.session.discard();
    loaded.session.begin_job();
    let begun = Instant::now();
    decode(loaded, &tokens, stop)?;
    let speed = tokens_per_second(count, begun.elapsed().saturating_sub(loaded.session.take_waited()));
    loaded.session.sample(&mut sampler)?;
    Ok((speed, begun.elapsed().as_secs_f64() * 1000.0))
}

/// Decodes into an empty cache with all steps of an answer except sending. Returns tokens per second.
fn measure_decode(loaded: &mut ReadyModel, count: u32, stop: &StopConditions) -> Result<f64> {
    let rendered = loaded.template.render(&nearside_llama::Prompt {
        messages_json: r#"[{"role":"user","content":"go on"}]"#,
        thinking: true,
        ..nearside_llama::Prompt::default()
    });
    let rendered = rendered.map_err(map_llama_error)?;
    let words = Arc::clone(&loaded.control_words);
    let mut reply = ReplyAssembler::new(&rendered, StopWords::new(&[], &[]), words)?;
    let mut sampler = greedy_sampler(loaded)?;
    let mut chunks = Vec::new();
    loaded.session.discard();
    let mut token = random_tokens(loaded, 1).first().copied().unwrap_or_default();
    loaded.session.begin_job();
    let begun = Instant::now();
    for _ in 0..count {
        decode(loaded, &[token], stop)?;
        token = loaded.session.sample(&mut sampler)?;
        let model = &loaded.model;
        reply.push(|bytes| model.push_piece(token, false, bytes), &mut chunks);
        chunks.clear();
    }
    let computing = begun.elapsed().saturating_sub(loaded.session.take_waited());
    Ok(tokens_per_second(count, computing))
}

fn decode(loaded: &mut ReadyModel, tokens: &[Token], stop: &StopConditions) -> Result<()> {
    match loaded.session.decode(tokens, stop.signal())? {
        DecodeOutcome::Complete => Ok(()),
        DecodeOutcome::Stopped => Err(measurement_cancelled()),
        DecodeOutcome::NoMemory => Err(Error::too_large(
            "there is no memory now for so many tokens; close other apps, or measure fewer",
        )),
    }
}

fn greedy_sampler(loaded: &ReadyModel) -> Result<Sampler> {
    let params = SamplerParams {
        temperature: 0.0,
        ..SamplerParams::default()
    };
    Sampler::new(&loaded.model, &params).map_err(map_llama_error)
}

/// Returns the same tokens each time: a linear congruential generator (Knuth's MMIX constants) over the vocabulary.
fn random_tokens(loaded: &ReadyModel, count: u32) -> Vec<Token> {
    let vocabulary = u64::from(loaded.model.vocab_size().max(1));
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocabulary) as Token
    };
    (0..count).map(|_| next()).collect()
}

/// Returns the names of the backends that hold weights, a GPU first, such as `Metal + CPU`. Memory of the processor that a GPU
/// reads, `…_Host`, holds weights that the processor computes.
fn backend_name(parts: &[MemoryPart]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for part in parts.iter().filter(|part| part.weights > 0) {
        let name = part.buffer.split('_').next().unwrap_or_default();
        let is_host = part.buffer.ends_with("_Host");
        let name = if is_host { CPU } else { name };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| *name == CPU);
    if names.is_empty() {
        CPU.to_owned()
    } else {
        names.join(" + ")
    }
}

/// llama.cpp's name of the processor.
const CPU: &str = "CPU";

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_is_what_holds_the_weights() {
        let name = |buffers: &[(&str, u64)]| {
            let part = |&(buffer, weights): &(&str, u64)| MemoryPart {
                buffer: buffer.to_owned(),
                weights,
                cache: 1,
                compute: 1,
            };
            backend_name(&buffers.iter().map(part).collect::<Vec<_>>())
        };
        assert_eq!(name(&[("CPU", 5), ("CPU_REPACK", 9)]), "CPU");
        assert_eq!(
            name(&[("CPU_Mapped", 5), ("Metal", 0)]),
            "CPU",
            "the GPU computes no layer"
        );
        assert_eq!(name(&[("CPU_Mapped", 5), ("MTL0_Mapped", 9)]), "MTL0 + CPU");
        assert_eq!(name(&[("Vulkan0", 9), ("Vulkan_Host", 1)]), "Vulkan0 + CPU");
        assert_eq!(name(&[]), "CPU");
    }
}
