//! The cost of one attempt: reserved before anything is sent, and settled, released or estimated after it.
//!
//! Under a cap, doubt counts against the target: an answer that the provider bills in full is booked with its whole
//! reservation, a model that reasons without a trace is booked for the time that it had, and a request without an answer
//! is booked although a later one was answered. The receipt says how much of the cost the provider may not charge.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, blocking};
use crate::chat::{AnswerSummary, ChatRequest, CostSource, RequestLimits, RouteTarget, StopReason, TokenUsage};
use crate::engine::remote::TokenPrice;
use crate::engine::{SearchCount, Unanswered};
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

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptEnd {
    /// Bytes of its visible output.
    pub(super) generated_bytes: u64,
    /// Whether the content had left in the last request, for a provider that may charge it.
    pub(super) sent: bool,
    /// Earlier requests of the attempt that may be charged as well.
    pub(super) unanswered: Unanswered,
    /// Number of web searches, if anything says it.
    pub(super) searches: Option<SearchCount>,
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
                now: inner.clock.now(),
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
        let unanswered_usd = self.unanswered_usd(&end);
        if is_broken_off && !end.sent && end.unanswered.attempts == 0 {
            return blocking(inner, move |inner| inner.ledger.release(entry)).await;
        }
        let receipt = &mut summary.receipt;
        let is_reckoned = matches!(receipt.cost_source, CostSource::Computed | CostSource::Estimated);
        if is_reckoned && end.sent {
            // An answer that broke off may have searched more often than it cites.
            let is_counted = |count: &SearchCount| !is_broken_off || matches!(count, SearchCount::Reported(_));
            let searches = end.searches.filter(is_counted);
            let (usd, unconfirmed_usd) = self.searches_usd(searches);
            receipt.cost_usd += usd;
            receipt.unconfirmed_usd = unconfirmed_usd;
            if usd > 0.0 && !matches!(searches, Some(SearchCount::Reported(_))) {
                receipt.cost_source = CostSource::Estimated;
            }
        }
        if receipt.billed_in_full {
            (receipt.cost_usd, receipt.cost_source) = self.full_cost(receipt.cost_usd, receipt.cost_source);
        } else if is_broken_off && end.sent && receipt.cost_source == CostSource::Estimated {
            let elapsed = end.elapsed.saturating_sub(end.unanswered.elapsed);
            summary.usage.completion_tokens = self.generated_tokens(summary.usage.completion_tokens, elapsed);
            let generated_usd = self.cost_of(&summary.usage) + self.cost.search_usd;
            receipt.cost_usd = receipt.cost_usd.max(generated_usd);
        }
        if unanswered_usd > 0.0 {
            receipt.cost_usd += unanswered_usd;
            receipt.unconfirmed_usd += unanswered_usd;
            receipt.cost_source = CostSource::Estimated;
        }
        let (usd, usage, source) = (receipt.cost_usd, summary.usage, receipt.cost_source);
        blocking(inner, move |inner| inner.ledger.settle(entry, usd, &usage, source)).await
    }

    /// Settles a failed attempt: releases the reservation if nothing can be charged, else books an estimate. Returns the US
    /// dollars booked.
    pub(super) async fn abort(self, inner: &Arc<Inner>, end: AttemptEnd) -> f64 {
        let Some(entry) = self.entry else { return 0.0 };
        let visible = u32::try_from(end.generated_bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX);
        // A provider that says no charges nothing, and then nothing counts as sent.
        let is_charged = visible > 0 || end.sent;
        let settles = is_charged || end.unanswered.attempts > 0;
        let elapsed = end.elapsed.saturating_sub(end.unanswered.elapsed);
        let usage = match is_charged {
            true => self.broken_off_usage(visible, elapsed),
            false => self.broken_off_usage(0, end.unanswered.elapsed),
        };
        let last_usd = match (is_charged, end.billed_in_full) {
            (false, _) => 0.0,
            (true, true) => self.reserved_usd,
            (true, false) => self.cost_of(&usage) + self.cost.search_usd,
        };
        let usd = last_usd + self.unanswered_usd(&end);
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

    /// Returns the US dollars of the web searches of an answer, and those of them that may not be charged: the maximum counts
    /// if nothing says how often it searched.
    fn searches_usd(&self, searches: Option<SearchCount>) -> (f64, f64) {
        let price = self.cost.price.as_ref().and_then(|price| price.usd_search);
        match (searches, price) {
            _ if self.cost.search_usd <= 0.0 => (0.0, 0.0),
            (Some(SearchCount::Reported(count)), Some(usd)) => (f64::from(count) * usd, 0.0),
            (Some(SearchCount::Likely(count)), Some(usd)) => ((f64::from(count) * usd).min(self.cost.search_usd), 0.0),
            _ => (self.cost.search_usd, self.cost.search_usd),
        }
    }

    /// Returns the US dollars that earlier requests without an answer may cost: each its prompt, and all that was generated
    /// unseen.
    fn unanswered_usd(&self, end: &AttemptEnd) -> f64 {
        let Unanswered { attempts, elapsed } = end.unanswered;
        let Some(each) = elapsed.checked_div(attempts) else {
            return 0.0;
        };
        let usd = match end.billed_in_full {
            true => self.reserved_usd,
            false => self.cost_of(&self.broken_off_usage(0, each)) + self.cost.search_usd,
        };
        f64::from(attempts) * usd
    }

    /// Returns the likely usage of a request that broke off after this many tokens.
    fn broken_off_usage(&self, visible: u32, elapsed: Duration) -> TokenUsage {
        TokenUsage {
            prompt_tokens: self.cost.prompt_tokens,
            completion_tokens: self.generated_tokens(visible, elapsed),
            ..TokenUsage::default()
        }
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
