//! The routing policy of an app and its user: a serializable value whose version is named in every receipt.
//!
//! The default allows targets that neither retain nor train on content, requires consent to each target, and sets no
//! cost cap beyond the request's own.

use serde::{Deserialize, Serialize};

/// Routing policy. The default is strict about data and sets no cost caps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingPolicy {
    /// Version of this policy in receipts; change it with the policy.
    pub version: String,
    /// Countries in which content may be processed, as ISO 3166 codes (`DE`, `US`) or `EU` for all of its members.
    /// Empty: all, unknown ones included. The user's own servers are always allowed.
    pub regions: Vec<String>,
    /// Allows targets that may retain content.
    pub allow_retention: bool,
    /// Allows targets that may train on content.
    pub allow_training: bool,
    /// Only these providers, by exact name. Empty: all that are configured.
    pub providers: Vec<String>,
    /// Never these providers, by name in any case; for OpenRouter, also never these upstreams.
    pub never: Vec<String>,
    /// Whether the user is asked before personal content is sent to a third party.
    pub consent: ConsentPolicy,
    /// Cost cap of one request in US dollars.
    pub max_usd_request: Option<f64>,
    /// Cost cap of one day, in UTC, in US dollars.
    pub max_usd_day: Option<f64>,
    /// Cost cap of one month, in UTC, in US dollars.
    pub max_usd_month: Option<f64>,
    /// Allows remote targets over a metered connection. Own servers on this device or in a private network are always
    /// allowed.
    pub allow_metered: bool,
    /// Prefers an allowed target at least twice as fast, local or remote, over one that is slow.
    pub prefer_fast: bool,
}

/// Whether the user is asked before personal content is sent to a third party.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentPolicy {
    /// Each time.
    #[default]
    Ask,
    /// No: the user has consented to all.
    Given,
    /// No: the user has refused all.
    Refused,
}

impl Default for RoutingPolicy {
    fn default() -> Self {
        Self {
            version: "default-1".to_owned(),
            regions: vec![],
            allow_retention: false,
            allow_training: false,
            providers: vec![],
            never: vec![],
            consent: ConsentPolicy::Ask,
            max_usd_request: None,
            max_usd_day: None,
            max_usd_month: None,
            allow_metered: true,
            prefer_fast: false,
        }
    }
}
