//! `preferred`: the ranking. It orders all candidates, rejected ones included, so that the skipped list is best first,
//! too.
//!
//! 1. The side that the mode names. A device that is short of power or too hot puts remote places that need no consent
//!    before its own models, where the mode only prefers those.
//! 2. The place that the person just agreed to, then the models of choice of their providers.
//! 3. Who is known to be able before who perhaps is; then who thinks, where the request wishes for it.
//! 4. Quality, expected time, expected cost, and at last the name, so that no two are equal.

use std::cmp::Ordering;

use super::{Candidate, CandidateSource, RoutingContext};
use crate::chat::RoutingMode;
use crate::device::ThermalState;
use crate::route::estimate;

/// Where a candidate stands. Fields are compared in order, and less is better.
struct Rank {
    side: u8,
    was_not_agreed: bool,
    is_not_default: bool,
    doubt: (bool, u8),
    /// Negated, since more of it is better.
    quality: f64,
    total_ms: f64,
    cost_usd: f64,
}

/// Ranks the candidates, best first.
pub(in crate::route) fn rank<'a>(context: RoutingContext<'_>, candidates: Vec<Candidate<'a>>) -> Vec<Candidate<'a>> {
    let device_strain = device_strain(context).is_some();
    let rank = |candidate| (Rank::of(context, device_strain, &candidate), candidate);
    let mut ranked: Vec<_> = candidates.into_iter().map(rank).collect();
    ranked.sort_unstable_by(|(rank, a), (other, b)| rank.cmp(other).then_with(|| a.target.cmp(&b.target)));
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

impl Rank {
    fn of(context: RoutingContext<'_>, device_strain: bool, candidate: &Candidate<'_>) -> Self {
        let (quality, is_default) = match candidate.source {
            CandidateSource::Local(local) => (local.quality, false),
            CandidateSource::Remote(remote) => (remote.quality, remote.is_default),
        };
        let last = |figure: Option<f64>| figure.unwrap_or(f64::INFINITY);
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
            total_ms: last(candidate.expected.total_ms),
            cost_usd: last(candidate.expected.cost_usd),
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let places = |rank: &Self| (rank.side, rank.was_not_agreed, rank.is_not_default, rank.doubt);
        places(self)
            .cmp(&places(other))
            .then_with(|| self.quality.total_cmp(&other.quality))
            .then_with(|| self.total_ms.total_cmp(&other.total_ms))
            .then_with(|| self.cost_usd.total_cmp(&other.cost_usd))
    }
}

/// How sure it is that the candidate does what the request needs, and what it wishes for; less is better.
fn doubt(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> (bool, u8) {
    let wanted = context.needs.abilities;
    let needed = wanted.tools || wanted.images || wanted.json_schema || wanted.web_search;
    let wish = match candidate.abilities() {
        _ if !wanted.reasoning => 0,
        Some(can) if can.reasoning => 0,
        None => 1,
        Some(_) => 2,
    };
    (needed && candidate.abilities().is_none(), wish)
}

/// Why local inference should be avoided (heat, power saving, battery); `None` if there is no reason or no choice.
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

/// With `prefer_fast`: while the first candidate is slow and another is expected to be at least twice as fast, moves
/// that one to the front. Never promotes a candidate that needs consent over one that does not. Returns the reason if
/// the order changed.
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

/// Whether waiting for it is a trial, as far as it was measured.
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

/// Milliseconds to the first token from which on waiting is a trial.
const SLOW_FIRST_TOKEN_MS: f64 = 10_000.0;

/// Tokens a second below which people read faster than it writes.
const SLOW_RATE: f64 = 5.0;

/// Percent of charge from which on a device is spared.
const LOW_BATTERY: u32 = 15;
