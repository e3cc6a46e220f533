//! `nearside cost`: estimates the cost of a question on every target, or, with `--spent`, reports spending. Makes no
//! network request: prices come from cached model lists and the built-in table.

use clap::{Args, ValueEnum};
use nearside::Nearside;
use nearside::route::CostRow;
use nearside::state::{SpendBy, SpendRow};

use crate::asked::Asked;
use crate::failure::Failure;
use crate::money::{dollars, perhaps};
use crate::output::{dim, plain};
use crate::session::Session;

/// What `cost` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Cost {
    /// The question to reckon with; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT", required_unless_present = "spent")]
    prompt: Option<String>,
    /// Say what was spent instead
    #[arg(long, conflicts_with = "prompt")]
    spent: bool,
    /// What to sum up by [default: day]
    #[arg(long, value_name = "WHAT", requires = "spent")]
    by: Option<By>,
    #[command(flatten)]
    asked: Asked,
}

/// `--by`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// Days, in UTC
    Day,
    /// Models, with who ran them
    Model,
    /// Providers; models here are `device`
    Provider,
    /// What the questions were for
    Purpose,
}

pub(crate) async fn run(arguments: Box<Cost>, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open_to_ask(&arguments.asked)?;
    match &arguments.prompt {
        Some(prompt) => beforehand(prompt, &arguments.asked, &nearside, session).await,
        None => afterwards(arguments.by.unwrap_or(By::Day), &nearside, session).await,
    }
}

async fn beforehand(
    prompt: &str,
    asked: &Asked,
    nearside: &Nearside,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let request = asked.question(prompt, session).await?;
    let rows = session.interrupt.or(nearside.cost(request)).await?;
    if session.output.json() {
        return session.output.object(&rows);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(row).collect();
    session.output.table(&HEADINGS, &[1, 2, 3, 4], &cells)?;
    let note = "guessed from the length of the question; without `--max-tokens` of an answer of usual length";
    session.output.note(&[dim(note)]);
    Ok(())
}

fn row(row: &CostRow) -> Vec<String> {
    let place = if row.target.is_remote() { "" } else { " on this device" };
    let range = match (row.usd_least, row.usd_most) {
        (Some(least), Some(most)) if least < most => format!("{} to {}", dollars(least), dollars(most)),
        _ => String::new(),
    };
    vec![
        format!("{}{place}", row.target),
        perhaps(row.usd_in),
        perhaps(row.usd_out),
        perhaps(row.usd_total),
        range,
        row.as_of.clone(),
        if row.set_up { "yes" } else { "" }.to_owned(),
    ]
}

async fn afterwards(by: By, nearside: &Nearside, session: &mut Session<'_>) -> Result<(), Failure> {
    let rows = session.interrupt.or(nearside.spending(by.into())).await?;
    if session.output.json() {
        return session.output.object(&rows);
    }
    let heading = match by {
        By::Day => "DAY",
        By::Model => "MODEL",
        By::Provider => "PROVIDER",
        By::Purpose => "PURPOSE",
    };
    let headings = [heading, "ANSWERS", "USD", "UNSETTLED", "TOKENS IN", "TOKENS OUT"];
    let cells: Vec<Vec<String>> = rows.iter().map(spent).collect();
    session.output.table(&headings, &[1, 2, 3, 4, 5], &cells)?;
    let spent = session.interrupt.or(nearside.spent()).await?;
    let policy = nearside.policy();
    let of = |cap: Option<f64>| cap.map_or_else(String::new, |cap| format!(" of {}", dollars(cap)));
    let note = format!(
        "today {}{}, this month {}{} (UTC, with what is reserved)",
        dollars(spent.day),
        of(policy.max_usd_day),
        dollars(spent.month),
        of(policy.max_usd_month),
    );
    session.output.note(&[plain(note)]);
    Ok(())
}

fn spent(row: &SpendRow) -> Vec<String> {
    vec![
        row.key.clone(),
        row.requests.to_string(),
        dollars(row.usd),
        dollars(row.usd_unsettled),
        row.prompt_tokens.to_string(),
        row.completion_tokens.to_string(),
    ]
}

impl From<By> for SpendBy {
    fn from(by: By) -> Self {
        match by {
            By::Day => Self::Day,
            By::Model => Self::Model,
            By::Provider => Self::Provider,
            By::Purpose => Self::Purpose,
        }
    }
}

const HEADINGS: [&str; 7] = ["PLACE", "IN", "OUT", "TOTAL", "RANGE", "AS OF", "SET UP"];

const EXAMPLE: &str = "\
Example:
  nearside cost -p \"Write a poem about the sea.\" --max-tokens 500
  nearside cost -p - --json < question.txt | jq -r '.[] | select(.set_up) | .target'
  nearside cost --spent --by provider

The flags are those of `chat`. Nobody is asked: a price is the one of the day that stands beside it, and `?` is a price
that nobody publishes. UNSETTLED is what answers could have cost whose end nobody saw; caps count it.";
