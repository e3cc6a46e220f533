//! The router's result: a route, a consent request, or no route and why.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::{DataPolicy, Route, RouteRule, RouteTarget, SkippedTarget};
use crate::error::{Error, ErrorKind, ErrorReason};

/// The result of a routing decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "one value per request, and the bindings cannot express a box"
)]
pub enum RouteDecision {
    /// A target answers.
    #[serde(rename = "go")]
    Route {
        /// Target, fallbacks, reason and skipped candidates.
        route: Route,
    },
    /// A target would answer if the user consented.
    #[serde(rename = "ask")]
    NeedsConsent {
        /// The consent request for the user.
        question: ConsentRequest,
    },
    /// No candidate may or can answer.
    #[serde(rename = "nowhere")]
    NoRoute {
        /// The rule that rejected the closest candidate.
        rule: RouteRule,
        /// Kind of the error that a chat ends with.
        kind: ErrorKind,
        /// Reason of that error.
        reason: ErrorReason,
        /// Text of the error: why no candidate is left, and the remedy.
        detail: String,
        /// All candidates, each with its reason.
        skipped: Vec<SkippedTarget>,
        /// Milliseconds until a retry can succeed. Unset: unknown, or something else has to change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// A question to the user before content leaves the device. A yes is the request's `consent`, set to `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// The target that would receive the content.
    pub target: RouteTarget,
    /// Region, retention and training of the content there.
    pub data_policy: DataPolicy,
    /// Maximum cost in US dollars: of the longest answer that the model can give, as far as the caps pay for it. The likely
    /// cost is in the route's `expected`. Unset: no price is known.
    pub cost_usd: Option<f64>,
    /// Why this target was selected: the route's reason.
    pub reason: String,
    /// Text of the question.
    pub text: String,
    /// The route that applies after consent.
    pub route: Route,
}

impl RouteDecision {
    /// Returns the route, or the error that a chat ends with if there is none.
    ///
    /// # Errors
    /// `Blocked` if the user must consent first; otherwise the kind that the rejecting rule gives.
    pub fn into_route(self) -> Result<Route, Error> {
        match self {
            Self::Route { route } => Ok(route),
            Self::NeedsConsent { question } => Err(Error::of(
                ErrorReason::ConsentRequired,
                format!("the user has to agree first: {}", question.text),
            )),
            Self::NoRoute {
                kind,
                reason,
                detail,
                retry_after_ms,
                ..
            } => Err(Error::new(kind, detail)
                .because(reason)
                .with_retry_after(retry_after_ms.map(Duration::from_millis))),
        }
    }
}
