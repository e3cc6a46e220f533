//! Compares what a request would cost on every target.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::provider_table::{known_models, model_facts};
use super::{LocalCandidate, ModelListing, RemoteCandidate, Speed, TokenRange, estimate};
use crate::chat::{DataPolicy, RouteTarget};
use crate::engine::remote::{ProviderKind, RemoteModel, TokenPrice};

/// Estimated cost of a request at one target, in US dollars. Unset: no price is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// The target.
    pub target: RouteTarget,
    /// Whether the target is configured and has a credential. The others are listed under the name of their kind, for
    /// comparison.
    pub set_up: bool,
    /// The prompt at its likely length, none of it cached.
    pub usd_in: Option<f64>,
    /// The answer at its likely length, reasoning included.
    pub usd_out: Option<f64>,
    /// Both, and the price per request.
    pub usd_total: Option<f64>,
    /// The total at the minimum length of prompt and answer.
    pub usd_least: Option<f64>,
    /// The total at their maximum length.
    pub usd_most: Option<f64>,
    /// The day of the price, as `2026-10-31`; empty if nothing is charged or known.
    pub as_of: String,
}

/// Returns the cost of a request at each of these targets and at those of the dated table, cheapest first; targets
/// without a known price come last, and those that cannot answer are left out. The device is free, and so are the user's own servers that state no price.
pub fn compare(
    prompt: TokenRange,
    completion: TokenRange,
    remotes: &[RemoteCandidate],
    locals: &[LocalCandidate],
) -> Vec<CostRow> {
    let well_known = well_known();
    let is_configured = |known: &RemoteCandidate| {
        let mut remotes = remotes.iter();
        remotes.any(|remote| remote.provider == known.provider && remote.model.id == known.model.id)
    };
    let others = well_known.iter().filter(|known| !is_configured(known));
    let remote_rows = remotes
        .iter()
        .filter(|remote| remote.has_model())
        .chain(others)
        .map(|remote| there(remote, prompt, completion));
    let mut rows: Vec<_> = locals
        .iter()
        .filter(|local| local.verdict.is_ok())
        .map(here)
        .chain(remote_rows)
        .collect();
    rows.sort_by(|a, b| cheaper(a, b).then_with(|| a.target.cmp(&b.target)));
    rows
}

/// Returns every model of the dated table as a candidate whose provider has the name of its kind and no credential.
fn well_known() -> Vec<RemoteCandidate> {
    let of_kind = |kind: ProviderKind| known_models(kind).into_iter().map(move |model| (kind, model));
    let all = ProviderKind::ALL.into_iter().flat_map(of_kind);
    all.filter_map(|(kind, model)| {
        let known = model_facts(kind, model)?;
        Some(RemoteCandidate {
            provider: kind.name().to_owned(),
            kind,
            model: RemoteModel {
                id: model.to_owned(),
                name: model.to_owned(),
                context: known.context,
                abilities: known.abilities,
                price: known.price,
                ..RemoteModel::default()
            },
            has_key: false,
            cooldown_ms: None,
            is_nearby: false,
            needs_local_network: false,
            is_default: false,
            listing: ModelListing::Known,
            data_policy: DataPolicy::unknown(),
            quality: known.quality,
            speed: Speed::default(),
        })
    })
    .collect()
}

fn here(local: &LocalCandidate) -> CostRow {
    CostRow {
        target: RouteTarget::of_local(local),
        set_up: true,
        usd_in: Some(0.0),
        usd_out: Some(0.0),
        usd_total: Some(0.0),
        usd_least: Some(0.0),
        usd_most: Some(0.0),
        as_of: String::new(),
    }
}

fn there(remote: &RemoteCandidate, prompt: TokenRange, completion: TokenRange) -> CostRow {
    let total = estimate::cost(remote, prompt.likely, completion.likely);
    let price = remote.model.price.as_ref().filter(|_| total.is_some());
    // Without a valid price there is a total only if nothing is charged.
    let part = |tokens: u32, rate: fn(&TokenPrice) -> f64| {
        price.map_or(total, |price| Some(f64::from(tokens) * rate(price) / 1e6))
    };
    CostRow {
        target: RouteTarget::of_remote(remote),
        set_up: remote.has_key,
        usd_in: part(prompt.likely, |price| price.usd_in),
        usd_out: part(completion.likely, |price| price.usd_out),
        usd_total: total,
        usd_least: estimate::cost(remote, prompt.low, completion.low),
        usd_most: estimate::cost(remote, prompt.high, completion.high),
        as_of: price.map_or(String::new(), |price| price.as_of.clone()),
    }
}

fn cheaper(a: &CostRow, b: &CostRow) -> Ordering {
    match (a.usd_total, b.usd_total) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FitVerdict;

    fn range(low: u32, likely: u32, high: u32) -> TokenRange {
        TokenRange { low, likely, high }
    }

    fn remote(provider: &str, price: Option<(f64, f64)>) -> RemoteCandidate {
        RemoteCandidate {
            provider: provider.into(),
            model: RemoteModel {
                id: "m".into(),
                price: price.map(|(usd_in, usd_out)| TokenPrice {
                    usd_in,
                    usd_out,
                    usd_request: 0.001,
                    as_of: "2026-10-31".into(),
                    ..TokenPrice::default()
                }),
                ..RemoteModel::default()
            },
            has_key: true,
            ..well_known().remove(0)
        }
    }

    #[test]
    fn the_device_is_free_the_cheapest_comes_next_and_the_unknown_last() {
        let local = LocalCandidate {
            model: "smol".into(),
            verdict: Ok(FitVerdict::Fits),
            context: 4096,
            abilities: Default::default(),
            quality: 0.135,
            speed: Speed::default(),
        };
        let own = RemoteCandidate {
            data_policy: DataPolicy::own_server(),
            ..remote("z-own", None)
        };
        let depends = remote("depends", Some((-1.0, -1.0)));
        let remotes = [
            remote("unknown", None),
            depends,
            remote("dear", Some((2.0, 10.0))),
            own,
            remote("cheap", Some((1.0, 1.0))),
        ];
        let mut rows = compare(range(1_000, 2_000, 4_000), range(0, 500, 1_000), &remotes, &[local]);
        rows.retain(|row| row.set_up);
        let names: Vec<_> = rows.iter().map(|row| row.target.to_string()).collect();
        assert_eq!(
            names,
            [
                "smol",
                "m at z-own",
                "m at cheap",
                "m at dear",
                "m at depends",
                "m at unknown"
            ]
        );
        assert_eq!(
            (rows[0].usd_total, rows[1].usd_in, rows[1].usd_most),
            (Some(0.0), Some(0.0), Some(0.0))
        );
        let near = |figure: Option<f64>, usd: f64| assert!((figure.expect("known") - usd).abs() < 1e-12);
        near(rows[3].usd_in, 0.004);
        near(rows[3].usd_out, 0.005);
        near(rows[3].usd_total, 0.010);
        near(rows[3].usd_least, 0.003);
        near(rows[3].usd_most, 0.019);
        assert_eq!(rows[3].as_of, "2026-10-31");
        for row in &rows[4..] {
            assert_eq!((row.usd_in, row.usd_total, row.as_of.as_str()), (None, None, ""));
        }
    }

    #[test]
    fn what_people_ask_for_is_there_with_its_day_before_anything_is_set_up() {
        let rows = compare(range(1, 1_000, 1_000), range(1, 1_000, 1_000), &[], &[]);
        let total = |target: &str| {
            let row = rows.iter().find(|row| row.target.to_string() == target).expect(target);
            assert!(!row.as_of.is_empty() && !row.set_up, "{target}");
            (row.usd_total.expect("a price") * 1e6).round() / 1e3
        };
        assert_eq!(total("deepseek/deepseek-r1 at openrouter"), 3.2);
        assert_eq!(total("openai/gpt-oss-120b at groq"), 0.75);
        assert_eq!(
            total("accounts/fireworks/models/deepseek-v4p1-flash at fireworks"),
            0.88
        );
        assert_eq!(total("deepseek-flash at deepseek"), 1.5);
        assert_eq!(total("gpt-6.2-sol at openai"), 12.0);
        assert!(rows.is_sorted_by(|a, b| cheaper(a, b).is_le()));
    }

    #[test]
    fn a_place_that_is_set_up_stands_for_itself() {
        let mut mine = remote("groq", Some((9.0, 9.0)));
        mine.model.id = "openai/gpt-oss-120b".into();
        let rows = compare(range(1, 1, 1), range(1, 1, 1), &[mine], &[]);
        let groq = rows
            .iter()
            .filter(|row| row.target.to_string() == "openai/gpt-oss-120b at groq");
        assert_eq!(groq.map(|row| row.set_up).collect::<Vec<_>>(), [true]);
    }
}
