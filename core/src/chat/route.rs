//! The routing decision as it travels with an answer: the target, its fallbacks, and the candidates that were rejected.

use serde::{Deserialize, Serialize};

/// A place that can answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum Target {
    /// A model on this device.
    Local {
        /// The id of the installed model, or the path of its file.
        model: String,
    },
    /// A model somewhere else.
    Remote {
        /// The name under which the app set the provider up.
        provider: String,
        /// What the provider calls the model.
        model: String,
    },
    /// A script, for tests; no model ran.
    Scripted,
}

/// Who answers, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Who answers.
    pub target: Target,
    /// The reason, for a person to read.
    pub reason: String,
    /// The id of the rule that decided: `asked`, `stay-here`, `preferred`, …
    pub rule: String,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Who answers instead if the target fails before it said anything, in this order.
    pub then: Vec<Target>,
    /// Who could have answered and does not, each with its reason.
    pub skipped: Vec<Skipped>,
    /// What was expected of the target.
    pub expected: Expected,
}

/// A candidate that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Who was passed over.
    pub target: Target,
    /// The id of the rule that passed it over; `failed` where it was tried.
    pub rule: String,
    /// Why, for a person to read.
    pub reason: String,
}

/// What a place was expected to take, from what was measured there before. Unset where nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Milliseconds to the first token.
    pub first_token_ms: Option<f64>,
    /// Milliseconds to the end.
    pub total_ms: Option<f64>,
    /// US dollars; 0 on the device.
    pub cost_usd: Option<f64>,
}

impl Route {
    /// A route to this place by this rule, with nothing else known or passed over.
    pub fn to(target: Target, rule: &str, reason: &str) -> Self {
        Self {
            target,
            reason: reason.to_owned(),
            rule: rule.to_owned(),
            policy: String::new(),
            then: vec![],
            skipped: vec![],
            expected: Expected::default(),
        }
    }
}

impl Target {
    /// Whether the words leave this device to get there.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

/// For people: `smollm2-135m`, or `deepseek/deepseek-r1 at openrouter`.
impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local { model } => write!(out, "{model}"),
            Self::Remote { provider, model } => write!(out, "{model} at {provider}"),
            Self::Scripted => write!(out, "a script"),
        }
    }
}
