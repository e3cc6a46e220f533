//! Checks whether a model fits the device, before it is downloaded.
//!
//! The head of the file is enough. It is written into a sparse file of the full size, and llama.cpp itself computes the
//! memory for weights, cache and computation, with the parameters that the engine loads with. The result is exact for
//! every architecture that it supports. Only the vocabulary is allocated.
//!
//! # The verdict
//! | condition | load | verdict |
//! |---|---|---|
//! | everything fits the budget, all of it in memory of our own | `Repacked` | `Fits` |
//! | else: everything fits, the weights mapped | `Mapped` | `Fits` |
//! | else: what can't be dropped and three quarters of the mapped weights fit | `Mapped` | `Tight` |
//! | else | `Mapped` | `TooLarge` |
//!
//! Every token needs every weight of a dense model once. The part of a mapped file that does not fit is read from disk
//! again for each token: a quarter of a 4 GB model at 2 GB/s takes half a second. More than that is unusable.
//!
//! # The budget
//! See `budget.rs`: one function computes it, for the fit report, the router and the load. A budget given by the caller
//! has no reserve.
//!
//! # Memory that llama.cpp does not count
//! `other` is 12 MB for graph, scheduler, sampler and stacks, 160 bytes for each token of the vocabulary, 96 for each
//! merge, and 64 for each token of context. Measured as resident memory after a prompt of 512 tokens less what llama.cpp
//! counts: 24 MB for SmolLM2 (49,152 tokens, 48,900 merges), 50 MB for a Qwen2 7B (152,064 and 151,387), 53 MB for a
//! Gemma (262,144 and none).

use std::path::Path;

use crate::error::{Error, Result};
use crate::model::gguf::Head;

mod budget;
mod needs;
mod plan;
mod report;
mod sparse_file;
mod suggest;
pub(super) mod verdict;

use plan::FitProbe;
use sparse_file::SparseModelFile;

pub(crate) use budget::ModelMemory;
pub use needs::LoadOrder;
pub(crate) use needs::{EngineParams, ModelNeeds, SAVED_SHARE, judge_by_size, round_context};
pub(crate) use plan::{broken_template, context_params, model_params, no_template, resolve_gpu_layers};
pub use report::{CacheType, FitOptions, FitReport, FitSuggestion, FitVerdict, LoadPlan, MemoryBudget, MemoryEstimate};

/// Computes the fit report of the model whose file, or the start of it, is at `path`. Blocks: a few hundred
/// milliseconds for a large vocabulary.
///
/// `head` is the head of that file, and `size_bytes` the full size. `budget` is used unless the options give one. If the
/// file at `path` is shorter, a temporary sparse file is created beside it. In the report `model` is the file's name and
/// `network_bytes` is 0; the caller corrects them.
///
/// # Errors
/// `InvalidRequest` for a context of 0; `Corrupt` or `Unsupported` for a model that llama.cpp rejects, or whose chat
/// template is broken; `Storage` if the file cannot be read or the sparse one cannot be created.
pub fn fit_file(
    path: &Path,
    head: &Head,
    size_bytes: u64,
    options: &FitOptions,
    budget: &MemoryBudget,
    threads: u32,
) -> Result<FitReport> {
    let requested = options.context.unwrap_or(DEFAULT_CONTEXT);
    needs::check_context(requested)?;
    if size_bytes < head.needed_size {
        return Err(Error::corrupt(format!(
            "`{}` has {size_bytes} bytes, and its tensors need {}; download it again",
            path.display(),
            head.needed_size
        )));
    }
    let context = requested.min(head.context_length);
    let cache = options.cache_type.unwrap_or_default();
    let budget = match options.budget_bytes {
        Some(bytes) => MemoryBudget {
            bytes,
            source: "given".to_owned(),
        },
        None => budget.clone(),
    };

    let present = path
        .metadata()
        .map_err(|cause| Error::file(path, "read", &cause))?
        .len();
    let sparse_file = match present >= head.needed_size {
        true => None,
        false => Some(SparseModelFile::create(path, head.data_offset, size_bytes)?),
    };
    let probe = FitProbe {
        path: sparse_file.as_ref().map_or(path, SparseModelFile::path),
        head,
        threads,
        gpu_layers: resolve_gpu_layers(options.gpu_layers),
        budget: budget.bytes,
    };
    let plans = probe.best_plans(&suggest::variants(context, cache))?;
    let Some((plan, others)) = plans.split_first() else {
        return Err(Error::internal("a fit without a plan; please report this"));
    };
    Ok(FitReport {
        model: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        verdict: plan.verdict,
        need: plan.need,
        evictable: plan.evictable,
        load: plan.load,
        reason: suggest::explain_verdict(plan, &budget),
        budget,
        context,
        cache_type: cache,
        context_length: head.context_length,
        architecture: head.architecture.clone(),
        quantization: head.quantization.clone(),
        size_bytes,
        network_bytes: 0,
        suggestions: suggest::build_suggestions(plan, others),
        note: suggest::explain_limits(options.context, head),
    })
}

/// Default context in tokens: enough for a long conversation, and cheap on every phone.
pub(crate) const DEFAULT_CONTEXT: u32 = 4096;
