//! Constraints on the upstream providers of an aggregator (OpenRouter): which may run the model, and under which terms.

use serde_json::{Map, Value, json};

use super::provider::TokenPrice;
use crate::error::{Error, ErrorReason, Result};

/// Upstream constraints of a request. The default sets none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Upstreams {
    /// Only upstreams with zero data retention.
    pub zdr: bool,
    /// Only upstreams that do not collect content, and so do not train on it.
    pub deny_collection: bool,
    /// Only these, by slug. Empty: any.
    pub only: Vec<String>,
    /// Never these, by slug.
    pub ignore: Vec<String>,
    /// These first, by slug. Empty: the provider balances.
    pub order: Vec<String>,
    /// Maximum price in US dollars per million tokens.
    pub max_price: Option<TokenPrice>,
}

impl Upstreams {
    /// Returns whether they exclude an upstream.
    pub fn is_constrained(&self) -> bool {
        *self != Self::default()
    }

    /// Returns OpenRouter's `provider` object; null without constraints. `require_parameters` excludes upstreams that
    /// silently drop a parameter of the request.
    pub fn to_wire(&self, require_parameters: bool) -> Value {
        let mut wire = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                wire.insert(name.to_owned(), value);
            }
        };
        let list = |slugs: &[String]| (!slugs.is_empty()).then(|| json!(slugs));
        put("zdr", self.zdr.then(|| true.into()));
        put("data_collection", self.deny_collection.then(|| "deny".into()));
        put("only", list(&self.only));
        put("ignore", list(&self.ignore));
        put("order", list(&self.order));
        put("require_parameters", require_parameters.then(|| true.into()));
        let price = self.max_price.as_ref();
        put(
            "max_price",
            price.map(|price| json!({ "prompt": round_up(price.usd_in), "completion": round_up(price.usd_out) })),
        );
        if wire.is_empty() { Value::Null } else { wire.into() }
    }

    /// Checks that the upstream that answered was allowed.
    ///
    /// # Errors
    /// `Blocked` for an excluded one: the content reached a third party that the policy excludes.
    pub fn check_served_by(&self, served_by: &str) -> Result<()> {
        let slug = normalize_slug(served_by);
        let named = |list: &[String]| {
            list.iter()
                .any(|entry| slug == normalize_slug(entry) || slug == base_slug(entry))
        };
        if named(&self.ignore) || (!self.only.is_empty() && !named(&self.only)) {
            return Err(Error::blocked(format!(
                "the answer came from `{served_by}`, which the policy excludes; it was discarded, report this to \
                 the provider"
            ))
            .because(ErrorReason::PolicyForbids));
        }
        Ok(())
    }
}

/// Rounds a maximum price up in its sixth significant digit, so that it never excludes an upstream of exactly that price.
fn round_up(usd: f64) -> f64 {
    let text = format!("{usd:.5e}");
    let rounded: f64 = text.parse().unwrap_or(usd);
    if rounded >= usd {
        return rounded;
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let next = mantissa.parse::<f64>().unwrap_or(0.0) + 0.00001;
    format!("{next:.5}e{exponent}").parse().unwrap_or(usd)
}

/// Normalizes a name for comparison: lower case, letters and digits only.
fn normalize_slug(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the slug without its variant: `deepinfra` for `deepinfra/turbo`.
fn base_slug(entry: &str) -> String {
    normalize_slug(entry.split('/').next().unwrap_or(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_constraints_are_null() {
        assert_eq!(Upstreams::default().to_wire(false), Value::Null);
        let strict = Upstreams {
            zdr: true,
            deny_collection: true,
            ignore: vec!["deepseek".into()],
            ..Upstreams::default()
        };
        let wire = json!({"zdr": true, "data_collection": "deny", "ignore": ["deepseek"], "require_parameters": true});
        assert_eq!(strict.to_wire(true), wire);
    }

    #[test]
    fn a_maximum_price_excludes_no_upstream_of_that_price() {
        for (usd, sent) in [
            (0.049999999999999996, 0.05),
            (0.7, 0.7),
            (2.35, 2.35),
            (0.0, 0.0),
            (1.0000001, 1.00001),
        ] {
            assert_eq!(round_up(usd), sent, "{usd}");
            assert!(round_up(usd) >= usd);
        }
    }

    #[test]
    fn an_answer_from_outside_the_policy_is_an_error() {
        let upstreams = Upstreams {
            only: vec!["deepinfra/turbo".into(), "fireworks".into()],
            ..Upstreams::default()
        };
        assert!(upstreams.check_served_by("DeepInfra").is_ok() && upstreams.check_served_by("Fireworks").is_ok());
        assert!(upstreams.check_served_by("DeepSeek").is_err());
    }
}
