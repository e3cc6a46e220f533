//! Whether an answer of a provider is likely to begin inside a block of reasoning, so that it is held back until the block
//! ends: by the model's name.

use super::dialect::ProviderKind;
use crate::chat::ReasoningMode;

/// Returns whether an answer is likely to begin inside a block of reasoning.
pub(super) fn begins_inside(kind: ProviderKind, model: &str, reasoning: &ReasoningMode) -> bool {
    // The others send reasoning in a field of its own.
    let is_verbatim = !kind.is_hosted() || kind == ProviderKind::Fireworks;
    let model = model.to_ascii_lowercase();
    let mut words = model.split(|c: char| !c.is_ascii_alphanumeric());
    is_verbatim
        && match reasoning {
            ReasoningMode::Off => false,
            ReasoningMode::Auto => words.any(|word| THINKING_NAMES.contains(&word)),
            ReasoningMode::On | ReasoningMode::Effort { .. } | ReasoningMode::Budget { .. } => {
                words.any(|word| THINKING_NAMES.contains(&word) || HYBRID_NAMES.contains(&word))
            }
        }
}

/// Words in the ids of models that always reason, and whose templates write the opening tag.
const THINKING_NAMES: [&str; 11] = [
    "r1",
    "qwq",
    "thinking",
    "thinker",
    "think",
    "reasoning",
    "reasoner",
    "reason",
    "z1",
    "openthinker",
    "magistral",
];
/// Words in the ids of models that reason on request, and whose templates then write the opening tag.
const HYBRID_NAMES: [&str; 7] = ["deepseek", "glm", "nemotron", "hunyuan", "kimi", "exaone", "minimax"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_held_back_only_where_it_is_likely_to_be_reasoning() {
        let compatible = ProviderKind::Compatible;
        for (kind, model, reasoning, likely) in [
            (
                compatible,
                "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
                ReasoningMode::Auto,
                true,
            ),
            (compatible, "Qwen/QwQ-32B", ReasoningMode::Auto, true),
            (compatible, "Qwen/Qwen3-4B-Thinking-2507", ReasoningMode::Auto, true),
            (compatible, "Qwen/Qwen3-8B", ReasoningMode::Auto, false),
            (compatible, "Qwen/Qwen3-8B", ReasoningMode::On, false),
            (compatible, "zai-org/GLM-4.6", ReasoningMode::On, true),
            (compatible, "zai-org/GLM-4.6", ReasoningMode::Auto, false),
            (compatible, "deepseek-r1", ReasoningMode::Off, false),
            (
                ProviderKind::OpenRouter,
                "deepseek/deepseek-r1",
                ReasoningMode::On,
                false,
            ),
        ] {
            assert_eq!(begins_inside(kind, model, &reasoning), likely, "{model} {reasoning:?}");
        }
    }
}
