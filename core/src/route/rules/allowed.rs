//! `allowed`: checks a candidate against the policy's provider lists, regions, retention, training and consent.
//!
//! Unknown terms count against a candidate: an unknown region is in no list, and unknown retention counts as retained
//! (see `DataPolicy::unknown`). Self-hosted servers are in every region and need no consent, but a policy may exclude
//! them by name.

use super::{Candidate, CandidateSource, Rejection, RoutingContext};
use crate::chat::{DataPolicy, RouteTarget, Sensitivity};
use crate::error::ErrorKind;
use crate::route::facts::RemoteCandidate;
use crate::route::policy::{ConsentPolicy, RoutingPolicy};

/// `allowed`: providers in and out, regions, retention, training, and a consent that was refused for good. Where consent
/// is only missing the candidate stays, marked with `needs_consent`.
pub(super) fn allowed(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let CandidateSource::Remote(remote) = candidate.source else {
        return None;
    };
    let (policy, provider, terms) = (context.policy, &remote.provider, &remote.data_policy);
    let out = |reason: String, remedy| Some(Rejection::new(ErrorKind::Blocked, reason, remedy));
    // Deny lists match case-insensitively, allow lists exactly: a typo must never widen access.
    if policy.never.iter().any(|name| name.eq_ignore_ascii_case(provider)) {
        return out(
            format!("the policy never allows `{provider}`"),
            "take it out of the policy's `never`",
        );
    }
    if !policy.providers.is_empty() && !policy.providers.contains(provider) {
        return out(
            format!("`{provider}` is none of the policy's providers"),
            "add it to the policy's `providers`",
        );
    }
    if !in_regions(policy, terms) {
        let (there, only) = (region(terms), policy.regions.join(","));
        return out(
            format!("words are processed in region {there}, and the policy allows {only}"),
            "widen the policy's `regions`, or choose a provider there",
        );
    }
    if terms.retained && !policy.allow_retention {
        return out(
            "it may keep the words".into(),
            "choose a provider that does not, or set `allow_retention` in the policy",
        );
    }
    if terms.trained_on && !policy.allow_training {
        return out(
            "it may train on the words".into(),
            "choose a provider that does not, or set `allow_training` in the policy",
        );
    }
    let personal = context.needs.sensitivity == Sensitivity::Personal;
    if personal && policy.consent == ConsentPolicy::Refused && !terms.is_own() {
        return out(
            "the person refused to let personal words leave the device".into(),
            "ask the person again, or mark the request `Public` if nothing in it is private",
        );
    }
    None
}

/// Whether the person must be asked before words go there.
pub(super) fn needs_consent(context: RoutingContext<'_>, remote: &RemoteCandidate, target: &RouteTarget) -> bool {
    context.needs.sensitivity == Sensitivity::Personal
        && context.policy.consent == ConsentPolicy::Ask
        && context.needs.consent.as_ref() != Some(target)
        && !remote.data_policy.is_own()
}

/// Whether every country in which words are processed is one that the policy allows.
pub(in crate::route) fn in_regions(policy: &RoutingPolicy, terms: &DataPolicy) -> bool {
    if policy.regions.is_empty() || terms.is_own() {
        return true;
    }
    let allows = |country: &str| {
        policy.regions.iter().map(|allowed| allowed.trim()).any(|allowed| {
            !allowed.is_empty() && allowed.eq_ignore_ascii_case(country)
                || allowed.eq_ignore_ascii_case("EU") && EU.iter().any(|member| member.eq_ignore_ascii_case(country))
        })
    };
    terms.region != "unknown" && terms.region.split(',').map(str::trim).all(allows)
}

/// Where words are processed, in words.
pub(in crate::route) fn region(terms: &DataPolicy) -> &str {
    match terms.region.trim() {
        "" => "unknown",
        region => region,
    }
}

/// The members of the European Union, as ISO 3166 codes.
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];
