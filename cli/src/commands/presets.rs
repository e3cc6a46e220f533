//! `nearside presets`: lists the sampling presets with their values, for any model or for one, as a table or as
//! `{"presets": […]}`.

use clap::{Args, ValueEnum};
use nearside::chat::{SamplingPreset, SamplingPresetValues};
use serde::Serialize;

use crate::args::values::PresetArg;
use crate::error::CliError;
use crate::output::dim;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PresetsArgs {
    /// Model: an installed one or a file; with `--provider`, the provider's id of one [default: any model]
    #[arg(value_name = "REF")]
    model: Option<String>,
    /// The model is one of a provider
    #[arg(long, value_name = "NAME", requires = "model")]
    provider: Option<String>,
}

impl PresetsArgs {
    /// Returns the provider that is named.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }
}

#[derive(Debug, Serialize)]
struct PresetListing {
    presets: Vec<ListedPreset>,
}

/// A preset with its values for the model.
#[derive(Debug, Serialize)]
struct ListedPreset {
    /// As `--preset` takes it.
    preset: SamplingPreset,
    description: String,
    /// `None`: the target's default.
    temperature: Option<f32>,
    top_p: Option<f32>,
    /// Source of the values.
    reason: String,
}

/// Prints the presets.
pub(crate) async fn list_presets(args: PresetsArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let values = nearside.presets(args.model, args.provider);
    let values = session.interrupt.race(values).await?;
    let presets: Vec<ListedPreset> = values.into_iter().map(ListedPreset::from).collect();
    if session.output.is_json() {
        return session.output.print_json(&PresetListing { presets });
    }
    let rows: Vec<Vec<String>> = presets.iter().map(preset_row).collect();
    session.output.print_table(&HEADINGS, &[1, 2], &rows)?;
    let note = "`--preset` of `chat` uses one; other sampling flags override its values";
    session.output.print_note(&[dim(note)]);
    Ok(())
}

impl From<SamplingPresetValues> for ListedPreset {
    fn from(values: SamplingPresetValues) -> Self {
        Self {
            preset: values.preset,
            description: describe(values.preset),
            temperature: values.temperature,
            top_p: values.top_p,
            reason: values.reason,
        }
    }
}

/// Returns the description in the help of `--preset`.
fn describe(preset: SamplingPreset) -> String {
    let value = PresetArg(preset).to_possible_value();
    let help = value.as_ref().and_then(|value| value.get_help());
    help.map(ToString::to_string).unwrap_or_default()
}

fn preset_row(preset: &ListedPreset) -> Vec<String> {
    let number = |value: Option<f32>| value.map_or_else(|| "default".to_owned(), |value| value.to_string());
    let name = PresetArg(preset.preset).to_possible_value();
    vec![
        name.map(|name| name.get_name().to_owned()).unwrap_or_default(),
        number(preset.temperature),
        number(preset.top_p),
        preset.description.clone(),
        preset.reason.clone(),
    ]
}

const HEADINGS: [&str; 5] = ["PRESET", "TEMPERATURE", "TOP P", "FOR", "SOURCE"];

const EXAMPLES: &str = "\
Example:
  nearside presets
  nearside presets smollm2-135m-instruct.q4_1
  nearside presets deepseek/deepseek-r1 --provider openrouter --json

The values depend on the model: its vendor or its file may recommend others. `default` is the default of the target.";
