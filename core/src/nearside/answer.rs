//! One answer along its route: place after place until one speaks, each paid for before it is asked.
//!
//! ```text
//! route: [target, then…] ──► reserve ──► Started ──► engine ──► chunks handed on ──► settle ──► Done
//!                   ▲                                   │ failed, and nobody saw anything of it
//!                   └───────────────────────────────────┘
//! ```
//!
//! A place may be left only before its first visible piece. After that an error stays an error, and offers to go on
//! elsewhere. `Done` is told only when its cost is written down.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout_at;

use super::place::{Place, Tariff};
use super::{Inner, blocking};
use crate::chat::{ChatRequest, ChatStream, Chunk, CostSource, Route, Sink, Skipped, Stream, Target, Usage};
use crate::engine::Job;
use crate::error::{Error, ErrorKind, Result};
use crate::route::{Caps, EntryId, Reservation, Speed};

/// How one place ended.
enum Ended {
    /// Everything was said.
    Told,
    /// It failed before anybody saw anything; somebody else may try.
    Failed(Error),
}

/// Answers a request along its route.
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

/// Asks one place. Gives the sink back if somebody else may use it.
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
        // Cancelled already: the engine says the last word, at once.
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
        asked,
    });
    hand_on(inner, route, stream, sink, paid, deadline, last).await
}

/// Hands chunks on until the last one.
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
                    // After a cancel the rest is not wanted; the engine's last word is.
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

/// What is set aside for one place.
struct Paid {
    entry: Option<EntryId>,
    /// The request's limits, narrowed to what may be spent.
    limits: crate::chat::Limits,
    tariff: Option<Tariff>,
    prompt_tokens: u32,
    purpose: String,
}

impl Paid {
    /// Sets the most that the answer can cost aside, and narrows the answer to what may be spent.
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
            // What was reserved is the limit: the provider is told in tokens, and the reader counts along in dollars.
            paid.limits.max_usd = Some(worst);
            paid.limits.max_tokens = Some(paid.limits.max_tokens.map_or(completion, |most| most.min(completion)));
            debug_assert!(price.cost(&usage(completion)) <= worst);
        }
        paid.tariff = Some(Tariff {
            price: tariff.price.clone(),
        });
        Ok(paid)
    }

    /// Writes down what it cost.
    async fn settle(&self, inner: &Arc<Inner>, usd: f64, usage: Usage, source: CostSource) -> Result<()> {
        let Some(entry) = self.entry else { return Ok(()) };
        blocking(inner, move |inner| inner.ledger.settle(entry, usd, &usage, source)).await
    }

    /// The place failed. Where nothing was written nothing is charged; else what was written is reckoned.
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
            // The reservation stays and counts: nothing is lost but precision.
            tracing::warn!(kind = ?error.kind(), "what an answer cost could not be written down");
        }
    }
}

impl Inner {
    /// Remembers where a tool loop began.
    fn began(&self, call: &str, target: &Target) {
        let mut loops = super::lock(&self.loops);
        if loops.len() >= LOOPS {
            loops.remove(0);
        }
        loops.push((call.to_owned(), target.clone()));
    }

    /// Writes an answer that cost nothing down, for the reports; nobody waits for it.
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

    /// Remembers how fast a place was; nobody waits for it.
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
