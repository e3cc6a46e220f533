//! `nearside pull`: resolves, checks the fit, downloads, verifies and installs a model.
//!
//! The verdict comes before the first byte of the download. Ctrl-C keeps the partial file; the same command resumes it.
//! With `--json` the download's events are the output, one per line, ending with `installed`.

use clap::Args;
use nearside::model::{DownloadEvent, FitOptions, FitReport, FitVerdict, ModelRef};
use nearside::{Error, ErrorKind, Nearside};

use super::{fit, import};
use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{Printer, dim, plain, warning};
use crate::progress::DownloadProgress;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PullArgs {
    /// Model: hf:ORG/REPO[:QUANT], an https address
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Download even if the model is too large for this device
    #[arg(long)]
    force: bool,
}

/// Checks the fit, then downloads and installs the model.
pub(crate) async fn pull_model(args: PullArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    check_verdict(&args, &nearside, session).await?;
    download_model(args.reference, &nearside, session).await
}

/// Prints the verdict. Fails for a model that is too large.
async fn check_verdict(args: &PullArgs, nearside: &Nearside, session: &mut CliSession) -> Result<(), CliError> {
    let check = nearside.fit(args.reference.clone(), FitOptions::default());
    let report = match session.interrupt.race(check).await {
        Err(CliError::Library(error)) if args.force && error.kind() == ErrorKind::Unsupported => {
            let texts = [warning("warning"), plain(format!(": {error}"))];
            session.output.print_note(&texts);
            return Ok(());
        }
        report => report?,
    };
    if !session.output.is_json() {
        fit::print_verdict(&report, &mut session.output)?;
    }
    allow_download(&args.reference, &report, args.force)
}

/// Rejects a model that is too large, unless forced.
fn allow_download(reference: &ModelRef, report: &FitReport, force: bool) -> Result<(), CliError> {
    if report.verdict != FitVerdict::TooLarge || force {
        return Ok(());
    }
    let error = Error::too_large(format!(
        "`{reference}` needs {} and {} are available ({})",
        format_bytes(report.need.total),
        format_bytes(report.budget.bytes),
        report.budget.source,
    ));
    let help = "use a smaller one, or download it anyway with `--force`";
    Err(CliError::with_help(error, help))
}

async fn download_model(reference: ModelRef, nearside: &Nearside, session: &mut CliSession) -> Result<(), CliError> {
    let stream = nearside.download(reference);
    let mut progress = DownloadProgress::new(&session.output);
    let mut interrupted = false;
    loop {
        let batch = tokio::select! {
            batch = stream.next_batch() => batch?,
            () = session.interrupt.pressed() => {
                // The first Ctrl-C cancels and waits for the stream to end; a second one does not wait.
                if interrupted {
                    return Err(CliError::Interrupted);
                }
                interrupted = true;
                stream.cancel();
                continue;
            }
        };
        if batch.is_empty() {
            break;
        }
        for event in batch {
            if session.output.is_json() {
                session.output.print_json(&event)?;
            } else {
                print_event(event, &mut progress, &mut session.output)?;
            }
        }
    }
    if interrupted {
        progress.remove_bar();
        let note = "stopped; the partial file is kept, and the same command resumes it";
        session.output.print_note(&[plain(note)]);
        return Err(CliError::Interrupted);
    }
    Ok(())
}

fn print_event(event: DownloadEvent, progress: &mut DownloadProgress, output: &mut Printer) -> Result<(), CliError> {
    match event {
        DownloadEvent::Resolved { file } => {
            let line = format!("resolved `{}`, {}", file.name, format_bytes(file.size_bytes));
            output.print_note(&[dim(line)]);
        }
        DownloadEvent::Progress {
            done,
            total,
            bytes_per_second,
        } => progress.update(done, total, bytes_per_second, output),
        DownloadEvent::Verifying => {
            progress.remove_bar();
            output.print_note(&[dim("verifying")]);
        }
        DownloadEvent::Installed { model } => {
            progress.remove_bar();
            import::print_installed("installed", &model, output)?;
        }
    }
    Ok(())
}

const EXAMPLES: &str = "\
Example:
  nearside pull hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0

Interrupted downloads are resumed. The file is verified against the hub's SHA-256 before it is installed. Before the
download only the GGUF head is fetched, to check whether the model fits; the download reuses it.";

#[cfg(test)]
mod tests {
    use nearside::model::{CacheType, LoadPlan, MemoryBudget, MemoryEstimate};

    use super::*;

    #[test]
    fn only_a_model_that_is_too_large_is_rejected_and_only_without_force() {
        let report = |verdict| FitReport {
            model: "m".into(),
            note: None,
            verdict,
            need: MemoryEstimate {
                weights: 5_000_000_000,
                cache: 0,
                compute: 0,
                other: 0,
                total: 5_000_000_000,
            },
            budget: MemoryBudget {
                bytes: 3_000_000_000,
                source: "MemAvailable".into(),
            },
            evictable: 0,
            load: LoadPlan::Mapped,
            reason: String::new(),
            context: 4096,
            cache_type: CacheType::F16,
            context_length: 4096,
            architecture: "llama".into(),
            quantization: "Q4_K_M".into(),
            size_bytes: 5_000_000_000,
            network_bytes: 0,
            suggestions: vec![],
        };
        let reference = ModelRef::Name { name: "m".into() };
        for (verdict, force, passes) in [
            (FitVerdict::Fits, false, true),
            (FitVerdict::Tight, false, true),
            (FitVerdict::TooLarge, true, true),
            (FitVerdict::TooLarge, false, false),
        ] {
            let allowed = allow_download(&reference, &report(verdict), force).is_ok();
            assert_eq!(allowed, passes, "{verdict:?} {force}");
        }
        let refused = allow_download(&reference, &report(FitVerdict::TooLarge), false).expect_err("too large");
        let CliError::Own(error, help) = refused else {
            panic!("an error of this program: {refused:?}")
        };
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(help.ends_with("`--force`"), "{help}");
    }
}
