//! What the router says: go there, ask first, or nowhere and why.

use serde::{Deserialize, Serialize};

use crate::chat::{DataPolicy, Route, RouteRule, RouteTarget, SkippedTarget};
use crate::error::{Error, ErrorKind};

/// What the router says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "made once a request, and the languages of the bindings know no boxes"
)]
pub enum RouteDecision {
    /// This place answers.
    Route {
        /// The place, the reason, and what was passed over.
        route: Route,
    },
    /// This place would answer if the person agreed.
    NeedsConsent {
        /// What to ask them.
        question: ConsentRequest,
    },
    /// No place may, can or should.
    NoRoute {
        /// The rule that rejected the closest candidate.
        rule: RouteRule,
        /// The error that a chat would end with.
        kind: ErrorKind,
        /// Its text: what left none, and what would change that.
        detail: String,
        /// All candidates, each with its reason.
        skipped: Vec<SkippedTarget>,
    },
}

/// What to ask the person before words leave the device. Their yes is the request's `consent`, set to `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// Where it would go.
    pub target: RouteTarget,
    /// What happens to the words there.
    pub data_policy: DataPolicy,
    /// US dollars that it would cost at most. Unset: no price is known.
    pub cost_usd: Option<f64>,
    /// Why not here.
    pub reason: String,
    /// The question in words.
    pub text: String,
    /// The route that a yes would take.
    pub route: Route,
}

impl RouteDecision {
    /// The route, or the error that a chat ends with where there is none.
    ///
    /// # Errors
    /// `Blocked` where the person must be asked first; else the kind that the rule gives.
    pub fn into_route(self) -> Result<Route, Error> {
        match self {
            Self::Route { route } => Ok(route),
            Self::NeedsConsent { question } => Err(Error::blocked(format!(
                "{}; ask the person (`route` gives the question) and set `consent` to the target",
                question.text
            ))),
            Self::NoRoute { kind, detail, .. } => Err(Error::new(kind, detail)),
        }
    }
}
