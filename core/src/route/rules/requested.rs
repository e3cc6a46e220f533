//! `asked`, `stay-here` and `mode`: constraints that the request itself sets.
//!
//! A requested model or provider is never replaced silently: everything else is rejected. Without a provider, a model
//! name matches the installed model and every remote model of that id.

use super::{Candidate, Rejection, RoutingContext};
use crate::chat::{RouteTarget, RoutingMode, Sensitivity};
use crate::error::{ErrorKind, ErrorReason};
use crate::route::facts::Needs;

/// Rejects every target that the request does not name. A tool loop names the target that it began on.
pub(super) fn requested_target(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let needs = context.needs;
    if let Some(pinned) = &needs.pinned {
        let (kind, cause, remedy) = match pinned {
            RouteTarget::Local { .. } => (
                ErrorKind::NotInstalled,
                ErrorReason::ModelNotInstalled,
                "install that model again, or start a new turn",
            ),
            _ => (
                ErrorKind::InvalidRequest,
                ErrorReason::NotFound,
                "set that provider up again, or start a new turn",
            ),
        };
        return (candidate.target != *pinned).then(|| Rejection::new(kind, cause, wish(needs), remedy));
    }
    let (provider, model) = match &candidate.target {
        RouteTarget::Local { model } => (None, Some(model)),
        RouteTarget::Remote { provider, model } => (Some(provider), Some(model)),
        RouteTarget::Scripted => (None, None),
    };
    let differs = |requested: &Option<String>, actual| requested.is_some() && requested.as_ref() != actual;
    if !differs(&needs.provider, provider) && !differs(&needs.model, model) {
        return None;
    }
    let (kind, cause, remedy) = match (&needs.provider, &needs.model) {
        (None, _) => (
            ErrorKind::NotInstalled,
            ErrorReason::ModelNotInstalled,
            "download it, or set up a provider that offers it",
        ),
        (Some(_), None) => (
            ErrorKind::InvalidRequest,
            ErrorReason::NotFound,
            "set that provider up, or name one that is set up",
        ),
        (Some(_), Some(_)) => (
            ErrorKind::InvalidRequest,
            ErrorReason::UnknownModel,
            "name a model of a provider that is set up",
        ),
    };
    Some(Rejection::new(kind, cause, wish(needs), remedy))
}

/// Rejects remote targets, the user's own servers included, if the request must stay on the device.
pub(super) fn stay_here(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let why = stays(context.needs).filter(|_| candidate.is_remote())?;
    let sensitive = context.needs.sensitivity == Sensitivity::Sensitive;
    let forbids = |remedy| (ErrorKind::Blocked, ErrorReason::PolicyForbids, remedy);
    let (kind, cause, remedy) = match context.needs.mode {
        RoutingMode::OnlyInCloud => forbids(NEITHER),
        _ if context.facts.locals.is_empty() && !named(context.needs) => (
            ErrorKind::NotInstalled,
            ErrorReason::ModelNotInstalled,
            "no model is installed here: download one first",
        ),
        _ if sensitive => forbids("sensitive content needs a model that is installed here"),
        _ => forbids("allow other targets, or choose a model that is installed here"),
    };
    Some(Rejection::new(kind, cause, why, remedy))
}

/// Rejects local models if the request is for remote targets only.
pub(super) fn mode(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    if context.needs.mode != RoutingMode::OnlyInCloud || candidate.is_remote() {
        return None;
    }
    let remedy = match context.needs.sensitivity {
        Sensitivity::Sensitive => NEITHER,
        _ if context.facts.remotes.is_empty() => "set up a provider, or allow models on this device",
        _ => "allow models on this device",
    };
    let reason = "the request is for remote targets only";
    Some(Rejection::new(
        ErrorKind::Blocked,
        ErrorReason::PolicyForbids,
        reason,
        remedy,
    ))
}

/// Returns whether the request names a model or a provider, or continues a tool loop.
pub(in crate::route) fn named(needs: &Needs) -> bool {
    needs.pinned.is_some() || needs.provider.is_some() || needs.model.is_some()
}

/// Describes the requested target.
pub(in crate::route) fn wish(needs: &Needs) -> String {
    match (&needs.pinned, &needs.provider, &needs.model) {
        (Some(pinned), ..) => format!("the tool loop began at `{pinned}` and stays there"),
        (None, Some(provider), Some(model)) => format!("the request names `{model} at {provider}`"),
        (None, Some(provider), None) => format!("the request names the provider `{provider}`"),
        (None, None, model) => format!("the request names the model `{}`", model.as_deref().unwrap_or_default()),
    }
}

/// Returns why content must stay on the device; `None` if it may leave.
pub(in crate::route) fn stays(needs: &Needs) -> Option<&'static str> {
    if needs.sensitivity == Sensitivity::Sensitive {
        Some("the request is sensitive and stays on this device")
    } else if needs.mode == RoutingMode::OnlyOnDevice {
        Some("the request is for this device only")
    } else {
        None
    }
}

const NEITHER: &str = "sensitive content never leaves the device: allow models on this device";
