//! `nearside fit`: whether a model fits this machine, before any download. The verdict is the answer, whatever it is:
//! only a question that could not be answered is a failure.

use clap::Args;
use nearside::model::{CacheType, FitOptions, FitReport, LoadPlan, ModelRef, Verdict};

use crate::arguments::Cache;
use crate::bytes::{self, human};
use crate::failure::Failure;
use crate::output::{Output, bad, bold, dim, doubtful, good, plain};
use crate::session::Session;

/// What `fit` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Fit {
    /// The model: a file, hf:ORG/REPO[:QUANT], an https address, an installed model
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// For a context of this many tokens [default: 4096, at most what the model was trained with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// How the keys and values of the context are stored [default: f16]
    #[arg(long, value_name = "TYPE")]
    cache: Option<Cache>,
    /// For a machine with so much memory to give, as `4GB` or `4GiB` [default: what is free here]
    #[arg(long, value_name = "BYTES", value_parser = bytes::parse)]
    budget: Option<u64>,
}

pub(crate) async fn run(arguments: Fit, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    let options = FitOptions {
        context: arguments.context,
        cache_type: arguments.cache.map(|cache| cache.0),
        budget_bytes: arguments.budget,
    };
    let report = session.interrupt.or(nearside.fit(arguments.reference, options)).await?;
    if session.output.json() {
        session.output.object(&report)
    } else {
        show(&report, session.output)
    }
}

/// The verdict and its reasons, for a person.
pub(crate) fn show(report: &FitReport, output: &mut Output) -> Result<(), Failure> {
    let about = [
        report.architecture.as_str(),
        report.quantization.as_str(),
        &human(report.size_bytes),
    ]
    .join(" · ");
    output.line(&[bold(report.model.as_str()), dim(format!("  {about}"))])?;
    let verdict = match report.verdict {
        Verdict::Fits => good("fits"),
        Verdict::Tight => doubtful("tight"),
        Verdict::TooLarge => bad("too large"),
    };
    let (need, budget) = (human(report.need.total), human(report.budget.bytes));
    let sum = format!(": needs {need} of {budget} ({})", report.budget.source);
    output.line(&[verdict, plain(sum)])?;
    let cache = format!("for {} tokens as {}", report.context, cache_name(report.cache_type));
    let weights = match report.load {
        LoadPlan::Repacked => "all in memory",
        LoadPlan::Mapped => "mapped from the file; the system may drop them and read them again",
    };
    for (part, bytes, note) in [
        ("weights", report.need.weights, weights),
        ("cache", report.need.cache, cache.as_str()),
        ("compute", report.need.compute, ""),
        ("other", report.need.other, ""),
    ] {
        let line = format!("  {part:<8} {:>9}", human(bytes));
        match note {
            "" => output.line(&[plain(line)])?,
            _ => output.line(&[plain(line), dim(format!("  {note}"))])?,
        }
    }
    if report.verdict != Verdict::Fits {
        output.line(&[plain(format!("  {}", report.reason))])?;
        for suggestion in &report.suggestions {
            output.line(&[good("  try"), plain(format!(": {}", suggestion.text))])?;
        }
    }
    Ok(())
}

fn cache_name(cache_type: CacheType) -> &'static str {
    match cache_type {
        CacheType::F16 => "f16",
        CacheType::Q8_0 => "q8_0",
    }
}

const EXAMPLE: &str = "\
Example:
  nearside fit hf:bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M --context 4096
  nearside fit ./model.gguf --cache q8_0 --budget 6GB --json

For a model that is not here only the head of its file is fetched, a few megabytes; a later `pull` does not fetch them
again. The exit code is 0 whatever the verdict.";
