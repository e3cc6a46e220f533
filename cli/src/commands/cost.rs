//! `nearside cost`: estimates the cost of a prompt on every target, or, with `--spent`, reports spending. Makes no
//! network request: prices come from cached model lists and the built-in table.

use clap::Args;
use nearside::Nearside;
use nearside::route::CostRow;
use nearside::state::{SpendingGroup, SpendingRow};

use crate::args::RequestArgs;
use crate::args::values::GroupByArg;
use crate::error::CliError;
use crate::format::{dollars_or_unknown, format_dollars, format_target};
use crate::output::{dim, plain};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CostArgs {
    /// Prompt to estimate; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT", required_unless_present = "spent")]
    prompt: Option<String>,
    /// Show spending instead
    #[arg(long, conflicts_with = "prompt")]
    spent: bool,
    /// Grouping of the spending [default: day]
    #[arg(long, value_name = "WHAT", requires = "spent")]
    by: Option<GroupByArg>,
    #[command(flatten)]
    request: RequestArgs,
}

impl CostArgs {
    /// Returns the provider that is named.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.request.provider()
    }
}

/// Prints the estimate or, with `--spent`, the spending.
pub(crate) async fn print_cost(args: Box<CostArgs>, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_for_request(&args.request)?;
    match &args.prompt {
        Some(prompt) => print_estimate(prompt, &args.request, &nearside, session).await,
        None => print_spending(args.by.map_or(SpendingGroup::Day, |by| by.0), &nearside, session).await,
    }
}

async fn print_estimate(
    prompt: &str,
    args: &RequestArgs,
    nearside: &Nearside,
    session: &mut CliSession,
) -> Result<(), CliError> {
    let request = session.build_request(args, prompt).await?;
    let rows = session.interrupt.race(nearside.cost(request)).await?;
    if session.output.is_json() {
        return session.output.print_json(&rows);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(estimate_row).collect();
    session.output.print_table(&HEADINGS, &[1, 2, 3, 4], &cells)?;
    let note =
        "estimated from the length of the prompt and `--max-tokens`; without it, for an answer of average length";
    session.output.print_note(&[dim(note)]);
    Ok(())
}

fn estimate_row(row: &CostRow) -> Vec<String> {
    let range = match (row.usd_least, row.usd_most) {
        (Some(least), Some(most)) if least < most => format!("{} to {}", format_dollars(least), format_dollars(most)),
        _ => String::new(),
    };
    vec![
        format_target(&row.target),
        dollars_or_unknown(row.usd_in),
        dollars_or_unknown(row.usd_out),
        dollars_or_unknown(row.usd_total),
        range,
        row.as_of.clone(),
        if row.set_up { "yes" } else { "" }.to_owned(),
    ]
}

async fn print_spending(by: SpendingGroup, nearside: &Nearside, session: &mut CliSession) -> Result<(), CliError> {
    let rows = session.interrupt.race(nearside.spending(by)).await?;
    if session.output.is_json() {
        return session.output.print_json(&rows);
    }
    let heading = match by {
        SpendingGroup::Day => "DAY",
        SpendingGroup::Model => "MODEL",
        SpendingGroup::Provider => "PROVIDER",
        SpendingGroup::Purpose => "PURPOSE",
    };
    let headings = [heading, "ANSWERS", "USD", "UNSETTLED", "TOKENS IN", "TOKENS OUT"];
    let cells: Vec<Vec<String>> = rows.iter().map(spending_row).collect();
    session.output.print_table(&headings, &[1, 2, 3, 4, 5], &cells)?;
    let spent = session.interrupt.race(nearside.spent()).await?;
    let policy = nearside.policy();
    let of_cap = |cap: Option<f64>| cap.map_or_else(String::new, |cap| format!(" of {}", format_dollars(cap)));
    let note = format!(
        "today {}{}, this month {}{} (UTC, including reservations)",
        format_dollars(spent.day),
        of_cap(policy.max_usd_day),
        format_dollars(spent.month),
        of_cap(policy.max_usd_month),
    );
    session.output.print_note(&[plain(note)]);
    Ok(())
}

fn spending_row(row: &SpendingRow) -> Vec<String> {
    vec![
        row.key.clone(),
        row.requests.to_string(),
        format_dollars(row.usd),
        format_dollars(row.usd_unsettled),
        row.prompt_tokens.to_string(),
        row.completion_tokens.to_string(),
    ]
}

const HEADINGS: [&str; 7] = ["TARGET", "IN", "OUT", "TOTAL", "RANGE", "AS OF", "SET UP"];

const EXAMPLES: &str = "\
Example:
  nearside cost -p \"Write a poem about the sea.\" --max-tokens 500
  nearside cost -p - --json < question.txt | jq -r '.[] | select(.set_up) | .target'
  nearside cost --spent --by provider

The flags are those of `chat`. No provider is contacted: AS OF is the day of a price, and `?` is an unknown price.
UNSETTLED is the maximum cost of answers whose end is unknown; caps include it.";
