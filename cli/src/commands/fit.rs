//! `nearside fit`: checks whether a model fits this device, before any download. Every verdict is a success; only a check
//! that could not be made is a failure.

use clap::Args;
use nearside::model::{CacheType, FitOptions, FitReport, FitVerdict, LoadPlan, ModelRef};
use serde::Serialize;

use crate::args::values::{CacheArg, parse_bytes};
use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{Printer, bad, bold, dim, good, plain, warning};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct FitArgs {
    /// Model: a file, hf:ORG/REPO[:QUANT], an https address, an installed model
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Context size in tokens [default: 4096, from which it grows; at most the length the model was trained with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// Storage of the KV cache [default: f16]
    #[arg(long, value_name = "TYPE")]
    cache: Option<CacheArg>,
    /// Memory budget, such as `4GB` or `4GiB` [default: the memory available on this device]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    budget: Option<u64>,
    /// Layers that the GPU computes, 0 for none [default: all, where this build uses a GPU]
    #[arg(long, value_name = "N")]
    gpu_layers: Option<u32>,
}

/// A report as JSON. Its `context` is less than the requested one if the model was trained with less.
#[derive(Debug, Serialize)]
struct PrintedReport {
    #[serde(flatten)]
    report: FitReport,
    requested_context: Option<u32>,
}

/// Checks the model and prints the verdict.
pub(crate) async fn check_fit(args: FitArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let options = FitOptions {
        context: args.context,
        gpu_layers: args.gpu_layers,
        cache_type: args.cache.map(|cache| cache.0),
        budget_bytes: args.budget,
    };
    let report = session.interrupt.race(nearside.fit(args.reference, options)).await?;
    if session.output.is_json() {
        session.output.print_json(&PrintedReport {
            report,
            requested_context: args.context,
        })
    } else {
        print_verdict(&report, &mut session.output)
    }
}

/// Prints the verdict and its reasons.
pub(crate) fn print_verdict(report: &FitReport, output: &mut Printer) -> Result<(), CliError> {
    let (architecture, quantization) = (&report.architecture, &report.quantization);
    let details = format!(
        "  {architecture} · {quantization} · {}",
        format_bytes(report.size_bytes)
    );
    output.print_line(&[bold(report.model.as_str()), dim(details)])?;
    let verdict = match report.verdict {
        FitVerdict::Fits => good("fits"),
        FitVerdict::Tight => warning("tight"),
        FitVerdict::TooLarge => bad("too large"),
    };
    let (need, budget) = (format_bytes(report.need.total), format_bytes(report.budget.bytes));
    let memory = format!(": needs {need} of {budget} ({})", report.budget.source);
    output.print_line(&[verdict, plain(memory)])?;
    let cache = format!("for {} tokens as {}", report.context, cache_name(report.cache_type));
    let weights = match report.load {
        LoadPlan::Repacked => "all in memory",
        LoadPlan::Mapped => "mapped from the file; the system may evict and reload pages",
    };
    for (part, bytes, note) in [
        ("weights", report.need.weights, weights),
        ("cache", report.need.cache, cache.as_str()),
        ("compute", report.need.compute, ""),
        ("other", report.need.other, ""),
    ] {
        let line = format!("  {part:<8} {:>9}", format_bytes(bytes));
        match note {
            "" => output.print_line(&[plain(line)])?,
            _ => output.print_line(&[plain(line), dim(format!("  {note}"))])?,
        }
    }
    if let Some(note) = &report.note {
        output.print_line(&[warning("  note"), plain(format!(": {note}"))])?;
    }
    if report.verdict != FitVerdict::Fits {
        output.print_line(&[plain(format!("  {}", report.reason))])?;
        for suggestion in &report.suggestions {
            output.print_line(&[good("  try"), plain(format!(": {}", suggestion.text))])?;
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

const EXAMPLES: &str = "\
Example:
  nearside fit hf:bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M --context 4096
  nearside fit ./model.gguf --cache q8_0 --budget 6GB --json

For a model that is not installed only the GGUF head of its file is downloaded, a few megabytes; a later `pull` reuses
it. The exit code is 0 for every verdict.";
