//! Runs a request along its route: tries target after target until one produces visible output, and reserves the
//! maximum cost before each attempt.
//!
//! ```text
//! plan: [target, fallback…] ──► reserve ──► Started ──► engine ══ chunks ══► the app
//!                      ▲                                   │ end
//!                      │ failed before visible output      ▼
//!                      └───────────────────────────── settle ──► Done
//! ```
//!
//! Chunks go from the engine into the app's queue; an [`AnswerTap`] sees each on its way. Only the end comes here. Falls
//! back only before the first visible chunk and within the request's deadline. If all targets fail, the error is that of
//! the first one, and its text names the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::charge::{AttemptEnd, Charge, purpose};
use super::draft::SharedDraft;
use super::facts::{PlannedSource, PlannedTarget};
use super::history::{TokenCount, fit_history};
use super::pending::PendingRequest;
use super::tool_calls::ToolCallTargets;
use super::{Inner, blocking, lock};
use crate::chat::{Chunk, Route, RouteRule, RouteTarget, SkippedTarget, Timings, TokenUsage};
use crate::engine::{Engine, Job, SentMark};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::route::Speed;
use crate::state::Reservation;
use crate::stream::{StreamSender, Tap};

/// The end of an answer.
pub(super) struct Answered {
    /// The last item of its stream: `Done`, or an error.
    pub(super) last: Result<Chunk>,
    /// Values to record after the last item was sent.
    pub(super) notes: Option<AnswerNotes>,
}

/// Values to record about a finished answer.
pub(super) struct AnswerNotes {
    target: RouteTarget,
    timings: Timings,
    /// Purpose and usage of an answer that the ledger does not know yet, because it is free.
    free: Option<(String, TokenUsage)>,
}

impl From<Error> for Answered {
    fn from(error: Error) -> Self {
        Self {
            last: Err(error),
            notes: None,
        }
    }
}

/// One answer: the request and the parts that all its attempts share.
pub(super) struct Answering<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) pending: &'a PendingRequest,
    pub(super) sink: &'a StreamSender<Chunk>,
    /// The stored content of a conversation's answer.
    pub(super) draft: Option<Arc<SharedDraft>>,
}

/// Sees the chunks of one attempt on their way to the app.
#[derive(Debug)]
struct AnswerTap {
    target: RouteTarget,
    /// A chunk reached the app; the answer stays on its target.
    visible: AtomicBool,
    generated_bytes: AtomicU64,
    tool_calls: Arc<ToolCallTargets>,
    draft: Option<Arc<SharedDraft>>,
}

/// A failed attempt.
struct Failure {
    error: Error,
    /// Whether output was visible: the answer ends with this error.
    visible: bool,
    /// Whether the next target may be tried.
    may_fall_back: bool,
    /// Whether the server said that it forwards the model, which its list did not say.
    is_forwarded: bool,
}

impl Tap<Chunk> for AnswerTap {
    fn observe(&self, chunk: &Chunk) {
        if let Some(draft) = &self.draft {
            draft.add(chunk);
        }
        let bytes = match chunk {
            Chunk::Started { .. } | Chunk::Done { .. } => return,
            Chunk::Text { text } | Chunk::Reasoning { text } => text.len(),
            Chunk::ToolCall { id, name, arguments } => {
                self.tool_calls.insert(id, name, arguments, &self.target);
                arguments.len()
            }
            Chunk::Citation { .. } => 0,
        };
        self.visible.store(true, Ordering::SeqCst);
        self.generated_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
    }
}

impl Answering<'_> {
    /// Tries the targets of the plan in order. `None` if the decision must be made again, where it may: the server of the
    /// first target forwards the model now, which the decision did not know.
    pub(super) async fn run_route(
        &self,
        mut route: Route,
        plan: Vec<PlannedTarget>,
        may_decide_again: bool,
    ) -> Option<Answered> {
        let mut failures: Vec<(RouteTarget, Error)> = Vec::new();
        let mut plan = plan.into_iter();
        let mut booked_usd = 0.0;
        while let Some(planned) = plan.next() {
            route.target = planned.target.clone();
            route.expected = planned.expected;
            route.then = plan.as_slice().iter().map(|next| next.target.clone()).collect();
            let failure = match self.try_target(&planned, &mut route, &mut booked_usd).await {
                Ok(answered) => return Some(answered),
                Err(failure) => failure,
            };
            let failure = match &planned.source {
                PlannedSource::Remote(remote) if !failure.visible => Failure {
                    error: self.inner.explain_own_server(&remote.settings, failure.error),
                    ..failure
                },
                _ => failure,
            };
            if failure.is_forwarded && failure.may_fall_back && failures.is_empty() && may_decide_again {
                return None;
            }
            if !failure.may_fall_back || plan.as_slice().is_empty() {
                if failure.visible || self.pending.is_late() || failures.is_empty() {
                    return Some(failure.error.into());
                }
                failures.push((planned.target, failure.error));
                break;
            }
            let error = failure.error;
            tracing::debug!(kind = ?error.kind(), "target failed; trying the next one");
            route.reason = format!("the previous target failed: {error}");
            route.rule = RouteRule::PreviousFailed;
            route.skipped.push(SkippedTarget {
                target: planned.target.clone(),
                rule: RouteRule::PreviousFailed,
                reason: error.to_string(),
            });
            failures.push((planned.target, error));
        }
        Some(first_failure(failures).into())
    }

    /// Tries one target. If it says that the history is too long, tries it once more with less of it.
    /// `booked_usd` is what the request has cost so far.
    async fn try_target(
        &self,
        planned: &PlannedTarget,
        route: &mut Route,
        booked_usd: &mut f64,
    ) -> Result<Answered, Failure> {
        let ratio = lock(&self.inner.token_ratios).get(&planned.target).copied();
        let attempted = self
            .attempt(planned, route, TokenCount::Careful { ratio }, booked_usd)
            .await;
        match attempted {
            Err(failure)
                if failure.may_fall_back
                    && failure.error.reason() == ErrorReason::ContextExceeded
                    && self.pending.kept_turns.is_some()
                    && planned.target.is_remote()
                    && self.may_omit_more(planned, route.omitted_messages).await =>
            {
                self.attempt(planned, route, TokenCount::Maximum, booked_usd).await
            }
            attempted => attempted,
        }
    }

    /// Returns whether the history can be cut further than by this many messages.
    async fn may_omit_more(&self, planned: &PlannedTarget, omitted: u32) -> bool {
        let PlannedSource::Remote(remote) = &planned.source else {
            return false;
        };
        let (pending, context) = (self.pending.clone(), remote.model.context);
        let most = blocking(self.inner, move |_| {
            Ok(fit_history(&pending, context, TokenCount::Maximum).len())
        });
        most.await.is_ok_and(|most| most > omitted as usize)
    }

    async fn attempt(
        &self,
        planned: &PlannedTarget,
        route: &mut Route,
        count: TokenCount,
        booked_usd: &mut f64,
    ) -> Result<Answered, Failure> {
        let (shared, pending, has_fallback) = (planned.clone(), self.pending.clone(), !route.then.is_empty());
        let booked = *booked_usd;
        let prepared = blocking(self.inner, move |inner| {
            let prepared = inner.prepare_target(&shared, &pending, count, has_fallback)?;
            let charge = Charge::reserve(inner, &pending.request, &shared.target, prepared.cost.clone(), booked)?;
            Ok((prepared, charge))
        });
        let (prepared, charge) = prepared.await.map_err(|error| self.failure(error, false))?;
        route.omitted_messages = prepared.omitted_messages;
        let likely_tokens = prepared.likely_tokens;
        let mut request = prepared.request;
        request.limits = charge.limits.clone();
        let tap = Arc::new(AnswerTap {
            target: planned.target.clone(),
            visible: AtomicBool::new(false),
            generated_bytes: AtomicU64::new(0),
            tool_calls: Arc::clone(&self.inner.tool_calls),
            draft: self.draft.clone(),
        });
        let (sink, ended) = self.sink.attempt(Arc::clone(&tap) as _);
        // Cancelled already: the engine ends at once.
        sink.send(Chunk::Started { route: route.clone() }).await;
        let (sent, started) = (SentMark::default(), Instant::now());
        prepared.engine.answer(Job {
            request,
            kept_turns: prepared.kept_turns,
            conversation: self.pending.conversation,
            route: route.clone(),
            sink,
            requested_at: self.pending.requested_at,
            sent: sent.clone(),
            begun: prepared.begun,
        });
        let ended = self.wait_for_end(ended).await;
        let end = AttemptEnd {
            generated_bytes: tap.generated_bytes.load(Ordering::SeqCst),
            sent: sent.is_set(),
            billed_in_full: sent.is_billed_in_full(),
            unanswered: sent.unanswered(),
            searches: sent.searches(),
            elapsed: started.elapsed(),
        };
        if sent.is_forwarded() {
            self.note_forwarded(planned).await;
        }
        if let Some(draft) = self.draft.as_ref().filter(|_| sent.has_shown_reasoning()) {
            draft.separate_reasoning();
        }
        if let PlannedSource::Remote(remote) = planned.source.clone()
            && sent.has_learned()
        {
            self.inner.record(move |inner| inner.save_learned(&remote.settings));
        }
        let visible = tap.visible.load(Ordering::SeqCst);
        let error = match ended {
            Ok(Chunk::Done { mut summary }) => {
                let is_charged = charge.is_charged();
                let committed = charge.commit(self.inner, &mut summary, end).await;
                committed.map_err(|error| Failure {
                    error,
                    visible: true,
                    may_fall_back: false,
                    is_forwarded: false,
                })?;
                if sent.is_prompt_counted() {
                    self.learn_ratio(&planned.target, summary.usage.prompt_tokens, likely_tokens);
                }
                let free = (!is_charged).then(|| (purpose(&self.pending.request).to_owned(), summary.usage));
                return Ok(Answered {
                    notes: Some(AnswerNotes {
                        target: planned.target.clone(),
                        timings: summary.timings,
                        free,
                    }),
                    last: Ok(Chunk::Done { summary }),
                });
            }
            Ok(_) => Error::internal("an engine ended without a last word; this is a bug, please report it"),
            Err(error) => error,
        };
        let failure = Failure {
            is_forwarded: sent.is_forwarded(),
            ..self.failure(error, visible)
        };
        *booked_usd += charge.abort(self.inner, end).await;
        Err(failure)
    }

    /// Waits for the end of an attempt. Stops its engine at the deadline, with a grace for engines that enforce it
    /// themselves, and when the library is closed.
    async fn wait_for_end(&self, ended: tokio::sync::oneshot::Receiver<Result<Chunk>>) -> Result<Chunk> {
        let mut ended = std::pin::pin!(ended);
        let mut is_closing = false;
        let deadline = self.pending.deadline().map(|deadline| deadline + DEADLINE_GRACE);
        let mut late = std::pin::pin!(wait_until(deadline));
        loop {
            tokio::select! {
                biased;
                ended = &mut ended => return ended.unwrap_or_else(|_| Err(Error::internal(
                    "an engine ended without a last word; this is a bug, please report it",
                ))),
                () = self.inner.closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    self.sink.cancel().cancel();
                }
                () = &mut late => {
                    self.sink.cancel().cancel();
                    // Its last chunks must not follow the error.
                    let _ = tokio::time::timeout(STOP_TIMEOUT, &mut ended).await;
                    return Err(Error::deadline_exceeded());
                }
            }
        }
    }

    /// Remembers that a server of one's own passes the model on: from now on the policy of unknown targets applies.
    async fn note_forwarded(&self, planned: &PlannedTarget) {
        let PlannedSource::Remote(remote) = planned.source.clone() else {
            return;
        };
        let noted = blocking(self.inner, move |inner| {
            inner.note_forwarded(&remote.settings, &remote.model.id)
        });
        if let Err(error) = noted.await {
            tracing::warn!(kind = ?error.kind(), "a forwarded model could not be recorded");
        }
    }

    /// Remembers how a remote model counts. A search adds pages to the prompt, which say nothing of it.
    fn learn_ratio(&self, target: &RouteTarget, counted: u32, likely: u32) {
        if counted > 0 && likely > 0 && !self.pending.request.web_search {
            let ratio = f64::from(counted) / f64::from(likely);
            lock(&self.inner.token_ratios).insert(target.clone(), ratio);
        }
    }

    /// Classifies the error of an attempt. Whatever failed after the deadline failed because of it.
    fn failure(&self, error: Error, visible: bool) -> Failure {
        let late = self.pending.is_late() || error.reason() == ErrorReason::DeadlineExceeded;
        let error = if late { Error::deadline_exceeded() } else { error };
        let may_fall_back =
            !visible && !late && error.kind() != ErrorKind::Internal && !self.sink.cancel().is_cancelled();
        Failure {
            error: if visible { with_kept_text(&error) } else { error },
            visible,
            may_fall_back,
            is_forwarded: false,
        }
    }
}

impl Inner {
    /// Records what is known of a finished answer, in the background: its speed, and a free one for the spending reports.
    pub(super) fn record_notes(self: &Arc<Self>, notes: Option<AnswerNotes>) {
        let Some(notes) = notes else { return };
        self.record(move |inner| {
            let free = notes.free.map(|(purpose, usage)| {
                let reservation = Reservation::free(&notes.target, &purpose, inner.clock.now());
                inner.ledger.record_free(&reservation, &usage)
            });
            inner.record_speed(&notes.target, &notes.timings)?;
            free.unwrap_or(Ok(()))
        });
    }

    fn record_speed(&self, target: &RouteTarget, timings: &Timings) -> Result<()> {
        let rate = |rate: f64| (rate > 0.0).then_some(rate);
        let speed = Speed {
            prompt_tokens_per_second: rate(timings.prompt_tokens_per_second),
            tokens_per_second: rate(timings.tokens_per_second),
            // On the device this is loading and prefill, which have a rate of their own.
            first_token_ms: rate(timings.first_token_ms).filter(|_| target.is_remote()),
        };
        if speed == Speed::default() || matches!(target, RouteTarget::Scripted) {
            return Ok(());
        }
        self.state.record_speed(target, speed)
    }
}

/// Plays the script of a test instead of a route.
pub(super) async fn run_script(answering: &Answering<'_>, engine: &Arc<dyn Engine>) -> Answered {
    let route = Route::to(RouteTarget::Scripted, RouteRule::RequestedTarget, "a script was given");
    let tap = Arc::new(AnswerTap {
        target: RouteTarget::Scripted,
        visible: AtomicBool::new(false),
        generated_bytes: AtomicU64::new(0),
        tool_calls: Arc::clone(&answering.inner.tool_calls),
        draft: answering.draft.clone(),
    });
    let (sink, ended) = answering.sink.attempt(tap);
    sink.send(Chunk::Started { route: route.clone() }).await;
    engine.answer(Job {
        request: (*answering.pending.request).clone(),
        kept_turns: None,
        conversation: answering.pending.conversation,
        route,
        sink,
        requested_at: answering.pending.requested_at,
        sent: SentMark::default(),
        begun: None,
    });
    let last = answering.wait_for_end(ended).await;
    Answered { last, notes: None }
}

/// Returns the error of the first target, whose text names the later ones.
fn first_failure(failures: Vec<(RouteTarget, Error)>) -> Error {
    let mut failures = failures.into_iter();
    let Some((_, first)) = failures.next() else {
        return Error::internal("a route without a target; please report this");
    };
    let others: Vec<_> = failures.map(|(target, error)| format!("`{target}`: {error}")).collect();
    if others.is_empty() {
        return first;
    }
    let text = format!("{first}; then failed {}", others.join("; "));
    first.with_detail(text)
}

/// Returns the error of an answer that broke off after visible output.
fn with_kept_text(error: &Error) -> Error {
    let text = format!("{error}; the text so far is kept, and another model can continue it");
    let reason = match error.reason() {
        ErrorReason::Unreachable => ErrorReason::Interrupted,
        reason => reason,
    };
    error.clone().because(reason).with_detail(text)
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Added to a deadline, which engines enforce themselves; this is for one that does not.
const DEADLINE_GRACE: Duration = Duration::from_millis(500);
/// Longer than an engine takes to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
