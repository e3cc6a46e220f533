//! Sampling presets, and the values that each resolves to per model family.
//!
//! | | precise | balanced | creative |
//! |---|---|---|---|
//! | DeepSeek R1 and its distilled models | 0.5 | 0.6 | 0.7 |
//! | a model with recommendations of its vendor | the vendor's | the vendor's | the vendor's |
//! | a model whose file recommends a temperature | 0 | the file's | 1.0 |
//! | any other | 0 | 0.7 | 1.0 |
//!
//! Recommendations of vendors are data with a date and a source (`data/presets.json`). Fields set in the request take
//! precedence. The receipt of each answer holds the values used and the reason.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::chat::{
    AppliedSampling, ChatMessage, ChatRequest, ContentPart, MessageRole, Recommended, SamplingOptions, SamplingPreset,
    SamplingPresetValues,
};

/// Resolves the unset sampling fields for a model with these names and returns the values used.
///
/// For models without system messages, moves the system prompt to the start of the first user message.
pub(crate) fn resolve(request: &mut ChatRequest, names: &[&str], recommended: Recommended) -> AppliedSampling {
    let vendor = vendor_defaults(names);
    if vendor.is_some_and(|vendor| !vendor.system) {
        move_system_to_user(&mut request.messages);
    }
    let sampling = &mut request.sampling;
    let stated = sampling.temperature.is_some() || sampling.top_p.is_some();
    let values = match sampling.preset {
        Some(preset) => Some(preset_values(preset, vendor, recommended)),
        // No preset was requested: use the vendor's values, if there are any.
        None => vendor.map(|_| preset_values(SamplingPreset::Balanced, vendor, recommended)),
    };
    let mut reason = String::new();
    if let Some(values) = values {
        fill_unset(sampling, &values);
        reason = values.reason;
    }
    if stated {
        "set by the request".clone_into(&mut reason);
    }
    AppliedSampling {
        preset: sampling.preset,
        temperature: sampling.temperature.or(recommended.temperature),
        top_p: sampling.top_p.or(recommended.top_p),
        reason: match reason.is_empty() {
            true if recommended != Recommended::default() => "recommended by the model's file".to_owned(),
            true => "the target's defaults".to_owned(),
            false => reason,
        },
    }
}

/// Returns the values of each preset for a model with these names.
pub(crate) fn list_preset_values(names: &[&str], recommended: Recommended) -> Vec<SamplingPresetValues> {
    let vendor = vendor_defaults(names);
    [
        SamplingPreset::Precise,
        SamplingPreset::Balanced,
        SamplingPreset::Creative,
    ]
    .map(|preset| preset_values(preset, vendor, recommended))
    .into()
}

fn preset_values(
    preset: SamplingPreset,
    vendor: Option<&VendorDefaults>,
    recommended: Recommended,
) -> SamplingPresetValues {
    if let Some(vendor) = vendor {
        return SamplingPresetValues {
            preset,
            temperature: Some(match preset {
                SamplingPreset::Precise => vendor.precise,
                SamplingPreset::Balanced => vendor.balanced,
                SamplingPreset::Creative => vendor.creative,
            }),
            top_p: vendor.top_p,
            reason: format!("recommended by the vendor of {} ({})", vendor.name, vendor.as_of),
        };
    }
    let (temperature, reason) = match (preset, recommended.temperature) {
        (SamplingPreset::Precise, _) => (0.0, "always the most likely token"),
        (SamplingPreset::Balanced, Some(temperature)) => (temperature, "recommended by the model's file"),
        (SamplingPreset::Balanced, None) => (0.7, "the usual value for most models"),
        (SamplingPreset::Creative, recommended) => (
            recommended.unwrap_or(1.0).max(1.0),
            "the model's unscaled probabilities",
        ),
    };
    SamplingPresetValues {
        preset,
        temperature: Some(temperature),
        top_p: recommended.top_p.filter(|_| preset != SamplingPreset::Precise),
        reason: reason.to_owned(),
    }
}

fn fill_unset(sampling: &mut SamplingOptions, values: &SamplingPresetValues) {
    sampling.temperature = sampling.temperature.or(values.temperature);
    sampling.top_p = sampling.top_p.or(values.top_p);
}

/// Moves the text of system messages to the start of the first user message.
fn move_system_to_user(messages: &mut Vec<ChatMessage>) {
    let mut system: Vec<ContentPart> = Vec::new();
    messages.retain_mut(|message| {
        let is_system = message.role == MessageRole::System;
        if is_system {
            system.append(&mut message.parts);
        }
        !is_system
    });
    if system.is_empty() {
        return;
    }
    match messages.iter_mut().find(|message| message.role == MessageRole::User) {
        Some(question) => {
            system.append(&mut question.parts);
            question.parts = system;
        }
        None => messages.insert(
            0,
            ChatMessage {
                role: MessageRole::User,
                parts: system,
            },
        ),
    }
}

/// Sampling values that the vendor of a model recommends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VendorDefaults {
    /// Part that the names of its models share, normalized.
    matches: String,
    /// Display name.
    name: String,
    precise: f32,
    balanced: f32,
    creative: f32,
    top_p: Option<f32>,
    /// Whether it accepts a system message.
    system: bool,
    as_of: String,
    #[serde(rename = "source")]
    _source: String,
}

fn vendor_defaults(names: &[&str]) -> Option<&'static VendorDefaults> {
    let names: Vec<String> = names.iter().map(|name| normalize_name(name)).collect();
    let is = |vendor: &&VendorDefaults| names.iter().any(|name| name.contains(&vendor.matches));
    VENDOR_DEFAULTS.iter().find(is)
}

/// Normalizes a model name, so that the spellings of files, hubs and providers compare equal.
fn normalize_name(name: &str) -> String {
    let normalize = |c: char| match c {
        ' ' | '_' | ':' | '/' => '-',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(normalize).collect()
}

static VENDOR_DEFAULTS: LazyLock<Vec<VendorDefaults>> = LazyLock::new(|| {
    // A unit test parses the same file, so that a mistake in it is found before an app runs.
    serde_json::from_str(include_str!("../../data/presets.json")).unwrap_or_default()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn request_with(preset: Option<SamplingPreset>) -> ChatRequest {
        let mut request = ChatRequest::new(vec![ChatMessage::system("be brief"), ChatMessage::user("why?")]);
        request.sampling.preset = preset;
        request
    }

    #[test]
    fn the_vendor_defaults_can_be_read() {
        let vendors: Vec<VendorDefaults> =
            serde_json::from_str(include_str!("../../data/presets.json")).expect("valid");
        assert!(!vendors.is_empty());
        for vendor in vendors {
            assert_eq!(normalize_name(&vendor.matches), vendor.matches);
            assert!(
                vendor.precise <= vendor.balanced && vendor.balanced <= vendor.creative,
                "{}",
                vendor.name
            );
        }
    }

    #[test]
    fn r1_stays_between_a_half_and_seven_tenths_and_gets_no_system_message() {
        for name in [
            "deepseek-r1-distill-qwen-7b",
            "DeepSeek R1 Distill Llama 8B",
            "deepseek/deepseek-r1:free",
            "accounts/fireworks/models/deepseek-r1",
        ] {
            for preset in [
                None,
                Some(SamplingPreset::Precise),
                Some(SamplingPreset::Balanced),
                Some(SamplingPreset::Creative),
            ] {
                let mut request = request_with(preset);
                let used = resolve(&mut request, &[name], Recommended::default());
                let temperature = request.sampling.temperature.expect("set");
                assert!((0.5..=0.7).contains(&temperature), "{name} {preset:?}: {temperature}");
                assert_eq!(request.sampling.top_p, Some(0.95));
                assert_eq!(used.temperature, request.sampling.temperature);
                assert_eq!(request.messages.len(), 1);
                assert_eq!(request.messages[0].parts.len(), 2, "the instructions come first");
            }
        }
    }

    #[test]
    fn other_models_have_0_and_07_and_1_unless_their_file_says_otherwise() {
        let temperature = |preset, recommended: Option<f32>| {
            let mut request = request_with(Some(preset));
            let recommended = Recommended {
                temperature: recommended,
                ..Recommended::default()
            };
            let used = resolve(&mut request, &["smollm2-135m"], recommended);
            assert_eq!(request.messages.len(), 2, "the system message stays");
            used.temperature
        };
        assert_eq!(temperature(SamplingPreset::Precise, None), Some(0.0));
        assert_eq!(temperature(SamplingPreset::Balanced, None), Some(0.7));
        assert_eq!(temperature(SamplingPreset::Creative, None), Some(1.0));
        assert_eq!(temperature(SamplingPreset::Balanced, Some(0.2)), Some(0.2));
    }

    #[test]
    fn what_the_request_says_wins_and_nothing_chosen_changes_nothing() {
        let mut request = request_with(Some(SamplingPreset::Precise));
        request.sampling.temperature = Some(1.3);
        let used = resolve(&mut request, &["deepseek-r1"], Recommended::default());
        assert_eq!(
            (used.temperature, used.reason.as_str()),
            (Some(1.3), "set by the request")
        );
        let mut request = request_with(None);
        let before = request.clone();
        resolve(&mut request, &["smollm2-135m"], Recommended::default());
        assert_eq!(request, before);
    }
}
