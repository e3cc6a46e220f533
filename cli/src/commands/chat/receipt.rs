//! The receipt under an answer, in words: where it ran, how fast, at what cost; and, where words left the machine or
//! could have, who saw them, which rule decided and what should be known besides. What was not measured is left out.

use std::path::Path;

use nearside::chat::{CostSource, DataPolicy, Receipt, Target, Timings, Usage};

use crate::money::dollars;

/// One line, and more where there is something to say of who saw the words.
pub(super) fn lines(receipt: &Receipt, usage: &Usage, timings: &Timings) -> Vec<String> {
    let mut lines = vec![measured(receipt, usage, timings)];
    if receipt.target.is_remote() {
        lines.push(format!("{} · {}", terms(&receipt.data_policy), rule(receipt)));
        if !receipt.data_policy.note.is_empty() {
            lines.push(receipt.data_policy.note.clone());
        }
    } else if receipt.skipped.iter().any(|skipped| skipped.target.is_remote()) {
        lines.push(rule(receipt));
    }
    lines
}

/// The model's name: a path by its last part, an id as it is.
pub(super) fn model(target: &Target) -> &str {
    let model = match target {
        Target::Local { model } => model,
        Target::Remote { model, .. } => return model,
        Target::Scripted => return "a script",
    };
    let path = Path::new(model);
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if path.is_absolute() => name,
        _ => model,
    }
}

/// What happens to words there: `region US · not kept · not trained on, as of 2026-10-31`.
pub(crate) fn terms(policy: &DataPolicy) -> String {
    let kept = if policy.retained { "may be kept" } else { "not kept" };
    let trained = if policy.trained_on {
        "may be trained on"
    } else {
        "not trained on"
    };
    let mut terms = format!("region {} · {kept} · {trained}", policy.region);
    if !policy.as_of.is_empty() {
        terms += &format!(", as of {}", policy.as_of);
    }
    terms
}

fn measured(receipt: &Receipt, usage: &Usage, timings: &Timings) -> String {
    let mut parts = match &receipt.target {
        Target::Local { .. } => vec!["on this device".to_owned()],
        Target::Remote { provider, .. } => vec![match &receipt.served_by {
            Some(other) => format!("at {provider} (run by {other})"),
            None => format!("at {provider}"),
        }],
        Target::Scripted => vec![],
    };
    parts.push(model(&receipt.target).to_owned());
    parts.push(match usage.reasoning_tokens {
        0 => format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens),
        thinking => format!(
            "{} + {} tokens ({thinking} thinking)",
            usage.prompt_tokens, usage.completion_tokens
        ),
    });
    if timings.first_token_ms > 0.0 {
        parts.push(format!("first token {:.0} ms", timings.first_token_ms));
    }
    if timings.tokens_per_second > 0.0 {
        parts.push(format!("{:.1} tokens/s", timings.tokens_per_second));
    }
    parts.push(cost(receipt));
    parts.join(" · ")
}

fn cost(receipt: &Receipt) -> String {
    let known = match receipt.cost_source {
        CostSource::Unknown => return "cost unknown".to_owned(),
        CostSource::Estimated => " (estimated)",
        CostSource::Free | CostSource::Provider | CostSource::Computed => "",
    };
    let whole = if receipt.billed_in_full {
        ", billed as if finished"
    } else {
        ""
    };
    format!("{}{known}{whole}", dollars(receipt.cost_usd))
}

fn rule(receipt: &Receipt) -> String {
    format!("rule {} of policy {}: {}", receipt.rule, receipt.policy, receipt.reason)
}

#[cfg(test)]
mod tests {
    use nearside::chat::Route;

    use super::*;

    #[test]
    fn a_receipt_says_where_what_how_much_how_fast_and_at_what_cost() {
        let target = Target::Local {
            model: "/models/smollm2.gguf".into(),
        };
        let route = Route::to(target, "preferred", "the request prefers this device");
        let usage = Usage {
            prompt_tokens: 12,
            completion_tokens: 34,
            ..Usage::default()
        };
        let timings = Timings {
            first_token_ms: 180.4,
            tokens_per_second: 45.21,
            ..Timings::default()
        };
        assert_eq!(
            lines(&route.receipt_on_device(), &usage, &timings),
            ["on this device · smollm2.gguf · 12 + 34 tokens · first token 180 ms · 45.2 tokens/s · $0"]
        );
        assert_eq!(
            lines(&route.receipt_on_device(), &Usage::default(), &Timings::default()),
            ["on this device · smollm2.gguf · 0 + 0 tokens · $0"]
        );
    }

    #[test]
    fn words_that_left_the_machine_are_told_with_who_saw_them_and_why() {
        let target = Target::Remote {
            provider: "openrouter".into(),
            model: "deepseek/deepseek-r1".into(),
        };
        let mut route = Route::to(target, "mode", "the request is for elsewhere only");
        route.policy = "custom-2".into();
        let terms = DataPolicy {
            region: "US".into(),
            as_of: "2026-10-31".into(),
            ..DataPolicy::default()
        };
        let mut receipt = route.receipt(0.00042, CostSource::Provider, terms);
        receipt.served_by = Some("together".into());
        assert_eq!(
            lines(&receipt, &Usage::default(), &Timings::default()),
            [
                "at openrouter (run by together) · deepseek/deepseek-r1 · 0 + 0 tokens · $0.00042",
                "region US · not kept · not trained on, as of 2026-10-31 · rule mode of policy custom-2: the request is \
                 for elsewhere only",
            ]
        );
    }
}
