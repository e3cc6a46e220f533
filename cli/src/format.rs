//! Values as text for users: sizes, US dollars, targets and data policies.

use nearside::chat::{DataPolicy, RouteTarget};

/// Formats bytes in decimal units, as disks and hubs count: `98.4 MB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    // 999.95 would be printed as 1000.0: that belongs to the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Formats US dollars with at least two significant figures, however small: `$0`, `$0.00042`, `$1.25`.
pub(crate) fn format_dollars(usd: f64) -> String {
    if usd.is_nan() || usd <= 0.0 {
        return "$0".to_owned();
    }
    // As many decimal places as two figures take; at least cents.
    let places = (1.0 - usd.log10().floor()).clamp(2.0, 12.0) as usize;
    format!("${usd:.places$}")
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
    let trained = if policy.trained_on {
        "may be trained on"
    } else {
        "not trained on"
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
    fn sizes_are_shown_in_decimal_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (98_362_432, "98.4 MB"),
            (999_949_999, "999.9 MB"),
            (999_999_999, "1.0 GB"),
            (4_683_073_248, "4.7 GB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(format_bytes(bytes), text);
        }
    }

    #[test]
    fn a_sum_keeps_two_figures_however_small() {
        for (usd, text) in [
            (0.0, "$0"),
            (f64::NAN, "$0"),
            (12.345, "$12.35"),
            (1.0, "$1.00"),
            (0.25, "$0.25"),
            (0.042, "$0.042"),
            (0.000_42, "$0.00042"),
            (3e-9, "$0.0000000030"),
        ] {
            assert_eq!(format_dollars(usd), text);
        }
        assert_eq!(dollars_or_unknown(None), "?");
    }
}
