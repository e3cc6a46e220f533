//! Makes a routing decision together with the plan that carries it out, and keeps the providers' model lists fresh
//! enough for it.
//!
//! ```text
//! request ──► facts (cached) ──► choose ──► decision + plan
//!                ▲                  │ nothing on the preferred side, and a list is missing
//!                └── lists fetched ◄┘
//! ```
//!
//! A list never delays an answer that another target can give by more than [`GRACE`]: it is fetched in the background,
//! once at a time, and a failure is remembered for a minute. Only a request that no target can answer waits for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::facts::{Gathered, PlannedTarget, allows_remote};
use super::pending::PendingRequest;
use super::refresh::fetch_list;
use super::{Inner, blocking};
use crate::chat::{AnswerSummary, ChatRequest, Chunk, Route, RouteRule, RouteTarget, RoutingMode};
use crate::error::{Error, ErrorKind, ErrorReason, Result};
use crate::route::{RouteDecision, choose_with_estimates};
use crate::stream::{CancelToken, StreamSender};

/// A routing decision, with what carrying it out needs: nothing is looked up again.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) decision: RouteDecision,
    /// The target of the route and its fallbacks, in order. Empty if there is no route.
    pub(super) plan: Vec<PlannedTarget>,
}

/// Makes the routing decision. Waits for model lists at most until the request's deadline, and not after a cancel.
pub(super) async fn decide(inner: &Arc<Inner>, pending: &PendingRequest, cancel: &CancelToken) -> Result<Decided> {
    let request = &pending.request;
    let (mut decided, stale) = decide_once(inner, pending).await?;
    if stale.is_empty() {
        return decided;
    }
    let mut fetches: FuturesUnordered<_> = stale.iter().map(|name| fetch_list(inner, name)).collect();
    let (begun, deadline) = (Instant::now(), pending.deadline().map(Instant::from_std));
    let first_patience = patience(request, &decided);
    let mut patience = first_patience;
    // A list that failed also says something: why a target cannot answer.
    let mut is_current = false;
    while !patience.is_zero() {
        let enough = begun + patience;
        let until = deadline.map_or(enough, |deadline| deadline.min(enough));
        let fetched = tokio::select! {
            fetched = timeout_at(until, fetches.next()) => fetched,
            () = cancel.cancelled() => break,
            () = inner.closing.cancelled() => {
                cancel.cancel();
                break;
            }
        };
        match fetched {
            Ok(Some(Ok(_))) => {
                (decided, is_current) = (decide_once(inner, pending).await?.0, true);
                // Once a target can answer, the lists of others delay it no longer than they would have from the start.
                patience = patience.min(self::patience(request, &decided));
            }
            Ok(Some(Err(_))) => is_current = false,
            Ok(None) => break,
            Err(_) => {
                // A deadline says nothing of a provider.
                if until == enough {
                    // Each goes on in the background; the next request does not wait for it again.
                    stale.iter().for_each(|name| inner.note_list_failure(name));
                    is_current = false;
                }
                break;
            }
        }
    }
    if first_patience > GRACE && !is_current && !cancel.is_cancelled() {
        decided = decide_once(inner, pending).await?.0;
    }
    decided
}

/// Returns the end of an answer that got no route: cancelled, late, or the error that says why.
pub(super) async fn end_without_route(
    decided: Result<Decided>,
    pending: &PendingRequest,
    sink: &StreamSender<Chunk>,
) -> Result<Chunk> {
    let decision = decided.map(|decided| decided.decision);
    if sink.cancel().is_cancelled()
        && let Some((target, rule)) = closest_target(&pending.request, &decision)
    {
        let route = Route::to(target, rule, "the answer was cancelled before a target was chosen");
        sink.send(Chunk::Started { route: route.clone() }).await;
        return Ok(Chunk::Done {
            summary: AnswerSummary::cancelled_before_start(&route),
        });
    }
    let is_late = pending.is_late();
    match decision.and_then(RouteDecision::into_route) {
        Err(error) if is_late && error.reason() != ErrorReason::ConsentRequired => Err(Error::deadline_exceeded()),
        Err(error) => Err(error),
        Ok(_) => Err(Error::internal(
            "a route was not taken; this is a bug, please report it",
        )),
    }
}

/// Returns the target that a request without a route names or comes closest to, and the rule that ended there; `None` if
/// there is none.
fn closest_target(request: &ChatRequest, decision: &Result<RouteDecision>) -> Option<(RouteTarget, RouteRule)> {
    match decision {
        Ok(RouteDecision::NeedsConsent { question }) => Some((question.target.clone(), question.route.rule)),
        Ok(RouteDecision::NoRoute { rule, skipped, .. }) => {
            let closest = skipped.iter().find(|skipped| skipped.rule == *rule)?;
            Some((closest.target.clone(), *rule))
        }
        Ok(RouteDecision::Route { .. }) => None,
        Err(_) => {
            let model = request.model.clone()?;
            Some((RouteTarget::Local { model }, RouteRule::NoCandidates))
        }
    }
}

/// Decides from cached data. Also returns the providers whose lists are worth fetching for this request.
async fn decide_once(inner: &Arc<Inner>, pending: &PendingRequest) -> Result<(Result<Decided>, Vec<String>)> {
    let pending = pending.clone();
    blocking(inner, move |inner| {
        let request = &pending.request;
        let (decided, wanted) = match inner.gather_facts(&pending) {
            Ok(gathered) => (Ok(inner.choose(&gathered)), gathered.lists_wanted),
            Err(error) => (Err(error), inner.stale_lists()?),
        };
        let on_device = |decided: &Decided| matches!(&decided.decision, RouteDecision::Route { route } if !route.target.is_remote());
        let answered_here = request.mode != RoutingMode::PreferInCloud && decided.as_ref().is_ok_and(on_device);
        let may_fetch = !answered_here && allows_remote(request);
        let eligible = |name: &String| request.provider.as_ref().is_none_or(|requested| requested == name);
        let stale = if may_fetch { wanted } else { vec![] };
        Ok((decided, stale.into_iter().filter(eligible).collect()))
    })
    .await
}

/// Returns how long a decision waits for model lists.
fn patience(request: &ChatRequest, decided: &Result<Decided>) -> Duration {
    match decided {
        Ok(decided) => match &decided.decision {
            RouteDecision::Route { route } => {
                let unwanted_side = !route.target.is_remote() && request.mode == RoutingMode::PreferInCloud;
                if unwanted_side { GRACE } else { Duration::ZERO }
            }
            RouteDecision::NeedsConsent { .. } => GRACE,
            RouteDecision::NoRoute { .. } => LIST_TIMEOUT,
        },
        // A name that is unknown here may be a model of a provider whose list was not fetched yet.
        Err(error) if error.kind() == ErrorKind::NotInstalled => LIST_TIMEOUT,
        Err(_) => Duration::ZERO,
    }
}

impl Inner {
    /// Makes the routing decision from these facts.
    fn choose(&self, gathered: &Gathered) -> Decided {
        let (decision, estimates) = choose_with_estimates(&gathered.needs, &gathered.facts, &self.policy());
        let plan = match &decision {
            RouteDecision::Route { route } => {
                let estimates = std::iter::once(route.expected).chain(estimates);
                let targets = std::iter::once(&route.target).chain(&route.then);
                targets
                    .zip(estimates)
                    .filter_map(|(target, expected)| gathered.planned(target, expected))
                    .collect()
            }
            _ => vec![],
        };
        Decided { decision, plan }
    }
}

/// How long an answer that a less preferred target can give waits for a list: a server in the same house answers
/// within it.
const GRACE: Duration = Duration::from_millis(150);
/// How long a request that no target can answer waits for lists.
const LIST_TIMEOUT: Duration = Duration::from_secs(8);
