//! `nearside route`: prints the routing decision without sending the question. Model lists of providers may be
//! refreshed if no local model answers.

use clap::Args;
use nearside::Error;
use nearside::chat::{Expected, Route as Way, Skipped, Target};
use nearside::route::{Decision, Question};
use serde::Serialize;

use crate::asked::Asked;
use crate::failure::Failure;
use crate::money::dollars;
use crate::output::{Output, bad, bold, dim, doubtful, good, plain};
use crate::session::Session;

/// What `route` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Route {
    /// The question to decide on; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: String,
    #[command(flatten)]
    asked: Asked,
}

/// A decision, flat.
#[derive(Debug, Serialize)]
struct Decided {
    /// `go`, `ask` or `nowhere`.
    decision: &'static str,
    /// Nobody, if it is `nowhere`.
    target: Option<Target>,
    reason: String,
    rule: String,
    policy: String,
    then: Vec<Target>,
    skipped: Vec<Skipped>,
    expected: Expected,
    /// What the person would be asked, if it is `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<String>,
}

pub(crate) async fn run(arguments: Box<Route>, session: &mut Session<'_>) -> Result<(), Failure> {
    let asked = &arguments.asked;
    let nearside = session.open_to_ask(asked)?;
    let mut request = asked.question(&arguments.prompt, session).await?;
    let mut decision = session.interrupt.or(nearside.route(request.clone())).await?;
    if let Decision::Ask { question } = &decision
        && asked.agreed()
    {
        request.consent = Some(question.target.clone());
        decision = session.interrupt.or(nearside.route(request)).await?;
    }
    let (decided, error) = Decided::new(decision, nearside.policy().version);
    if session.output.json() {
        session.output.object(&decided)?;
    } else {
        decided.show(session.output)?;
    }
    error.map_or(Ok(()), |error| Err(error.into()))
}

impl Decided {
    /// The decision, and the error that a chat would end with.
    fn new(decision: Decision, policy: String) -> (Self, Option<Error>) {
        match decision {
            Decision::Go { route } => (Self::along("go", route, None), None),
            Decision::Ask {
                question: Question { text, route, .. },
            } => (Self::along("ask", route, Some(text)), None),
            Decision::Nowhere {
                rule,
                kind,
                detail,
                skipped,
            } => {
                let decided = Self {
                    decision: "nowhere",
                    target: None,
                    reason: detail.clone(),
                    rule,
                    policy,
                    then: vec![],
                    skipped,
                    expected: Expected::default(),
                    question: None,
                };
                (decided, Some(Error::new(kind, detail)))
            }
        }
    }

    fn along(decision: &'static str, route: Way, question: Option<String>) -> Self {
        Self {
            decision,
            target: Some(route.target),
            reason: route.reason,
            rule: route.rule,
            policy: route.policy,
            then: route.then,
            skipped: route.skipped,
            expected: route.expected,
            question,
        }
    }

    fn show(&self, output: &mut Output) -> Result<(), Failure> {
        match &self.target {
            Some(target) => {
                let place = if target.is_remote() { "" } else { " on this device" };
                let who = match self.question {
                    Some(_) => doubtful("would answer, if you agree"),
                    None => good("answers"),
                };
                output.line(&[who, plain("  "), bold(format!("{target}{place}"))])?;
                let why = format!("{} (rule {} of policy {})", self.reason, self.rule, self.policy);
                output.line(&[dim("  why      "), plain(why)])?;
            }
            None => output.line(&[
                bad("nobody answers"),
                plain(format!(" (rule {} of policy {})", self.rule, self.policy)),
            ])?,
        }
        if let Some(question) = &self.question {
            output.line(&[dim("  asks     "), plain(format!("{question} (`--yes` agrees)"))])?;
        }
        if let Some(expected) = expected(&self.expected) {
            output.line(&[dim("  expected "), plain(expected)])?;
        }
        if !self.then.is_empty() {
            let then: Vec<_> = self.then.iter().map(ToString::to_string).collect();
            output.line(&[dim("  if it fails "), plain(then.join(", "))])?;
        }
        for line in grouped(&self.skipped) {
            output.line(&[dim("  not      "), plain(line)])?;
        }
        Ok(())
    }
}

/// What is known beforehand; nothing where that is nothing.
fn expected(expected: &Expected) -> Option<String> {
    let seconds = |ms: f64| format!("{:.1} s", ms / 1e3);
    let parts = [
        expected
            .first_token_ms
            .map(|ms| format!("first token after {}", seconds(ms))),
        expected.total_ms.map(|ms| format!("{} in all", seconds(ms))),
        expected.cost_usd.map(dollars),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Those passed over for the same reason on one line: a provider may list hundreds of models.
fn grouped(skipped: &[Skipped]) -> Vec<String> {
    let mut groups: Vec<(&Skipped, usize)> = Vec::new();
    for one in skipped {
        let same = |(first, _): &&mut (&Skipped, usize)| (&first.rule, &first.reason) == (&one.rule, &one.reason);
        match groups.iter_mut().find(same) {
            Some((_, others)) => *others += 1,
            None => groups.push((one, 0)),
        }
    }
    let line = |(first, others): (&Skipped, usize)| {
        let more = match others {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        format!("{}{more}: {} (rule {})", first.target, first.reason, first.rule)
    };
    groups.into_iter().map(line).collect()
}

const EXAMPLE: &str = "\
Example:
  nearside route -p \"Why do the tides come twice a day?\"
  nearside route -p - --mode prefer-in-cloud --max-usd 0.01 --json < question.txt
  nearside route -p \"Hello\" --provider groq --yes

The flags are those of `chat`, and so is the decision. The exit code is 1 if nobody would answer.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_passed_over_for_one_reason_share_a_line() {
        let skipped = |model: &str, reason: &str| Skipped {
            target: Target::Remote {
                provider: "p".into(),
                model: model.into(),
            },
            rule: "allowed".into(),
            reason: reason.into(),
        };
        let all = [skipped("a", "r"), skipped("b", "s"), skipped("c", "r")];
        assert_eq!(
            grouped(&all),
            ["a at p and 1 more: r (rule allowed)", "b at p: s (rule allowed)"]
        );
    }
}
