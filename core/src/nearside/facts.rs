//! Gathers the input of a routing decision: the request's needs, candidates, device state, spending.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use super::local::{LocalModel, not_installed};
use super::providers::{default_model, refresh};
use super::{Inner, blocking, lock};
use crate::chat::{ChatRequest, ContentPart, OutputFormat, RouteTarget, RoutingMode, Sensitivity};
use crate::device::Connectivity;
use crate::engine::remote::{ModelCapabilities, ProviderSettings, RemoteModel};
use crate::error::{Error, ErrorKind, Result};
use crate::model::ModelRef;
use crate::route::{
    CostRow, Facts, LocalCandidate, Needs, RemoteCandidate, RouteDecision, Speed, choose, compare, estimate, privacy,
};
use crate::stream::CancelToken;

/// Makes the routing decision. Refreshes missing or stale model lists first if no local candidate answers and the
/// request may leave the device.
pub(super) async fn decide_with_refresh(
    inner: &Arc<Inner>,
    request: &ChatRequest,
    cancel: &CancelToken,
) -> Result<RouteDecision> {
    let shared = request.clone();
    let (decision, stale) = blocking(inner, move |inner| {
        let decision = inner.decide_now(&shared);
        let on_device = matches!(&decision, Ok(decision) if is_on_device(decision));
        // A name that is unknown locally may be a model of a provider whose list was not fetched yet.
        let final_error = matches!(&decision, Err(error) if error.kind() != ErrorKind::NotInstalled);
        let may_fetch = !on_device
            && !final_error
            && allows_remote(&shared)
            && inner.host_facts()?.network != Connectivity::Offline;
        let stale = if may_fetch { inner.stale_providers()? } else { vec![] };
        Ok((decision, stale))
    })
    .await?;
    if stale.is_empty() {
        return decision;
    }
    let eligible = |name: &&String| request.provider.as_ref().is_none_or(|requested| requested == *name);
    let fetches = stale
        .iter()
        .filter(eligible)
        .map(|name| tokio::time::timeout(LIST_REFRESH_TIMEOUT, refresh(inner, name)));
    let fetched = tokio::select! {
        fetched = join_all(fetches) => fetched,
        // Keep the decision from cached data; its target finishes the stream as cancelled.
        () = cancel.cancelled() => return decision,
    };
    if !fetched.iter().any(|result| matches!(result, Ok(Ok(_)))) {
        return decision;
    }
    let shared = request.clone();
    blocking(inner, move |inner| inner.decide_now(&shared)).await
}

impl Inner {
    /// Returns the providers whose model list is missing or stale.
    fn stale_providers(&self) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        for settings in self.state.providers()? {
            if self.is_stale(&settings.name, SystemTime::now())? {
                stale.push(settings.name);
            }
        }
        Ok(stale)
    }

    /// Makes the routing decision from cached data.
    pub(super) fn decide_now(&self, request: &ChatRequest) -> Result<RouteDecision> {
        let (needs, facts) = self.gather_facts(request)?;
        Ok(choose(&needs, &facts, &self.policy()))
    }

    /// Returns the largest context of the eligible targets on the side that the mode tries first; `None` if unknown.
    /// Ignores memory and cost, which routing checks later.
    pub(super) fn largest_context(&self, request: &ChatRequest) -> Result<Option<u32>> {
        let mut needs = needs(request);
        let remotes = self.remote_candidates(request, &|_| Speed::default())?;
        let locals = self.local_candidates(request, &mut needs, &remotes)?;
        let named = |provider: Option<&String>, model: &String| {
            needs.provider.as_ref().is_none_or(|name| Some(name) == provider)
                && needs.model.as_ref().is_none_or(|name| name == model)
        };
        let local = locals.iter().filter(|local| named(None, &local.id));
        let local = local.map(|local| self.context_of(local)).max();
        let remote = remotes
            .iter()
            .filter(|remote| named(Some(&remote.provider), &remote.model));
        let remote = remote
            .filter_map(|remote| remote.context)
            .max()
            .filter(|_| allows_remote(request));
        Ok(match request.mode {
            RoutingMode::OnlyOnDevice => local,
            RoutingMode::PreferOnDevice => local.or(remote),
            RoutingMode::PreferInCloud => remote.or(local),
            RoutingMode::OnlyInCloud => remote,
        })
    }

    /// Estimates the cost of this request on every target, cheapest first.
    pub(super) fn cost(&self, request: &ChatRequest) -> Result<Vec<CostRow>> {
        let (needs, facts) = self.gather_facts(request)?;
        Ok(compare(needs.prompt, needs.completion, &facts.remotes, &facts.locals))
    }

    /// Gathers the input of a routing decision.
    pub(super) fn gather_facts(&self, request: &ChatRequest) -> Result<(Needs, Facts)> {
        let mut needs = needs(request);
        needs.pinned = self.pinned(request);
        let speeds = self.state.speeds()?;
        let speed = |target: &RouteTarget| speeds.get(target).copied().unwrap_or_default();
        let mut facts = Facts {
            device: self.host_facts()?,
            spent: self.ledger.spent(SystemTime::now())?,
            today: self.state.day(SystemTime::now())?,
            ..Facts::default()
        };
        facts.remotes = self.remote_candidates(request, &speed)?;
        let locals = self.local_candidates(request, &mut needs, &facts.remotes)?;
        // With a single candidate the engine's own memory check before loading is enough.
        let exact = !facts.remotes.is_empty() || locals.len() > 1;
        let mut snapshot = None;
        let mut unfit = None;
        for local in locals {
            // A snapshot reads dozens of system files; take it only if it is needed.
            let current = match snapshot.take() {
                Some(current) => current,
                None => self.snapshot()?,
            };
            match self.verdict(&local, snapshot.insert(current), exact) {
                Ok(verdict) => facts.locals.push(LocalCandidate {
                    speed: speed(&RouteTarget::Local {
                        model: local.id.clone(),
                    }),
                    context: self.context_of(&local),
                    abilities: LOCAL_CAPABILITIES,
                    quality: local.size_bytes as f64 / BYTES_PER_BILLION,
                    verdict,
                    model: local.id,
                }),
                Err(error) => unfit = Some(error),
            }
        }
        match unfit {
            Some(error) if facts.locals.is_empty() && facts.remotes.is_empty() => Err(error),
            _ => Ok((needs, facts)),
        }
    }

    /// Returns the local candidates. Resolves a model name that only exists locally.
    fn local_candidates(
        &self,
        request: &ChatRequest,
        needs: &mut Needs,
        remotes: &[RemoteCandidate],
    ) -> Result<Vec<LocalModel>> {
        let mut all: Vec<LocalModel> = self.store.list()?.into_iter().map(LocalModel::from).collect();
        let Some(name) = request.model.as_ref().filter(|_| request.provider.is_none()) else {
            return Ok(all);
        };
        let is_remote = remotes.iter().any(|remote| remote.model == *name);
        let found = ModelRef::parse(name).and_then(|reference| {
            self.resolve_local(&reference).map_err(|error| match reference {
                ModelRef::Path { .. } => error,
                _ => not_installed(&reference),
            })
        });
        match found {
            Ok(local) => {
                needs.model = Some(local.id.clone());
                if !all.iter().any(|other| other.id == local.id) {
                    all.push(local);
                }
                Ok(all)
            }
            Err(_) if is_remote => Ok(all),
            Err(error) => Err(error),
        }
    }

    fn remote_candidates(
        &self,
        request: &ChatRequest,
        speed: &impl Fn(&RouteTarget) -> Speed,
    ) -> Result<Vec<RemoteCandidate>> {
        let mut all = Vec::new();
        for settings in self.state.providers()? {
            all.append(&mut self.provider_candidates(&settings, request, speed)?);
        }
        Ok(all)
    }

    fn provider_candidates(
        &self,
        settings: &ProviderSettings,
        request: &ChatRequest,
        speed: &impl Fn(&RouteTarget) -> Speed,
    ) -> Result<Vec<RemoteCandidate>> {
        let models = self.models_of(&settings.name)?;
        let default = default_model(settings, &models);
        let named = request
            .model
            .clone()
            .filter(|_| request.provider.as_ref() == Some(&settings.name));
        let mut ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
        for id in default.iter().chain(&named) {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let has_key = self.has_key(settings);
        let circuit_open = self.cooldown(&settings.name).is_some();
        let candidates = ids.into_iter().map(|id| {
            let RemoteModel {
                id,
                context,
                abilities,
                price,
                retires,
                ..
            } = self.model_of(settings, &models, &id);
            let target = RouteTarget::Remote {
                provider: settings.name.clone(),
                model: id.clone(),
            };
            let proxied = models.iter().any(|model| model.id == id && model.proxied);
            let described = RemoteModel {
                id: id.clone(),
                proxied,
                ..RemoteModel::default()
            };
            Ok(RemoteCandidate {
                provider: settings.name.clone(),
                has_key,
                circuit_open,
                is_default: default.as_ref() == Some(&id),
                context,
                abilities,
                price,
                retires,
                data_policy: self.data_policy(settings, &described)?,
                quality: privacy::model_facts(settings.kind, &id).map_or(0.0, |facts| facts.quality),
                speed: speed(&target),
                model: id,
            })
        });
        candidates.collect()
    }

    /// Returns the target of a tool loop, if the last message holds results of its calls.
    fn pinned(&self, request: &ChatRequest) -> Option<RouteTarget> {
        let parts = &request.messages.last()?.parts;
        let calls = lock(&self.tool_call_targets);
        parts.iter().find_map(|part| {
            let ContentPart::ToolResult { id, .. } = part else {
                return None;
            };
            calls
                .iter()
                .rev()
                .find(|(call, _)| call == id)
                .map(|(_, target)| target.clone())
        })
    }

    fn context_of(&self, local: &LocalModel) -> u32 {
        let context = self.config.context.unwrap_or(crate::model::fit::DEFAULT_CONTEXT);
        local.context_length.map_or(context, |trained| context.min(trained))
    }
}

/// Derives the needs of a request from the request alone.
fn needs(request: &ChatRequest) -> Needs {
    let (prompt, completion) = estimate::tokens(request);
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    Needs {
        mode: request.mode,
        sensitivity: request.sensitivity,
        model: request.model.clone(),
        provider: request.provider.clone(),
        prompt,
        completion,
        abilities: ModelCapabilities {
            tools: !request.tools.is_empty(),
            images: parts.any(|part| matches!(part, ContentPart::Image { .. })),
            json_schema: matches!(request.output, OutputFormat::JsonSchema { .. }),
            reasoning: false,
            web_search: request.web_search,
        },
        max_usd: request.limits.max_usd,
        consent: request.consent.clone(),
        pinned: None,
    }
}

/// Returns whether the request allows remote targets.
pub(super) fn allows_remote(request: &ChatRequest) -> bool {
    request.mode != RoutingMode::OnlyOnDevice && request.sensitivity != Sensitivity::Sensitive
}

fn is_on_device(decision: &RouteDecision) -> bool {
    matches!(decision, RouteDecision::Route { route } if !route.target.is_remote())
}

/// Returns the error for a target that was removed after the decision.
pub(super) fn target_removed(target: &RouteTarget) -> Error {
    Error::not_installed(format!("`{target}` was removed; send the request again"))
}

/// Capabilities of every local model: its template calls tools, and grammars constrain output to a schema.
const LOCAL_CAPABILITIES: ModelCapabilities = ModelCapabilities {
    tools: true,
    images: false,
    json_schema: true,
    reasoning: true,
    web_search: false,
};
/// File size of a billion parameters at four and a half bits each, as most files on phones have.
const BYTES_PER_BILLION: f64 = 0.56e9;
/// Timeout for refreshing model lists during a decision.
const LIST_REFRESH_TIMEOUT: Duration = Duration::from_secs(8);
