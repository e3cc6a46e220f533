//! Runs a request along its route: tries target after target until one produces visible output, and reserves the
//! maximum cost before each attempt.
//!
//! ```text
//! route: [target, then…] ──► reserve ──► Started ──► engine ──► chunks handed on ──► settle ──► Done
//!                   ▲                                   │ failed, and nobody saw anything of it
//!                   └───────────────────────────────────┘
//! ```
//!
//! Falls back only before the first visible chunk. A later error is final, and its text offers to continue remotely.
//! `Done` is sent after its cost is committed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout_at;

use super::prepared_target::{Place, Tariff};
use super::{Inner, blocking};
use crate::chat::{ChatRequest, ChatStream, Chunk, CostSource, Route, Skipped, Target, Usage};
use crate::engine::Job;
use crate::error::{Error, ErrorKind, Result};
use crate::route::Speed;
use crate::state::{Caps, EntryId, Reservation};
use crate::stream::{Sink, Stream};

/// Outcome of one attempt.
enum Ended {
    /// The stream was finished.
    Told,
    /// It failed before any visible output; the next target may be tried.
    Failed(Error),
}

/// Tries the targets of the route in order.
pub(super) async fn along(
    inner: &Arc<Inner>,
    request: ChatRequest,
    mut route: Route,
    sink: Sink<Chunk>,
    asked: Instant,
) {
    let mut sink = Some(sink);
    let mut places = vec![route.target.clone()];
    places.append(&mut route.then);
    let count = places.len();
    for (n, target) in places.into_iter().enumerate() {
        let Some(open) = sink.take() else { return };
        route.target = target.clone();
        let last = n + 1 == count;
        let (ended, back) = at(inner, &request, &route, open, asked, last).await;
        match ended {
            Ended::Told => return,
            Ended::Failed(error) => {
                tracing::debug!(kind = ?error.kind(), "a place failed; the next one is asked");
                route.reason = format!("the place before it failed: {error}");
                route.rule = "failed".to_owned();
                route.skipped.push(Skipped {
                    target,
                    rule: "failed".to_owned(),
                    reason: error.to_string(),
                });
                sink = back;
            }
        }
    }
}

/// Tries one target. Returns the sink if the next target may be tried.
async fn at(
    inner: &Arc<Inner>,
    request: &ChatRequest,
    route: &Route,
    sink: Sink<Chunk>,
    asked: Instant,
    last: bool,
) -> (Ended, Option<Sink<Chunk>>) {
    let give_up = |sink: Sink<Chunk>, error: Error| match last {
        true => {
            sink.finish(Err(error));
            (Ended::Told, None)
        }
        false => (Ended::Failed(error), Some(sink)),
    };
    let (along, wanted) = (route.clone(), request.clone());
    let ready = blocking(inner, move |inner| {
        let place = inner.place(&along.target, &wanted)?;
        let paid = Paid::before(inner, &wanted, &along, &place)?;
        Ok((place, paid))
    });
    let (place, paid) = match ready.await {
        Ok(ready) => ready,
        Err(error) => return give_up(sink, error),
    };
    if !sink.send(Chunk::Started { route: route.clone() }).await {
        // Cancelled already: the engine finishes the sink at once.
    }
    let mut asking = request.clone();
    asking.limits = paid.limits.clone();
    let deadline = request
        .limits
        .deadline_ms
        .map(|ms| asked + Duration::from_millis(ms) + GRACE);
    let (stream, inner_sink) = Stream::new();
    place.engine.answer(Job {
        request: asking,
        route: route.clone(),
        sink: inner_sink,
        requested_at: asked,
    });
    hand_on(inner, route, stream, sink, paid, deadline, last).await
}

/// Forwards chunks until the final one.
async fn hand_on(
    inner: &Arc<Inner>,
    route: &Route,
    stream: ChatStream,
    sink: Sink<Chunk>,
    paid: Paid,
    deadline: Option<Instant>,
    last: bool,
) -> (Ended, Option<Sink<Chunk>>) {
    let cancel = sink.cancel().clone();
    let deadline = deadline.map_or_else(|| tokio::time::Instant::now() + FOREVER, Into::into);
    let mut written = 0;
    let mut visible = false;
    let mut cancelled = false;
    loop {
        let batch = tokio::select! {
            biased;
            () = cancel.wait(), if !cancelled => {
                cancelled = true;
                stream.cancel();
                continue;
            }
            () = inner.closing.wait(), if !cancelled => {
                cancelled = true;
                stream.cancel();
                continue;
            }
            batch = timeout_at(deadline, stream.next_batch()) => batch,
        };
        let error = match batch {
            Err(_) => {
                stream.cancel();
                Error::busy("the answer was not done within its deadline; allow more time or fewer tokens")
            }
            Ok(Err(error)) => error,
            Ok(Ok(batch)) => {
                let over = batch.is_empty();
                for chunk in batch {
                    if let Chunk::Done {
                        usage,
                        timings,
                        receipt,
                        ..
                    } = &chunk
                    {
                        if let Err(error) = paid.settle(inner, receipt.cost_usd, *usage, receipt.cost_source).await {
                            sink.finish(Err(error));
                            return (Ended::Told, None);
                        }
                        inner.learn(&route.target, timings);
                        if paid.entry.is_none() && route.target.is_remote() {
                            inner.note_free(&route.target, &paid.purpose, *usage);
                        }
                        sink.finish(Ok(chunk));
                        return (Ended::Told, None);
                    }
                    visible = true;
                    written += length(&chunk);
                    if let Chunk::ToolCall { id, .. } = &chunk {
                        inner.began(id, &route.target);
                    }
                    // After a cancel, drop chunks but wait for the engine's `Done`.
                    if !cancelled {
                        sink.send(chunk).await;
                    }
                }
                if !over {
                    continue;
                }
                Error::internal("an engine ended without a last word; please report this")
            }
        };
        paid.broken_off(inner, written).await;
        let may_move = !visible && !last && !cancelled && error.kind() != ErrorKind::Internal;
        if may_move {
            return (Ended::Failed(error), Some(sink));
        }
        sink.finish(Err(if visible { with_offer(&error) } else { error }));
        return (Ended::Told, None);
    }
}

/// The error of an answer that broke off in the middle.
fn with_offer(error: &Error) -> Error {
    let text = format!("{error}; what was written stays yours, and `continue_remotely` goes on from there");
    Error::new(error.kind(), text)
}

fn length(chunk: &Chunk) -> u64 {
    match chunk {
        Chunk::Text { text } | Chunk::Reasoning { text } => text.len() as u64,
        Chunk::ToolCall { arguments, .. } => arguments.len() as u64,
        _ => 0,
    }
}

/// Cost reservation of one attempt.
struct Paid {
    entry: Option<EntryId>,
    /// The request's limits, tightened to the reservation.
    limits: crate::chat::Limits,
    tariff: Option<Tariff>,
    prompt_tokens: u32,
    purpose: String,
}

impl Paid {
    /// Reserves the maximum cost, and tightens the request's limits to it.
    fn before(inner: &Inner, request: &ChatRequest, route: &Route, place: &Place) -> Result<Self> {
        let (prompt_tokens, completion) = place.most;
        let mut paid = Self {
            entry: None,
            limits: request.limits.clone(),
            tariff: None,
            prompt_tokens,
            purpose: request.purpose.clone().unwrap_or_else(|| "chat".to_owned()),
        };
        let Some(tariff) = &place.tariff else {
            return Ok(paid);
        };
        let usage = |completion_tokens| Usage {
            prompt_tokens,
            completion_tokens,
            ..Usage::default()
        };
        let policy = inner.policy();
        let caps = Caps::of(&policy, request.limits.max_usd);
        let worst = tariff
            .price
            .as_ref()
            .map_or(0.0, |price| price.cost(&usage(completion)));
        let entry = inner.ledger.reserve(&Reservation {
            target: &route.target,
            purpose: &paid.purpose,
            usd: worst,
            caps,
            now: SystemTime::now(),
        })?;
        paid.entry = Some(entry);
        let capped = caps.request.is_some() || caps.day.is_some() || caps.month.is_some();
        if capped && let Some(price) = &tariff.price {
            // Enforce the reservation: `max_tokens` at the provider, `max_usd` while reading.
            paid.limits.max_usd = Some(worst);
            paid.limits.max_tokens = Some(paid.limits.max_tokens.map_or(completion, |most| most.min(completion)));
            debug_assert!(price.cost(&usage(completion)) <= worst);
        }
        paid.tariff = Some(Tariff {
            price: tariff.price.clone(),
        });
        Ok(paid)
    }

    /// Settles the reservation with the actual cost.
    async fn settle(&self, inner: &Arc<Inner>, usd: f64, usage: Usage, source: CostSource) -> Result<()> {
        let Some(entry) = self.entry else { return Ok(()) };
        blocking(inner, move |inner| inner.ledger.settle(entry, usd, &usage, source)).await
    }

    /// The attempt failed: releases the reservation if nothing was generated, else settles an estimate.
    async fn broken_off(&self, inner: &Arc<Inner>, written: u64) {
        let Some(entry) = self.entry else { return };
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: u32::try_from(written.div_ceil(4)).unwrap_or(u32::MAX),
            ..Usage::default()
        };
        let price = self.tariff.as_ref().and_then(|tariff| tariff.price.as_ref());
        let usd = price.map_or(0.0, |price| price.cost(&usage));
        let told = blocking(inner, move |inner| match written {
            0 => inner.ledger.release(entry),
            _ => inner.ledger.settle(entry, usd, &usage, CostSource::Estimated),
        });
        if let Err(error) = told.await {
            // The reservation stays open and keeps counting against the caps.
            tracing::warn!(kind = ?error.kind(), "what an answer cost could not be written down");
        }
    }
}

impl Inner {
    /// Pins a tool call to the target that made it.
    fn began(&self, call: &str, target: &Target) {
        let mut loops = super::lock(&self.loops);
        if loops.len() >= LOOPS {
            loops.remove(0);
        }
        loops.push((call.to_owned(), target.clone()));
    }

    /// Records a free answer for the spending reports, in the background.
    fn note_free(self: &Arc<Self>, target: &Target, purpose: &str, usage: Usage) {
        let (inner, target, purpose) = (Arc::clone(self), target.clone(), purpose.to_owned());
        tokio::task::spawn_blocking(move || {
            let entry = inner.ledger.reserve(&Reservation {
                target: &target,
                purpose: &purpose,
                usd: 0.0,
                caps: Caps::default(),
                now: SystemTime::now(),
            });
            let noted = entry.and_then(|entry| inner.ledger.settle(entry, 0.0, &usage, CostSource::Free));
            if let Err(error) = noted {
                tracing::warn!(kind = ?error.kind(), "an answer could not be written down");
            }
        });
    }

    /// Records the measured speed of a target, in the background.
    fn learn(self: &Arc<Self>, target: &Target, timings: &crate::chat::Timings) {
        let rate = |rate: f64| (rate > 0.0).then_some(rate);
        let speed = Speed {
            prompt_tokens_per_second: rate(timings.prompt_tokens_per_second),
            tokens_per_second: rate(timings.tokens_per_second),
            // On the device this is loading and prefill, which have a rate of their own.
            first_token_ms: rate(timings.first_token_ms).filter(|_| target.is_remote()),
        };
        if speed == Speed::default() || matches!(target, Target::Scripted) {
            return;
        }
        let (inner, target) = (Arc::clone(self), target.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = inner.state.record_speed(&target, speed) {
                tracing::warn!(kind = ?error.kind(), "a speed could not be written down");
            }
        });
    }
}

/// An engine keeps deadlines itself; this is for one that cannot.
const GRACE: Duration = Duration::from_millis(500);
/// Longer than any answer, and far from the end of the clock.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);
/// Calls whose place is remembered.
const LOOPS: usize = 256;
