//! `nearside route`: prints the routing decision without sending the question. Model lists of providers may be
//! refreshed if no local model answers.

use clap::Args;
use nearside::chat::{Route, RouteEstimate, RouteRule, RouteTarget, SkippedTarget};
use nearside::route::{ConsentRequest, RouteDecision};
use nearside::{Error, ErrorReason};
use serde::Serialize;

use crate::args::RequestArgs;
use crate::error::CliError;
use crate::format::{format_dollars, format_target};
use crate::output::{Printer, bad, bold, dim, good, plain, warning};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RouteArgs {
    /// Prompt to decide on; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: String,
    #[command(flatten)]
    request: RequestArgs,
}

impl RouteArgs {
    /// Returns the provider that is named.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.request.provider()
    }
}

/// A decision as flat JSON.
#[derive(Debug, Serialize)]
struct PrintedDecision {
    /// `go`, `ask` or `nowhere`.
    decision: &'static str,
    /// `None` for `nowhere`.
    target: Option<RouteTarget>,
    reason: String,
    rule: RouteRule,
    policy: String,
    then: Vec<RouteTarget>,
    skipped: Vec<SkippedTarget>,
    expected: RouteEstimate,
    /// Text of the consent request, for `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<String>,
    /// Reason of the error that a chat would end with, for `nowhere`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_reason: Option<ErrorReason>,
}

/// Prints the routing decision.
pub(crate) async fn print_route(args: Box<RouteArgs>, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_for_request(&args.request)?;
    let mut request = session.build_request(&args.request, &args.prompt).await?;
    let mut decision = session.interrupt.race(nearside.route(request.clone())).await?;
    if let RouteDecision::NeedsConsent { question } = &decision
        && args.request.has_consent()
    {
        request.consent = Some(question.target.clone());
        decision = session.interrupt.race(nearside.route(request)).await?;
    }
    let (decision, error) = PrintedDecision::new(decision, nearside.policy().version);
    if session.output.is_json() {
        session.output.print_json(&decision)?;
    } else {
        decision.print_lines(&mut session.output)?;
    }
    error.map_or(Ok(()), |error| Err(error.into()))
}

impl PrintedDecision {
    /// Returns the decision, and the error that a chat would end with.
    fn new(decision: RouteDecision, policy: String) -> (Self, Option<Error>) {
        match decision {
            RouteDecision::Route { route } => (Self::from_route("go", route, None), None),
            RouteDecision::NeedsConsent {
                question: ConsentRequest { text, route, .. },
            } => (Self::from_route("ask", route, Some(text)), None),
            RouteDecision::NoRoute {
                rule,
                kind,
                reason,
                detail,
                skipped,
                ..
            } => {
                let decision = Self {
                    decision: "nowhere",
                    target: None,
                    reason: detail.clone(),
                    rule,
                    policy,
                    then: vec![],
                    skipped,
                    expected: RouteEstimate::default(),
                    question: None,
                    error_reason: Some(reason),
                };
                (decision, Some(Error::new(kind, detail).because(reason)))
            }
        }
    }

    fn from_route(decision: &'static str, route: Route, question: Option<String>) -> Self {
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
            error_reason: None,
        }
    }

    fn print_lines(&self, output: &mut Printer) -> Result<(), CliError> {
        match &self.target {
            Some(target) => {
                let answers = match self.question {
                    Some(_) => warning("would answer, if you consent"),
                    None => good("answers"),
                };
                output.print_line(&[answers, plain("  "), bold(format_target(target))])?;
                let why = format!("{} (rule {} of policy {})", self.reason, self.rule, self.policy);
                output.print_line(&[dim("  why      "), plain(why)])?;
            }
            None => output.print_line(&[
                bad("no target can answer"),
                plain(format!(" (rule {} of policy {})", self.rule, self.policy)),
            ])?,
        }
        if let Some(question) = &self.question {
            output.print_line(&[dim("  consent  "), plain(format!("{question} (`--yes` consents)"))])?;
        }
        if let Some(estimate) = format_estimate(&self.expected) {
            output.print_line(&[dim("  estimate "), plain(estimate)])?;
        }
        if !self.then.is_empty() {
            let then: Vec<_> = self.then.iter().map(ToString::to_string).collect();
            output.print_line(&[dim("  fallback "), plain(then.join(", "))])?;
        }
        for line in format_rejections(&self.skipped) {
            output.print_line(&[dim("  rejected "), plain(line)])?;
        }
        Ok(())
    }
}

/// Formats the known parts of an estimate; `None` if there are none.
fn format_estimate(expected: &RouteEstimate) -> Option<String> {
    let seconds = |ms: f64| format!("{:.1} s", ms / 1e3);
    let parts = [
        expected
            .first_token_ms
            .map(|ms| format!("first token after {}", seconds(ms))),
        expected.total_ms.map(|ms| format!("{} in total", seconds(ms))),
        expected.cost_usd.map(format_dollars),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Formats the rejected candidates, those with the same reason on one line: a provider may list hundreds of models.
fn format_rejections(skipped: &[SkippedTarget]) -> Vec<String> {
    let mut groups: Vec<(&SkippedTarget, usize)> = Vec::new();
    for one in skipped {
        let same = |(first, _): &&mut (&SkippedTarget, usize)| (&first.rule, &first.reason) == (&one.rule, &one.reason);
        match groups.iter_mut().find(same) {
            Some((_, others)) => *others += 1,
            None => groups.push((one, 0)),
        }
    }
    let line = |(first, others): (&SkippedTarget, usize)| {
        let more = match others {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        format!("{}{more}: {} (rule {})", first.target, first.reason, first.rule)
    };
    groups.into_iter().map(line).collect()
}

const EXAMPLES: &str = "\
Example:
  nearside route -p \"Why do the tides come twice a day?\"
  nearside route -p - --mode prefer-in-cloud --max-usd 0.01 --json < question.txt
  nearside route -p \"Hello\" --provider groq --yes

The flags are those of `chat`, and so is the decision. The exit code is 1 if no target can answer.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_rejected_for_the_same_reason_share_a_line() {
        let skipped = |model: &str, reason: &str| SkippedTarget {
            target: RouteTarget::Remote {
                provider: "p".into(),
                model: model.into(),
            },
            rule: RouteRule::Policy,
            reason: reason.into(),
        };
        let all = [skipped("a", "r"), skipped("b", "s"), skipped("c", "r")];
        assert_eq!(
            format_rejections(&all),
            ["a at p and 1 more: r (rule allowed)", "b at p: s (rule allowed)"]
        );
    }
}
