//! Values as text for users: sizes, US dollars, targets and data policies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Formats a data policy: `region US · not retained · not trained on, as of 2026-10-31`.
pub(crate) fn format_data_policy(policy: &DataPolicy) -> String {
    let retained = if policy.retained {
        "may be retained"
    } else {
        "not retained"
    };
    let trained = match policy.trained_on {
        true => "may be trained on",
        false => "not trained on",
    };
    let mut text = format!("region {} · {retained} · {trained}", policy.region);
    if !policy.as_of.is_empty() {
        text += &format!(", as of {}", policy.as_of);
    }
    text
}

/// Formats milliseconds since 1970 as a time in UTC: `2026-11-29T01:12:44Z`.
pub(crate) fn format_time(ms: u64) -> String {
    let seconds = ms / 1000;
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's `civil_from_days`, for days from 1970 on: years begin in March, eras have 400 years.
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Formats the time since then, in milliseconds since 1970: `40 s`, `3 min`, `5 h`, `12 days`. A time in the future is `0 s`.
pub(crate) fn format_age(since_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format_duration(now.saturating_sub(Duration::from_millis(since_ms)))
}

fn format_duration(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format_age(u64::MAX), "0 s");
    }

    #[test]
    fn a_time_is_that_of_the_calendar() {
        for (seconds, time) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_914_764, "2026-11-29T01:12:44Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(format_time(seconds * 1000), time);
        }
    }

    #[test]
    fn an_unknown_sum_is_a_question_mark() {
        assert_eq!(dollars_or_unknown(Some(0.042)), "$0.042");
        assert_eq!(dollars_or_unknown(None), "?");
    }
}
