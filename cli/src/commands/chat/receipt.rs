//! Formats the receipt under an answer: target, tokens, speed and cost; if content left the device or could have, also the
//! data policy, the rule that decided and the note. Values that were not measured are omitted.

use std::path::Path;

use nearside::chat::{CostSource, Receipt, RouteTarget, Timings, TokenUsage};

use crate::format::{format_data_policy, format_dollars};

/// Formats one line; more if content left the device or could have.
pub(super) fn format_lines(receipt: &Receipt, usage: &TokenUsage, timings: &Timings) -> Vec<String> {
    let mut lines = vec![format_measured(receipt, usage, timings)];
    if receipt.target.is_remote() {
        let data_policy = format_data_policy(&receipt.data_policy);
        lines.push(format!("{data_policy} · {}", format_rule(receipt)));
        if !receipt.data_policy.note.is_empty() {
            lines.push(receipt.data_policy.note.clone());
        }
    } else if receipt.skipped.iter().any(|skipped| skipped.target.is_remote()) {
        lines.push(format_rule(receipt));
    }
    lines
}

/// Returns the name of the model: the file name of a path, else the id.
pub(super) fn model_name(target: &RouteTarget) -> &str {
    let model = match target {
        RouteTarget::Local { model } => model,
        RouteTarget::Remote { model, .. } => return model,
        RouteTarget::Scripted => return "a script",
    };
    let path = Path::new(model);
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if path.is_absolute() => name,
        _ => model,
    }
}

fn format_measured(receipt: &Receipt, usage: &TokenUsage, timings: &Timings) -> String {
    let mut parts = match &receipt.target {
        RouteTarget::Local { .. } => vec!["on this device".to_owned()],
        RouteTarget::Remote { provider, .. } => vec![match &receipt.served_by {
            Some(other) => format!("at {provider} (run by {other})"),
            None => format!("at {provider}"),
        }],
        RouteTarget::Scripted => vec![],
    };
    parts.push(model_name(&receipt.target).to_owned());
    let tokens = format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens);
    parts.push(match usage.reasoning_tokens {
        0 => tokens,
        thinking => format!("{tokens} ({thinking} thinking)"),
    });
    if timings.first_token_ms > 0.0 {
        parts.push(format!("first token {:.0} ms", timings.first_token_ms));
    }
    if timings.tokens_per_second > 0.0 {
        parts.push(format!("{:.1} tokens/s", timings.tokens_per_second));
    }
    parts.push(format_cost(receipt));
    parts.join(" · ")
}

fn format_cost(receipt: &Receipt) -> String {
    let source = match receipt.cost_source {
        CostSource::Unknown => return "cost unknown".to_owned(),
        CostSource::Estimated => " (estimated)",
        CostSource::Free | CostSource::Provider | CostSource::Computed => "",
    };
    let billing = match receipt.billed_in_full {
        true => ", billed as if finished",
        false => "",
    };
    let doubt = match receipt.unconfirmed_usd > 0.0 {
        true => format!(
            ", at most; {} of it may not be charged",
            format_dollars(receipt.unconfirmed_usd)
        ),
        false => String::new(),
    };
    format!("{}{source}{billing}{doubt}", format_dollars(receipt.cost_usd))
}

fn format_rule(receipt: &Receipt) -> String {
    format!("rule {} of policy {}: {}", receipt.rule, receipt.policy, receipt.reason)
}

#[cfg(test)]
mod tests {
    use nearside::chat::{DataPolicy, Route, RouteRule};

    use super::*;

    #[test]
    fn a_receipt_has_target_tokens_speed_and_cost() {
        let target = RouteTarget::Local {
            model: "/models/smollm2.gguf".into(),
        };
        let route = Route::to(target, RouteRule::Preference, "the request prefers this device");
        let usage = TokenUsage {
            prompt_tokens: 12,
            completion_tokens: 34,
            ..TokenUsage::default()
        };
        let timings = Timings {
            first_token_ms: 180.4,
            tokens_per_second: 45.21,
            ..Timings::default()
        };
        assert_eq!(
            format_lines(&route.receipt_on_device(), &usage, &timings),
            ["on this device · smollm2.gguf · 12 + 34 tokens · first token 180 ms · 45.2 tokens/s · $0"]
        );
        assert_eq!(
            format_lines(&route.receipt_on_device(), &TokenUsage::default(), &Timings::default()),
            ["on this device · smollm2.gguf · 0 + 0 tokens · $0"]
        );
    }

    #[test]
    fn a_receipt_of_a_remote_target_has_data_policy_and_rule() {
        let target = RouteTarget::Remote {
            provider: "openrouter".into(),
            model: "deepseek/deepseek-r1".into(),
        };
        let mut route = Route::to(target, RouteRule::Mode, "the request is for elsewhere only");
        route.policy = "custom-2".into();
        let terms = DataPolicy {
            region: "US".into(),
            as_of: "2026-10-31".into(),
            ..DataPolicy::default()
        };
        let mut receipt = route.receipt(0.00042, CostSource::Provider, terms);
        receipt.served_by = Some("together".into());
        assert_eq!(
            format_lines(&receipt, &TokenUsage::default(), &Timings::default()),
            [
                "at openrouter (run by together) · deepseek/deepseek-r1 · 0 + 0 tokens · $0.00042",
                "region US · not retained · not trained on, as of 2026-10-31 · rule mode of policy custom-2: the request is \
                 for elsewhere only",
            ]
        );
    }
}
