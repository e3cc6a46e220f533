//! `affordable`: whether the maximum cost is within every cap.
//!
//! Doubt counts against a candidate: under a cap, an unknown or invalid price is too much, and so is any price if the
//! amount spent is not a number.

use super::{Candidate, Rejection, RoutingContext};
use crate::error::{ErrorKind, ErrorReason};
use crate::format::{Rounding, format_dollars};

/// Returns the rest of the tightest cap in US dollars. Unset: there is no cap.
pub(in crate::route) fn smallest_rest(context: RoutingContext<'_>) -> Option<f64> {
    let rests = caps(context).into_iter();
    rests
        .filter_map(|(cap, spent, _)| Some(left(cap?, spent.unwrap_or(0.0))))
        .reduce(f64::min)
}

/// Returns each cap with what counts against it, and whose it is.
fn caps(context: RoutingContext<'_>) -> [(Option<f64>, Option<f64>, &'static str); 4] {
    let (needs, policy, spent) = (context.needs, context.policy, context.facts.spent);
    [
        (needs.max_usd, None, "request"),
        (policy.max_usd_request, None, "policy"),
        (policy.max_usd_day, Some(spent.day), "day"),
        (policy.max_usd_month, Some(spent.month), "month"),
    ]
}

/// Rejects by the request's own cap, then the policy's for a request, a day and a month. Free targets always pass.
pub(super) fn affordable(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    if candidate.worst_usd == Some(0.0) {
        return None;
    }
    caps(context).into_iter().find_map(|(cap, spent, period)| {
        let cap = cap?;
        let Some(worst) = candidate.worst_usd else {
            let reason = "its price is unknown, and there is a cap on cost";
            let remedy = "choose a model with a published price, or lift the cap";
            return Some(Rejection::new(ErrorKind::Blocked, ErrorReason::CostCap, reason, remedy));
        };
        let left = left(cap, spent.unwrap_or(0.0));
        (worst > left).then(|| {
            let worst = at_most(worst);
            let reason = match period {
                "request" => format!(
                    "its answer could cost {worst}, and the request may cost {}",
                    at_least(cap)
                ),
                "policy" => format!(
                    "its answer could cost {worst}, and the policy allows {} a request",
                    at_least(cap)
                ),
                _ => format!(
                    "its answer could cost {worst}, and {} of the {period}'s {} are left",
                    at_least(left),
                    at_least(cap)
                ),
            };
            let remedy = "ask for a shorter answer, choose a cheaper model, or raise the cap";
            Rejection::new(ErrorKind::Blocked, ErrorReason::CostCap, reason, remedy)
        })
    })
}

/// Returns the remaining budget under a cap. Never NaN: an invalid amount leaves 0.
fn left(cap: f64, spent: f64) -> f64 {
    // `f64::max` would turn NaN into 0, which would lift the cap.
    let left = if spent > 0.0 || spent.is_nan() {
        cap - spent
    } else {
        cap
    };
    if left.is_nan() { 0.0 } else { left.max(0.0) }
}

/// Formats US dollars, rounded up: `$0.42`, `$0.0021`.
pub(in crate::route) fn at_most(usd: f64) -> String {
    format_dollars(usd, Rounding::Up)
}

/// Formats US dollars, rounded down.
fn at_least(usd: f64) -> String {
    format_dollars(usd, Rounding::Down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_cap_is_never_more_than_the_cap_and_never_nonsense() {
        assert!((left(1.0, 0.25) - 0.75).abs() < 1e-12);
        assert_eq!(left(1.0, -5.0), 1.0);
        assert_eq!(left(1.0, 5.0), 0.0);
        assert_eq!(left(1.0, f64::NAN), 0.0);
        assert_eq!(left(f64::NAN, 0.0), 0.0);
        assert_eq!(left(f64::INFINITY, f64::INFINITY), 0.0);
    }
}
