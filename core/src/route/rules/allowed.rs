//! `allowed`: checks a candidate against the policy's provider lists, regions, retention, training and consent.
//!
//! Unknown terms count against a candidate: an unknown region is in no list, and unknown terms count as retained and
//! trained on (see `DataPolicy::unknown`). The user's own servers are in every region and need no consent, but a policy
//! may exclude them by name or kind.

use super::{Candidate, CandidateSource, Rejection, RoutingContext};
use crate::chat::{DataPolicy, FORWARDED, RouteTarget, Sensitivity};
use crate::engine::remote::ProviderKind;
use crate::error::{ErrorKind, ErrorReason};
use crate::route::countries::{UNION, is_union_member};
use crate::route::facts::RemoteCandidate;
use crate::route::policy::{ConsentPolicy, RoutingPolicy};

/// Rejects remote targets by provider, region, retention, training, and the policy's refusal of consent. If consent is
/// only missing, the candidate stays, marked with `needs_consent`.
pub(super) fn allowed(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let CandidateSource::Remote(remote) = candidate.source else {
        return None;
    };
    let (policy, terms) = (context.policy, &remote.data_policy);
    let personal = context.needs.sensitivity == Sensitivity::Personal;
    let rejection = forbidden(policy, &remote.provider, remote.kind, terms).or_else(|| {
        (personal && policy.consent == ConsentPolicy::Refused && !terms.is_own()).then(|| {
            Rejection::new(
                ErrorKind::Blocked,
                ErrorReason::PolicyForbids,
                "the user refused to send personal content to a third party",
                "ask the user again, or mark the request as public if nothing in it is private",
            )
        })
    });
    rejection.map(|rejection| match remote.model.proxied {
        // Without this the user of an own server does not learn why it is treated like any other.
        true => Rejection {
            reason: format!("{FORWARDED}, so the content would leave it: {}", rejection.reason),
            ..rejection
        },
        false => rejection,
    })
}

/// Rejects a provider of this name and kind with these terms by the policy alone: its lists, regions, retention and
/// training.
pub(in crate::route) fn forbidden(
    policy: &RoutingPolicy,
    provider: &str,
    kind: ProviderKind,
    terms: &DataPolicy,
) -> Option<Rejection> {
    let reject = |reason: String, remedy| {
        Some(Rejection::new(
            ErrorKind::Blocked,
            ErrorReason::PolicyForbids,
            reason,
            remedy,
        ))
    };
    // Deny lists match names and kinds case-insensitively, allow lists names exactly: a typo or another name must never
    // widen access.
    let is_excluded = |word: &str| policy.never.iter().any(|name| name.trim().eq_ignore_ascii_case(word));
    if is_excluded(provider) {
        return reject(
            format!("the policy never allows `{provider}`"),
            "take it off the list of excluded providers",
        );
    }
    if is_excluded(kind.name()) {
        return reject(
            format!("the policy never allows `{}`, the kind of `{provider}`", kind.name()),
            "take that kind off the list of excluded providers",
        );
    }
    if !policy.providers.is_empty() && !policy.providers.iter().any(|name| name == provider) {
        return reject(
            format!("`{provider}` is not among the policy's providers"),
            "add it to the allowed providers",
        );
    }
    if !in_regions(policy, terms) {
        let (region, allowed) = (region(terms), policy.regions.join(","));
        return reject(
            format!("content is processed in region {region}, and the policy allows {allowed}"),
            "allow that region, or choose a provider in an allowed one",
        );
    }
    if terms.retained && !policy.allow_retention {
        return reject(
            "it may retain the content".into(),
            "choose a provider that does not, or allow retention in the policy",
        );
    }
    if terms.trained_on && !policy.allow_training {
        return reject(
            "it may train on the content".into(),
            "choose a provider that does not, or allow training in the policy",
        );
    }
    None
}

/// Returns whether the user must consent before content is sent to this target.
pub(super) fn needs_consent(context: RoutingContext<'_>, remote: &RemoteCandidate, target: &RouteTarget) -> bool {
    context.needs.sensitivity == Sensitivity::Personal
        && context.policy.consent == ConsentPolicy::Ask
        && context.needs.consent.as_ref() != Some(target)
        && !remote.data_policy.is_own()
}

/// Returns whether the policy allows all regions of the terms. Own servers, and an empty list, always pass.
pub(in crate::route) fn in_regions(policy: &RoutingPolicy, terms: &DataPolicy) -> bool {
    if policy.regions.is_empty() || terms.is_own() {
        return true;
    }
    let allows = |country: &str| {
        policy.regions.iter().map(|allowed| allowed.trim()).any(|allowed| {
            !allowed.is_empty() && allowed.eq_ignore_ascii_case(country)
                || allowed.eq_ignore_ascii_case(UNION) && is_union_member(country)
        })
    };
    terms.region != "unknown" && terms.region.split(',').map(str::trim).all(allows)
}

/// Returns the region as text: `unknown` if it is empty.
pub(in crate::route) fn region(terms: &DataPolicy) -> &str {
    match terms.region.trim() {
        "" => "unknown",
        region => region,
    }
}
