//! Values as text for users: sizes, US dollars, targets and data policies.

use nearside::chat::{DataPolicy, RouteTarget};
use nearside::format::Rounding;
pub(crate) use nearside::format::format_bytes;

/// Formats US dollars, rounded to the nearest value.
pub(crate) fn format_dollars(usd: f64) -> String {
    nearside::format::format_dollars(usd, Rounding::Nearest)
}

/// Formats like [`format_dollars`]; `?` if unknown.
pub(crate) fn dollars_or_unknown(usd: Option<f64>) -> String {
    usd.map_or_else(|| "?".to_owned(), format_dollars)
}

/// Formats a target with its side: `smollm2 on this device`, `openai/gpt-oss-120b at groq`.
pub(crate) fn format_target(target: &RouteTarget) -> String {
    let side = if target.is_remote() { "" } else { " on this device" };
    format!("{target}{side}")
}

/// Formats a data policy: `region US · not kept · not trained on, as of 2026-10-31`.
pub(crate) fn format_data_policy(policy: &DataPolicy) -> String {
    let kept = if policy.retained { "may be kept" } else { "not kept" };
    let trained = match policy.trained_on {
        true => "may be trained on",
        false => "not trained on",
    };
    let mut text = format!("region {} · {kept} · {trained}", policy.region);
    if !policy.as_of.is_empty() {
        text += &format!(", as of {}", policy.as_of);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_sum_is_a_question_mark() {
        assert_eq!(dollars_or_unknown(Some(0.042)), "$0.042");
        assert_eq!(dollars_or_unknown(None), "?");
    }
}
