//! Who answers, why, what it costs and who sees the words: said before the answer ([`Route`]) and after it ([`Receipt`]).
//!
//! Every route names the rule that decided and the version of the policy that it was decided under, so that a decision
//! can be looked up and argued with.

use serde::{Deserialize, Serialize};

use super::preset::SamplingUsed;

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

/// What an app can show under an answer, and keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who answered.
    pub target: Target,
    /// Who really ran the model, where the provider passes requests on; as it calls them.
    pub served_by: Option<String>,
    /// Why, for a person to read.
    pub reason: String,
    /// The id of the rule that decided.
    pub rule: String,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Candidates that were rejected or failed, each with its reason.
    pub skipped: Vec<Skipped>,
    /// Estimate made before the answer; compare it with the timings.
    pub expected: Expected,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// How that figure is known.
    pub cost_source: CostSource,
    /// The answer was cancelled, and the provider bills for it as if it had been finished.
    pub billed_in_full: bool,
    /// Who saw the words, and what they may do with them.
    pub data_policy: DataPolicy,
    /// What it was sampled with.
    #[serde(default)]
    pub sampling: SamplingUsed,
}

/// How a cost is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// It ran here, or on a machine of the person's own.
    Free,
    /// The provider said so.
    Provider,
    /// Tokens that the provider counted, times its price.
    Computed,
    /// Token counts estimated from the text length, times the price: the answer ended before the provider reported
    /// usage.
    Estimated,
    /// No price is known; the figure is 0 and means nothing.
    Unknown,
}

/// What happens to the words of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPolicy {
    /// Where they are processed: `device`, `own server`, countries as ISO 3166 codes (`US`, `US,EU`), or `unknown`.
    pub region: String,
    /// Whether a third party may retain the content.
    pub retained: bool,
    /// Whether a third party may train on the content.
    pub trained_on: bool,
    /// The day on which this was read or published, as `2026-10-31`; empty where it follows from the place itself.
    pub as_of: String,
    /// The page that says so; empty where it follows from the place itself.
    pub source: String,
    /// What a person should know besides, such as a web search that the rules do not cover; may be empty.
    pub note: String,
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

    /// Receipt of an answer on this device along this route: free, and never sent anywhere.
    pub fn receipt_on_device(&self) -> Receipt {
        self.receipt(0.0, CostSource::Free, DataPolicy::on_device())
    }

    /// The receipt of an answer along this route.
    pub fn receipt(&self, cost_usd: f64, cost_source: CostSource, data_policy: DataPolicy) -> Receipt {
        Receipt {
            target: self.target.clone(),
            served_by: None,
            reason: self.reason.clone(),
            rule: self.rule.clone(),
            policy: self.policy.clone(),
            skipped: self.skipped.clone(),
            expected: self.expected,
            cost_usd,
            cost_source,
            billed_in_full: false,
            data_policy,
            sampling: SamplingUsed::default(),
        }
    }
}

impl DataPolicy {
    /// The words stay on this device.
    pub fn on_device() -> Self {
        Self {
            region: "device".to_owned(),
            ..Self::default()
        }
    }

    /// The words go to a machine of the person's own.
    pub fn own_server() -> Self {
        Self {
            region: OWN_SERVER.to_owned(),
            ..Self::default()
        }
    }

    /// Unknown terms; treated as retained and trained on.
    pub fn unknown() -> Self {
        Self {
            region: "unknown".to_owned(),
            retained: true,
            trained_on: true,
            ..Self::default()
        }
    }

    /// Whether the content stays on machines of the user.
    pub fn is_own(&self) -> bool {
        (self.region == OWN_SERVER || self.region == "device") && !self.retained && !self.trained_on
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

const OWN_SERVER: &str = "own server";
