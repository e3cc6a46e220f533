//! `nearside bench`: how fast a model is here and how much memory it takes, measured on the engine that `chat` uses.
//! The tests are those of llama-bench (`pp512`, `tg128`), so that numbers can be laid side by side.

use clap::Args;
use nearside::engine::local::bench::{BenchOptions, BenchReport, Rates};
use nearside::model::ModelRef;

use crate::bytes::human;
use crate::failure::Failure;
use crate::output::{Output, bold, dim, plain};
use crate::session::Session;

/// What `bench` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Bench {
    /// The model: an installed one, or a file
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Tokens of the prompt
    #[arg(short, long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    prompt_tokens: u32,
    /// Tokens to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    generate_tokens: u32,
    /// How often each is measured
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Threads that compute [default: the performance cores this process may use]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
}

pub(crate) async fn run(arguments: Bench, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = nearside::Nearside::new(nearside::Config {
        threads: arguments.threads,
        ..session.config()?
    })?;
    let options = BenchOptions {
        prompt_tokens: arguments.prompt_tokens,
        generate_tokens: arguments.generate_tokens,
        repetitions: arguments.repetitions,
    };
    // On Ctrl-C the measurement runs on until the process ends; it cannot be cancelled.
    let report = session
        .interrupt
        .or(nearside.bench(arguments.reference, options))
        .await?;
    session.close(&nearside).await;
    if session.output.json() {
        session.output.object(&report)
    } else {
        show(&report, session.output)
    }
}

fn show(report: &BenchReport, output: &mut Output) -> Result<(), Failure> {
    let about = format!(
        "  {} · {} · {} threads",
        report.model.quantization, report.backend, report.threads
    );
    output.line(&[bold(report.model.id.as_str()), dim(about)])?;
    let row = |name: &str, rates: &Rates| {
        let (mean, spread) = mean_and_spread(&rates.tokens_per_second);
        vec![
            format!("{name}{}", rates.tokens),
            format!("{mean:.2}"),
            format!("± {spread:.2}"),
        ]
    };
    let rows = [row("pp", &report.prompt), row("tg", &report.generate)];
    output.table(&["TEST", "TOKENS/S", ""], &[1, 2], &rows)?;
    output.line(&[plain(format!(
        "first token {:.0} ms, loading {:.0} ms",
        report.first_token_ms, report.load_ms
    ))])?;
    let (predicted, measured) = (&report.memory.predicted, &report.memory.measured);
    let parts = [
        ("weights", predicted.weights, measured.weights),
        ("cache", predicted.cache, measured.cache),
        ("compute", predicted.compute, measured.compute),
        ("process", predicted.total, measured.peak_rss),
    ];
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|&(part, predicted, measured)| vec![part.to_owned(), human(predicted), human(measured)])
        .collect();
    output.table(&["MEMORY", "PREDICTED", "MEASURED"], &[1, 2], &rows)?;
    output.line(&[dim(format!("build {}", report.build))])
}

/// The mean and the sample standard deviation, as llama-bench prints them.
fn mean_and_spread(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    if samples.is_empty() {
        return (0.0, 0.0);
    }
    let mean = samples.iter().sum::<f64>() / count;
    let squares = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>();
    (
        mean,
        if count > 1.0 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        },
    )
}

const EXAMPLE: &str = "\
Example:
  nearside bench smollm2-135m-instruct.q4_1
  nearside bench ./model.gguf -p 512 -n 128 -r 5 --json

pp512 is prefill, a prompt of 512 tokens; tg128 is decoding, 128 tokens one by one. Both exclude loading. llama-bench
measures the same with `-p 512 -n 128 -r 5`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_that_of_a_sample() {
        assert_eq!(mean_and_spread(&[2.0, 4.0, 6.0]), (4.0, 2.0));
        assert_eq!(mean_and_spread(&[3.0]), (3.0, 0.0));
        assert_eq!(mean_and_spread(&[]), (0.0, 0.0));
    }
}
