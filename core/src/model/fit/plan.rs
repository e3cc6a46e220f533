//! Plans: the memory that llama.cpp computes for a model, per load mode, context and cache type.

use std::path::Path;

use nearside_llama::{ChatTemplate, ContextParams, ModelParams, Probe};

use super::report::{CacheType, FitVerdict, LoadPlan, MemoryEstimate};
use crate::error::{Error, ErrorReason, Result};
use crate::model::gguf::{Head, TEMPLATE_KEYS};

/// Returns the parameters of a context. The engine must create its contexts with them: the compute buffer depends on
/// every one, so an estimate for other parameters would be wrong.
pub(crate) fn context_params(context: u32, cache: CacheType, threads: u32) -> ContextParams {
    ContextParams {
        context,
        batch: BATCH_TOKENS,
        threads,
        cache: cache.into(),
    }
}

/// Returns the parameters of a load, for probe and engine alike: where the weights are depends on every one.
pub(crate) fn model_params(load: LoadPlan, gpu_layers: i32) -> ModelParams {
    ModelParams {
        load_mode: load.into(),
        gpu_layers,
    }
}

/// Returns the layers on the GPU for this setting; -1: all. The GPU of Apple's simulators computes wrongly, so that without
/// a setting they compute on the processor.
pub(crate) fn resolve_gpu_layers(setting: Option<u32>) -> i32 {
    match setting {
        Some(layers) => i32::try_from(layers).unwrap_or(i32::MAX),
        None if cfg!(any(target_abi = "sim", target_env = "sim")) => 0,
        None => -1,
    }
}

/// Input of the memory estimates: model, threads, budget.
#[derive(Debug)]
pub(super) struct FitProbe<'a> {
    /// A file of the model's full size.
    pub(super) path: &'a Path,
    pub(super) head: &'a Head,
    pub(super) threads: u32,
    /// Layers on the GPU; -1: all.
    pub(super) gpu_layers: i32,
    pub(super) budget: u64,
}

/// Result for one context and one cache type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) context: u32,
    pub(super) cache: CacheType,
    pub(super) load: LoadPlan,
    pub(super) need: MemoryEstimate,
    pub(super) evictable: u64,
    pub(super) verdict: FitVerdict,
}

impl FitProbe<'_> {
    /// Returns the best plan for each of these contexts and caches, in their order, or only the first one if it fits.
    /// Combinations that llama.cpp does not support (such as a cache type) are omitted, except for the first, which was
    /// requested: that is an error.
    ///
    /// Opens the model once per load mode, and never two at a time, because the vocabulary takes memory.
    pub(super) fn best_plans(&self, wanted: &[(u32, CacheType)]) -> Result<Vec<Plan>> {
        let fits = |plan: &&Plan| plan.verdict == FitVerdict::Fits;
        let repacked = self.plans_for(LoadPlan::Repacked, wanted)?;
        if let Some(plan) = repacked.first().and_then(Option::as_ref).filter(fits) {
            return Ok(vec![*plan]);
        }
        let mapped = self.plans_for(LoadPlan::Mapped, wanted)?;
        let best = repacked.iter().zip(&mapped).filter_map(|(repacked, mapped)| {
            let repacked = repacked.as_ref().filter(fits);
            repacked.or(mapped.as_ref()).copied()
        });
        Ok(best.collect())
    }

    /// Returns the plan for one load mode, context and cache.
    pub(super) fn plan(&self, load: LoadPlan, context: u32, cache: CacheType) -> Result<Plan> {
        let probe = self.open_probe(load)?;
        self.estimate(&probe, load, context, cache)
    }

    fn open_probe(&self, load: LoadPlan) -> Result<Probe> {
        let probe = Probe::from_file(self.path, &model_params(load, self.gpu_layers)).map_err(map_probe_error)?;
        for key in TEMPLATE_KEYS {
            check_template(&probe.meta(key).unwrap_or_default())?;
        }
        Ok(probe)
    }

    fn plans_for(&self, load: LoadPlan, wanted: &[(u32, CacheType)]) -> Result<Vec<Option<Plan>>> {
        let probe = self.open_probe(load)?;
        let mut plans = Vec::with_capacity(wanted.len());
        for (index, (context, cache)) in wanted.iter().enumerate() {
            match self.estimate(&probe, load, *context, *cache) {
                Ok(plan) if index == 0 && plan.verdict == FitVerdict::Fits => return Ok(vec![Some(plan)]),
                Ok(plan) => plans.push(Some(plan)),
                Err(error) if index == 0 => return Err(error),
                Err(_) => plans.push(None),
            }
        }
        Ok(plans)
    }

    fn estimate(&self, probe: &Probe, load: LoadPlan, context: u32, cache: CacheType) -> Result<Plan> {
        let parts = probe
            .memory(&context_params(context, cache, self.threads))
            .map_err(map_probe_error)?;
        let mut need = MemoryEstimate {
            other: other_bytes(self.head, context),
            ..MemoryEstimate::default()
        };
        let mut evictable = 0_u64;
        for part in &parts {
            need.weights = need.weights.saturating_add(part.weights);
            need.cache = need.cache.saturating_add(part.cache);
            need.compute = need.compute.saturating_add(part.compute);
            // Only weights that the CPU uses in place stay evictable; a GPU pins its pages.
            if load == LoadPlan::Mapped && part.buffer == CPU_BUFFER {
                evictable = evictable.saturating_add(part.weights);
            }
        }
        need = need.with_total();
        Ok(Plan {
            context,
            cache,
            load,
            need,
            evictable,
            verdict: classify(need.total, evictable, self.budget),
        })
    }
}

/// Checks the syntax of the model's chat template, without running it; an empty one passes.
fn check_template(template: &str) -> Result<()> {
    match ChatTemplate::check_syntax(template) {
        Ok(()) => Ok(()),
        Err(nearside_llama::LlamaError::Template(reason)) => Err(broken_template(&reason)),
        Err(other) => Err(map_probe_error(other)),
    }
}

/// Returns the error of a model whose chat template is invalid.
pub(crate) fn broken_template(reason: &str) -> Error {
    Error::unsupported(format!(
        "the chat template in the model's file is broken: {reason}; take another file of this model"
    ))
}

/// Returns the error of a model that has no chat template and is asked for a conversation.
pub(crate) fn no_template(model: &str) -> Error {
    Error::unsupported(format!(
        "model `{model}` is no chat model: its file has no chat template; take its version for conversations, often \
         called `instruct`, `it` or `chat`"
    ))
}

/// Maps llama.cpp's error for a file whose head passed our own checks, or for a context.
fn map_probe_error(error: nearside_llama::LlamaError) -> Error {
    use nearside_llama::LlamaError as Llama;
    match error {
        Llama::Load(reason) if reason.contains("unknown model architecture") => {
            Error::unsupported(format!("this build can't run the model: {reason}; update the app"))
        }
        Llama::Load(reason) => Error::corrupt(format!(
            "llama.cpp refuses the model file: {reason}; download it again, or take another file"
        )),
        Llama::LoadMemory(reason) => Error::too_large(format!(
            "there is not enough memory to read the model: {reason}; close other apps, or use a smaller model"
        )),
        Llama::Context(reason) => Error::unsupported(format!(
            "llama.cpp cannot create such a context for this model: {reason}; try a smaller context"
        )),
        Llama::ContextParams(reason) => Error::unsupported(format!(
            "the model does not allow such a context: {reason}; take a cache of 16-bit floats"
        )),
        Llama::Unsupported(reason) => Error::unsupported(reason),
        Llama::Input(reason) => Error::invalid_request(reason),
        Llama::TemplateBusy(_) => Error::busy(error.to_string()).because(ErrorReason::Overloaded),
        other => Error::internal(other.to_string()),
    }
}

/// Applies the table of [`crate::model::fit`] to one load plan.
pub(super) fn classify(total: u64, evictable: u64, budget: u64) -> FitVerdict {
    // Bytes that must stay resident: all that cannot be evicted, and three quarters of what can.
    let least = total.saturating_sub(evictable / 4);
    if total <= budget {
        FitVerdict::Fits
    } else if least <= budget {
        FitVerdict::Tight
    } else {
        FitVerdict::TooLarge
    }
}

/// Estimates the memory that llama.cpp does not count; see [`crate::model::fit`].
fn other_bytes(head: &Head, context: u32) -> u64 {
    // Both counts are bounded by the parser, so the sum is far from overflowing.
    12_000_000 + 160 * head.token_count + 96 * head.merge_count + 64 * u64::from(context)
}

/// Tokens per batch. More do not speed up prefill on a CPU, and the compute buffer grows with them, as does the longest
/// operation, at whose end a cancel takes effect.
const BATCH_TOKENS: u32 = 128;
/// llama.cpp's name for plain memory, which it computes on in place.
const CPU_BUFFER: &str = "CPU";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_follows_the_table() {
        for (total, evictable, budget, expected) in [
            (100, 0, 100, FitVerdict::Fits),
            (100, 0, 99, FitVerdict::TooLarge),
            (100, 80, 100, FitVerdict::Fits),
            (100, 80, 99, FitVerdict::Tight),
            (100, 80, 80, FitVerdict::Tight),
            (100, 80, 79, FitVerdict::TooLarge),
            (0, 0, 0, FitVerdict::Fits),
            (u64::MAX, u64::MAX, 0, FitVerdict::TooLarge),
            (u64::MAX, u64::MAX, u64::MAX - 1, FitVerdict::Tight),
        ] {
            assert_eq!(
                classify(total, evictable, budget),
                expected,
                "{total} {evictable} {budget}"
            );
        }
    }
}
