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
        /// The provider's model id. Empty in a rejected candidate: no model of the provider is known.
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
    /// Candidates that were rejected, each with its reason. In a decision all of them; in an answer the closest few and
    /// those that were tried, and `skipped_more` counts the rest.
    pub skipped: Vec<SkippedTarget>,
    /// Number of further rejected candidates, by rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_more: Vec<SkippedCount>,
    /// Estimate for the target.
    pub expected: RouteEstimate,
    /// Number of earlier messages of the conversation that the target is not sent, because its context cannot hold them.
    #[serde(default)]
    pub omitted_messages: u32,
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

/// Number of candidates that a rule rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedCount {
    /// The rule.
    pub rule: RouteRule,
    /// Number of candidates.
    pub count: u32,
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
            skipped_more: vec![],
            expected: RouteEstimate::default(),
            omitted_messages: 0,
        }
    }
}

impl Route {
    /// Keeps the closest few of the rejected candidates and counts the rest, because an answer carries and stores its
    /// route. Of each provider and rule the best candidate comes first; then those that passed the most rules.
    pub fn summarize_skipped(&mut self) {
        if self.skipped.len() <= MAX_SKIPPED {
            return;
        }
        let mut groups = std::collections::HashSet::new();
        let mut order: Vec<_> = std::mem::take(&mut self.skipped)
            .into_iter()
            .map(|skipped| {
                (
                    !groups.insert((skipped.target.provider().map(str::to_owned), skipped.rule)),
                    skipped,
                )
            })
            .collect();
        order.sort_by_key(|(repeated, skipped)| (*repeated, std::cmp::Reverse(skipped.rule)));
        let rest = order.split_off(MAX_SKIPPED);
        self.skipped = order.into_iter().map(|(_, skipped)| skipped).collect();
        for rule in RouteRule::ALL {
            let count = rest.iter().filter(|(_, skipped)| skipped.rule == rule).count();
            if count > 0 {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.skipped_more.push(SkippedCount { rule, count });
            }
        }
    }
}

impl RouteTarget {
    /// Returns the name of its provider; `None` for other targets.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::Remote { provider, .. } => Some(provider),
            _ => None,
        }
    }

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
            Self::Remote { provider, model } if model.is_empty() => write!(out, "{provider}"),
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

/// Maximum number of rejected candidates that an answer names.
const MAX_SKIPPED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_closest_candidates_and_counts_the_rest() {
        let mut route = Route::to(RouteTarget::Scripted, RouteRule::Preference, "because");
        let mut skip = |provider: &str, at: usize, rule| {
            route.skipped.push(SkippedTarget {
                target: RouteTarget::Remote {
                    provider: provider.into(),
                    model: format!("model-{at}"),
                },
                rule,
                reason: "a reason of some length, as the rules write them, with a remedy".into(),
            });
        };
        for at in 0..400 {
            skip("openrouter", at, RouteRule::Preference);
            skip("groq", at, RouteRule::Reachability);
        }
        skip("own", 0, RouteRule::Capability);
        let whole = route.skipped.len();
        route.summarize_skipped();
        assert_eq!(route.skipped.len(), MAX_SKIPPED);
        let kept: Vec<_> = route.skipped.iter().map(|one| one.target.to_string()).collect();
        for closest in ["model-0 at openrouter", "model-0 at groq", "model-0 at own"] {
            assert!(kept.iter().any(|target| target == closest), "{kept:?}");
        }
        let counted: u32 = route.skipped_more.iter().map(|one| one.count).sum();
        assert_eq!(counted as usize + MAX_SKIPPED, whole);
        assert!(serde_json::to_string(&route).expect("json").len() < 3_000);
    }
}
