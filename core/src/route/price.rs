//! Compares what a request would cost on every target.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::provider_table::{known_models, model_facts};
use super::{LocalCandidate, RemoteCandidate, Speed, TokenRange, estimate};
use crate::chat::{DataPolicy, RouteTarget};
use crate::engine::remote::{ProviderKind, TokenPrice};

/// What a request would cost at one place, in US dollars. Unset: no price is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// The place.
    pub target: RouteTarget,
    /// Whether it could be asked now, as far as it is set up and a credential is there. The others are shown for what
    /// they cost, under the name of their kind.
    pub set_up: bool,
    /// The prompt, as long as it most likely is, none of it cached.
    pub usd_in: Option<f64>,
    /// The answer, as long as it most likely gets, reasoning included.
    pub usd_out: Option<f64>,
    /// Both, and what the place takes for each request.
    pub usd_total: Option<f64>,
    /// The total if prompt and answer are as short as they can be.
    pub usd_least: Option<f64>,
    /// The total if they are as long as they can be.
    pub usd_most: Option<f64>,
    /// The day of the price, as `2026-10-31`; empty where nothing is charged or known.
    pub as_of: String,
}

/// What a request would cost at each of these places and at the well-known ones of the dated table, cheapest first;
/// places without a known price come last. The device and servers of the person's own cost nothing.
pub fn compare(
    prompt: TokenRange,
    completion: TokenRange,
    places: &[RemoteCandidate],
    locals: &[LocalCandidate],
) -> Vec<CostRow> {
    let well_known = well_known();
    let is_among = |one: &RemoteCandidate| {
        let mut places = places.iter();
        places.any(|place| place.provider == one.provider && place.model == one.model)
    };
    let others = well_known.iter().filter(|place| !is_among(place));
    let elsewhere = places
        .iter()
        .chain(others)
        .map(|place| there(place, prompt, completion));
    let mut rows: Vec<_> = locals.iter().map(here).chain(elsewhere).collect();
    rows.sort_by(|one, other| cheaper(one, other).then_with(|| one.target.cmp(&other.target)));
    rows
}

/// Every model of the dated table, as if its provider were set up under the name of its kind, without a credential.
fn well_known() -> Vec<RemoteCandidate> {
    let of_kind = |kind: ProviderKind| known_models(kind).into_iter().map(move |model| (kind, model));
    let all = ProviderKind::ALL.into_iter().flat_map(of_kind);
    all.filter_map(|(kind, model)| {
        let known = model_facts(kind, model)?;
        Some(RemoteCandidate {
            provider: kind.name().to_owned(),
            model: model.to_owned(),
            has_key: false,
            circuit_open: false,
            is_default: false,
            context: known.context,
            abilities: known.abilities,
            price: known.price,
            retires: None,
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

fn there(place: &RemoteCandidate, prompt: TokenRange, completion: TokenRange) -> CostRow {
    let total = estimate::cost(place, prompt.likely, completion.likely);
    let price = place.price.as_ref().filter(|_| total.is_some());
    // Without a price that counts there is a total only where nothing is charged.
    let part = |tokens: u32, of: fn(&TokenPrice) -> f64| {
        price.map_or(total, |price| Some(f64::from(tokens) * of(price) / 1e6))
    };
    CostRow {
        target: RouteTarget::of_remote(place),
        set_up: place.has_key,
        usd_in: part(prompt.likely, |price| price.usd_in),
        usd_out: part(completion.likely, |price| price.usd_out),
        usd_total: total,
        usd_least: estimate::cost(place, prompt.low, completion.low),
        usd_most: estimate::cost(place, prompt.high, completion.high),
        as_of: price.map_or(String::new(), |price| price.as_of.clone()),
    }
}

fn cheaper(one: &CostRow, other: &CostRow) -> Ordering {
    match (one.usd_total, other.usd_total) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FitVerdict;

    fn range(low: u32, likely: u32, high: u32) -> TokenRange {
        TokenRange { low, likely, high }
    }

    fn place(provider: &str, price: Option<(f64, f64)>) -> RemoteCandidate {
        RemoteCandidate {
            provider: provider.into(),
            model: "m".into(),
            has_key: true,
            price: price.map(|(usd_in, usd_out)| TokenPrice {
                usd_in,
                usd_out,
                usd_request: 0.001,
                as_of: "2026-10-31".into(),
                ..TokenPrice::default()
            }),
            ..well_known().remove(0)
        }
    }

    #[test]
    fn the_device_is_free_the_cheapest_comes_next_and_the_unknown_last() {
        let local = LocalCandidate {
            model: "smol".into(),
            verdict: FitVerdict::Fits,
            context: 4096,
            abilities: Default::default(),
            quality: 0.135,
            speed: Speed::default(),
        };
        let own = RemoteCandidate {
            data_policy: DataPolicy::own_server(),
            ..place("z-own", None)
        };
        let depends = place("depends", Some((-1.0, -1.0)));
        let places = [
            place("unknown", None),
            depends,
            place("dear", Some((2.0, 10.0))),
            own,
            place("cheap", Some((1.0, 1.0))),
        ];
        let mut rows = compare(range(1_000, 2_000, 4_000), range(0, 500, 1_000), &places, &[local]);
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
        assert!(rows.is_sorted_by(|one, other| cheaper(one, other).is_le()));
    }

    #[test]
    fn a_place_that_is_set_up_stands_for_itself() {
        let mine = RemoteCandidate {
            model: "openai/gpt-oss-120b".into(),
            ..place("groq", Some((9.0, 9.0)))
        };
        let rows = compare(range(1, 1, 1), range(1, 1, 1), &[mine], &[]);
        let groq = rows
            .iter()
            .filter(|row| row.target.to_string() == "openai/gpt-oss-120b at groq");
        assert_eq!(groq.map(|row| row.set_up).collect::<Vec<_>>(), [true]);
    }
}
