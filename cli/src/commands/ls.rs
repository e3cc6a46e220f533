//! `nearside ls`: lists the installed models and the partial downloads, as tables or as `{"models": […], "partial": […]}`.

use clap::Args;
use nearside::model::{InstalledModel, PartialDownload};
use serde::Serialize;

use crate::error::CliError;
use crate::format::{format_age, format_bytes};
use crate::output::{dim, plain};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct LsArgs {}

#[derive(Debug, Serialize)]
struct ModelListing {
    models: Vec<InstalledModel>,
    partial: Vec<PartialDownload>,
}

/// Prints the installed models and the partial downloads.
pub(crate) async fn list_models(_: LsArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let models = session.interrupt.race(nearside.models()).await?;
    let partial = session.interrupt.race(nearside.partial_downloads()).await?;
    if session.output.is_json() {
        return session.output.print_json(&ModelListing { models, partial });
    }
    if models.is_empty() {
        let note = "no models are installed; `nearside pull REF` downloads one";
        session.output.print_note(&[plain(note)]);
    } else {
        let rows: Vec<Vec<String>> = models.iter().map(model_row).collect();
        session.output.print_table(&HEADINGS, &[1, 4], &rows)?;
    }
    if partial.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = partial.iter().map(partial_row).collect();
    session.output.print_table(&PARTIAL_HEADINGS, &[1, 2, 3], &rows)?;
    let note = "`nearside pull` resumes a partial download, and `nearside rm --partial` removes it";
    session.output.print_note(&[dim(note)]);
    Ok(())
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

fn partial_row(partial: &PartialDownload) -> Vec<String> {
    vec![
        partial.source.clone(),
        format_bytes(partial.done),
        format_bytes(partial.total),
        format_age(partial.updated_at_ms),
    ]
}

const HEADINGS: [&str; 6] = ["NAME", "SIZE", "QUANTIZATION", "ARCHITECTURE", "CONTEXT", "SOURCE"];

const PARTIAL_HEADINGS: [&str; 4] = ["PARTIAL DOWNLOAD", "SIZE", "OF", "AGE"];

const EXAMPLES: &str = "\
Example:
  nearside ls
  nearside ls --json | jq -r '.models[].id'

CONTEXT is the context length in tokens that the model was trained with. AGE is the time since the last
byte of a partial download; `fit` and `catalog` leave the heads of the files that they check.";
