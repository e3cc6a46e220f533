//! The routing policy of an app and its user: a serializable value whose version is named in every receipt.
//!
//! The default allows targets that neither retain nor train on content, requires consent to each target, and sets no
//! cost cap beyond the request's own.

use serde::{Deserialize, Serialize};

use super::countries::{UNION, is_region, likely_region};
use crate::chat::{MAX_USD, is_amount};
use crate::error::{Error, Result};

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
    /// Only these providers, by the exact name under which each was set up, never by kind. Empty: all that are configured.
    pub providers: Vec<String>,
    /// Never these providers, by name or by kind in any case: `groq` excludes every provider of the kind Groq, under
    /// whatever name it was set up. For OpenRouter, also never these upstreams.
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

impl RoutingPolicy {
    /// Rejects values that cannot be meant: countries that do not exist, empty entries of lists, caps that are no amounts.
    /// A stored policy is used as it is: whatever it names matches nothing, which excludes more, and never less.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the value and its range.
    pub fn check(&self) -> Result<()> {
        let invalid = |text: String| Err(Error::invalid_request(text));
        let lists = [
            ("regions", &self.regions),
            ("allowed providers", &self.providers),
            ("excluded providers", &self.never),
        ];
        for (name, list) in lists {
            if list.iter().any(|entry| entry.trim().is_empty()) {
                return invalid(format!("an entry of the list of {name} is empty; leave it out"));
            }
        }
        if let Some(region) = self.regions.iter().find(|region| !is_region(region.trim())) {
            return invalid(match likely_region(region.trim()) {
                Some(likely) => format!("`{region}` is no ISO 3166 code of a country; use `{likely}`"),
                None => format!(
                    "`{region}` is no ISO 3166 code of a country; use two letters, such as `DE` or `GB`, or `{UNION}` for \
                     all of its members"
                ),
            });
        }
        let caps = [
            ("a request", self.max_usd_request),
            ("a day", self.max_usd_day),
            ("a month", self.max_usd_month),
        ];
        for (span, cap) in caps {
            if let Some(usd) = cap.filter(|usd| !is_amount(*usd)) {
                return invalid(format!(
                    "the cap of {span} is {usd}; it must be between 0 and {MAX_USD} US dollars"
                ));
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_cannot_be_meant_is_rejected_with_a_hint() {
        let regions = |list: &[&str]| RoutingPolicy {
            regions: list.iter().map(|region| (*region).to_owned()).collect(),
            ..RoutingPolicy::default()
        };
        for list in [&[][..], &["DE", "fr"], &["EU", " US "], &["GB"]] {
            assert!(regions(list).check().is_ok(), "{list:?}");
        }
        for (list, hint) in [
            (&["UK"][..], "`GB`"),
            (&["DE", "XX"], "two letters"),
            (&["Germany"], "two letters"),
            (&[""], "empty"),
            (&["DE", " "], "empty"),
        ] {
            let error = regions(list).check().expect_err(hint).to_string();
            assert!(error.contains(hint), "{list:?}: {error}");
        }
        let never = RoutingPolicy {
            never: vec!["groq".into(), String::new()],
            ..RoutingPolicy::default()
        };
        assert!(never.check().is_err());
        for (cap, valid) in [
            (0.0, true),
            (1e6, true),
            (1e308, false),
            (-1.0, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            let policy = RoutingPolicy {
                max_usd_day: Some(cap),
                ..RoutingPolicy::default()
            };
            assert_eq!(policy.check().is_ok(), valid, "{cap}");
        }
    }
}
