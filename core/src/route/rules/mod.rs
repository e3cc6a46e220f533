//! The rules that reject candidates, and the candidates with their derived values.
//!
//! A rule is a function from the context and one candidate to a rejection or `None`. [`RULES`] lists the rules in the
//! order in which they apply; the first that rejects a candidate is the one that is reported. The rules do not rank
//! candidates: see [`preferred`].

mod able;
mod affordable;
mod allowed;
pub(super) mod preferred;
mod reachable;
mod requested;

use super::estimate;
use super::facts::{CandidateError, Facts, LocalCandidate, Needs, RemoteCandidate};
use super::policy::RoutingPolicy;
use crate::chat::{RouteEstimate, RouteRule, RouteTarget};
use crate::engine::remote::ModelCapabilities;
use crate::error::{Error, ErrorKind, ErrorReason};

pub(super) use affordable::{at_most, smallest_rest};
pub(super) use allowed::{forbidden, in_regions, region};
pub(super) use reachable::forbids_contact;
pub(super) use requested::{named, stays, wish};

/// Input of a routing decision.
#[derive(Clone, Copy)]
pub(super) struct RoutingContext<'a> {
    pub(super) needs: &'a Needs,
    pub(super) facts: &'a Facts,
    pub(super) policy: &'a RoutingPolicy,
}

/// A candidate, with values that several rules use.
pub(super) struct Candidate<'a> {
    pub(super) target: RouteTarget,
    pub(super) source: CandidateSource<'a>,
    /// The content is personal, the target is a third party, and the user has not consented yet.
    pub(super) needs_consent: bool,
    /// Maximum cost in US dollars. Unset if the price is unknown or invalid.
    pub(super) worst_usd: Option<f64>,
    pub(super) expected: RouteEstimate,
}

/// Source of a candidate.
#[derive(Clone, Copy)]
pub(super) enum CandidateSource<'a> {
    Local(&'a LocalCandidate),
    Remote(&'a RemoteCandidate),
}

/// Why a candidate is rejected.
pub(super) struct Rejection {
    /// Text for the user.
    pub(super) reason: String,
    /// Kind of the error of a chat that fails because of it.
    pub(super) kind: ErrorKind,
    /// Reason of that error.
    pub(super) cause: ErrorReason,
    /// Milliseconds until it no longer applies, if known.
    pub(super) retry_after_ms: Option<u64>,
    /// What the user or app can change to avoid it. Empty: the reason says so.
    pub(super) remedy: &'static str,
}

/// A rule: its name, and a function that returns a rejection or `None`.
pub(super) type Rule = (RouteRule, fn(RoutingContext<'_>, &Candidate<'_>) -> Option<Rejection>);

/// The rules, in order.
pub(super) const RULES: [Rule; 8] = [
    (RouteRule::RequestedTarget, requested::requested_target),
    (RouteRule::OnDeviceOnly, requested::stay_here),
    (RouteRule::Mode, requested::mode),
    (RouteRule::Capability, able::able),
    (RouteRule::Policy, allowed::allowed),
    (RouteRule::Reachability, reachable::reachable),
    (RouteRule::Budget, affordable::affordable),
    (RouteRule::Memory, reachable::fits),
];

impl<'a> RoutingContext<'a> {
    /// Returns all candidates, in the order of the facts.
    pub(super) fn candidates(self) -> Vec<Candidate<'a>> {
        let locals = self.facts.locals.iter().map(|local| Candidate {
            target: RouteTarget::of_local(local),
            source: CandidateSource::Local(local),
            needs_consent: false,
            worst_usd: Some(0.0),
            expected: estimate::expected_here(&local.speed, self.needs),
        });
        let remotes = self.facts.remotes.iter().map(|remote| {
            let target = RouteTarget::of_remote(remote);
            Candidate {
                needs_consent: allowed::needs_consent(self, remote, &target),
                worst_usd: estimate::worst_usd(remote, self.needs),
                expected: estimate::expected_there(remote, self.needs),
                source: CandidateSource::Remote(remote),
                target,
            }
        });
        locals.chain(remotes).collect()
    }

    /// Returns the index in [`RULES`] of the first rule that rejects the candidate, and the rejection.
    pub(super) fn rejection(self, candidate: &Candidate<'_>) -> Option<(usize, Rejection)> {
        let apply = |(at, (_, rule)): (usize, &Rule)| rule(self, candidate).map(|rejection| (at, rejection));
        RULES.iter().enumerate().find_map(apply)
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn is_remote(&self) -> bool {
        matches!(self.source, CandidateSource::Remote(_))
    }

    /// Returns the name of its provider; `None` on this device.
    pub(super) fn provider(&self) -> Option<&'a str> {
        match self.source {
            CandidateSource::Remote(remote) => Some(&remote.provider),
            CandidateSource::Local(_) => None,
        }
    }

    /// Returns its capabilities. Unset if not published.
    fn abilities(&self) -> Option<ModelCapabilities> {
        match self.source {
            CandidateSource::Local(local) => Some(local.abilities),
            CandidateSource::Remote(remote) => remote.model.abilities,
        }
    }
}

impl Rejection {
    fn new(kind: ErrorKind, cause: ErrorReason, reason: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            reason: reason.into(),
            kind,
            cause,
            retry_after_ms: None,
            remedy,
        }
    }

    /// Rejects a candidate because of an error, whose text is part of the reason.
    fn of_error(error: &CandidateError, reason: String) -> Self {
        Self {
            retry_after_ms: error.retry_after_ms,
            ..Self::new(error.kind, error.reason, reason, "")
        }
    }

    /// Returns the error of a request to a provider that is rejected.
    pub(in crate::route) fn into_error(self, provider: &str) -> Error {
        let text = format!("`{provider}` was rejected: {}; {}", self.reason, self.remedy);
        Error::new(self.kind, text).because(self.cause)
    }

    fn retry_after(self, ms: u64) -> Self {
        Self {
            retry_after_ms: Some(ms),
            ..self
        }
    }
}
