//! Values of flags: the library's enums with names and help texts, and parsers whose error texts clap shows to the user.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use nearside::chat::{MAX_USD, ReasoningEffort, RoutingMode, SamplingPreset, Sensitivity, is_amount};
use nearside::engine::remote::ProviderKind;
use nearside::model::CacheType;
use nearside::state::SpendingGroup;

/// Defines a flag's type: an enum of the library with the name and the help of each value.
macro_rules! value_arg {
    ($(#[$doc:meta])* $arg:ident($library:ty): $($value:path => $name:literal, $help:literal;)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $arg(pub(crate) $library);

        impl ValueEnum for $arg {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self($value)),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self.0 {
                    $($value => PossibleValue::new($name).help($help),)+
                })
            }
        }
    };
}

value_arg! {
    /// `--cache`.
    CacheArg(CacheType):
    CacheType::F16 => "f16", "Exact, the default";
    CacheType::Q8_0 => "q8_0", "About half the memory, nearly the same answers";
}

value_arg! {
    /// `--mode`.
    ModeArg(RoutingMode):
    RoutingMode::OnlyOnDevice => "only-on-device", "On this device only: no connection is opened";
    RoutingMode::PreferOnDevice => "prefer-on-device", "On this device if possible, else remote";
    RoutingMode::PreferInCloud => "prefer-in-cloud", "Remote if the policy allows it, else on this device";
    RoutingMode::OnlyInCloud => "only-in-cloud", "Remote only";
}

value_arg! {
    /// `--sensitivity`.
    SensitivityArg(Sensitivity):
    Sensitivity::Public => "public", "Not private: may be sent wherever the policy allows, without consent";
    Sensitivity::Personal => "personal", "May be sent only where the policy allows and you consent";
    Sensitivity::Sensitive => "sensitive", "Never leaves this device";
}

value_arg! {
    /// `--preset`.
    PresetArg(SamplingPreset):
    SamplingPreset::Precise => "precise", "The likeliest tokens: facts, code, translations";
    SamplingPreset::Balanced => "balanced", "For most uses";
    SamplingPreset::Creative => "creative", "Unlikely tokens as well: stories, ideas";
}

value_arg! {
    /// `--reasoning-effort`.
    EffortArg(ReasoningEffort):
    ReasoningEffort::Low => "low", "Little reasoning";
    ReasoningEffort::Medium => "medium", "The usual amount";
    ReasoningEffort::High => "high", "Much reasoning";
}

value_arg! {
    /// `cost --by`.
    GroupByArg(SpendingGroup):
    SpendingGroup::Day => "day", "Days, in UTC";
    SpendingGroup::Model => "model", "Models, with their providers";
    SpendingGroup::Provider => "provider", "Providers; local models are `device`";
    SpendingGroup::Purpose => "purpose", "Purposes of the requests";
}

/// Returns the parser of `providers add --kind`.
pub(crate) fn kind_parser() -> impl TypedValueParser<Value = ProviderKind> {
    let value = |kind: ProviderKind| PossibleValue::new(kind.name()).help(kind.description());
    PossibleValuesParser::new(ProviderKind::ALL.map(value))
        .try_map(|name| ProviderKind::from_name(&name).ok_or("unknown kind"))
}

/// `--reasoning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReasoningDisplay {
    /// Above the answer, dimmed
    Show,
    /// Only a count of its tokens
    Hide,
}

/// Parses US dollars: `0.05` or `$0.05`.
pub(crate) fn parse_usd(text: &str) -> Result<f64, String> {
    match text.trim().trim_start_matches('$').parse::<f64>() {
        // `-0` is 0.
        Ok(usd) if is_amount(usd) => Ok(usd.abs()),
        _ => Err(format!(
            "`{text}` is no amount in US dollars from 0 to {MAX_USD}, such as `0.05`"
        )),
    }
}

/// Parses seconds, such as `30` or `0.5`. Returns milliseconds.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=1e9).contains(&seconds) => Ok((seconds * 1e3) as u64),
        _ => Err(format!("`{text}` is no number of seconds, such as `30` or `0.5`")),
    }
}

/// Parses a size: `4000000000`, `4GB`, `4 GiB` or `1.5g`. A bare letter is decimal. Returns bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let invalid = || format!("`{text}` is no size; write bytes, or a unit as in `4GB` or `4GiB`");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1000_u64.pow(2),
        "g" | "gb" => 1000_u64.pow(3),
        "t" | "tb" => 1000_u64.pow(4),
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(invalid()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or_else(invalid);
    }
    // Only a number with a fraction comes here; it has no sign, and its size is checked below.
    let bytes = number.parse::<f64>().map_err(|_| invalid())? * scale as f64;
    if bytes.is_finite() && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_range_and_no_sign() {
        for (text, usd) in [("0.05", 0.05), ("$1", 1.0), ("1000000", 1e6), ("1e-9", 1e-9)] {
            assert_eq!(parse_usd(text), Ok(usd), "{text}");
        }
        assert!(parse_usd("-0").is_ok_and(f64::is_sign_positive));
        for text in ["-1", "1e308", "1000001", "inf", "NaN", "", "much"] {
            assert!(parse_usd(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_unit() {
        for (text, bytes) in [
            ("4000000000", 4_000_000_000),
            ("4GB", 4_000_000_000),
            ("4 GiB", 4 << 30),
            ("1.5g", 1_500_000_000),
            ("0", 0),
            ("512MiB", 512 << 20),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "4 parsecs", "1.2.3", "99999999999TB", "1e3", "inf"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
