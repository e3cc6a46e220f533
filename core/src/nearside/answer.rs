//! Runs a request along its route: tries target after target until one produces visible output, and reserves the
//! maximum cost before each attempt.
//!
//! ```text
//! route: [target, then…] ──► reserve ──► Started ──► engine ──► chunks forwarded ──► settle ──► Done
//!                   ▲                                   │ failed before visible output
//!                   └───────────────────────────────────┘
//! ```
//!
//! Falls back only before the first visible chunk. A later error is final, and its text offers to continue remotely.
//! `Done` is sent after its cost is committed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout_at;

use super::facts::PlannedTarget;
use super::prepared_target::{MaxTokens, PreparedTarget};
use super::{Inner, blocking, lock};
use crate::chat::{
    AnswerSummary, ChatRequest, ChatStream, Chunk, CostSource, Route, RouteRule, RouteTarget, SkippedTarget, TokenUsage,
};
use crate::engine::Job;
use crate::engine::remote::TokenPrice;
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::route::Speed;
use crate::state::{Caps, EntryId, Reservation};
use crate::stream::{Stream, StreamSender};

/// Outcome of one attempt.
enum Attempt {
    /// The stream was finished.
    Finished,
    /// It failed before any visible output; the next target may be tried.
    Failed(Error),
}

/// Tries the targets of the plan in order: the route's target, then its fallbacks.
pub(super) async fn run_route(
    inner: &Arc<Inner>,
    request: &Arc<ChatRequest>,
    mut route: Route,
    plan: Vec<PlannedTarget>,
    sink: StreamSender<Chunk>,
    requested_at: Instant,
) {
    let mut sink = Some(sink);
    let count = plan.len();
    for (n, planned) in plan.into_iter().enumerate() {
        let Some(sender) = sink.take() else { return };
        let target = planned.target.clone();
        route.target = target.clone();
        route.expected = planned.expected;
        route.then.drain(..route.then.len().min(usize::from(n > 0)));
        let last = n + 1 == count;
        let (attempt, unfinished) = try_target(inner, request, &route, planned, sender, requested_at, last).await;
        match attempt {
            Attempt::Finished => return,
            Attempt::Failed(error) => {
                tracing::debug!(kind = ?error.kind(), "target failed; trying the next one");
                route.reason = format!("the previous target failed: {error}");
                route.rule = RouteRule::PreviousFailed;
                route.skipped.push(SkippedTarget {
                    target,
                    rule: RouteRule::PreviousFailed,
                    reason: error.to_string(),
                });
                sink = unfinished;
            }
        }
    }
}

/// Tries one target. Returns the sender if the next target may be tried.
async fn try_target(
    inner: &Arc<Inner>,
    request: &Arc<ChatRequest>,
    route: &Route,
    planned: PlannedTarget,
    sink: StreamSender<Chunk>,
    requested_at: Instant,
    last: bool,
) -> (Attempt, Option<StreamSender<Chunk>>) {
    let fail = |sink: StreamSender<Chunk>, error: Error| match last {
        true => {
            sink.finish(Err(error));
            (Attempt::Finished, None)
        }
        false => (Attempt::Failed(error), Some(sink)),
    };
    let shared = Arc::clone(request);
    let prepared = blocking(inner, move |inner| {
        let target = planned.target.clone();
        let prepared = inner.prepare_target(planned, &shared)?;
        let charge = Charge::reserve(inner, &shared, &target, &prepared)?;
        Ok((prepared, charge))
    });
    let (prepared, charge) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => return fail(sink, error),
    };
    if !sink.send(Chunk::Started { route: route.clone() }).await {
        // Cancelled already: the engine finishes the stream at once.
    }
    let mut attempted = ChatRequest::clone(request);
    attempted.limits = charge.limits.clone();
    let deadline = request
        .limits
        .deadline_ms
        .map(|ms| requested_at + Duration::from_millis(ms) + DEADLINE_GRACE);
    let (stream, inner_sink) = Stream::new();
    prepared.engine.answer(Job {
        request: attempted,
        route: route.clone(),
        sink: inner_sink,
        requested_at,
    });
    forward_chunks(inner, route, stream, sink, charge, deadline, last).await
}

/// Forwards chunks until the final one.
async fn forward_chunks(
    inner: &Arc<Inner>,
    route: &Route,
    stream: ChatStream,
    sink: StreamSender<Chunk>,
    charge: Charge,
    deadline: Option<Instant>,
    last: bool,
) -> (Attempt, Option<StreamSender<Chunk>>) {
    let cancel = sink.cancel().clone();
    let deadline = deadline.map_or_else(|| tokio::time::Instant::now() + NO_DEADLINE, Into::into);
    let mut generated_bytes = 0;
    let mut visible = false;
    let mut cancelled = false;
    loop {
        let batch = tokio::select! {
            biased;
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                stream.cancel();
                continue;
            }
            () = inner.closing.cancelled(), if !cancelled => {
                cancelled = true;
                stream.cancel();
                continue;
            }
            batch = timeout_at(deadline, stream.next_batch()) => batch,
        };
        let error = match batch {
            Err(_) => {
                stream.cancel();
                let text = "the answer did not finish within its deadline; allow more time or fewer tokens";
                Error::of(ErrorReason::DeadlineExceeded, text)
            }
            Ok(Err(error)) => error,
            Ok(Ok(batch)) => {
                let ended = batch.is_empty();
                for chunk in batch {
                    if let Chunk::Done { summary } = &chunk {
                        let AnswerSummary { usage, receipt, .. } = summary;
                        if let Err(error) = charge
                            .commit(inner, receipt.cost_usd, *usage, receipt.cost_source)
                            .await
                        {
                            sink.finish(Err(error));
                            return (Attempt::Finished, None);
                        }
                        inner.record_speed(&route.target, &summary.timings);
                        if charge.entry.is_none() && route.target.is_remote() {
                            inner.record_free_answer(&route.target, &charge.purpose, *usage);
                        }
                        sink.finish(Ok(chunk));
                        return (Attempt::Finished, None);
                    }
                    visible = true;
                    generated_bytes += content_bytes(&chunk);
                    if let Chunk::ToolCall { id, .. } = &chunk {
                        inner.pin_tool_call(id, &route.target);
                    }
                    // After a cancel, drop chunks but wait for the engine's `Done`.
                    if !cancelled {
                        sink.send(chunk).await;
                    }
                }
                if !ended {
                    continue;
                }
                Error::internal("an engine ended without `Done` or an error; please report this")
            }
        };
        charge.abort(inner, generated_bytes).await;
        let may_fall_back = !visible && !last && !cancelled && error.kind() != ErrorKind::Internal;
        if may_fall_back {
            return (Attempt::Failed(error), Some(sink));
        }
        sink.finish(Err(if visible { with_offer(&error) } else { error }));
        return (Attempt::Finished, None);
    }
}

/// Returns the error of an interrupted answer, with the offer to continue it.
fn with_offer(error: &Error) -> Error {
    let text = format!("{error}; the text so far is kept, and another model can continue it");
    let reason = match error.reason() {
        ErrorReason::Unreachable => ErrorReason::Interrupted,
        reason => reason,
    };
    error.clone().because(reason).with_detail(text)
}

fn content_bytes(chunk: &Chunk) -> u64 {
    match chunk {
        Chunk::Text { text } | Chunk::Reasoning { text } => text.len() as u64,
        Chunk::ToolCall { arguments, .. } => arguments.len() as u64,
        _ => 0,
    }
}

/// Cost reservation of one attempt.
struct Charge {
    entry: Option<EntryId>,
    /// The request's limits, tightened to the reservation.
    limits: crate::chat::RequestLimits,
    /// Price of the target, if it is known.
    price: Option<TokenPrice>,
    prompt_tokens: u32,
    purpose: String,
}

impl Charge {
    /// Reserves the maximum cost, and tightens the request's limits to it.
    fn reserve(inner: &Inner, request: &ChatRequest, target: &RouteTarget, prepared: &PreparedTarget) -> Result<Self> {
        let MaxTokens {
            prompt: prompt_tokens,
            completion,
        } = prepared.max_tokens;
        let mut charge = Self {
            entry: None,
            limits: request.limits.clone(),
            price: None,
            prompt_tokens,
            purpose: request.purpose.clone().unwrap_or_else(|| "chat".to_owned()),
        };
        if !prepared.charges {
            return Ok(charge);
        }
        let usage = |completion_tokens| TokenUsage {
            prompt_tokens,
            completion_tokens,
            ..TokenUsage::default()
        };
        let policy = inner.policy();
        let caps = Caps::from_policy(&policy, request.limits.max_usd);
        charge.price.clone_from(&prepared.price);
        let max_usd = charge
            .price
            .as_ref()
            .map_or(0.0, |price| price.cost(&usage(completion)));
        let entry = inner.ledger.reserve(&Reservation {
            target,
            purpose: &charge.purpose,
            usd: max_usd,
            caps,
            now: SystemTime::now(),
        })?;
        charge.entry = Some(entry);
        let capped = caps.request.is_some() || caps.day.is_some() || caps.month.is_some();
        if capped && let Some(price) = &charge.price {
            // Enforce the reservation: `max_tokens` at the provider, `max_usd` while reading.
            charge.limits.max_usd = Some(max_usd);
            charge.limits.max_tokens = Some(
                charge
                    .limits
                    .max_tokens
                    .map_or(completion, |limit| limit.min(completion)),
            );
            debug_assert!(price.cost(&usage(completion)) <= max_usd);
        }
        Ok(charge)
    }

    /// Settles the reservation with the actual cost.
    async fn commit(&self, inner: &Arc<Inner>, usd: f64, usage: TokenUsage, source: CostSource) -> Result<()> {
        let Some(entry) = self.entry else { return Ok(()) };
        blocking(inner, move |inner| inner.ledger.settle(entry, usd, &usage, source)).await
    }

    /// Releases the reservation of a failed attempt if nothing was generated, else settles an estimate.
    async fn abort(&self, inner: &Arc<Inner>, generated_bytes: u64) {
        let Some(entry) = self.entry else { return };
        let usage = TokenUsage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: u32::try_from(generated_bytes.div_ceil(4)).unwrap_or(u32::MAX),
            ..TokenUsage::default()
        };
        let usd = self.price.as_ref().map_or(0.0, |price| price.cost(&usage));
        let recorded = blocking(inner, move |inner| match generated_bytes {
            0 => inner.ledger.release(entry),
            _ => inner.ledger.settle(entry, usd, &usage, CostSource::Estimated),
        });
        if let Err(error) = recorded.await {
            // The reservation stays open and keeps counting against the caps.
            tracing::warn!(kind = ?error.kind(), "the cost of an answer could not be recorded");
        }
    }
}

impl Inner {
    /// Pins a tool call to the target that made it.
    fn pin_tool_call(&self, call: &str, target: &RouteTarget) {
        let mut calls = lock(&self.tool_call_targets);
        if calls.len() >= MAX_PINNED_CALLS {
            calls.remove(0);
        }
        calls.push((call.to_owned(), target.clone()));
    }

    /// Records a free answer for the spending reports, in the background.
    fn record_free_answer(self: &Arc<Self>, target: &RouteTarget, purpose: &str, usage: TokenUsage) {
        let (target, purpose) = (target.clone(), purpose.to_owned());
        self.record(move |inner| {
            let entry = inner.ledger.reserve(&Reservation {
                target: &target,
                purpose: &purpose,
                usd: 0.0,
                caps: Caps::default(),
                now: SystemTime::now(),
            });
            entry.and_then(|entry| inner.ledger.settle(entry, 0.0, &usage, CostSource::Free))
        });
    }

    /// Records the measured speed of a target, in the background.
    fn record_speed(self: &Arc<Self>, target: &RouteTarget, timings: &crate::chat::Timings) {
        let rate = |rate: f64| (rate > 0.0).then_some(rate);
        let speed = Speed {
            prompt_tokens_per_second: rate(timings.prompt_tokens_per_second),
            tokens_per_second: rate(timings.tokens_per_second),
            // On the device this is loading and prefill, which have a rate of their own.
            first_token_ms: rate(timings.first_token_ms).filter(|_| target.is_remote()),
        };
        if speed == Speed::default() || matches!(target, RouteTarget::Scripted) {
            return;
        }
        let target = target.clone();
        self.record(move |inner| inner.state.record_speed(&target, speed));
    }
}

/// Added to a deadline, which engines enforce themselves; this is for one that does not.
const DEADLINE_GRACE: Duration = Duration::from_millis(500);
/// Longer than any answer, and within the range of the clock.
const NO_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Maximum number of pinned tool calls.
const MAX_PINNED_CALLS: usize = 256;
