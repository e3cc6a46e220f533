//! One target of a plan, prepared to run: an engine, the request as it gets it, and what the attempt may cost.

use std::sync::Arc;

use super::Inner;
use super::charge::AttemptCost;
use super::facts::{PlannedRemote, PlannedSource, PlannedTarget};
use super::history::{TokenCount, fit_history};
use super::pending::PendingRequest;
use crate::chat::ChatRequest;
use crate::chat::history::without;
use crate::engine::remote::{self, Connection, Forwarding, RemoteEngine, Timeouts};
use crate::engine::{BegunAnswer, Engine};
use crate::error::{Error, ErrorReason, Result};
use crate::route::{NetworkPath, estimate, privacy};

/// A prepared target.
pub(super) struct PreparedTarget {
    pub(super) engine: Arc<dyn Engine>,
    /// The request: fitted to the target, or whole if the engine fits it itself.
    pub(super) request: ChatRequest,
    /// As in [`crate::engine::Job`].
    pub(super) kept_turns: Option<u32>,
    /// As in [`crate::engine::Job`].
    pub(super) begun: Option<BegunAnswer>,
    /// Number of messages that the target is not sent; an estimate if the engine counts itself.
    pub(super) omitted_messages: u32,
    /// Likely tokens of its prompt.
    pub(super) likely_tokens: u32,
    pub(super) cost: AttemptCost,
}

impl Inner {
    /// Prepares a target: its engine, its credential, and the part of the history that its context holds. Everything
    /// else is in the plan. Sends nothing.
    ///
    /// # Errors
    /// `Blocked` and `Network` if policy, network or the server's list changed since the decision and forbid the target now;
    /// `Busy` if the provider changed; those of starting an engine.
    pub(super) fn prepare_target(
        &self,
        planned: &PlannedTarget,
        pending: &PendingRequest,
        count: TokenCount,
        has_fallback: bool,
    ) -> Result<PreparedTarget> {
        let whole = &pending.request;
        let PlannedRemote {
            settings,
            model,
            data_policy,
            upstreams,
        } = match &planned.source {
            PlannedSource::Remote(remote) => &**remote,
            PlannedSource::Local { model, context } => {
                let omitted = fit_history(pending, Some(*context), count);
                return Ok(PreparedTarget {
                    engine: Arc::new(self.local_models.lease(model)?),
                    request: ChatRequest::clone(whole),
                    kept_turns: pending.kept_turns,
                    begun: pending.begun.clone(),
                    omitted_messages: u32::try_from(omitted.len()).unwrap_or(u32::MAX),
                    likely_tokens: 0,
                    cost: AttemptCost::default(),
                });
            }
        };
        // Provider and policy may have changed while an earlier target was tried, also in another process. The credential is
        // taken before the settings are compared, so that it is never that of a server that was set up meanwhile.
        let secret = self.secret(settings);
        let is_same = self.provider(&settings.name).is_ok_and(|current| current == *settings);
        let secret = secret.filter(|_| is_same).ok_or_else(|| {
            let name = &settings.name;
            Error::busy(format!(
                "`{name}` was set up anew or removed while the request was on its way; send it again"
            ))
        })?;
        self.read_policy()?;
        let policy = self.policy();
        self.check_network(&settings.name, NetworkPath::to(settings, model))?;
        let (list, _) = self.list_of(settings)?;
        let is_own = !model.proxied && remote::must_state_forwarding(settings);
        if is_own && list.models.iter().any(|listed| listed.proxied && listed.id == model.id) {
            return Err(remote::forwarded_now(&settings.name, &model.id));
        }
        let (current, terms) = self.terms_of(settings)?;
        if !model.proxied && terms != *data_policy {
            return Err(Error::of(
                ErrorReason::PolicyForbids,
                "the policy changed while the request was on its way; send it again",
            ));
        }
        let upstreams = if model.proxied { upstreams } else { &current };
        privacy::check_terms(&policy, settings, data_policy)?;
        let consent = whole.consent.as_ref();
        privacy::check_consent(&policy, whole.sensitivity, consent, &planned.target, data_policy)?;
        let omitted = fit_history(pending, model.context, count);
        let request = match omitted.is_empty() {
            true => ChatRequest::clone(whole),
            false => whole.with_messages(without(&whole.messages, &omitted)),
        };
        let (prompt, completion) = estimate::tokens(&request);
        let charges = model.charges(data_policy);
        let cost = AttemptCost {
            charges,
            price: model.price.clone().filter(|_| charges),
            search_usd: estimate::search_usd(model.price.as_ref(), request.web_search).unwrap_or(0.0),
            prompt_tokens: prompt.high,
            answer: estimate::answer_bound(request.limits.max_tokens, completion, prompt, model),
            reasons_unseen: settings.kind.reasons_unseen(&model.id),
        };
        let mut upstreams = upstreams.clone();
        // The reservation uses this price, so no upstream may cost more.
        upstreams.max_price = model.price.clone().filter(|price| !price.is_free());
        let connection = Connection {
            http: self.http(settings)?,
            secret,
            needed_tokens: prompt.high.saturating_add(completion.high),
            upstreams,
            circuit: self.circuit(&settings.name),
            learned: self.learned(&settings.name),
            must_check_host: is_own && list.forwarding != Forwarding::Never,
            timeouts: match has_fallback {
                true => Timeouts::before_fallback(),
                false => Timeouts::default(),
            },
            data_policy: data_policy.clone(),
            model: model.clone(),
            settings: settings.clone(),
        };
        Ok(PreparedTarget {
            engine: Arc::new(RemoteEngine::new(connection, self.handle.clone())),
            request,
            kept_turns: None,
            begun: None,
            omitted_messages: u32::try_from(omitted.len()).unwrap_or(u32::MAX),
            likely_tokens: prompt.likely,
            cost,
        })
    }
}
