//! `nearside bench`: measures the speed and the memory of a model, on the engine that `chat` uses. The tests are those of
//! llama-bench (`pp512`, `tg128`), so that the numbers are comparable.

use clap::Args;
use nearside::engine::local::bench::{BenchOptions, BenchRates, BenchReport};
use nearside::model::ModelRef;

use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{Printer, bold, dim, plain};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Model: an installed one, or a file
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Length of the prompt in tokens
    #[arg(short, long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    prompt_tokens: u32,
    /// Tokens to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    generate_tokens: u32,
    /// Number of measurements of each test
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Compute threads [default: the performance cores available to this process]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Context size in tokens [default: 4096, at most the length the model was trained with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// Layers that the GPU computes, 0 for none [default: all, where this build uses a GPU]
    #[arg(long, value_name = "N")]
    gpu_layers: Option<u32>,
}

/// Measures the model and prints the report.
pub(crate) async fn bench_model(args: BenchArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = nearside::Nearside::new(nearside::Config {
        context: args.context,
        threads: args.threads,
        gpu_layers: args.gpu_layers,
        ..session.config()?
    })?;
    let options = BenchOptions {
        prompt_tokens: args.prompt_tokens,
        generate_tokens: args.generate_tokens,
        repetitions: args.repetitions,
    };
    // Ctrl-C cancels the measurement; the library, dropped on every way out, frees the model before the process ends.
    let report = session.interrupt.race(nearside.bench(args.reference, options)).await?;
    session.shut_down(&nearside).await;
    if session.output.is_json() {
        session.output.print_json(&report)
    } else {
        print_report(&report, &mut session.output)
    }
}

fn print_report(report: &BenchReport, output: &mut Printer) -> Result<(), CliError> {
    let (quantization, backend) = (&report.model.quantization, &report.backend);
    let details = format!("  {quantization} · {backend} · {} threads", report.threads);
    output.print_line(&[bold(report.model.id.as_str()), dim(details)])?;
    let row = |name: &str, rates: &BenchRates| {
        let (mean, spread) = mean_and_spread(&rates.tokens_per_second);
        let name = format!("{name}{}", rates.tokens);
        vec![name, format!("{mean:.2}"), format!("± {spread:.2}")]
    };
    let rows = [row("pp", &report.prompt), row("tg", &report.generate)];
    output.print_table(&["TEST", "TOKENS/S", ""], &[1, 2], &rows)?;
    let (first, load) = (report.first_token_ms, report.load_ms);
    output.print_line(&[plain(format!("first token {first:.0} ms, loading {load:.0} ms"))])?;
    let (predicted, measured) = (&report.memory.predicted, &report.memory.measured);
    let parts = [
        ("weights", predicted.weights, measured.weights),
        ("cache", predicted.cache, measured.cache),
        ("compute", predicted.compute, measured.compute),
        ("process", predicted.total, measured.peak_rss),
    ];
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|&(part, predicted, measured)| vec![part.to_owned(), format_bytes(predicted), format_bytes(measured)])
        .collect();
    output.print_table(&["MEMORY", "PREDICTED", "MEASURED"], &[1, 2], &rows)?;
    output.print_line(&[dim(format!("build {}", report.build))])
}

/// Returns the mean and the sample standard deviation, as llama-bench prints them.
fn mean_and_spread(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    if samples.is_empty() {
        return (0.0, 0.0);
    }
    let mean = samples.iter().sum::<f64>() / count;
    let squares = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>();
    // One sample has no spread.
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

const EXAMPLES: &str = "\
Example:
  nearside bench smollm2-135m-instruct.q4_1
  nearside bench ./model.gguf -p 512 -n 128 -r 5 --json

pp512 is prefill, a prompt of 512 tokens; tg128 is decoding, 128 tokens one by one. Both exclude loading. llama-bench
runs the same tests with `-p 512 -n 128 -r 5`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_the_sample_standard_deviation() {
        assert_eq!(mean_and_spread(&[2.0, 4.0, 6.0]), (4.0, 2.0));
        assert_eq!(mean_and_spread(&[3.0]), (3.0, 0.0));
        assert_eq!(mean_and_spread(&[]), (0.0, 0.0));
    }
}
