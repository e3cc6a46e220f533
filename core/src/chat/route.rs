//! The routing decision that accompanies an answer: the target, its fallbacks, and the candidates that were rejected.

use serde::{Deserialize, Serialize};

/// A model that can answer: local, remote or scripted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum RouteTarget {
    /// A model on this device.
    Local {
        /// The id of the installed model, or the path of its file.
        model: String,
    },
    /// A remote model.
    Remote {
        /// The name of the configured provider.
        provider: String,
        /// The provider's model id.
        model: String,
    },
    /// A script, for tests; no model ran.
    Scripted,
}

/// The chosen target, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// The target that answers.
    pub target: RouteTarget,
    /// The reason, to show to the user.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// Version of the routing policy that applied.
    pub policy: String,
    /// Fallback targets, in order, if the target fails before any visible output.
    pub then: Vec<RouteTarget>,
    /// Candidates that were rejected, each with its reason.
    pub skipped: Vec<SkippedTarget>,
    /// Estimate for the target.
    pub expected: RouteEstimate,
}

/// A rule of the router. Its id, as JSON and `Display` show it, is in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteRule {
    /// The target that the request names (`asked`).
    RequestedTarget,
    /// The request must stay on the device (`stay-here`).
    OnDeviceOnly,
    /// The request's mode (`mode`).
    Mode,
    /// Context size, tools, images, schema or search (`able`).
    Capability,
    /// The routing policy (`allowed`).
    Policy,
    /// Network, key, circuit breaker or a retired model (`reachable`).
    Reachability,
    /// Cost caps (`affordable`).
    Budget,
    /// Memory of the device (`fits`).
    Memory,
    /// Order of preference (`preferred`).
    Preference,
    /// There was no candidate (`candidates`).
    NoCandidates,
    /// An attempt at this target, or at the previous target of the route, failed (`failed`).
    PreviousFailed,
}

/// A rejected candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedTarget {
    /// The rejected target.
    pub target: RouteTarget,
    /// The rule that rejected it; `PreviousFailed` if it was tried.
    pub rule: RouteRule,
    /// The reason, to show to the user.
    pub reason: String,
}

/// Estimate for a target, from earlier measurements. Unset if unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RouteEstimate {
    /// Milliseconds to the first token.
    pub first_token_ms: Option<f64>,
    /// Milliseconds to the end of the answer.
    pub total_ms: Option<f64>,
    /// US dollars; 0 on the device.
    pub cost_usd: Option<f64>,
}

impl Route {
    /// Creates a route to this target by this rule, without fallbacks, rejected candidates or an estimate.
    pub fn to(target: RouteTarget, rule: RouteRule, reason: &str) -> Self {
        Self {
            target,
            reason: reason.to_owned(),
            rule,
            policy: String::new(),
            then: vec![],
            skipped: vec![],
            expected: RouteEstimate::default(),
        }
    }
}

impl RouteTarget {
    /// Returns whether the content leaves this device.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

/// Text for users: `smollm2-135m`, or `deepseek/deepseek-r1 at openrouter`.
impl std::fmt::Display for RouteTarget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local { model } => write!(out, "{model}"),
            Self::Remote { provider, model } => write!(out, "{model} at {provider}"),
            Self::Scripted => write!(out, "a script"),
        }
    }
}

impl RouteRule {
    /// All rules, in the order of evaluation, then those that only explain a result.
    pub const ALL: [Self; 11] = [
        Self::RequestedTarget,
        Self::OnDeviceOnly,
        Self::Mode,
        Self::Capability,
        Self::Policy,
        Self::Reachability,
        Self::Budget,
        Self::Memory,
        Self::Preference,
        Self::NoCandidates,
        Self::PreviousFailed,
    ];

    /// Returns its id.
    pub fn id(self) -> &'static str {
        match self {
            Self::RequestedTarget => "asked",
            Self::OnDeviceOnly => "stay-here",
            Self::Mode => "mode",
            Self::Capability => "able",
            Self::Policy => "allowed",
            Self::Reachability => "reachable",
            Self::Budget => "affordable",
            Self::Memory => "fits",
            Self::Preference => "preferred",
            Self::NoCandidates => "candidates",
            Self::PreviousFailed => "failed",
        }
    }
}

impl Serialize for RouteRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for RouteRule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|rule| rule.id() == id);
        found.ok_or_else(|| serde::de::Error::custom("unknown routing rule"))
    }
}

impl std::fmt::Display for RouteRule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.id())
    }
}
