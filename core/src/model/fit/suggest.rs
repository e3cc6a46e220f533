//! Suggests changes if a model does not fit, and formats the reason of a verdict.
//!
//! Each suggestion was computed by llama.cpp, so requesting it gives the same result.

use super::plan::Plan;
use super::report::{CacheType, FitSuggestion, FitVerdict, LoadPlan, MemoryBudget};
use crate::format::format_bytes;
use crate::model::gguf::Head;

/// Returns the requested combination and then all alternatives: the context halved repeatedly, each also with the
/// smaller cache.
pub(super) fn variants(context: u32, cache: CacheType) -> Vec<(u32, CacheType)> {
    let halves = std::iter::successors(Some(context), |context| {
        (*context > MIN_CONTEXT_TOKENS).then(|| (context / 2).max(MIN_CONTEXT_TOKENS))
    });
    let caches: &[_] = match cache {
        CacheType::F16 => &[CacheType::F16, CacheType::Q8_0],
        CacheType::Q8_0 => &[CacheType::Q8_0],
    };
    halves
        .flat_map(|context| caches.iter().map(move |cache| (context, *cache)))
        .collect()
}

/// Returns the alternatives with a better verdict than the plan, the smallest change first: the longest context, then
/// the requested cache. Omits an alternative if another one is at least as good in verdict, context and cache.
pub(super) fn build_suggestions(plan: &Plan, others: &[Plan]) -> Vec<FitSuggestion> {
    let mut chosen: Vec<&Plan> = Vec::new();
    for other in others {
        let better = rank(other.verdict) < rank(plan.verdict);
        let is_covered = chosen.iter().any(|chosen| {
            rank(chosen.verdict) <= rank(other.verdict)
                && chosen.context >= other.context
                && is_as_exact(chosen.cache, other.cache)
        });
        if better && !is_covered {
            chosen.push(other);
        }
    }
    chosen.truncate(MAX_SUGGESTIONS);
    chosen.into_iter().map(|other| describe_change(plan, other)).collect()
}

/// Formats the reason of the verdict as a sentence.
pub(super) fn explain_verdict(plan: &Plan, budget: &MemoryBudget) -> String {
    let total = format_bytes(plan.need.total);
    let free = format_bytes(budget.bytes);
    match (plan.verdict, plan.load) {
        (FitVerdict::Fits, LoadPlan::Repacked) => format!("needs {total} of {free}"),
        (FitVerdict::Fits, LoadPlan::Mapped) => {
            format!("needs {total} of {free} with its weights mapped from the file")
        }
        (FitVerdict::Tight, _) => format!(
            "needs {total} where there are {free}; {} of it are weights mapped from the file, and some of them will be \
             read again and again",
            format_bytes(plan.evictable)
        ),
        (FitVerdict::TooLarge, _) => format!("needs {total} where there are {free}"),
    }
}

/// Returns the limits that have nothing to do with memory; `None` if there are none.
pub(super) fn explain_limits(requested: Option<u32>, head: &Head) -> Option<String> {
    let mut limits = Vec::new();
    if let Some(requested) = requested.filter(|requested| *requested > head.context_length) {
        let trained = head.context_length;
        limits.push(format!(
            "a context of {trained} tokens is all that the model was trained with, so this is not about {requested}"
        ));
    }
    if !head.has_chat_template {
        limits.push(NO_TEMPLATE_NOTE.to_owned());
    }
    (!limits.is_empty()).then(|| limits.join("; "))
}

fn describe_change(plan: &Plan, other: &Plan) -> FitSuggestion {
    let cache = match other.cache {
        CacheType::F16 => "f16",
        CacheType::Q8_0 => "q8_0",
    };
    let change = match (other.context == plan.context, other.cache == plan.cache) {
        (true, _) => format!("a cache of `{cache}`"),
        (false, true) => format!("a context of {} tokens", other.context),
        (false, false) => format!("a context of {} tokens with a cache of `{cache}`", other.context),
    };
    let tightly = if other.verdict == FitVerdict::Tight {
        ", which fits tightly"
    } else {
        ""
    };
    FitSuggestion {
        text: format!("{change} needs {}{tightly}", format_bytes(other.need.total)),
        context: other.context,
        cache_type: other.cache,
        load: other.load,
        total: other.need.total,
    }
}

/// Returns whether the first cache is at least as precise as the second.
fn is_as_exact(first: CacheType, second: CacheType) -> bool {
    first == CacheType::F16 || second == CacheType::Q8_0
}

fn rank(verdict: FitVerdict) -> u8 {
    match verdict {
        FitVerdict::Fits => 0,
        FitVerdict::Tight => 1,
        FitVerdict::TooLarge => 2,
    }
}

/// Smallest suggested context; less is too short for a conversation.
const MIN_CONTEXT_TOKENS: u32 = 512;
const MAX_SUGGESTIONS: usize = 3;

/// The note of a model without a chat template.
const NO_TEMPLATE_NOTE: &str = "it has no chat template, so it cannot hold a conversation; for chats take its version for \
                                conversations, often called `instruct`, `it` or `chat`";

#[cfg(test)]
mod tests {
    use super::super::report::MemoryEstimate;
    use super::*;

    fn plan(context: u32, cache: CacheType, verdict: FitVerdict) -> Plan {
        Plan {
            context,
            cache,
            load: LoadPlan::Mapped,
            need: MemoryEstimate {
                total: 1_200_000_000,
                ..MemoryEstimate::default()
            },
            evictable: 0,
            verdict,
        }
    }

    #[test]
    fn contexts_are_halved_down_to_512_with_both_caches() {
        use CacheType::{F16, Q8_0};
        assert_eq!(
            variants(1500, F16),
            [
                (1500, F16),
                (1500, Q8_0),
                (750, F16),
                (750, Q8_0),
                (512, F16),
                (512, Q8_0)
            ]
        );
        assert_eq!(variants(1024, Q8_0), [(1024, Q8_0), (512, Q8_0)]);
        assert_eq!(variants(300, Q8_0), [(300, Q8_0)]);
    }

    #[test]
    fn the_smallest_changes_come_first_and_nothing_is_said_twice() {
        use CacheType::{F16, Q8_0};
        use FitVerdict::{Fits, Tight, TooLarge};
        let asked = plan(4096, F16, TooLarge);
        let others = [
            plan(4096, Q8_0, TooLarge),
            plan(2048, F16, TooLarge),
            plan(2048, Q8_0, Tight),
            plan(1024, F16, Tight),
            plan(1024, Q8_0, Fits),
            plan(512, F16, Fits),
            plan(512, Q8_0, Fits),
        ];
        let texts: Vec<_> = build_suggestions(&asked, &others)
            .into_iter()
            .map(|suggestion| suggestion.text)
            .collect();
        assert_eq!(
            texts,
            [
                "a context of 2048 tokens with a cache of `q8_0` needs 1.2 GB, which fits tightly",
                "a context of 1024 tokens needs 1.2 GB, which fits tightly",
                "a context of 1024 tokens with a cache of `q8_0` needs 1.2 GB",
            ]
        );
        assert!(build_suggestions(&plan(4096, F16, Fits), &others).is_empty());
    }
}
