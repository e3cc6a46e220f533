//! The receipt of an answer: target, reason, cost and data policy.
//!
//! It names the rule that decided and the version of the routing policy, so that a decision can be traced.

use serde::{Deserialize, Serialize};

use super::route::{Route, RouteEstimate, RouteRule, RouteTarget, SkippedCount, SkippedTarget};
use super::sampling::AppliedSampling;

/// A record of an answer, for an app to show and store: target, reason, cost and data policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The target that answered.
    pub target: RouteTarget,
    /// Upstream that ran the model, if the provider is an aggregator; as the provider names it.
    pub served_by: Option<String>,
    /// The reason for the target, to show to the user.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// Version of the routing policy that applied.
    pub policy: String,
    /// The closest of the candidates that were rejected, and those that failed, each with its reason.
    pub skipped: Vec<SkippedTarget>,
    /// Number of further rejected candidates, by rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_more: Vec<SkippedCount>,
    /// Estimate made before the answer; compare it with the timings.
    pub expected: RouteEstimate,
    /// Number of earlier messages of the conversation that the target was not sent.
    #[serde(default)]
    pub omitted_messages: u32,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// Source of `cost_usd`.
    pub cost_source: CostSource,
    /// Of `cost_usd`, the US dollars that the provider may not charge, so that the cost is an upper bound: web searches that
    /// it does not count, and earlier attempts without an answer.
    #[serde(default)]
    pub unconfirmed_usd: f64,
    /// Whether the answer was cancelled but the provider bills for a complete one.
    pub billed_in_full: bool,
    /// Data policy of the target that received the content.
    pub data_policy: DataPolicy,
    /// Sampling values used.
    #[serde(default)]
    pub sampling: AppliedSampling,
    /// Why a model on this device read most of the prompt again although it had read the conversation before; unset if it did
    /// not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_miss: Option<CacheMiss>,
}

/// What changed at the beginning of a prompt since the last one of the same conversation, so that the conversation was read
/// again: a model reuses only the part before the first change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheMiss {
    /// The system prompt, as one with the time of day does: say such a thing in the last message instead.
    SystemPromptChanged,
    /// The tools, or their order.
    ToolsChanged,
}

/// Source of a cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// It ran on this device or on a self-hosted server.
    Free,
    /// Reported by the provider.
    Provider,
    /// Token counts of the provider, times its price.
    Computed,
    /// Token counts estimated from the text length, times the price: the provider reported no usage.
    Estimated,
    /// The price is unknown; the cost is 0 and has no meaning.
    Unknown,
}

/// How a target handles the content of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPolicy {
    /// Where content is processed: `device`, `own server`, countries as ISO 3166 codes (`US`, `US,EU`), or `unknown`.
    pub region: String,
    /// Whether a third party may retain the content.
    pub retained: bool,
    /// Whether a third party may train on the content.
    pub trained_on: bool,
    /// Date of the source, as `2026-10-31`; empty if the policy follows from the target itself.
    pub as_of: String,
    /// URL of the source; empty if the policy follows from the target itself.
    pub source: String,
    /// A note to show to the user, such as on a web search that the policy does not cover; may be empty.
    pub note: String,
}

impl Route {
    /// Returns the receipt of an answer on this device: free, and nothing left the device.
    pub fn receipt_on_device(&self) -> Receipt {
        self.receipt(0.0, CostSource::Free, DataPolicy::on_device())
    }

    /// Returns the receipt of an answer along this route.
    pub fn receipt(&self, cost_usd: f64, cost_source: CostSource, data_policy: DataPolicy) -> Receipt {
        Receipt {
            target: self.target.clone(),
            served_by: None,
            reason: self.reason.clone(),
            rule: self.rule,
            policy: self.policy.clone(),
            skipped: self.skipped.clone(),
            skipped_more: self.skipped_more.clone(),
            expected: self.expected,
            omitted_messages: self.omitted_messages,
            cost_usd,
            cost_source,
            unconfirmed_usd: 0.0,
            billed_in_full: false,
            data_policy,
            sampling: AppliedSampling::default(),
            cache_miss: None,
        }
    }
}

impl DataPolicy {
    /// Returns the policy of this device: content never leaves it.
    pub fn on_device() -> Self {
        Self {
            region: "device".to_owned(),
            ..Self::default()
        }
    }

    /// Returns the policy of a self-hosted server: content goes to a machine of the user only.
    pub fn own_server() -> Self {
        Self {
            region: OWN_SERVER.to_owned(),
            ..Self::default()
        }
    }

    /// Returns the policy for unknown terms, which are treated as retained and trained on.
    pub fn unknown() -> Self {
        Self {
            region: "unknown".to_owned(),
            retained: true,
            trained_on: true,
            ..Self::default()
        }
    }

    /// Returns the policy of a model that a self-hosted server forwards: its terms are unknown.
    pub(crate) fn forwarded() -> Self {
        Self {
            note: FORWARDED.to_owned(),
            ..Self::unknown()
        }
    }

    /// Returns whether the content stays on machines of the user.
    pub fn is_own(&self) -> bool {
        (self.region == OWN_SERVER || self.region == "device") && !self.retained && !self.trained_on
    }
}

const OWN_SERVER: &str = "own server";

/// Note of a model that a self-hosted server forwards.
pub(crate) const FORWARDED: &str = "the server forwards requests for this model to a third party";
