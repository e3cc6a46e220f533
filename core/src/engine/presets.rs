//! Sampling presets, and the values that each resolves to per model family.
//!
//! | | precise | balanced | creative |
//! |---|---|---|---|
//! | DeepSeek R1 and what was distilled from it | 0.5 | 0.6 | 0.7 |
//! | a model whose vendor advises against some | its vendor's | its vendor's | its vendor's |
//! | a model whose file recommends a temperature | 0 | the file's | 1.0 |
//! | any other | 0 | 0.7 | 1.0 |
//!
//! What vendors say is data with a day and a source (`data/presets.json`). What a request says itself wins always, and
//! the receipt of each answer holds the values that it was asked with and why.

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
    let asked = &mut request.sampling;
    let stated = asked.temperature.is_some() || asked.top_p.is_some();
    let values = match asked.preset {
        Some(preset) => Some(preset_values(preset, vendor, recommended)),
        // No preset was requested: use the vendor's values, if there are any.
        None => vendor.map(|_| preset_values(SamplingPreset::Balanced, vendor, recommended)),
    };
    let mut reason = String::new();
    if let Some(values) = values {
        fill_unset(asked, &values);
        reason = values.reason;
    }
    if stated {
        "as the request says".clone_into(&mut reason);
    }
    AppliedSampling {
        preset: asked.preset,
        temperature: asked.temperature.or(recommended.temperature),
        top_p: asked.top_p.or(recommended.top_p),
        reason: match reason.is_empty() {
            true if recommended != Recommended::default() => "as the model's file recommends".to_owned(),
            true => "the usual values of the place".to_owned(),
            false => reason,
        },
    }
}

/// What stands values each preset for a model of these names.
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
            reason: format!("as the vendor of {} advises ({})", vendor.name, vendor.as_of),
        };
    }
    let (temperature, reason) = match (preset, recommended.temperature) {
        (SamplingPreset::Precise, _) => (0.0, "always the likeliest token"),
        (SamplingPreset::Balanced, Some(temperature)) => (temperature, "as the model's file recommends"),
        (SamplingPreset::Balanced, None) => (0.7, "what most models are used with"),
        (SamplingPreset::Creative, recommended) => (
            recommended.unwrap_or(1.0).max(1.0),
            "as likely as the model was trained",
        ),
    };
    SamplingPresetValues {
        preset,
        temperature: Some(temperature),
        top_p: recommended.top_p.filter(|_| preset != SamplingPreset::Precise),
        reason: reason.to_owned(),
    }
}

fn fill_unset(asked: &mut SamplingOptions, values: &SamplingPresetValues) {
    asked.temperature = asked.temperature.or(values.temperature);
    asked.top_p = asked.top_p.or(values.top_p);
}

/// Moves the words of system messages to the front of the first question.
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

/// What the vendor of a model says about sampling it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VendorDefaults {
    /// What its names have in common, in lower case with `-` between the words.
    matches: String,
    /// For people.
    name: String,
    precise: f32,
    balanced: f32,
    creative: f32,
    top_p: Option<f32>,
    /// Whether it takes a system message.
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
    // A test reads the same text, so that a mistake in it is found there and not by an app.
    serde_json::from_str(include_str!("../../data/presets.json")).unwrap_or_default()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(preset: Option<SamplingPreset>) -> ChatRequest {
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
    fn r1_stays_between_a_half_and_seven_tenths_and_hears_no_system_message() {
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
                let mut request = asked(preset);
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
            let mut request = asked(Some(preset));
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
        let mut request = asked(Some(SamplingPreset::Precise));
        request.sampling.temperature = Some(1.3);
        let used = resolve(&mut request, &["deepseek-r1"], Recommended::default());
        assert_eq!(
            (used.temperature, used.reason.as_str()),
            (Some(1.3), "as the request says")
        );
        let mut request = asked(None);
        let before = request.clone();
        resolve(&mut request, &["smollm2-135m"], Recommended::default());
        assert_eq!(request, before);
    }
}
