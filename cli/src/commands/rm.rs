//! `nearside rm`: removes an installed model, or partial downloads, after a confirmation.

use clap::Args;
use nearside::model::{ModelRef, PartialDownload};
use nearside::{Error, ErrorReason, Nearside};
use serde::Serialize;

use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{good, plain, warning};
use crate::prompt;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RmArgs {
    /// Model, as `nearside ls` names it, or the reference it came from
    #[arg(value_name = "REF", value_parser = ModelRef::parse, required_unless_present = "partial")]
    reference: Option<ModelRef>,
    /// Remove the partial downloads of REF instead; without REF, all of them
    #[arg(long)]
    partial: bool,
    /// Do not ask for confirmation; without a terminal it is required
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct RemovedPartial {
    removed: Vec<PartialDownload>,
    freed_bytes: u64,
}

/// Removes the model or the partial downloads, after a confirmation.
pub(crate) async fn remove_model(args: RmArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let named = args.reference.as_ref().map(|reference| format!("`{reference}`"));
    let question = match (args.partial, named) {
        (false, named) => format!("remove {}?", named.unwrap_or_default()),
        (true, Some(named)) => format!("remove the partial downloads of {named}?"),
        (true, None) => "remove all partial downloads?".to_owned(),
    };
    if !prompt::confirm_removal(&question, args.yes, &mut session.output)? {
        return Ok(());
    }
    match args.reference {
        Some(reference) if !args.partial => remove_installed(reference, &nearside, session).await,
        reference => remove_partial(reference, &nearside, session).await,
    }
}

async fn remove_installed(reference: ModelRef, nearside: &Nearside, session: &mut CliSession) -> Result<(), CliError> {
    let model = session.interrupt.race(nearside.remove(reference)).await?;
    if session.output.is_json() {
        return session.output.print_json(&model);
    }
    let details = format!(" {}, {} freed", model.id, format_bytes(model.size_bytes));
    session.output.print_line(&[good("removed"), plain(details)])
}

async fn remove_partial(
    reference: Option<ModelRef>,
    nearside: &Nearside,
    session: &mut CliSession,
) -> Result<(), CliError> {
    let all = reference.is_none();
    let removed = session.interrupt.race(nearside.remove_partial(reference)).await;
    let removed = removed.map_err(explain_missing)?;
    let freed_bytes = removed.iter().map(|one| one.done).sum();
    let kept = match all {
        true => session.interrupt.race(nearside.partial_downloads()).await?,
        false => vec![],
    };
    for one in &kept {
        let text = format!(": {}: its download is in progress; stop it first", one.source);
        session.output.print_note(&[warning("kept"), plain(text)]);
    }
    if session.output.is_json() {
        return session.output.print_json(&RemovedPartial { removed, freed_bytes });
    }
    if removed.is_empty() && kept.is_empty() {
        session
            .output
            .print_note(&[plain("there are no partial downloads to remove")]);
    }
    for one in removed {
        let details = format!(" {}, {} freed", one.source, format_bytes(one.done));
        session.output.print_line(&[good("removed"), plain(details)])?;
    }
    Ok(())
}

/// Names the command that lists partial downloads in the error of one that is missing.
fn explain_missing(error: CliError) -> CliError {
    match error {
        CliError::Library(error) if error.reason() == ErrorReason::ModelNotInstalled => {
            let error = Error::of(ErrorReason::NotFound, error.to_string());
            CliError::with_help(error, "`nearside ls` lists the partial downloads")
        }
        other => other,
    }
}

const EXAMPLES: &str = "\
Example:
  nearside rm smollm2-135m-instruct.q4_1
  nearside rm --yes smollm2-135m-instruct.q4_1
  nearside rm --partial hf:Qwen/Qwen3-4B-GGUF:Q4_K_M
  nearside rm --partial

A download in progress is not removed: stop it first.";
