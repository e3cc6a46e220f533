//! `nearside catalog`: lists the recommended models with a verdict for this device, as a table or as `{"models": […]}`.
//!
//! A verdict that could not be made is no failure: the model is listed without one, and `problem` has the reason.

use std::cell::RefCell;

use clap::Args;
use futures_util::{StreamExt, stream};
use nearside::model::{CatalogEntry, FitOptions, FitReport, FitVerdict};
use nearside::{Error, ErrorReason, Nearside};
use serde::Serialize;

use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{dim, warning};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CatalogArgs {
    /// Offline: list the models without verdicts
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Serialize)]
struct CatalogListing {
    models: Vec<ListedEntry>,
}

/// A recommended model, and whether it fits.
#[derive(Debug, Serialize)]
struct ListedEntry {
    id: String,
    /// As `nearside pull` takes it.
    reference: String,
    name: String,
    maker: String,
    parameters: u64,
    quantization: String,
    size_bytes: u64,
    license: String,
    reasoning: bool,
    note: String,
    /// Day of this entry.
    as_of: String,
    /// `None` offline, and if the check failed.
    verdict: Option<FitVerdict>,
    /// Memory that it needs, in bytes.
    need_bytes: Option<u64>,
    /// Why it does not fit, or why the check failed.
    problem: Option<String>,
}

/// Checks the recommended models, unless offline, and prints them.
pub(crate) async fn list_catalog(args: CatalogArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let entries = nearside.catalog();
    let models: Vec<ListedEntry> = if args.offline {
        entries.into_iter().map(|entry| ListedEntry::new(entry, None)).collect()
    } else {
        let unreachable = RefCell::new(None);
        let checks = stream::iter(entries)
            .map(|entry| check_entry(entry, &nearside, &unreachable))
            .buffered(CHECKS_AT_ONCE);
        let all = async { Ok::<_, CliError>(checks.collect().await) };
        session.interrupt.race(all).await?
    };
    if session.output.is_json() {
        return session.output.print_json(&CatalogListing { models });
    }
    let rows: Vec<Vec<String>> = models.iter().map(entry_row).collect();
    session.output.print_table(&HEADINGS, &[2, 3], &rows)?;
    let unchecked: Vec<&ListedEntry> = models.iter().filter(|model| model.verdict.is_none()).collect();
    if let (false, Some(first)) = (args.offline, unchecked.first()) {
        let problem = first.problem.as_deref().unwrap_or_default();
        let text = format!("no verdict on {} of {} models", unchecked.len(), models.len());
        session.output.print_note(&[warning(text), dim(format!(": {problem}"))]);
    }
    if let Some(model) = models.first() {
        let text = format!(
            "recommended on {}; `nearside pull REFERENCE` downloads one",
            model.as_of
        );
        session.output.print_note(&[dim(text)]);
    }
    Ok(())
}

/// Checks one model. A hub that cannot be reached is not tried again for the others: each try lasts seconds.
async fn check_entry(entry: CatalogEntry, nearside: &Nearside, unreachable: &RefCell<Option<Error>>) -> ListedEntry {
    let known = unreachable.borrow().clone();
    let check = match known {
        Some(error) => Err(error),
        None => nearside.fit(entry.model.clone(), FitOptions::default()).await,
    };
    if let Err(error) = &check
        && matches!(error.reason(), ErrorReason::Offline | ErrorReason::Unreachable)
    {
        unreachable.replace(Some(error.clone()));
    }
    ListedEntry::new(entry, Some(check))
}

impl ListedEntry {
    fn new(entry: CatalogEntry, check: Option<Result<FitReport, Error>>) -> Self {
        let (verdict, need_bytes, problem) = match check {
            Some(Ok(report)) => {
                let reason = (report.verdict != FitVerdict::Fits).then_some(report.reason);
                (Some(report.verdict), Some(report.need.total), reason)
            }
            Some(Err(error)) => (None, None, Some(error.to_string())),
            None => (None, None, None),
        };
        Self {
            id: entry.id,
            reference: entry.model.to_string(),
            name: entry.name,
            maker: entry.maker,
            parameters: entry.parameters,
            quantization: entry.quantization,
            size_bytes: entry.size_bytes,
            license: entry.license,
            reasoning: entry.reasoning,
            note: entry.note,
            as_of: entry.as_of,
            verdict,
            need_bytes,
            problem,
        }
    }
}

fn entry_row(model: &ListedEntry) -> Vec<String> {
    let verdict = match model.verdict {
        Some(FitVerdict::Fits) => "fits",
        Some(FitVerdict::Tight) => "tight",
        Some(FitVerdict::TooLarge) => "too large",
        None => "?",
    };
    vec![
        model.name.clone(),
        verdict.to_owned(),
        model.need_bytes.map_or_else(|| "?".to_owned(), format_bytes),
        format_bytes(model.size_bytes),
        model.license.clone(),
        model.reference.clone(),
        model.note.clone(),
    ]
}

const HEADINGS: [&str; 7] = ["NAME", "VERDICT", "MEMORY", "DOWNLOAD", "LICENSE", "REFERENCE", "FOR"];

/// Maximum number of simultaneous checks: each fetches megabytes.
const CHECKS_AT_ONCE: usize = 3;

const EXAMPLES: &str = "\
Example:
  nearside catalog
  nearside catalog --json | jq -r '[.models[] | select(.verdict == \"fits\")] | last.reference'

For a verdict the GGUF head of each file is downloaded, a few megabytes; a later `pull` reuses it. MEMORY is the need at the
default context, and `?` is unknown. The exit code is 0 for every verdict.";
