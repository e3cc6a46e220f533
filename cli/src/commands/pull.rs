//! `nearside pull`: resolve, judge, download, verify, install.
//!
//! The verdict comes before the first byte of the download. Ctrl-C keeps what came; the same command goes on from there.
//! With `--json` the download's events are the output, one a line, ending with `installed`.

use clap::Args;
use nearside::model::{DownloadEvent, FitOptions, FitReport, ModelRef, Verdict};
use nearside::{Error, ErrorKind, Nearside};

use super::fit;
use crate::bytes::human;
use crate::failure::Failure;
use crate::output::{dim, doubtful, good, plain};
use crate::progress::Progress;
use crate::session::Session;

/// What `pull` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Pull {
    /// The model: hf:ORG/REPO[:QUANT], an https address
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Download it even if it is too large for this machine
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(arguments: Pull, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    judge(&arguments, &nearside, session).await?;
    download(arguments.reference, &nearside, session).await
}

/// Shows the verdict, and refuses what could not run here.
async fn judge(arguments: &Pull, nearside: &Nearside, session: &mut Session<'_>) -> Result<(), Failure> {
    let judged = nearside.fit(arguments.reference.clone(), FitOptions::default());
    let report = match session.interrupt.or(judged).await {
        Err(Failure::Library(error)) if arguments.force && error.kind() == ErrorKind::Unsupported => {
            session.output.note(&[doubtful("warning"), plain(format!(": {error}"))]);
            return Ok(());
        }
        judged => judged?,
    };
    if !session.output.json() {
        fit::show(&report, session.output)?;
    }
    Ok(permitted(&arguments.reference, &report, arguments.force)?)
}

/// Refuses what could not run here, unless the person knows better.
fn permitted(reference: &ModelRef, report: &FitReport, force: bool) -> Result<(), Error> {
    if report.verdict != Verdict::TooLarge || force {
        return Ok(());
    }
    Err(Error::too_large(format!(
        "`{reference}` needs {} and {} can be used ({}); take a smaller one, or download it all the same with `--force`",
        human(report.need.total),
        human(report.budget.bytes),
        report.budget.source,
    )))
}

async fn download(reference: ModelRef, nearside: &Nearside, session: &mut Session<'_>) -> Result<(), Failure> {
    let stream = nearside.download(reference);
    let mut progress = Progress::new(session.output);
    let mut interrupted = false;
    loop {
        let batch = tokio::select! {
            batch = stream.next_batch() => batch?,
            () = session.interrupt.pressed() => {
                // The first time there is something to put in order; the second time the person means now.
                if interrupted {
                    return Err(Failure::Interrupted);
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
            if session.output.json() {
                session.output.object(&event)?;
            } else {
                show(event, &mut progress, session)?;
            }
        }
    }
    if interrupted {
        progress.clear();
        session.output.note(&[plain(
            "stopped; what came is kept, and the same command goes on from there",
        )]);
        return Err(Failure::Interrupted);
    }
    Ok(())
}

fn show(event: DownloadEvent, progress: &mut Progress, session: &mut Session<'_>) -> Result<(), Failure> {
    match event {
        DownloadEvent::Resolved { name, size_bytes, .. } => {
            let line = format!("resolved `{name}`, {}", human(size_bytes));
            session.output.note(&[dim(line)]);
        }
        DownloadEvent::Progress {
            done,
            total,
            bytes_per_second,
        } => progress.show(done, total, bytes_per_second, session.output),
        DownloadEvent::Verifying => {
            progress.clear();
            session.output.note(&[dim("verifying")]);
        }
        DownloadEvent::Installed { model } => {
            progress.clear();
            let rest = format!(" {}  {}", model.id, human(model.size_bytes));
            session.output.line(&[good("installed"), plain(rest)])?;
            session.output.line(&[dim(format!("  {}", model.path))])?;
            session.output.line(&[dim(format!("  sha256 {}", model.sha256))])?;
        }
    }
    Ok(())
}

const EXAMPLE: &str = "\
Example:
  nearside pull hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0

Interrupted downloads go on where they stopped. The file is checked against the hub's own SHA-256 before it is installed.
Before the download only the head of the file is fetched, to say whether the model fits; it is kept.";

#[cfg(test)]
mod tests {
    use nearside::model::{Budget, CacheType, LoadPlan, Need};

    use super::*;

    #[test]
    fn only_what_is_too_large_is_refused_and_only_without_force() {
        let report = |verdict| FitReport {
            model: "m".into(),
            verdict,
            need: Need {
                weights: 5_000_000_000,
                cache: 0,
                compute: 0,
                other: 0,
                total: 5_000_000_000,
            },
            budget: Budget {
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
            (Verdict::Fits, false, true),
            (Verdict::Tight, false, true),
            (Verdict::TooLarge, true, true),
            (Verdict::TooLarge, false, false),
        ] {
            assert_eq!(
                permitted(&reference, &report(verdict), force).is_ok(),
                passes,
                "{verdict:?} {force}"
            );
        }
        let refused = permitted(&reference, &report(Verdict::TooLarge), false).expect_err("too large");
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
        assert!(refused.to_string().ends_with("`--force`"), "{refused}");
    }
}
