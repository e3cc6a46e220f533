//! `preferred`: which of two candidates comes first. An order over all of them, whoever is out already, so that the lists
//! of what was passed over come best first, too.
//!
//! 1. The side that the mode names. A device that is short of power or too hot puts remote places that need no consent
//!    before its own models, where the mode only prefers those.
//! 2. The place that the person just agreed to, then the models of choice of their providers.
//! 3. Who is known to be able before who perhaps is; then who thinks, where the request wishes for it.
//! 4. Quality, expected time, expected cost, and at last the name, so that no two are equal.

use std::cmp::Ordering;

use super::{Candidate, Place, World};
use crate::chat::Mode;
use crate::device::Heat;
use crate::route::estimate;

/// Sorts, best first.
pub(in crate::route) fn line_up(world: World<'_>, candidates: &mut [Candidate<'_>]) {
    let strained = strained(world).is_some();
    candidates.sort_by(|a, b| better(world, strained, a, b));
}

fn better(world: World<'_>, strained: bool, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let places = |candidate: &Candidate<'_>| {
        let side = match (world.needs.mode, candidate.is_remote()) {
            (Mode::PreferInCloud | Mode::OnlyInCloud, true) => 0,
            (_, true) if strained && !candidate.needs_consent => 0,
            (_, false) => 1,
            (_, true) => 2,
        };
        let agreed = world.needs.consent.as_ref() == Some(&candidate.target);
        let is_default = matches!(candidate.place, Place::Remote(remote) if remote.is_default);
        (side, !agreed, !is_default, doubt(world, candidate))
    };
    let quality = |candidate: &Candidate<'_>| {
        let quality = match candidate.place {
            Place::Local(local) => local.quality,
            Place::Remote(remote) => remote.quality,
        };
        if quality.is_nan() { 0.0 } else { quality }
    };
    let last = |figure: Option<f64>| figure.unwrap_or(f64::INFINITY);
    places(a)
        .cmp(&places(b))
        .then_with(|| quality(b).total_cmp(&quality(a)))
        .then_with(|| last(a.expected.total_ms).total_cmp(&last(b.expected.total_ms)))
        .then_with(|| last(a.expected.cost_usd).total_cmp(&last(b.expected.cost_usd)))
        .then_with(|| a.target.cmp(&b.target))
}

/// How sure it is that the candidate does what the request needs, and what it wishes for; less is better.
fn doubt(world: World<'_>, candidate: &Candidate<'_>) -> (bool, u8) {
    let wanted = world.needs.abilities;
    let needed = wanted.tools || wanted.images || wanted.json_schema || wanted.web_search;
    let wish = match candidate.abilities() {
        _ if !wanted.reasoning => 0,
        Some(can) if can.reasoning => 0,
        None => 1,
        Some(_) => 2,
    };
    (needed && candidate.abilities().is_none(), wish)
}

/// Why the device should rather not compute; nothing where it may, or where the mode leaves no choice.
pub(in crate::route) fn strained(world: World<'_>) -> Option<String> {
    let device = &world.facts.device;
    if world.needs.mode != Mode::PreferOnDevice {
        None
    } else if device.heat >= Heat::Critical {
        Some("the device is too hot".to_owned())
    } else if device.low_power {
        Some("the device saves power".to_owned())
    } else {
        let percent = device.battery_percent.filter(|percent| *percent <= LOW_BATTERY)?;
        Some(format!("the battery is at {percent} %"))
    }
}

/// With `prefer_fast`: as long as the first of the list is slow and another is expected to be at least twice as fast,
/// that one comes first. Nobody is asked for a consent for the sake of speed. Says who lost how, if anybody did.
pub(in crate::route) fn hurry(candidates: &mut [Candidate<'_>]) -> Option<String> {
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
    let speed = match candidate.place {
        Place::Local(local) => local.speed,
        Place::Remote(remote) => remote.speed,
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
