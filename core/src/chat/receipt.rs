//! The receipt of an answer: target, reason, cost and data policy.
//!
//! It names the rule that decided and the version of the policy that it was decided under, so that a decision can be
//! traced.

use serde::{Deserialize, Serialize};

use super::route::{Route, RouteEstimate, RouteRule, RouteTarget, SkippedTarget};
use super::sampling::AppliedSampling;

/// What an app can show under an answer, and keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who answered.
    pub target: RouteTarget,
    /// Who really ran the model, where the provider passes requests on; as it calls them.
    pub served_by: Option<String>,
    /// Why, for a person to read.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Candidates that were rejected or failed, each with its reason.
    pub skipped: Vec<SkippedTarget>,
    /// Estimate made before the answer; compare it with the timings.
    pub expected: RouteEstimate,
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
    pub sampling: AppliedSampling,
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
            rule: self.rule,
            policy: self.policy.clone(),
            skipped: self.skipped.clone(),
            expected: self.expected,
            cost_usd,
            cost_source,
            billed_in_full: false,
            data_policy,
            sampling: AppliedSampling::default(),
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

const OWN_SERVER: &str = "own server";
