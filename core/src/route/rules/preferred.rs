//! `preferred`: the ranking. It orders all candidates, rejected ones included, so that the list of skipped ones is best
//! first, too.
//!
//! 1. The side that the mode names. If the mode is `PreferOnDevice` and the device is low on power or too hot, remote
//!    targets that need no consent come before local models.
//! 2. The target that the user consented to, then the default models of their providers.
//! 3. Published capabilities before unpublished ones; then reasoning, if the request wishes for it.
//! 4. Quality, expected time, expected cost, and finally the name, so that no two are equal.

use std::cmp::Ordering;

use super::{Candidate, CandidateSource, RoutingContext};
use crate::chat::RoutingMode;
use crate::device::ThermalState;
use crate::route::estimate;

/// Sort key of a candidate. Fields are compared in order, and less is better.
struct Rank {
    side: u8,
    was_not_agreed: bool,
    is_not_default: bool,
    doubt: (bool, u8),
    /// Negated, because more is better.
    quality: f64,
    total_ms: f64,
    cost_usd: f64,
}

/// Ranks the candidates, best first.
pub(in crate::route) fn rank<'a>(context: RoutingContext<'_>, candidates: Vec<Candidate<'a>>) -> Vec<Candidate<'a>> {
    let device_strain = device_strain(context).is_some();
    let rank = |candidate| (Rank::compute(context, device_strain, &candidate), candidate);
    let mut ranked: Vec<_> = candidates.into_iter().map(rank).collect();
    ranked.sort_unstable_by(|(rank, a), (other, b)| rank.cmp(other).then_with(|| a.target.cmp(&b.target)));
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

impl Rank {
    fn compute(context: RoutingContext<'_>, device_strain: bool, candidate: &Candidate<'_>) -> Self {
        let (quality, is_default) = match candidate.source {
            CandidateSource::Local(local) => (local.quality, false),
            CandidateSource::Remote(remote) => (remote.quality, remote.is_default),
        };
        let or_last = |figure: Option<f64>| figure.unwrap_or(f64::INFINITY);
        Self {
            side: match (context.needs.mode, candidate.is_remote()) {
                (RoutingMode::PreferInCloud | RoutingMode::OnlyInCloud, true) => 0,
                (_, true) if device_strain && !candidate.needs_consent => 0,
                (_, false) => 1,
                (_, true) => 2,
            },
            was_not_agreed: context.needs.consent.as_ref() != Some(&candidate.target),
            is_not_default: !is_default,
            doubt: doubt(context, candidate),
            quality: if quality.is_nan() { 0.0 } else { 0.0 - quality },
            total_ms: or_last(candidate.expected.total_ms),
            cost_usd: or_last(candidate.expected.cost_usd),
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let first_keys = |rank: &Self| (rank.side, rank.was_not_agreed, rank.is_not_default, rank.doubt);
        first_keys(self)
            .cmp(&first_keys(other))
            .then_with(|| self.quality.total_cmp(&other.quality))
            .then_with(|| self.total_ms.total_cmp(&other.total_ms))
            .then_with(|| self.cost_usd.total_cmp(&other.cost_usd))
    }
}

/// Returns whether needed capabilities are unpublished, and how unlikely wished-for reasoning is; less is better.
fn doubt(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> (bool, u8) {
    let required = context.needs.abilities;
    let needed = required.tools || required.images || required.json_schema || required.web_search;
    let wish = match candidate.abilities() {
        _ if !required.reasoning => 0,
        Some(can) if can.reasoning => 0,
        None => 1,
        Some(_) => 2,
    };
    (needed && candidate.abilities().is_none(), wish)
}

/// Returns why to avoid local inference (heat, power saving, battery); `None` if there is no reason or no choice.
pub(in crate::route) fn device_strain(context: RoutingContext<'_>) -> Option<String> {
    let device = &context.facts.device;
    if context.needs.mode != RoutingMode::PreferOnDevice {
        None
    } else if device.heat >= ThermalState::Critical {
        Some("the device is too hot".to_owned())
    } else if device.low_power {
        Some("the device saves power".to_owned())
    } else {
        let percent = device.battery_percent.filter(|percent| *percent <= LOW_BATTERY)?;
        Some(format!("the battery is at {percent} %"))
    }
}

/// Moves to the front a candidate expected to be at least twice as fast, while the first is slow (`prefer_fast`).
/// Never promotes a candidate that needs consent over one that does not. Returns the reason if the order changed.
pub(in crate::route) fn promote_faster(candidates: &mut [Candidate<'_>]) -> Option<String> {
    let mut why = None;
    // Ends: the expected total at least halves each time.
    while let Some((first, others)) = candidates.split_first()
        && is_slow(first)
        && let Some(slow) = first.expected.total_ms
        && let Some(at) = others.iter().position(|other| {
            let fast = other.expected.total_ms.unwrap_or(f64::INFINITY);
            fast < slow && fast * 2.0 <= slow && (first.needs_consent || !other.needs_consent)
        })
    {
        let fast = others[at].expected.total_ms.unwrap_or_default();
        let (fast, slow) = (fast / 1e3, slow / 1e3);
        why = Some(format!(
            "it should take {fast:.1} s, and `{}` {slow:.1} s",
            first.target
        ));
        candidates[..=at + 1].rotate_right(1);
    }
    why
}

/// Returns whether the candidate is slow, as far as it was measured.
fn is_slow(candidate: &Candidate<'_>) -> bool {
    let speed = match candidate.source {
        CandidateSource::Local(local) => local.speed,
        CandidateSource::Remote(remote) => remote.speed,
    };
    candidate
        .expected
        .first_token_ms
        .is_some_and(|ms| ms > SLOW_FIRST_TOKEN_MS)
        || estimate::measured(speed.tokens_per_second).is_some_and(|rate| rate < SLOW_RATE)
}

/// Milliseconds to the first token above which a candidate is slow.
const SLOW_FIRST_TOKEN_MS: f64 = 10_000.0;

/// Tokens a second below which a candidate is slow: people read faster.
const SLOW_RATE: f64 = 5.0;

/// Percent of charge at or below which local inference is avoided.
const LOW_BATTERY: u32 = 15;
