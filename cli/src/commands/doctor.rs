//! `nearside doctor`: shows this device, the installed models, and problems with their remedies.
//!
//! Read-only. Problems are its answer, not a failure: the exit code is 0.

use std::path::Path;

use clap::Args;
use nearside::device::{self, DeviceFacts, DeviceSnapshot};
use nearside::model::{FitOptions, FitVerdict, InstalledModel, ModelRef};
use nearside::{Error, ErrorReason, Nearside};
use serde::Serialize;

use crate::env::proxy_fault;
use crate::error::{CliError, HelpContext, help};
use crate::format::format_bytes;
use crate::output::{Printer, bold, dim, good, plain, warning};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DoctorArgs {}

#[derive(Debug, Serialize)]
struct DoctorReport {
    device: DeviceSnapshot,
    models: Vec<CheckedModel>,
    problems: Vec<Problem>,
    build: BuildInfo,
}

/// An installed model and whether it fits now; no verdict if the check failed (then `problems` has the reason).
#[derive(Debug, Serialize)]
struct CheckedModel {
    #[serde(flatten)]
    model: InstalledModel,
    verdict: Option<FitVerdict>,
}

#[derive(Debug, Serialize)]
struct Problem {
    /// Stable, for scripts.
    id: &'static str,
    text: String,
    remedy: String,
    /// Reason of the error that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ErrorReason>,
}

#[derive(Debug, Serialize)]
struct BuildInfo {
    version: &'static str,
    arch: &'static str,
    os: &'static str,
    data_dir: String,
}

/// Checks the device and prints the report.
pub(crate) async fn diagnose_device(_: DoctorArgs, session: &mut CliSession) -> Result<(), CliError> {
    let directory = session.directory()?;
    let device = device::snapshot(&DeviceFacts::default())?;
    let mut problems = Vec::new();
    let mut models = Vec::new();
    match session.open_library() {
        Ok(nearside) => {
            models = check_models(&nearside, &mut problems, session).await?;
            check_damaged(&nearside, &mut problems, session).await?;
            check_conversations(&nearside, &mut problems, session).await?;
            check_disk(Path::new(&directory), nearside.is_read_only(), &mut problems);
            check_states(
                &Path::new(&directory).join("states"),
                nearside.is_read_only(),
                &mut problems,
            );
        }
        Err(CliError::Library(error)) => problems.push(to_problem("data_dir", &error)),
        Err(other) => return Err(other),
    }
    check_processor(&mut problems);
    if let Some(fault) = proxy_fault() {
        let remedy = format!("correct or unset the variable `{}`", fault.variable);
        problems.push(problem("proxy", fault.error.detail(), remedy));
    }
    if device.memory_available < LOW_MEMORY_BYTES {
        let available = format_bytes(device.memory_available);
        let text = format!("only {available} of memory are available ({})", device.memory_source);
        let remedy = "close other programs, or raise the limit that this process runs under";
        problems.push(problem("low_memory", text, remedy));
    }
    let report = DoctorReport {
        device,
        models,
        problems,
        build: BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            data_dir: directory,
        },
    };
    if session.output.is_json() {
        session.output.print_json(&report)
    } else {
        print_report(&report, &mut session.output)
    }
}

async fn check_models(
    nearside: &Nearside,
    problems: &mut Vec<Problem>,
    session: &mut CliSession,
) -> Result<Vec<CheckedModel>, CliError> {
    let models = match session.interrupt.race(nearside.models()).await {
        Err(CliError::Library(error)) => {
            problems.push(to_problem("store", &error));
            return Ok(Vec::new());
        }
        models => models?,
    };
    if models.is_empty() {
        let remedy = "`nearside pull REF` downloads one";
        problems.push(problem("no_models", "no models are installed", remedy));
    }
    let mut checked = Vec::with_capacity(models.len());
    for model in models {
        let reference = ModelRef::Name { name: model.id.clone() };
        let check = nearside.fit(reference, FitOptions::default());
        let verdict = match session.interrupt.race(check).await {
            Ok(report) => {
                if report.verdict == FitVerdict::TooLarge {
                    let text = format!("`{}` does not fit now: {}", model.id, report.reason);
                    let suggestion = report.suggestions.first().map(|suggestion| suggestion.text.as_str());
                    let remedy = suggestion.unwrap_or("close other programs, or use a smaller model");
                    problems.push(problem("too_large", text, remedy));
                }
                Some(report.verdict)
            }
            Err(CliError::Library(error)) => {
                problems.push(to_problem("model", &error));
                None
            }
            Err(other) => return Err(other),
        };
        checked.push(CheckedModel { model, verdict });
    }
    Ok(checked)
}

/// Reports conversations that cannot be read.
async fn check_conversations(
    nearside: &Nearside,
    problems: &mut Vec<Problem>,
    session: &mut CliSession,
) -> Result<(), CliError> {
    match session.interrupt.race(nearside.conversations().list(Some(1), 0)).await {
        Ok(_) => Ok(()),
        Err(CliError::Library(error)) => {
            problems.push(to_problem("conversations", &error));
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// Reports models that lost bytes since they were installed.
async fn check_damaged(
    nearside: &Nearside,
    problems: &mut Vec<Problem>,
    session: &mut CliSession,
) -> Result<(), CliError> {
    match session.interrupt.race(nearside.damaged_models()).await {
        Ok(damaged) => problems.extend(damaged.into_iter().map(|model| {
            let text = format!("`{}` is damaged: its file is missing or has lost bytes", model.id);
            let remedy = format!("`nearside rm {}` frees its space; then pull it again", model.id);
            problem("damaged_model", text, remedy)
        })),
        Err(CliError::Library(error)) => problems.push(to_problem("store", &error)),
        Err(other) => return Err(other),
    }
    Ok(())
}

fn check_disk(directory: &Path, read_only: bool, problems: &mut Vec<Problem>) {
    if read_only {
        let text = format!(
            "`{}` can only be read: installed models answer, and nothing is downloaded, recorded or stored",
            directory.display()
        );
        let remedy = "fix its permissions, or set another data directory with `--data-dir DIR` or NEARSIDE_HOME";
        problems.push(problem("data_dir", text, remedy));
        return;
    }
    // An unnamed file, so that nothing is left behind.
    if let Err(cause) = tempfile::tempfile_in(directory) {
        let text = format!("`{}` cannot be written: {cause}", directory.display());
        let remedy = "fix its permissions, or set another data directory with `--data-dir DIR` or NEARSIDE_HOME";
        problems.push(problem("data_dir", text, remedy));
    }
    // An unknown amount of free space is not reported.
    if let Ok(free) = fs4::available_space(directory)
        && free < LOW_DISK_BYTES
    {
        let free = format_bytes(free);
        let text = format!("only {free} are free for models in `{}`", directory.display());
        let remedy = "free some space, or set another data directory with `--data-dir DIR` or NEARSIDE_HOME";
        problems.push(problem("low_disk", text, remedy));
    }
}

/// Reports a place for the states of conversations where nothing can be stored.
fn check_states(states: &Path, read_only: bool, problems: &mut Vec<Problem>) {
    if read_only || !states.exists() {
        return;
    }
    // An unnamed file, so that nothing is left behind.
    if let Err(cause) = tempfile::tempfile_in(states) {
        let text = format!(
            "`{}` is not a directory that can be written, so that conversations are read again after a start: {cause}",
            states.display()
        );
        problems.push(problem("states", text, "remove or rename it, or fix its permissions"));
    }
}

#[cfg(target_arch = "x86_64")]
fn check_processor(problems: &mut Vec<Problem>) {
    if !std::arch::is_x86_feature_detected!("avx2") {
        let text = "this processor has no AVX2; models run several times slower";
        problems.push(problem("no_avx2", text, "use small models, or another device"));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn check_processor(_: &mut Vec<Problem>) {}

fn problem(id: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Problem {
    let (text, remedy) = (text.into(), remedy.into());
    Problem {
        id,
        text,
        remedy,
        reason: None,
    }
}

fn to_problem(id: &'static str, error: &Error) -> Problem {
    Problem {
        reason: Some(error.reason()),
        ..problem(id, error.to_string(), help(error, &HelpContext::default()))
    }
}

fn print_report(report: &DoctorReport, output: &mut Printer) -> Result<(), CliError> {
    let device = &report.device;
    output.print_line(&[bold("device"), plain(format!("    {}, {}", device.cpu, device.os))])?;
    output.print_line(&[plain(format!(
        "          {} threads; {} of memory, {} available ({})",
        device.threads,
        format_bytes(device.memory_total),
        format_bytes(device.memory_available),
        device.memory_source
    ))])?;
    let build = &report.build;
    let line = format!("     nearside {} for {}-{}", build.version, build.arch, build.os);
    output.print_line(&[bold("build"), plain(line)])?;
    output.print_line(&[bold("models"), plain(format!("    in {}", build.data_dir))])?;
    for CheckedModel { model, verdict } in &report.models {
        let verdict = match verdict {
            Some(FitVerdict::Fits) => good("fits"),
            Some(FitVerdict::Tight) => warning("tight"),
            Some(FitVerdict::TooLarge) => warning("too large"),
            None => warning("broken"),
        };
        let line = format!("          {}  {}  ", model.id, format_bytes(model.size_bytes));
        output.print_line(&[plain(line), verdict])?;
    }
    if report.problems.is_empty() {
        return output.print_line(&[bold("problems"), good("  none")]);
    }
    output.print_line(&[bold("problems")])?;
    for problem in &report.problems {
        output.print_line(&[plain("          "), warning(problem.text.as_str())])?;
        output.print_line(&[dim(format!("          help: {}", problem.remedy))])?;
    }
    Ok(())
}

/// Below this no model with good answers fits.
const LOW_MEMORY_BYTES: u64 = 1_000_000_000;

/// Below this the next download is unlikely to fit on the disk.
const LOW_DISK_BYTES: u64 = 2_000_000_000;

const EXAMPLES: &str = "\
Example:
  nearside doctor
  nearside doctor --json | jq .problems";
