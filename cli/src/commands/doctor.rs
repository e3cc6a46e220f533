//! `nearside doctor`: what this machine is, what is installed, what is wrong and what would help.
//!
//! It looks and changes nothing. Problems are its answer, not its failure: the exit code is 0.

use std::path::Path;

use clap::Args;
use nearside::device::{self, Snapshot};
use nearside::model::{FitOptions, InstalledModel, ModelRef, Verdict};
use nearside::{Error, Nearside};
use serde::Serialize;

use crate::bytes::human;
use crate::failure::Failure;
use crate::output::{Output, bold, dim, doubtful, good, plain};
use crate::session::Session;

/// What `doctor` takes: nothing.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Doctor {}

#[derive(Debug, Serialize)]
struct Report {
    device: Snapshot,
    models: Vec<Judged>,
    problems: Vec<Problem>,
    build: Build,
}

/// An installed model and whether it could run now; no verdict where that could not be said (a problem tells why).
#[derive(Debug, Serialize)]
struct Judged {
    #[serde(flatten)]
    model: InstalledModel,
    verdict: Option<Verdict>,
}

#[derive(Debug, Serialize)]
struct Problem {
    /// For programs; stays.
    id: &'static str,
    text: String,
    remedy: String,
}

#[derive(Debug, Serialize)]
struct Build {
    version: &'static str,
    arch: &'static str,
    os: &'static str,
    data_dir: String,
}

pub(crate) async fn run(_: Doctor, session: &mut Session<'_>) -> Result<(), Failure> {
    let directory = session.directory()?;
    let device = device::snapshot()?;
    let mut problems = Vec::new();
    let mut models = Vec::new();
    match session.open() {
        Ok(nearside) => {
            models = judge_all(&nearside, &mut problems, session).await?;
            look_at_disk(Path::new(&directory), &mut problems);
        }
        Err(Failure::Library(error)) => problems.push(failed("data_dir", &error)),
        Err(other) => return Err(other),
    }
    look_at_processor(&mut problems);
    if device.memory_available < LOW_MEMORY {
        problems.push(Problem {
            id: "low_memory",
            text: format!(
                "only {} of memory can be used ({})",
                human(device.memory_available),
                device.memory_source
            ),
            remedy: "close other programs, or raise the limit that this process runs under".to_owned(),
        });
    }
    let report = Report {
        device,
        models,
        problems,
        build: Build {
            version: env!("CARGO_PKG_VERSION"),
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            data_dir: directory,
        },
    };
    if session.output.json() {
        session.output.object(&report)
    } else {
        show(&report, session.output)
    }
}

async fn judge_all(
    nearside: &Nearside,
    problems: &mut Vec<Problem>,
    session: &mut Session<'_>,
) -> Result<Vec<Judged>, Failure> {
    let models = match session.interrupt.or(nearside.models()).await {
        Err(Failure::Library(error)) => {
            problems.push(failed("store", &error));
            return Ok(Vec::new());
        }
        models => models?,
    };
    if models.is_empty() {
        problems.push(Problem {
            id: "no_models",
            text: "no models are installed".to_owned(),
            remedy: "`nearside pull REF` downloads one".to_owned(),
        });
    }
    let mut judged = Vec::with_capacity(models.len());
    for model in models {
        let reference = ModelRef::Name { name: model.id.clone() };
        let verdict = match session
            .interrupt
            .or(nearside.fit(reference, FitOptions::default()))
            .await
        {
            Ok(report) => {
                if report.verdict == Verdict::TooLarge {
                    problems.push(Problem {
                        id: "too_large",
                        text: format!("`{}` does not fit now: {}", model.id, report.reason),
                        remedy: match report.suggestions.first() {
                            Some(suggestion) => suggestion.text.clone(),
                            None => "close other programs, or take a smaller model".to_owned(),
                        },
                    });
                }
                Some(report.verdict)
            }
            Err(Failure::Library(error)) => {
                problems.push(failed("model", &error));
                None
            }
            Err(other) => return Err(other),
        };
        judged.push(Judged { model, verdict });
    }
    Ok(judged)
}

fn look_at_disk(directory: &Path, problems: &mut Vec<Problem>) {
    // A file without a name: it is gone whatever happens next.
    if let Err(cause) = tempfile::tempfile_in(directory) {
        problems.push(Problem {
            id: "data_dir",
            text: format!("`{}` cannot be written: {cause}", directory.display()),
            remedy: "mend its rights, or say where models go with `--data-dir DIR` or NEARSIDE_HOME".to_owned(),
        });
    }
    match fs4::available_space(directory) {
        Ok(free) if free < LOW_DISK => problems.push(Problem {
            id: "low_disk",
            text: format!("only {} are free for models in `{}`", human(free), directory.display()),
            remedy: "free some space, or say where models go with `--data-dir DIR` or NEARSIDE_HOME".to_owned(),
        }),
        // What cannot be asked is no problem yet.
        _ => {}
    }
}

#[cfg(target_arch = "x86_64")]
fn look_at_processor(problems: &mut Vec<Problem>) {
    if !std::arch::is_x86_feature_detected!("avx2") {
        problems.push(Problem {
            id: "no_avx2",
            text: "this processor has no AVX2; models run several times slower than they could".to_owned(),
            remedy: "take small models, or another machine".to_owned(),
        });
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn look_at_processor(_: &mut Vec<Problem>) {}

fn failed(id: &'static str, error: &Error) -> Problem {
    let (text, remedy) = crate::failure::words(error);
    Problem { id, text, remedy }
}

fn show(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let device = &report.device;
    output.line(&[bold("device"), plain(format!("    {}, {}", device.cpu, device.os))])?;
    output.line(&[plain(format!(
        "          {} threads; {} of memory, {} can be used ({})",
        device.threads,
        human(device.memory_total),
        human(device.memory_available),
        device.memory_source
    ))])?;
    let build = &report.build;
    let line = format!("     nearside {} for {}-{}", build.version, build.arch, build.os);
    output.line(&[bold("build"), plain(line)])?;
    output.line(&[bold("models"), plain(format!("    in {}", build.data_dir))])?;
    for Judged { model, verdict } in &report.models {
        let verdict = match verdict {
            Some(Verdict::Fits) => good("fits"),
            Some(Verdict::Tight) => doubtful("tight"),
            Some(Verdict::TooLarge) => doubtful("too large"),
            None => doubtful("broken"),
        };
        let line = format!("          {}  {}  ", model.id, human(model.size_bytes));
        output.line(&[plain(line), verdict])?;
    }
    if report.problems.is_empty() {
        return output.line(&[bold("problems"), good("  none")]);
    }
    output.line(&[bold("problems")])?;
    for problem in &report.problems {
        output.line(&[plain("          "), doubtful(problem.text.as_str())])?;
        output.line(&[dim(format!("          help: {}", problem.remedy))])?;
    }
    Ok(())
}

/// Under this nothing that answers well can run beside the system.
const LOW_MEMORY: u64 = 1_000_000_000;

/// Under this the next model will not fit on the disk.
const LOW_DISK: u64 = 2_000_000_000;

const EXAMPLE: &str = "\
Example:
  nearside doctor
  nearside doctor --json | jq .problems";
