//! The memory that a model needs with one context and cache type, in both load modes: measured once, remembered, and
//! compared with any budget without llama.cpp.

use std::ops::RangeInclusive;
use std::path::Path;

use super::plan::{FitProbe, Plan, classify};
use super::report::{CacheType, FitVerdict, LoadPlan, MemoryEstimate};
use crate::error::{Error, ErrorReason, Result};
use crate::model::gguf::Head;

/// Memory needs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModelNeeds {
    /// Context in tokens: the requested one, or the training context if that is smaller.
    context: u32,
    /// Training context in tokens.
    trained: u32,
    /// As [`Head::short_rope_context`].
    short_rope: Option<u32>,
    /// Whether the file has a chat template.
    pub(crate) has_template: bool,
    repacked: MemoryEstimate,
    /// Measured only where the repacked weights did not fit: the need, and the evictable part of it.
    mapped: Option<(MemoryEstimate, u64)>,
}

/// Parameters that the needs depend on, besides the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EngineParams {
    /// Requested context in tokens.
    pub(crate) context: u32,
    /// Context in tokens to which it may grow later, which the needs do not depend on. Unset: the training context.
    pub(crate) max_context: Option<u32>,
    pub(crate) cache_type: CacheType,
    pub(crate) threads: u32,
    /// As [`LoadOrder::gpu_layers`].
    pub(crate) gpu_layers: i32,
}

/// How to load a model, as decided by comparing its needs with a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOrder {
    /// Context in tokens, as planned.
    pub context: u32,
    /// Context in tokens to which it may grow, unless a request says otherwise.
    pub max_context: u32,
    /// Training context in tokens, which it never exceeds.
    pub trained_context: u32,
    /// Present context in tokens: more than planned after a long conversation, less after a memory warning.
    pub present_context: u32,
    /// As [`Head::short_rope_context`](crate::model::gguf::Head).
    pub short_rope_context: Option<u32>,
    /// Bytes of cache and compute buffers for each token of the planned context.
    pub token_bytes: u64,
    /// Precision of the key-value cache.
    pub cache_type: CacheType,
    /// Compute threads.
    pub threads: u32,
    /// Layers on the GPU; -1: all.
    pub gpu_layers: i32,
    /// Load mode of the weights.
    pub load: LoadPlan,
    /// Memory that the model will need.
    pub need: MemoryEstimate,
    /// Bytes of the need that the system may evict.
    pub evictable: u64,
    /// The verdict.
    pub verdict: FitVerdict,
    /// Whether the file has a chat template.
    pub has_template: bool,
    /// Bytes that copies of earlier conversations' caches may take, besides the need.
    pub saved_bytes: u64,
}

impl LoadOrder {
    /// Returns the bytes that the loaded model keeps from others: without mapped weights.
    pub(crate) fn held(&self) -> u64 {
        self.need.total.saturating_sub(self.evictable)
    }

    /// Returns the context in tokens that this model may have, for a request with this limit, where it can take `spare` bytes
    /// more: at least the planned and the present one, doubled as often as the memory allows.
    pub(crate) fn reachable_context(&self, limit: Option<u32>, spare: u64) -> u32 {
        let most = limit.unwrap_or(self.max_context).min(self.trained_context);
        let mut reached = self.context.max(self.present_context).min(most);
        // Weights that are read from the disk again and again leave nothing for a longer context.
        if self.verdict != FitVerdict::Fits {
            return reached;
        }
        while reached < most {
            let next = reached.saturating_mul(2).min(most);
            // Beside the larger cache, the content is copied for a moment: together less than a cache of that size. Caches of
            // sliding windows and of states grow less.
            if self.token_bytes.saturating_mul(next.into()) > spare {
                break;
            }
            reached = next;
        }
        reached
    }

    /// Returns whether llama.cpp takes the long factors of a model that has them for a context of this size in tokens. What was
    /// computed with the others cannot go on.
    pub(crate) fn has_long_rope(&self, tokens: u32) -> bool {
        self.last_short_context().is_some_and(|last| tokens > last)
    }

    /// Returns the sizes in tokens of the contexts to which the content of one of this size can move.
    pub(crate) fn movable_sizes(&self, tokens: u32) -> RangeInclusive<u32> {
        match self.last_short_context() {
            Some(last) if tokens > last => last + 1..=u32::MAX,
            Some(last) => 0..=last,
            None => 0..=u32::MAX,
        }
    }

    /// Returns the largest size in tokens that is short after llama.cpp has rounded it up.
    fn last_short_context(&self) -> Option<u32> {
        self.short_rope_context.map(|most| most - most % CONTEXT_STEP_TOKENS)
    }

    /// Records that the context has another size in tokens, and what its cache and the compute buffers take.
    pub(crate) fn resize(&mut self, tokens: u32, cache: u64, compute: u64) {
        self.present_context = tokens;
        self.need = MemoryEstimate {
            cache,
            compute,
            ..self.need
        }
        .with_total();
    }

    /// Returns the smallest budget with this verdict.
    pub(crate) fn required(&self) -> u64 {
        match self.verdict {
            FitVerdict::Fits => self.need.total,
            FitVerdict::Tight | FitVerdict::TooLarge => self.need.total.saturating_sub(self.evictable / 4),
        }
    }
}

impl ModelNeeds {
    /// Measures the needs of the file at `path`, as far as a budget of `budget` bytes requires; `known` is a result for
    /// another budget. Blocks: a quarter of a second for each load mode of a 7B.
    ///
    /// # Errors
    /// Those of [`super::fit_file`].
    pub(crate) fn measure(path: &Path, params: EngineParams, known: Option<Self>, budget: u64) -> Result<Self> {
        let head = Head::read_file(path)?;
        check_context(params.context)?;
        let context = params.context.min(head.context_length);
        let probe = FitProbe {
            path,
            head: &head,
            threads: params.threads,
            gpu_layers: params.gpu_layers,
            budget,
        };
        let mut needs = match known {
            Some(known) => known,
            None => Self {
                context,
                trained: head.context_length,
                short_rope: head.short_rope_context,
                has_template: head.has_chat_template,
                repacked: probe.plan(LoadPlan::Repacked, context, params.cache_type)?.need,
                mapped: None,
            },
        };
        if needs.mapped.is_none() && needs.repacked.total > budget {
            let Plan { need, evictable, .. } = probe.plan(LoadPlan::Mapped, context, params.cache_type)?;
            needs.mapped = Some((need, evictable));
        }
        Ok(needs)
    }

    /// Compares the needs with a budget. `None`: they must be measured for such a budget first.
    pub(crate) fn order(&self, params: EngineParams, budget: u64) -> Option<LoadOrder> {
        let (load, need, evictable) = match self.mapped {
            _ if self.repacked.total <= budget => (LoadPlan::Repacked, self.repacked, 0),
            Some((need, evictable)) => (LoadPlan::Mapped, need, evictable),
            None => return None,
        };
        let mut order = LoadOrder {
            context: self.context,
            max_context: params
                .max_context
                .unwrap_or(u32::MAX)
                .min(self.trained)
                .max(self.context),
            trained_context: self.trained,
            present_context: self.context,
            short_rope_context: self.short_rope,
            token_bytes: (need.cache + need.compute).div_ceil(u64::from(self.context.max(1))),
            cache_type: params.cache_type,
            threads: params.threads,
            gpu_layers: params.gpu_layers,
            load,
            need,
            evictable,
            verdict: classify(need.total, evictable, budget),
            has_template: self.has_template,
            saved_bytes: 0,
        };
        order.saved_bytes = (budget.saturating_sub(order.required()) / SAVED_SHARE).min(MAX_SAVED_BYTES);
        Some(order)
    }

    /// Returns the needs as named numbers, for storage.
    pub(crate) fn to_numbers(self) -> Vec<(String, u64)> {
        let mut numbers = vec![
            ("context".to_owned(), u64::from(self.context)),
            ("trained".to_owned(), u64::from(self.trained)),
            ("short_rope".to_owned(), self.short_rope.map_or(0, u64::from)),
            ("template".to_owned(), u64::from(self.has_template)),
        ];
        let mut add = |mode: &str, need: &MemoryEstimate| {
            for (part, bytes) in [
                ("weights", need.weights),
                ("cache", need.cache),
                ("compute", need.compute),
                ("other", need.other),
            ] {
                numbers.push((format!("{mode}.{part}"), bytes));
            }
        };
        add("repacked", &self.repacked);
        if let Some((need, evictable)) = &self.mapped {
            add("mapped", need);
            numbers.push(("mapped.evictable".to_owned(), *evictable));
        }
        numbers
    }

    /// Reads what [`Self::to_numbers`] returned; `None` if a number is missing.
    pub(crate) fn from_numbers(number: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        let estimate = |mode: &str| {
            let part = |name: &str| number(&format!("{mode}.{name}"));
            let estimate = MemoryEstimate {
                weights: part("weights")?,
                cache: part("cache")?,
                compute: part("compute")?,
                other: part("other")?,
                total: 0,
            };
            Some(estimate.with_total())
        };
        Some(Self {
            context: u32::try_from(number("context")?).ok()?,
            trained: u32::try_from(number("trained")?).ok()?,
            short_rope: u32::try_from(number("short_rope")?).ok().filter(|most| *most > 0),
            has_template: number("template")? != 0,
            repacked: estimate("repacked")?,
            mapped: estimate("mapped").zip(number("mapped.evictable")),
        })
    }
}

/// Returns how many tokens a context that is created with so many can hold: llama.cpp rounds up.
pub(crate) fn round_context(tokens: u32) -> u32 {
    tokens.checked_next_multiple_of(CONTEXT_STEP_TOKENS).unwrap_or(u32::MAX)
}

/// Returns the error for a context of no tokens.
pub(super) fn check_context(requested: u32) -> Result<()> {
    match requested {
        0 => Err(
            Error::invalid_request("a context has at least 1 token; leave it out for the default of 4096")
                .because(ErrorReason::InvalidParameter),
        ),
        _ => Ok(()),
    }
}

/// Judges a model by the size of its file alone. The second value tells whether that settles it: nothing that llama.cpp
/// could compute would change the verdict.
pub(crate) fn judge_by_size(size_bytes: u64, context: u32, budget: u64) -> (FitVerdict, bool) {
    let cache = size_bytes.saturating_mul(u64::from(context)) / CACHE_TOKENS_PER_SIZE;
    let most = size_bytes.saturating_add(cache).saturating_add(MOST_OVERHEAD_BYTES);
    if most <= budget {
        (FitVerdict::Fits, true)
    } else if size_bytes - size_bytes / 4 > budget {
        (FitVerdict::TooLarge, true)
    } else if size_bytes <= budget {
        (FitVerdict::Fits, false)
    } else {
        (FitVerdict::Tight, false)
    }
}

/// llama.cpp's.
const CONTEXT_STEP_TOKENS: u32 = 256;
/// The part of the memory that a model leaves free which copies of its conversations' caches may take.
pub(crate) const SAVED_SHARE: u64 = 4;
/// Some 10,000 tokens of a 1B model, or 4,000 of a 7B.
const MAX_SAVED_BYTES: u64 = 512 << 20;
/// Tokens of context whose cache is as large as the file: the least among models without grouped heads (Llama 2 7B at
/// two bits: 2.8 GB, and half a megabyte a token).
const CACHE_TOKENS_PER_SIZE: u64 = 5_000;
/// More than vocabulary and compute buffers of any known model take.
const MOST_OVERHEAD_BYTES: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: EngineParams = EngineParams {
        context: 4096,
        max_context: Some(6000),
        cache_type: CacheType::F16,
        threads: 2,
        gpu_layers: -1,
    };

    fn estimate(weights: u64) -> MemoryEstimate {
        MemoryEstimate {
            weights,
            cache: 20,
            compute: 3,
            other: 4,
            total: 0,
        }
        .with_total()
    }

    #[test]
    fn an_order_follows_the_table_for_every_budget() {
        let mut needs = ModelNeeds {
            context: 2048,
            trained: 32_768,
            short_rope: None,
            has_template: true,
            repacked: estimate(110),
            mapped: None,
        };
        let order = needs.order(PARAMS, 137).expect("measured");
        assert_eq!(
            (order.load, order.verdict, order.context),
            (LoadPlan::Repacked, FitVerdict::Fits, 2048)
        );
        assert_eq!((order.held(), order.required()), (137, 137));
        assert_eq!(needs.order(PARAMS, 136), None, "the mapped need is not known");
        needs.mapped = Some((estimate(100), 100));
        for (budget, verdict) in [
            (136, FitVerdict::Fits),
            (127, FitVerdict::Fits),
            (126, FitVerdict::Tight),
            (102, FitVerdict::Tight),
            (101, FitVerdict::TooLarge),
        ] {
            let order = needs.order(PARAMS, budget).expect("measured");
            assert_eq!((order.load, order.verdict), (LoadPlan::Mapped, verdict), "{budget}");
            assert_eq!(order.held(), 27);
        }
    }

    #[test]
    fn a_context_is_doubled_while_there_is_memory_and_never_beyond_training() {
        let needs = ModelNeeds {
            context: 2048,
            trained: 20_000,
            short_rope: None,
            has_template: true,
            repacked: estimate(110),
            mapped: None,
        };
        // 23 bytes for 2,048 tokens, which count as one for each.
        let order = |max_context| {
            let params = EngineParams { max_context, ..PARAMS };
            needs.order(params, 1_000_000).expect("measured")
        };
        for (max_context, limit, spare, expected) in [
            (None, None, 4095, 2048),
            (None, None, 4096, 4096),
            (None, None, 1 << 20, 20_000),
            (Some(6000), None, 1 << 20, 6000),
            (Some(6000), None, 5999, 4096),
            (Some(1024), None, 1 << 20, 2048),
            (Some(6000), Some(300), 1 << 20, 300),
            (Some(6000), Some(9000), 1 << 20, 9000),
            (None, Some(u32::MAX), u64::MAX, 20_000),
        ] {
            let reached = order(max_context).reachable_context(limit, spare);
            assert_eq!(reached, expected, "{max_context:?} {limit:?} {spare}");
        }
        let mut grown = order(None);
        grown.resize(8192, 80, 3);
        assert_eq!(grown.reachable_context(None, 0), 8192);
        grown.resize(256, 2, 3);
        assert_eq!(
            grown.reachable_context(None, 0),
            2048,
            "as planned, once there is memory again"
        );
        let two_ropes = LoadOrder {
            short_rope_context: Some(4096),
            ..order(None)
        };
        assert!(!two_ropes.has_long_rope(3841) && !two_ropes.has_long_rope(4096) && two_ropes.has_long_rope(4097));
        assert!(!order(None).has_long_rope(u32::MAX));
        let odd = LoadOrder {
            short_rope_context: Some(5000),
            ..order(None)
        };
        assert!(!odd.has_long_rope(4864) && odd.has_long_rope(4865) && odd.movable_sizes(4900).contains(&4900));
        assert_eq!(two_ropes.movable_sizes(300), 0..=4096);
        assert_eq!(two_ropes.movable_sizes(4097), 4097..=u32::MAX);
        let tight = LoadOrder {
            verdict: FitVerdict::Tight,
            ..order(None)
        };
        assert_eq!(tight.reachable_context(None, 1 << 20), 2048);
    }

    #[test]
    fn needs_survive_storage() {
        for mapped in [None, Some((estimate(100), 90))] {
            let needs = ModelNeeds {
                context: 2048,
                trained: 8192,
                short_rope: mapped.map(|_| 4096),
                has_template: false,
                repacked: estimate(110),
                mapped,
            };
            let stored: std::collections::HashMap<_, _> = needs.to_numbers().into_iter().collect();
            assert_eq!(ModelNeeds::from_numbers(|name| stored.get(name).copied()), Some(needs));
        }
        assert_eq!(ModelNeeds::from_numbers(|_| None), None);
    }

    #[test]
    fn size_alone_settles_only_the_clear_cases() {
        const GB: u64 = 1_000_000_000;
        for (size, context, budget, expected) in [
            (GB / 10, 4096, 4 * GB, (FitVerdict::Fits, true)),
            (4 * GB, 4096, 16 * GB, (FitVerdict::Fits, true)),
            (4 * GB, 131_072, 16 * GB, (FitVerdict::Fits, false)),
            (4 * GB, 4096, 5 * GB, (FitVerdict::Fits, false)),
            (4 * GB, 4096, 3_500_000_000, (FitVerdict::Tight, false)),
            (4 * GB, 4096, 2_900_000_000, (FitVerdict::TooLarge, true)),
        ] {
            assert_eq!(
                judge_by_size(size, context, budget),
                expected,
                "{size} {context} {budget}"
            );
        }
    }
}
