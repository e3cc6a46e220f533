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
//! Free memory less a reserve of a tenth, at least 64 MB and at most 1 GiB. Free memory is an estimate (kernels count
//! some pages in use as free), and the app and others continue to allocate while a model runs; a phone kills the app
//! that takes the last page. llama.cpp's own `--fit` also leaves 1 GiB free. A budget given by the caller has no reserve.
//!
//! # Memory that llama.cpp does not count
//! `other` is 12 MB for graph, scheduler, sampler and stacks, 160 bytes for each token of the vocabulary, 96 for each
//! merge, and 64 for each token of context. Measured as resident memory after a prompt of 512 tokens less what llama.cpp
//! counts: 24 MB for SmolLM2 (49,152 tokens, 48,900 merges), 50 MB for a Qwen2 7B (152,064 and 151,387), 53 MB for a
//! Gemma (262,144 and none).

use std::path::Path;

use crate::device::DeviceSnapshot;
use crate::error::{Error, Result};
use crate::model::gguf::Head;

mod plan;
mod report;
mod sparse_file;
mod suggest;
pub(super) mod verdict;

use plan::{FitProbe, classify};
use sparse_file::SparseModelFile;

pub(crate) use plan::context_params;
pub use report::{CacheType, FitOptions, FitReport, FitSuggestion, FitVerdict, LoadPlan, MemoryBudget, MemoryEstimate};

/// Computes the fit report of the model whose file, or the start of it, is at `path`. Blocks: a few hundred
/// milliseconds for a large vocabulary.
///
/// `head` is the head of that file, and `size_bytes` the full size. If the file at `path` is shorter, a temporary sparse
/// file is created beside it. In the report `model` is the file's name and `network_bytes` is 0; the caller corrects them.
///
/// # Errors
/// `InvalidRequest` for a context of 0; `Corrupt` or `Unsupported` for a model that llama.cpp rejects; `Storage` if the
/// file cannot be read or the sparse one cannot be created.
pub fn fit_file(
    path: &Path,
    head: &Head,
    size_bytes: u64,
    options: &FitOptions,
    snapshot: &DeviceSnapshot,
) -> Result<FitReport> {
    let requested = options.context.unwrap_or(DEFAULT_CONTEXT);
    if requested == 0 {
        return Err(Error::invalid_request(
            "a context has at least 1 token; leave it out for the default of 4096",
        ));
    }
    if size_bytes < head.needed_size {
        return Err(Error::corrupt(format!(
            "`{}` has {size_bytes} bytes, and its tensors need {}; download it again",
            path.display(),
            head.needed_size
        )));
    }
    let context = requested.min(head.context_length);
    let cache = options.cache_type.unwrap_or_default();
    let budget = budget(options, snapshot);

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
        threads: snapshot.threads,
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
        reason: suggest::explain_verdict(plan, &budget, requested, head),
        budget,
        context,
        cache_type: cache,
        context_length: head.context_length,
        architecture: head.architecture.clone(),
        quantization: head.quantization.clone(),
        size_bytes,
        network_bytes: 0,
        suggestions: suggest::build_suggestions(plan, others),
    })
}

/// Returns the verdict for a known memory need and the currently free memory.
pub(crate) fn verdict_of(need: u64, weights: u64, snapshot: &DeviceSnapshot) -> FitVerdict {
    classify(need, weights, budget(&FitOptions::default(), snapshot).bytes)
}

fn budget(options: &FitOptions, snapshot: &DeviceSnapshot) -> MemoryBudget {
    match options.budget_bytes {
        Some(bytes) => MemoryBudget {
            bytes,
            source: "given".to_owned(),
        },
        None => {
            let available = snapshot.memory_available;
            let reserve = (available / 10).clamp(MIN_RESERVE_BYTES, MAX_RESERVE_BYTES);
            MemoryBudget {
                bytes: available.saturating_sub(reserve),
                source: format!("{} less a reserve", snapshot.memory_source),
            }
        }
    }
}

/// Default context in tokens: enough for a long conversation, and cheap on every phone.
pub(crate) const DEFAULT_CONTEXT: u32 = 4096;
const MIN_RESERVE_BYTES: u64 = 64_000_000;
const MAX_RESERVE_BYTES: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_tenth_within_bounds_and_a_given_budget_has_none() {
        let snapshot = |available| DeviceSnapshot {
            memory_total: 1 << 40,
            memory_available: available,
            memory_source: "MemAvailable".into(),
            threads: 1,
            cpu: String::new(),
            os: String::new(),
        };
        let from = |available| budget(&FitOptions::default(), &snapshot(available));
        assert_eq!(from(4_000_000_000).bytes, 3_600_000_000);
        assert_eq!(from(64 << 30).bytes, 63 << 30);
        assert_eq!(from(100_000_000).bytes, 36_000_000);
        assert_eq!(from(1).bytes, 0);
        assert_eq!(from(1).source, "MemAvailable less a reserve");
        let options = FitOptions {
            budget_bytes: Some(7),
            ..FitOptions::default()
        };
        let given = budget(&options, &snapshot(4_000_000_000));
        assert_eq!((given.bytes, given.source.as_str()), (7, "given"));
    }
}
