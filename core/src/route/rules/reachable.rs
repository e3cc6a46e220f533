//! `reachable` and `fits`: network, provider and memory at this moment.
//!
//! An own server on this machine or in a private network is reached without the internet: it stays a candidate if the
//! device is offline or its connection is metered.

use super::{Candidate, CandidateSource, Rejection, RoutingContext};
use crate::device::{Connectivity, DeviceFacts, ThermalState};
use crate::error::{ErrorKind, ErrorReason};
use crate::model::FitVerdict;
use crate::route::NetworkPath;
use crate::route::facts::{ModelListing, RemoteCandidate};
use crate::route::policy::RoutingPolicy;

/// Rejects remote targets by network, key, circuit breaker and day of retirement.
pub(super) fn reachable(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let CandidateSource::Remote(remote) = candidate.source else {
        return None;
    };
    let provider = &remote.provider;
    let path = NetworkPath {
        is_nearby: remote.is_nearby,
        needs_local_network: remote.needs_local_network,
    };
    let rejection = forbids_contact(&context.facts.device, context.policy, path);
    if rejection.is_some() {
        return rejection;
    }
    if !remote.has_key {
        let reason = format!("no key is set for `{provider}`");
        return Some(Rejection::new(
            ErrorKind::Unauthorized,
            ErrorReason::KeyMissing,
            reason,
            "set the provider's key",
        ));
    }
    if let Some(ms) = remote.cooldown_ms {
        let seconds = ms.div_ceil(1000);
        let reason = format!("`{provider}` failed repeatedly just now; it is asked again in {seconds} s");
        return Some(
            Rejection::new(ErrorKind::Busy, ErrorReason::CircuitOpen, reason, "try again then").retry_after(ms),
        );
    }
    if let Some(rejection) = check_listing(remote) {
        return Some(rejection);
    }
    // A time of day may follow the date.
    let day = |text: &'_ str| text.get(..10).unwrap_or(text).to_owned();
    let retires = remote
        .model
        .retires
        .as_deref()
        .filter(|date| !date.is_empty())
        .map(day)?;
    (retires <= context.facts.today).then(|| {
        let reason = format!("it was retired on {retires}");
        Rejection::new(
            ErrorKind::Unsupported,
            ErrorReason::UnknownModel,
            reason,
            "choose a newer model",
        )
    })
}

/// Rejects models of which the provider's list says too little, and providers of which no model is known.
fn check_listing(remote: &RemoteCandidate) -> Option<Rejection> {
    let provider = &remote.provider;
    let list = match remote.has_model() {
        true => format!("the list of models of `{provider}`, which says where each runs,"),
        false => "its list of models".to_owned(),
    };
    match &remote.listing {
        ModelListing::Known => None,
        ModelListing::Unverified { error: Some(error) } => {
            let reason = format!("{list} could not be fetched: {}", error.detail);
            Some(Rejection::of_error(error, reason))
        }
        ModelListing::Unverified { error: None } => Some(Rejection::new(
            ErrorKind::Network,
            ErrorReason::Unreachable,
            format!("{list} could not be fetched"),
            "check its address and whether it is running",
        )),
        ModelListing::Unlisted if remote.has_model() => Some(Rejection::new(
            ErrorKind::Unsupported,
            ErrorReason::UnknownModel,
            format!("`{provider}` does not list it"),
            "choose a model that it lists, or install it there",
        )),
        ModelListing::Unlisted => Some(Rejection::new(
            ErrorKind::Unsupported,
            ErrorReason::UnknownModel,
            "it lists no model that chats",
            "install one there",
        )),
    }
}

/// Rejects any contact to a server: there is no network to it, or neither system nor policy allows to use that network. A
/// server that is nearby is reached without the internet.
pub(in crate::route) fn forbids_contact(
    device: &DeviceFacts,
    policy: &RoutingPolicy,
    path: NetworkPath,
) -> Option<Rejection> {
    if path.needs_local_network && device.local_network_allowed == Some(false) {
        return Some(Rejection::new(
            ErrorKind::Network,
            ErrorReason::LocalNetworkDenied,
            "its server is in the local network, which this app may not use",
            "allow it in the settings of the system",
        ));
    }
    match device.network {
        _ if path.is_nearby => None,
        Connectivity::Offline => Some(Rejection::new(
            ErrorKind::Network,
            ErrorReason::Offline,
            "the device is offline",
            "connect it, or install a model that can answer here",
        )),
        Connectivity::Metered if !policy.allow_metered => Some(Rejection::new(
            ErrorKind::Blocked,
            ErrorReason::PolicyForbids,
            "the connection is metered, and the policy does not allow that",
            "use another network, or allow metered connections in the policy",
        )),
        Connectivity::Metered | Connectivity::Unmetered | Connectivity::Unknown => None,
    }
}

/// Rejects models that cannot answer or are too large, and tight ones on a device that is hot or short of memory or power.
pub(super) fn fits(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let CandidateSource::Local(local) = candidate.source else {
        return None;
    };
    let device = &context.facts.device;
    let verdict = match &local.verdict {
        Ok(verdict) => *verdict,
        Err(error) => return Some(Rejection::of_error(error, error.detail.clone())),
    };
    let reason = match verdict {
        FitVerdict::Fits => return None,
        FitVerdict::TooLarge => "it needs more memory than is free now",
        FitVerdict::Tight if device.memory_pressure => "it is tight, and the system is short of memory",
        FitVerdict::Tight if device.heat >= ThermalState::Serious => "it is tight, and the device is hot",
        FitVerdict::Tight if device.low_power => "it is tight, and the device saves power",
        FitVerdict::Tight => return None,
    };
    let remedy = "free memory, or install a smaller model";
    Some(Rejection::new(
        ErrorKind::TooLarge,
        ErrorReason::ModelTooLarge,
        reason,
        remedy,
    ))
}
