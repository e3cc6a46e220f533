//! Makes the routing decision: ranks the candidates, rejects some by rules, and selects the first that remains.
//!
//! Pure and total: no I/O, no clock, no panic whatever the numbers. The result does not depend on the order of the
//! facts, as long as each target is listed once. Every candidate appears in the result once: as the target, in `then`,
//! or as skipped, with rule and reason.
//!
//! | rule | rejects | or decides |
//! |---|---|---|
//! | `asked` | targets that `model`, `provider` or `pinned` do not name | for the named target |
//! | `stay-here` | remote targets, if the request is sensitive or `OnlyOnDevice` | for the best local target |
//! | `mode` | local models, if the request is `OnlyInCloud` | for the best remote target |
//! | `able` | too small a context; no tools, images, schema or search where needed | |
//! | `allowed` | providers, regions, retention, training, consent: if the policy forbids them | |
//! | `reachable` | offline, metered, no key, an open circuit, no list of models, a retired model | |
//! | `affordable` | targets whose maximum cost exceeds a cap | |
//! | `fits` | local models that cannot answer, are too large, or tight on a device that is hot or short of memory or power | |
//! | `preferred` | candidates after the target and its fallbacks | for the side that comes first |
//! | `candidates` | none: there was no candidate, on that side or at all | |
//!
//! Fallbacks are for a target that fails, and a provider mostly fails as a whole: at most four, each at another provider,
//! and at most one further local model. Wherever the request allows it, one of them is local.
//!
//! If the route goes to the side that the mode does not prefer, the deciding rule is the one that rejected the last
//! candidate of the preferred side; without a route, the one that rejected the last of all. An ability that is only a
//! wish, or is not published, rejects no candidate. The remaining candidates are ordered by
//! [`super::rules::preferred`].

use super::decision::{ConsentRequest, RouteDecision};
use super::estimate;
use super::facts::{Facts, Needs, RemoteCandidate};
use super::policy::RoutingPolicy;
use super::rules::preferred::{device_strain, promote_faster, rank};
use super::rules::{
    Candidate, CandidateSource, RULES, Rejection, RoutingContext, at_most, named, region, smallest_rest, stays, wish,
};
use crate::chat::{DataPolicy, FORWARDED, Route, RouteEstimate, RouteRule, RouteTarget, RoutingMode, SkippedTarget};
use crate::error::{ErrorKind, ErrorReason};

/// Makes the routing decision.
pub fn choose(needs: &Needs, facts: &Facts, policy: &RoutingPolicy) -> RouteDecision {
    choose_with_estimates(needs, facts, policy).0
}

/// Makes the routing decision. Also returns the estimate for each of the route's fallbacks, in their order.
pub(crate) fn choose_with_estimates(
    needs: &Needs,
    facts: &Facts,
    policy: &RoutingPolicy,
) -> (RouteDecision, Vec<RouteEstimate>) {
    let context = RoutingContext { needs, facts, policy };
    let mut rejected = Vec::new();
    let mut remaining = Vec::new();
    for candidate in rank(context, context.candidates()) {
        match context.rejection(&candidate) {
            Some((rule, rejection)) => rejected.push(Rejected {
                target: candidate.target,
                rule,
                rejection,
            }),
            None => remaining.push(candidate),
        }
    }
    let promoted = if policy.prefer_fast {
        promote_faster(&mut remaining)
    } else {
        None
    };
    let mut remaining = remaining.into_iter();
    let Some(first) = remaining.next() else {
        return (no_route(context, rejected), vec![]);
    };
    let rest = remaining.collect::<Vec<_>>();
    let (rule, reason) = decided(context, &first, &rest, &rejected, promoted);

    let mut skipped: Vec<_> = rejected.into_iter().map(Rejected::into_skipped).collect();
    let (then, estimates) = fallbacks(&first, rest, &mut skipped).into_iter().unzip();
    let route = Route {
        target: first.target.clone(),
        reason,
        rule,
        policy: policy.version.clone(),
        then,
        skipped,
        skipped_more: vec![],
        expected: first.expected,
        omitted_messages: 0,
    };
    let decision = match first.source {
        CandidateSource::Remote(remote) if first.needs_consent => RouteDecision::NeedsConsent {
            question: consent_request(route, &remote.data_policy, most_usd(context, remote)),
        },
        _ => RouteDecision::Route { route },
    };
    (decision, estimates)
}

/// Selects the fallbacks of `first` among the other ranked candidates, and adds those passed over to `skipped`.
fn fallbacks(
    first: &Candidate<'_>,
    rest: Vec<Candidate<'_>>,
    skipped: &mut Vec<SkippedTarget>,
) -> Vec<(RouteTarget, RouteEstimate)> {
    let mut providers: Vec<&str> = first.provider().into_iter().collect();
    let mut locals = usize::from(!first.is_remote());
    let mut then: Vec<Candidate<'_>> = Vec::new();
    let mut pass_over = |target, rule, reason: String| skipped.push(skip(target, rule, reason));
    for candidate in rest {
        if candidate.needs_consent {
            let reason = "the user would have to consent first";
            pass_over(candidate.target, RouteRule::Policy, reason.into());
            continue;
        }
        match candidate.provider() {
            Some(provider) if providers.contains(&provider) => {
                let reason = format!("another model of `{provider}` comes first");
                pass_over(candidate.target, RouteRule::Preference, reason);
            }
            None if locals == MAX_LOCALS => {
                let reason = "other models on this device come first";
                pass_over(candidate.target, RouteRule::Preference, reason.into());
            }
            Some(provider) => {
                providers.push(provider);
                then.push(candidate);
            }
            None => {
                locals += 1;
                then.push(candidate);
            }
        }
    }
    // One local model stays in hand, however many providers come before it.
    let local = then.iter().position(|candidate| !candidate.is_remote());
    if first.is_remote()
        && let Some(local) = local.filter(|at| *at >= FALLBACKS)
    {
        let local = then.remove(local);
        then.insert(FALLBACKS - 1, local);
    }
    for candidate in then.drain(FALLBACKS.min(then.len())..) {
        let reason = format!("{} better targets come first", FALLBACKS + 1);
        pass_over(candidate.target, RouteRule::Preference, reason);
    }
    then.into_iter()
        .map(|candidate| (candidate.target, candidate.expected))
        .collect()
}

/// A rejected candidate.
struct Rejected {
    target: RouteTarget,
    /// Index of the rejecting rule in `RULES`.
    rule: usize,
    rejection: Rejection,
}

impl Rejected {
    fn into_skipped(self) -> SkippedTarget {
        skip(self.target, RULES[self.rule].0, self.rejection.reason)
    }
}

fn skip(target: RouteTarget, rule: RouteRule, reason: String) -> SkippedTarget {
    SkippedTarget { target, rule, reason }
}

/// Returns the rule that decided for `first`, and the reason.
fn decided(
    context: RoutingContext<'_>,
    first: &Candidate<'_>,
    rest: &[Candidate<'_>],
    rejected: &[Rejected],
    promoted: Option<String>,
) -> (RouteRule, String) {
    let needs = context.needs;
    if named(needs) {
        return (RouteRule::RequestedTarget, wish(needs));
    }
    if let Some(why) = stays(needs) {
        return (RouteRule::OnDeviceOnly, why.to_owned());
    }
    if needs.mode == RoutingMode::OnlyInCloud {
        return (RouteRule::Mode, "the request is for remote targets only".to_owned());
    }
    if let Some(why) = promoted {
        return (RouteRule::Preference, why);
    }
    let cloud_first = needs.mode == RoutingMode::PreferInCloud;
    if first.is_remote() == cloud_first {
        let side = if cloud_first { "a remote target" } else { "this device" };
        return (RouteRule::Preference, format!("the request prefers {side}"));
    }
    if rest.iter().any(|other| other.is_remote() == cloud_first) {
        let why = device_strain(context).unwrap_or_default();
        return (RouteRule::Preference, format!("{why}, and no consent is needed"));
    }
    match closest(rejected, |candidate| candidate.target.is_remote() == cloud_first) {
        Some(best) => (
            RULES[best.rule].0,
            format!("not `{}`: {}", best.target, best.rejection.reason),
        ),
        None => (RouteRule::NoCandidates, no_candidates_reason(cloud_first).to_owned()),
    }
}

/// Returns the rejected candidate that passed the most rules; of equals, the best ranked.
fn closest(rejected: &[Rejected], among: impl Fn(&Rejected) -> bool) -> Option<&Rejected> {
    // `max_by_key` takes the last of equals.
    rejected
        .iter()
        .rev()
        .filter(|candidate| among(candidate))
        .max_by_key(|candidate| candidate.rule)
}

fn no_candidates_reason(remote: bool) -> &'static str {
    if remote {
        "no provider is set up"
    } else {
        "no model is installed here"
    }
}

/// Returns the most that the answer can cost: the longest one that the model can give, as far as the caps pay for it.
fn most_usd(context: RoutingContext<'_>, remote: &RemoteCandidate) -> Option<f64> {
    let most = estimate::most_usd(remote, context.needs)?;
    Some(smallest_rest(context).map_or(most, |rest| most.min(rest)))
}

fn consent_request(route: Route, terms: &DataPolicy, most_usd: Option<f64>) -> ConsentRequest {
    let may = |may, what| format!("{} {what}", if may { "may" } else { "does not" });
    let price = match (most_usd, route.expected.cost_usd) {
        (None, _) => "at a price that is not known".to_owned(),
        (Some(0.0), _) => "for free".to_owned(),
        (Some(most), Some(likely)) if at_most(likely) != at_most(most) => {
            format!("for about {}, at most {}", at_most(likely), at_most(most))
        }
        (Some(most), _) => format!("for at most {}", at_most(most)),
    };
    let forwarded = match terms.note.as_str() {
        FORWARDED => format!("; {FORWARDED}"),
        _ => String::new(),
    };
    let text = format!(
        "{}: send it to {} (region {}; {}, {}{forwarded}) {price}?",
        route.reason,
        route.target,
        region(terms),
        may(terms.retained, "retain it"),
        may(terms.trained_on, "train on it"),
    );
    ConsentRequest {
        target: route.target.clone(),
        data_policy: terms.clone(),
        cost_usd: most_usd,
        reason: route.reason.clone(),
        text,
        route,
    }
}

fn no_route(context: RoutingContext<'_>, rejected: Vec<Rejected>) -> RouteDecision {
    let Some(last) = closest(&rejected, |_| true) else {
        return RouteDecision::NoRoute {
            rule: RouteRule::NoCandidates,
            kind: ErrorKind::NotInstalled,
            reason: ErrorReason::ModelNotInstalled,
            detail: "no model is installed here and no provider is set up: download a model first".to_owned(),
            skipped: vec![],
            retry_after_ms: None,
        };
    };
    let (rule, kind, reason) = (RULES[last.rule].0, last.rejection.kind, last.rejection.cause);
    let mut detail = format!("no target can answer: {}", describe(last));
    if !by_request(last) {
        let remote = !last.target.is_remote();
        let side = if remote { "remotely" } else { "on this device" };
        match closest(&rejected, |candidate| candidate.target.is_remote() == remote) {
            Some(other) if !by_request(other) => detail += &format!("; {side}, {}", describe(other)),
            None if allows_side(context.needs, remote) => detail += &format!("; {}", no_candidates_reason(remote)),
            _ => {}
        }
    }
    RouteDecision::NoRoute {
        rule,
        kind,
        reason,
        detail,
        retry_after_ms: last.rejection.retry_after_ms,
        skipped: rejected.into_iter().map(Rejected::into_skipped).collect(),
    }
}

/// Formats the reason of a rejection and its remedy.
fn describe(rejected: &Rejected) -> String {
    let Rejection { reason, remedy, .. } = &rejected.rejection;
    let text = match remedy.is_empty() {
        true => reason.clone(),
        false => format!("{reason}; {remedy}"),
    };
    if by_request(rejected) {
        text
    } else {
        format!("`{}` was rejected: {text}", rejected.target)
    }
}

/// Returns whether the request itself excludes the candidate.
fn by_request(rejected: &Rejected) -> bool {
    [RouteRule::RequestedTarget, RouteRule::OnDeviceOnly, RouteRule::Mode].contains(&RULES[rejected.rule].0)
}

/// Returns whether the request allows targets on this side.
fn allows_side(needs: &Needs, remote: bool) -> bool {
    !named(needs)
        && if remote {
            stays(needs).is_none()
        } else {
            needs.mode != RoutingMode::OnlyInCloud
        }
}

/// Maximum number of fallback targets.
const FALLBACKS: usize = 4;
/// Maximum number of local models along a route: each costs the time of a load.
const MAX_LOCALS: usize = 2;
