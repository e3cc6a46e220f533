//! The context of remote models: which size is requested from a server that takes it from the request, and which size
//! routing may count on. One owner, so that both are the same number.
//!
//! Ollama loads a model with the context that a request names, else with a small default of its own, and drops the
//! beginning of a longer prompt without an error. A different size makes it load the model again, therefore sizes are
//! rounded up to steps.

use super::dialect::ProviderKind;
use super::provider::{ProviderSettings, RemoteModel};

/// Returns the context to request from an Ollama server for a request that needs this many tokens, prompt and answer
/// together: rounded up to a step, at most the limit of the settings and the length that the model was trained for.
pub fn ollama_context(needed: u32, model: &RemoteModel, settings: &ProviderSettings) -> u32 {
    let steps = needed.max(1).div_ceil(CONTEXT_STEP);
    steps
        .saturating_mul(CONTEXT_STEP)
        .min(max_ollama_context(model, settings))
}

/// Returns the largest context that a request to this model can use; `None` if it is unknown.
pub fn usable_context(model: &RemoteModel, settings: &ProviderSettings) -> Option<u32> {
    match settings.kind {
        // A forwarded model runs on the other host, with a context of its own.
        ProviderKind::Ollama if !model.proxied => Some(max_ollama_context(model, settings)),
        _ => model.context,
    }
}

fn max_ollama_context(model: &RemoteModel, settings: &ProviderSettings) -> u32 {
    let limit = settings.max_context.unwrap_or(DEFAULT_MAX_CONTEXT).max(1);
    model.context.map_or(limit, |trained| limit.min(trained))
}

/// Default of [`ProviderSettings::max_context`]: the KV cache of a model of 8 billion parameters then takes about 4 GB.
pub const DEFAULT_MAX_CONTEXT: u32 = 32_768;
/// About eight short turns, so that a conversation reloads the model seldom.
const CONTEXT_STEP: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_rounded_up_and_never_more_than_the_model_and_the_setting_allow() {
        let settings = |max_context| ProviderSettings {
            max_context,
            ..ProviderSettings::new("own", ProviderKind::Ollama)
        };
        let trained = |context| RemoteModel {
            context,
            ..RemoteModel::default()
        };
        for (needed, context, max_context, expected) in [
            (0, None, None, 4_096),
            (4_096, None, None, 4_096),
            (4_097, Some(131_072), None, 8_192),
            (100_000, Some(131_072), None, 32_768),
            (100_000, Some(131_072), Some(100_000), 100_000),
            (u32::MAX, Some(131_072), Some(u32::MAX), 131_072),
            (5_000, Some(2_048), None, 2_048),
        ] {
            let (model, settings) = (trained(context), settings(max_context));
            assert_eq!(
                ollama_context(needed, &model, &settings),
                expected,
                "{needed} {context:?}"
            );
            assert_eq!(
                usable_context(&model, &settings),
                Some(ollama_context(u32::MAX, &model, &settings))
            );
        }
    }
}
