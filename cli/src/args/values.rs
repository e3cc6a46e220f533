//! Values of flags: enums with the library's type for each, and parsers whose error texts clap shows to the user.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use nearside::chat::{Effort, Mode, Preset, Reasoning, Sensitivity};
use nearside::model::CacheType;

/// `--cache`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheArg(pub(crate) CacheType);

/// `--reasoning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReasoningDisplay {
    /// Above the answer, dimmed
    Show,
    /// Only a count of its tokens
    Hide,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModeArg {
    /// On this device only: no connection is opened
    OnlyOnDevice,
    /// On this device if possible, else remote
    PreferOnDevice,
    /// Remote if the policy allows it, else on this device
    PreferInCloud,
    /// Remote only
    OnlyInCloud,
}

/// `--sensitivity`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SensitivityArg {
    /// Not private: may be sent wherever the policy allows, without consent
    Public,
    /// May be sent only where the policy allows and you consent
    Personal,
    /// Never leaves this device
    Sensitive,
}

/// `--preset`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PresetArg {
    /// The likeliest tokens: facts, code, translations
    Precise,
    /// For most uses
    Balanced,
    /// Unlikely tokens as well: stories, ideas
    Creative,
}

/// `--reasoning-effort`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EffortArg {
    /// Little reasoning
    Low,
    /// The usual amount
    Medium,
    /// Much reasoning
    High,
}

impl ValueEnum for CacheArg {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(CacheType::F16), Self(CacheType::Q8_0)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            CacheType::F16 => PossibleValue::new("f16").help("Exact, the default"),
            CacheType::Q8_0 => PossibleValue::new("q8_0").help("About half the memory, nearly the same answers"),
        })
    }
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::OnlyOnDevice => Self::OnlyOnDevice,
            ModeArg::PreferOnDevice => Self::PreferOnDevice,
            ModeArg::PreferInCloud => Self::PreferInCloud,
            ModeArg::OnlyInCloud => Self::OnlyInCloud,
        }
    }
}

impl From<SensitivityArg> for Sensitivity {
    fn from(sensitivity: SensitivityArg) -> Self {
        match sensitivity {
            SensitivityArg::Public => Self::Public,
            SensitivityArg::Personal => Self::Personal,
            SensitivityArg::Sensitive => Self::Sensitive,
        }
    }
}

impl From<PresetArg> for Preset {
    fn from(preset: PresetArg) -> Self {
        match preset {
            PresetArg::Precise => Self::Precise,
            PresetArg::Balanced => Self::Balanced,
            PresetArg::Creative => Self::Creative,
        }
    }
}

impl From<EffortArg> for Reasoning {
    fn from(effort: EffortArg) -> Self {
        let effort = match effort {
            EffortArg::Low => Effort::Low,
            EffortArg::Medium => Effort::Medium,
            EffortArg::High => Effort::High,
        };
        Self::Effort { effort }
    }
}

/// Parses US dollars: `0.05` or `$0.05`.
pub(crate) fn parse_usd(text: &str) -> Result<f64, String> {
    match text.trim().trim_start_matches('$').parse() {
        Ok(usd) if (0.0..f64::INFINITY).contains(&usd) => Ok(usd),
        _ => Err(format!("`{text}` is no amount in US dollars, such as `0.05`")),
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
