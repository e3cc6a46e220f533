//! The routing policy of an app and its user: a serializable value whose version is named in every receipt.
//!
//! The default allows targets that neither retain nor train on content, asks for consent each time, and sets no cost
//! cap beyond the request's own.

use serde::{Deserialize, Serialize};

/// Routing policy. The default is strict about data and sets no cost caps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingPolicy {
    /// What receipts call this policy; change it with the policy.
    pub version: String,
    /// Countries in which words may be processed, as ISO 3166 codes (`DE`, `US`) or `EU` for all of its members.
    /// Empty: any that is known or unknown. Machines of the person's own are always allowed.
    pub regions: Vec<String>,
    /// Places that may keep words are allowed.
    pub allow_retention: bool,
    /// Places that may train on words are allowed.
    pub allow_training: bool,
    /// Only these providers, by name. Empty: all that are set up.
    pub providers: Vec<String>,
    /// Never these providers, by name; for a provider that passes requests on, also never those behind it.
    pub never: Vec<String>,
    /// Whether the person is asked before personal words leave the device.
    pub consent: ConsentPolicy,
    /// US dollars that one request may cost.
    pub max_usd_request: Option<f64>,
    /// US dollars of one day, in UTC.
    pub max_usd_day: Option<f64>,
    /// US dollars of one month, in UTC.
    pub max_usd_month: Option<f64>,
    /// Goes elsewhere over a connection that costs by the byte, too.
    pub allow_metered: bool,
    /// A place that is expected to be much slower loses to an allowed one that is fast, wherever it is.
    pub prefer_fast: bool,
}

/// Whether the person is asked before personal words leave the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentPolicy {
    /// Each time.
    #[default]
    Ask,
    /// No: they agreed once and for all.
    Given,
    /// No: they refused once and for all.
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
