//! Gathers the input of a routing decision: the request's needs, candidates, device state, spending.
//!
//! What is gathered of a target is also what carrying the decision out uses ([`PlannedTarget`]), so that the decision
//! and the answer cannot disagree about its terms, price or context.

use std::collections::{HashMap, HashSet};

use super::Inner;
use super::local::not_installed;
use super::local_model::LocalModel;
use super::local_models::LocalVerdict;
use super::pending::PendingRequest;
use super::providers::default_model;
use super::refresh::{LIST_RECENT, is_older};
use crate::chat::{
    ChatRequest, ContentPart, DataPolicy, OutputFormat, RouteEstimate, RouteTarget, RoutingMode, Sensitivity,
};
use crate::engine::remote::{
    self, Forwarding, ModelCapabilities, ProviderKind, ProviderSettings, RemoteModel, Upstreams,
};
use crate::error::Result;
use crate::model::ModelRef;
use crate::route::{
    CandidateError, CostRow, Facts, LocalCandidate, ModelListing, Needs, NetworkPath, RemoteCandidate, Speed, compare,
    estimate, privacy,
};

/// The input of a routing decision, and what carrying it out needs.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) needs: Needs,
    pub(super) facts: Facts,
    /// Providers whose model list is missing or too old for this request and may be fetched now.
    pub(super) lists_wanted: Vec<String>,
    locals: Vec<LocalModel>,
    providers: Vec<(ProviderSettings, Upstreams)>,
}

/// A target of a route, with everything that the answer needs to know of it.
#[derive(Debug, Clone)]
pub(super) struct PlannedTarget {
    pub(super) target: RouteTarget,
    pub(super) expected: RouteEstimate,
    pub(super) source: PlannedSource,
}

/// Where a planned target runs.
#[derive(Debug, Clone)]
pub(super) enum PlannedSource {
    Local {
        model: LocalModel,
        /// The context in tokens that it may have.
        context: u32,
    },
    Remote(Box<PlannedRemote>),
}

/// A remote model as the decision saw it.
#[derive(Debug, Clone)]
pub(super) struct PlannedRemote {
    pub(super) settings: ProviderSettings,
    pub(super) model: RemoteModel,
    /// The terms that the policy allowed.
    pub(super) data_policy: DataPolicy,
    /// Constraints on the upstreams of an aggregator.
    pub(super) upstreams: Upstreams,
}

impl Gathered {
    /// Returns what carrying out a decision for this target needs.
    pub(super) fn planned(&self, target: &RouteTarget, expected: RouteEstimate) -> Option<PlannedTarget> {
        let source = match target {
            RouteTarget::Local { model } => {
                let local = self.locals.iter().find(|local| local.id == *model)?;
                let candidate = self.facts.locals.iter().find(|local| local.model == *model)?;
                PlannedSource::Local {
                    model: local.clone(),
                    context: candidate.context,
                }
            }
            RouteTarget::Remote { provider, model } => {
                let mut remotes = self.facts.remotes.iter();
                let remote = remotes.find(|remote| remote.provider == *provider && remote.model.id == *model)?;
                let mut providers = self.providers.iter();
                let (settings, upstreams) = providers.find(|(settings, _)| settings.name == *provider)?;
                PlannedSource::Remote(Box::new(PlannedRemote {
                    settings: settings.clone(),
                    model: remote.model.clone(),
                    data_policy: remote.data_policy.clone(),
                    upstreams: upstreams.clone(),
                }))
            }
            RouteTarget::Scripted => return None,
        };
        Some(PlannedTarget {
            target: target.clone(),
            expected,
            source,
        })
    }
}

impl Inner {
    /// Estimates the cost of this request on every target, cheapest first.
    pub(super) fn cost(&self, pending: &PendingRequest) -> Result<Vec<CostRow>> {
        let Gathered { needs, facts, .. } = self.gather_facts(pending)?;
        Ok(compare(needs.prompt, needs.completion, &facts.remotes, &facts.locals))
    }

    /// Gathers the input of a routing decision.
    pub(super) fn gather_facts(&self, pending: &PendingRequest) -> Result<Gathered> {
        self.read_policy()?;
        let request = &pending.request;
        let mut needs = needs(pending);
        let recent = || self.tool_calls.target_of(&request.messages);
        needs.pinned = pending.pinned.clone().or_else(recent);
        let speeds = self.state.speeds()?;
        let mut facts = Facts {
            device: self.host_facts()?,
            spent: self.ledger.spent(self.clock.now())?,
            today: self.state.day(self.clock.now())?,
            ..Facts::default()
        };
        let (mut providers, mut lists_wanted) = (vec![], vec![]);
        for settings in self.stored_providers()? {
            let (upstreams, wants_list) = self.add_candidates(&settings, &mut needs, &speeds, &mut facts.remotes)?;
            if wants_list {
                lists_wanted.push(settings.name.clone());
            }
            providers.push((settings, upstreams));
        }
        let locals = self.local_models(request, &mut needs, &facts.remotes)?;
        // With a single candidate the engine's own memory check before loading is enough.
        let exact = facts.remotes.iter().any(RemoteCandidate::has_model) || locals.len() > 1;
        let verdicts = self
            .local_models
            .verdicts(&locals, needs.model.as_deref(), exact, request.limits.context);
        for (local, verdict) in locals.iter().zip(verdicts) {
            match verdict {
                // Nothing else can answer: its own error says more than a decision.
                Err(error) if facts.remotes.is_empty() && is_only(local, &locals, &needs) => return Err(error),
                verdict => facts.locals.push(self.local_candidate(local, verdict, &needs, &speeds)),
            }
        }
        Ok(Gathered {
            needs,
            facts,
            lists_wanted,
            locals,
            providers,
        })
    }

    fn local_candidate(
        &self,
        local: &LocalModel,
        verdict: Result<LocalVerdict>,
        needs: &Needs,
        speeds: &Speeds,
    ) -> LocalCandidate {
        let target = RouteTarget::Local {
            model: local.id.clone(),
        };
        LocalCandidate {
            speed: speeds.get(&target).copied().unwrap_or_default(),
            // One that cannot be loaded is rejected for that.
            context: verdict.as_ref().map_or(u32::MAX, |judged| judged.context),
            abilities: self.local_models.abilities.of(local, &needs.abilities),
            quality: local.size_bytes as f64 / BYTES_PER_BILLION,
            verdict: match verdict {
                Ok(judged) => Ok(judged.verdict),
                Err(error) => Err(CandidateError::from(&error)),
            },
            model: local.id.clone(),
        }
    }

    /// Returns the models on this device. Resolves a model name that only exists here.
    fn local_models(
        &self,
        request: &ChatRequest,
        needs: &mut Needs,
        remotes: &[RemoteCandidate],
    ) -> Result<Vec<LocalModel>> {
        let mut all: Vec<LocalModel> = self.store.list()?.into_iter().map(LocalModel::from).collect();
        let Some(name) = request.model.as_ref().filter(|_| request.provider.is_none()) else {
            return Ok(all);
        };
        let is_remote = remotes.iter().any(|remote| remote.model.id == *name);
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

    /// Adds the models of a provider. Returns the constraints on its upstreams, and whether its list should be fetched.
    fn add_candidates(
        &self,
        settings: &ProviderSettings,
        needs: &mut Needs,
        speeds: &Speeds,
        remotes: &mut Vec<RemoteCandidate>,
    ) -> Result<(Upstreams, bool)> {
        let (list, fetched) = self.list_of(settings)?;
        let (models, forwarding) = (&list.models, list.forwarding);
        let listed: HashSet<&str> = models.iter().map(|model| model.id.as_str()).collect();
        // The server completes a name; what it calls the model is what its list says about it.
        let naming = match forwarding {
            Forwarding::Marked => ProviderKind::Ollama,
            Forwarding::Never | Forwarding::NotAsked => settings.kind,
        };
        let resolve = |name: &String| {
            let mut known = models.iter();
            let known = known.find(|model| RemoteModel::is_named(naming, &model.id, name));
            known.map_or_else(|| name.clone(), |model| model.id.clone())
        };
        let default = default_model(settings, models).as_ref().map(resolve);
        let named = match &mut needs.model {
            Some(model) if needs.provider.as_ref() == Some(&settings.name) => {
                *model = resolve(model);
                Some(model.clone())
            }
            _ => None,
        };
        let pinned = needs.pinned.as_ref().and_then(|target| match target {
            RouteTarget::Remote { provider, model } if *provider == settings.name => Some(model.clone()),
            _ => None,
        });
        // A llama-server answers a request for any name with the model that it has, so a name that it does not list is not
        // sent to it, unless its settings say that it is the name.
        // A mark may be out of date as well: the user may have made the model the server's own a moment ago.
        let asked = named.as_ref().or(default.as_ref());
        let is_marked = |model: &RemoteModel| {
            model.proxied && !RemoteModel::is_proxied_id(settings.kind, &model.id) && asked == Some(&model.id)
        };
        let asks_for_marked = models.iter().any(is_marked);
        let misnamed = named.clone().filter(|id| {
            forwarding == Forwarding::Never
                && !models.is_empty()
                && !listed.contains(id.as_str())
                && settings.model.as_ref() != Some(id)
        });
        let mut unlisted: Vec<String> = default.clone().into_iter().chain(named).chain(pinned).collect();
        unlisted.retain(|id| !listed.contains(id.as_str()));
        unlisted.sort_unstable();
        unlisted.dedup();
        // An own server may forward a model to a third party, and only its list says so: an old list says nothing of that,
        // and a model that a new one lacks is not asked, because it may be one that is forwarded.
        let (upstreams, terms) = self.terms_of(settings)?;
        let is_own = remote::must_state_forwarding(settings);
        let is_recent = !is_older(fetched, LIST_RECENT, self.clock.now());
        let is_outdated = self.is_list_outdated(&settings.name, fetched);
        let says_too_little = match forwarding {
            Forwarding::NotAsked => true,
            Forwarding::Marked => !is_recent && (!unlisted.is_empty() || asks_for_marked),
            Forwarding::Never => !is_recent && misnamed.is_some(),
        };
        let wants_list = is_outdated || is_own && says_too_little || self.lacks_regions(settings)?;
        let failure = self
            .list_failure(&settings.name)
            .map(|(_, error)| CandidateError::from(&error));
        let unverified = || ModelListing::Unverified { error: failure.clone() };
        let listing = |is_listed: bool, model: &RemoteModel| match forwarding {
            _ if !is_own || model.proxied => ModelListing::Known,
            _ if is_outdated => unverified(),
            Forwarding::NotAsked => unverified(),
            Forwarding::Never if misnamed.as_ref() != Some(&model.id) => ModelListing::Known,
            Forwarding::Never if is_recent => ModelListing::Unlisted,
            Forwarding::Never => unverified(),
            Forwarding::Marked if is_listed => ModelListing::Known,
            Forwarding::Marked if is_recent => ModelListing::Unlisted,
            Forwarding::Marked => unverified(),
        };
        let has_key = self.has_key(settings);
        let cooldown = self.cooldown(&settings.name);
        let cooldown_ms = cooldown.map(|rest| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX).max(1));
        let candidate = |model: RemoteModel, listing| {
            let target = RouteTarget::Remote {
                provider: settings.name.clone(),
                model: model.id.clone(),
            };
            let path = NetworkPath::to(settings, &model);
            RemoteCandidate {
                provider: settings.name.clone(),
                kind: settings.kind,
                has_key,
                cooldown_ms,
                is_nearby: path.is_nearby,
                needs_local_network: path.needs_local_network,
                is_default: default.as_ref() == Some(&model.id),
                listing,
                data_policy: match model.proxied {
                    true => privacy::terms(settings, &model),
                    false => terms.clone(),
                },
                quality: privacy::model_facts(settings.kind, &model.id).map_or(0.0, |facts| facts.quality),
                speed: speeds.get(&target).copied().unwrap_or_default(),
                model,
            }
        };
        // What does not chat is no candidate, but a request that names it is told why.
        let eligible = models
            .iter()
            .filter(|model| model.can_chat() || needs.model.as_ref() == Some(&model.id));
        let known = eligible.map(|model| {
            let model = self.with_table(settings, model.clone());
            let listing = listing(true, &model);
            candidate(model, listing)
        });
        let others = unlisted.into_iter().map(|id| {
            let model = self.with_table(settings, RemoteModel::unlisted(settings.kind, &id));
            let listing = listing(false, &model);
            candidate(model, listing)
        });
        let before = remotes.len();
        remotes.extend(known.chain(others));
        if remotes.len() == before {
            // Without a model the provider itself is rejected, so that the person learns why.
            let listing = match (&failure, fetched) {
                (None, Some(_)) => ModelListing::Unlisted,
                _ => unverified(),
            };
            remotes.push(candidate(RemoteModel::default(), listing));
        }
        Ok((upstreams, wants_list && self.may_fetch(settings)?))
    }
}

/// Returns whether the request leaves no choice among the models of this device: there is no other, or it names this one.
fn is_only(local: &LocalModel, locals: &[LocalModel], needs: &Needs) -> bool {
    locals.len() == 1 || needs.model.as_ref() == Some(&local.id)
}

/// Measured speeds by target.
type Speeds = HashMap<RouteTarget, Speed>;

/// Derives the needs of a request from the request alone.
fn needs(pending: &PendingRequest) -> Needs {
    let request = &pending.request;
    let (prompt, completion) = estimate::tokens(request);
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    Needs {
        mode: request.mode,
        sensitivity: request.sensitivity,
        model: request.model.clone(),
        provider: request.provider.clone(),
        prompt,
        required_prompt: estimate::required(request, pending.kept_turns),
        completion,
        abilities: ModelCapabilities {
            tools: !request.tools.is_empty(),
            images: parts.any(|part| matches!(part, ContentPart::Image { .. })),
            json_schema: matches!(request.output, OutputFormat::JsonSchema { .. }),
            reasoning: false,
            web_search: request.web_search,
        },
        max_tokens: request.limits.max_tokens,
        max_usd: request.limits.max_usd,
        consent: request.consent.clone(),
        pinned: None,
    }
}

/// Returns whether the request allows remote targets.
pub(super) fn allows_remote(request: &ChatRequest) -> bool {
    request.mode != RoutingMode::OnlyOnDevice && request.sensitivity != Sensitivity::Sensitive
}

/// File size of a billion parameters at four and a half bits each, as most files on phones have.
const BYTES_PER_BILLION: f64 = 0.56e9;
