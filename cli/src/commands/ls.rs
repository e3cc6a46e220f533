//! `nearside ls`: the installed models, as a table or as `{"models": […]}`.

use clap::Args;
use nearside::model::InstalledModel;
use serde::Serialize;

use crate::bytes::human;
use crate::failure::Failure;
use crate::output::plain;
use crate::session::Session;

/// What `ls` takes: nothing.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Ls {}

#[derive(Debug, Serialize)]
struct Listing {
    models: Vec<InstalledModel>,
}

pub(crate) async fn run(_: Ls, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    let models = session.interrupt.or(nearside.models()).await?;
    if session.output.json() {
        return session.output.object(&Listing { models });
    }
    if models.is_empty() {
        session
            .output
            .note(&[plain("no models are installed; `nearside pull REF` downloads one")]);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = models.iter().map(row).collect();
    session.output.table(&HEADINGS, &[1, 4], &rows)
}

fn row(model: &InstalledModel) -> Vec<String> {
    vec![
        model.id.clone(),
        human(model.size_bytes),
        model.quantization.clone(),
        model.architecture.clone(),
        model.context_length.to_string(),
        model.source.clone(),
    ]
}

const HEADINGS: [&str; 6] = ["NAME", "SIZE", "QUANTIZATION", "ARCHITECTURE", "CONTEXT", "SOURCE"];

const EXAMPLE: &str = "\
Example:
  nearside ls
  nearside ls --json | jq -r '.models[].id'

CONTEXT is how many tokens the model was trained to look at.";
