//! The cost of one attempt: reserved before anything is sent, and settled, released or estimated after it.
//!
//! Under a cap, doubt counts against the target: an answer that the provider bills in full is booked with its whole
//! reservation, and a model that reasons without a trace is booked for the time that it had.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Inner, blocking};
use crate::chat::{AnswerSummary, ChatRequest, CostSource, RequestLimits, RouteTarget, StopReason, TokenUsage};
use crate::engine::remote::TokenPrice;
use crate::error::Result;
use crate::route::estimate::AnswerBound;
use crate::state::{Caps, EntryId, Reservation};

/// What an attempt may cost.
#[derive(Debug, Clone, Default)]
pub(super) struct AttemptCost {
    /// Whether the target may charge at all.
    pub(super) charges: bool,
    /// Its price. Unset: unknown.
    pub(super) price: Option<TokenPrice>,
    /// US dollars for web searches, at most.
    pub(super) search_usd: f64,
    /// Maximum tokens of the prompt.
    pub(super) prompt_tokens: u32,
    /// Tokens of the answer.
    pub(super) answer: AnswerBound,
    /// The model reasons, and its provider sends nothing of it.
    pub(super) reasons_unseen: bool,
}

/// How an attempt ended without a whole answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptEnd {
    /// Bytes of its visible output.
    pub(super) generated_bytes: u64,
    /// Whether the content had left, for a provider that may charge it.
    pub(super) sent: bool,
    /// Whether who got it bills a whole answer for one that breaks off.
    pub(super) billed_in_full: bool,
    /// Time since it started.
    pub(super) elapsed: Duration,
}

/// The reservation of one attempt.
#[derive(Debug)]
pub(super) struct Charge {
    entry: Option<EntryId>,
    cost: AttemptCost,
    /// US dollars reserved.
    reserved_usd: f64,
    /// Tokens of the answer that they pay for.
    reserved_tokens: u32,
    /// A cap, and nothing else, set the limit of tokens.
    is_cut_by_cap: bool,
    /// The request's limits, tightened to the reservation.
    pub(super) limits: RequestLimits,
}

impl Charge {
    /// Reserves the maximum cost, and tightens the request's limits to it. `booked_usd` is what earlier attempts of the
    /// request cost: its own caps hold for all of them together.
    ///
    /// # Errors
    /// `Blocked` if a cap does not leave enough for the prompt and the answer that is needed; those of the ledger.
    pub(super) fn reserve(
        inner: &Inner,
        request: &ChatRequest,
        target: &RouteTarget,
        cost: AttemptCost,
        booked_usd: f64,
    ) -> Result<Self> {
        let mut charge = Self {
            entry: None,
            reserved_usd: 0.0,
            reserved_tokens: cost.answer.most,
            is_cut_by_cap: false,
            limits: request.limits.clone(),
            cost,
        };
        if !charge.cost.charges {
            return Ok(charge);
        }
        let mut caps = Caps::from_policy(&inner.policy(), request.limits.max_usd);
        caps.request = caps.request.map(|cap| (cap - booked_usd).max(0.0));
        let capped = caps.request.is_some() || caps.day.is_some() || caps.month.is_some();
        let bound = charge.cost.answer;
        let least = charge.usd_for(bound.needed);
        // Without a cap nothing is limited, and an unknown maximum stays unknown.
        let most = if bound.is_known || capped {
            bound.most
        } else {
            bound.needed
        };
        let (entry, reserved_usd) = inner.ledger.reserve_up_to(
            &Reservation {
                target,
                purpose: purpose(request),
                usd: least,
                caps,
                now: SystemTime::now(),
            },
            charge.usd_for(most).max(least),
        )?;
        charge.entry = Some(entry);
        charge.reserved_usd = reserved_usd;
        charge.reserved_tokens = charge
            .tokens_for(reserved_usd)
            .clamp(bound.needed, most.max(bound.needed));
        if capped && charge.cost.price.is_some() {
            // Enforce the reservation: the limit at the provider, `max_usd` while reading.
            charge.limits.max_usd = Some(reserved_usd);
            if bound.is_known || charge.reserved_tokens <= bound.needed {
                charge.is_cut_by_cap = request.limits.max_tokens.is_none() && charge.reserved_tokens < bound.most;
                charge.limits.max_tokens = Some(charge.reserved_tokens);
            }
        }
        Ok(charge)
    }

    /// Returns whether the target charges.
    pub(super) fn is_charged(&self) -> bool {
        self.entry.is_some()
    }

    /// Settles the reservation with the cost of an answer, and completes its summary: cost and reason of the end.
    pub(super) async fn commit(self, inner: &Arc<Inner>, summary: &mut AnswerSummary, end: AttemptEnd) -> Result<()> {
        if summary.stop == StopReason::MaxTokens && self.is_cut_by_cap {
            summary.stop = StopReason::CostLimit;
        }
        let Some(entry) = self.entry else { return Ok(()) };
        let is_broken_off = matches!(summary.stop, StopReason::Cancelled | StopReason::CostLimit);
        if is_broken_off && !end.sent {
            return blocking(inner, move |inner| inner.ledger.release(entry)).await;
        }
        let receipt = &mut summary.receipt;
        let is_reckoned = matches!(receipt.cost_source, CostSource::Computed | CostSource::Estimated);
        if is_reckoned && self.cost.search_usd > 0.0 {
            // Only the provider knows how often it searched.
            receipt.cost_usd += self.cost.search_usd;
            receipt.cost_source = CostSource::Estimated;
        }
        if receipt.billed_in_full {
            (receipt.cost_usd, receipt.cost_source) = self.full_cost(receipt.cost_usd, receipt.cost_source);
        } else if is_broken_off && receipt.cost_source == CostSource::Estimated {
            summary.usage.completion_tokens = self.generated_tokens(summary.usage.completion_tokens, end.elapsed);
            receipt.cost_usd = receipt
                .cost_usd
                .max(self.cost_of(&summary.usage) + self.cost.search_usd);
        }
        let (usd, usage, source) = (receipt.cost_usd, summary.usage, receipt.cost_source);
        blocking(inner, move |inner| inner.ledger.settle(entry, usd, &usage, source)).await
    }

    /// Settles a failed attempt: releases the reservation if nothing can be charged, else books an estimate. Returns the US
    /// dollars booked.
    pub(super) async fn abort(self, inner: &Arc<Inner>, end: AttemptEnd) -> f64 {
        let Some(entry) = self.entry else { return 0.0 };
        let visible = u32::try_from(end.generated_bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX);
        let usage = TokenUsage {
            prompt_tokens: self.cost.prompt_tokens,
            completion_tokens: self.generated_tokens(visible, end.elapsed),
            ..TokenUsage::default()
        };
        // A provider that says no charges nothing, and then nothing counts as sent.
        let settles = visible > 0 || end.sent;
        let usd = match end.billed_in_full {
            true => self.reserved_usd,
            false => self.cost_of(&usage) + self.cost.search_usd,
        };
        let recorded = blocking(inner, move |inner| match settles {
            true => inner.ledger.settle(entry, usd, &usage, CostSource::Estimated),
            false => inner.ledger.release(entry),
        });
        if let Err(error) = recorded.await {
            // The reservation stays open and keeps counting against the caps.
            tracing::warn!(kind = ?error.kind(), "the cost of an answer could not be recorded");
        }
        if settles { usd } else { 0.0 }
    }

    /// Returns the cost of a complete answer, of which only a part was read.
    fn full_cost(&self, usd: f64, source: CostSource) -> (f64, CostSource) {
        match source {
            CostSource::Provider | CostSource::Unknown | CostSource::Free => (usd, source),
            _ => (usd.max(self.reserved_usd), CostSource::Estimated),
        }
    }

    /// Returns the tokens of an answer that broke off, with those that its provider may have generated unseen.
    fn generated_tokens(&self, visible: u32, elapsed: Duration) -> u32 {
        if !self.cost.reasons_unseen {
            return visible;
        }
        let unseen = elapsed.as_secs_f64() * MAX_TOKENS_PER_SECOND;
        visible
            .saturating_add(unseen as u32)
            .min(self.reserved_tokens.max(visible))
    }

    fn usd_for(&self, completion_tokens: u32) -> f64 {
        let usage = TokenUsage {
            prompt_tokens: self.cost.prompt_tokens,
            completion_tokens,
            ..TokenUsage::default()
        };
        self.cost_of(&usage) + self.cost.search_usd
    }

    /// Returns the tokens of an answer that this amount pays for.
    fn tokens_for(&self, usd: f64) -> u32 {
        let Some(price) = &self.cost.price else { return u32::MAX };
        let rest = (usd - self.usd_for(0)).max(0.0);
        match price.usd_out > 0.0 {
            // The cast saturates. Rounding must not lose the last token.
            true => (rest * 1e6 / price.usd_out + 1e-6) as u32,
            false => u32::MAX,
        }
    }

    fn cost_of(&self, usage: &TokenUsage) -> f64 {
        self.cost.price.as_ref().map_or(0.0, |price| price.cost(usage))
    }
}

/// Returns the label under which spending is grouped.
pub(super) fn purpose(request: &ChatRequest) -> &str {
    request.purpose.as_deref().unwrap_or("chat")
}

/// About the average of English text.
const BYTES_PER_TOKEN: u64 = 4;
/// More than models generate that reason unseen.
const MAX_TOKENS_PER_SECOND: f64 = 500.0;
