//! `nearside ls`: lists the installed models, as a table or as `{"models": […]}`.

use clap::Args;
use nearside::model::InstalledModel;
use serde::Serialize;

use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::plain;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct LsArgs {}

#[derive(Debug, Serialize)]
struct ModelListing {
    models: Vec<InstalledModel>,
}

/// Prints the installed models.
pub(crate) async fn list_models(_: LsArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let models = session.interrupt.race(nearside.models()).await?;
    if session.output.is_json() {
        return session.output.print_json(&ModelListing { models });
    }
    if models.is_empty() {
        let note = "no models are installed; `nearside pull REF` downloads one";
        session.output.print_note(&[plain(note)]);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = models.iter().map(model_row).collect();
    session.output.print_table(&HEADINGS, &[1, 4], &rows)
}

fn model_row(model: &InstalledModel) -> Vec<String> {
    vec![
        model.id.clone(),
        format_bytes(model.size_bytes),
        model.quantization.clone(),
        model.architecture.clone(),
        model.context_length.to_string(),
        model.source.clone(),
    ]
}

const HEADINGS: [&str; 6] = ["NAME", "SIZE", "QUANTIZATION", "ARCHITECTURE", "CONTEXT", "SOURCE"];

const EXAMPLES: &str = "\
Example:
  nearside ls
  nearside ls --json | jq -r '.models[].id'

CONTEXT is the context length in tokens that the model was trained with.";
