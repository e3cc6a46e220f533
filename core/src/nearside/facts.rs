//! Gathers the input of a routing decision: the request's needs, candidates, device state, spending.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use super::local::{Ready, not_installed};
use super::providers::{default_model, refresh};
use super::{Inner, blocking, lock};
use crate::chat::{ChatRequest, Mode, Output, Part, Sensitivity, Target};
use crate::device::Network;
use crate::engine::remote::{Abilities, ProviderSettings, RemoteModel};
use crate::error::{Error, ErrorKind, Result};
use crate::model::ModelRef;
use crate::route::{
    CostRow, Decision, Facts, LocalCandidate, Needs, RemoteCandidate, Speed, choose, compare, estimate, privacy,
};
use crate::stream::Cancel;

/// Makes the routing decision. Refreshes missing or stale model lists first if no local candidate answers and the
/// request may leave the device.
pub(super) async fn decide(inner: &Arc<Inner>, request: &ChatRequest, cancel: &Cancel) -> Result<Decision> {
    let asked = request.clone();
    let (decision, stale) = blocking(inner, move |inner| {
        let decision = inner.decide(&asked);
        let here = matches!(&decision, Ok(decision) if is_here(decision));
        // A name unknown here may be a model of a provider whose list was not fetched yet.
        let hopeless = matches!(&decision, Err(error) if error.kind() != ErrorKind::NotInstalled);
        let may_fetch = !here && !hopeless && may_leave(&asked) && inner.host_facts().network != Network::Offline;
        let stale = if may_fetch { inner.stale()? } else { vec![] };
        Ok((decision, stale))
    })
    .await?;
    if stale.is_empty() {
        return decision;
    }
    let wanted = |name: &&String| request.provider.as_ref().is_none_or(|asked| asked == *name);
    let fetched = stale
        .iter()
        .filter(wanted)
        .map(|name| tokio::time::timeout(FETCH, refresh(inner, name)));
    let fetched = tokio::select! {
        fetched = join_all(fetched) => fetched,
        // What is known already decides; the place that it names says the last word.
        () = cancel.wait() => return decision,
    };
    if !fetched.iter().any(|one| matches!(one, Ok(Ok(_)))) {
        return decision;
    }
    let asked = request.clone();
    blocking(inner, move |inner| inner.decide(&asked)).await
}

impl Inner {
    /// The providers whose model list was never fetched, or is old.
    fn stale(&self) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        for settings in self.state.providers()? {
            if self.is_stale(&settings.name, SystemTime::now())? {
                stale.push(settings.name);
            }
        }
        Ok(stale)
    }

    /// Makes the routing decision from cached data.
    pub(super) fn decide(&self, request: &ChatRequest) -> Result<Decision> {
        let (needs, facts) = self.facts(request)?;
        Ok(choose(&needs, &facts, &self.policy()))
    }

    /// Largest context of the eligible targets on the side that the mode tries first; `None` if unknown. Ignores memory
    /// and cost, which routing checks later.
    pub(super) fn largest_context(&self, request: &ChatRequest) -> Result<Option<u32>> {
        let mut needs = needs(request);
        let remotes = self.all_remotes(request, &|_| Speed::default())?;
        let locals = self.locals(request, &mut needs, &remotes)?;
        let named = |provider: Option<&String>, model: &String| {
            needs.provider.as_ref().is_none_or(|asked| Some(asked) == provider)
                && needs.model.as_ref().is_none_or(|asked| asked == model)
        };
        let here = locals.iter().filter(|ready| named(None, &ready.id));
        let here = here.map(|ready| self.context_of(ready)).max();
        let elsewhere = remotes
            .iter()
            .filter(|remote| named(Some(&remote.provider), &remote.model));
        let elsewhere = elsewhere
            .filter_map(|remote| remote.context)
            .max()
            .filter(|_| may_leave(request));
        Ok(match request.mode {
            Mode::OnlyOnDevice => here,
            Mode::PreferOnDevice => here.or(elsewhere),
            Mode::PreferInCloud => elsewhere.or(here),
            Mode::OnlyInCloud => elsewhere,
        })
    }

    /// What this request would cost here and everywhere, the cheapest first.
    pub(super) fn cost(&self, request: &ChatRequest) -> Result<Vec<CostRow>> {
        let (needs, facts) = self.facts(request)?;
        Ok(compare(needs.prompt, needs.completion, &facts.remotes, &facts.locals))
    }

    /// Everything that a decision rests on.
    pub(super) fn facts(&self, request: &ChatRequest) -> Result<(Needs, Facts)> {
        let mut needs = needs(request);
        needs.pinned = self.pinned(request);
        let speeds = self.state.speeds()?;
        let speed = |target: &Target| speeds.get(target).copied().unwrap_or_default();
        let mut facts = Facts {
            device: self.host_facts(),
            spent: self.ledger.spent(SystemTime::now())?,
            today: self.state.day(SystemTime::now())?,
            ..Facts::default()
        };
        facts.remotes = self.all_remotes(request, &speed)?;
        let locals = self.locals(request, &mut needs, &facts.remotes)?;
        // With a single candidate the engine's own memory check before loading is enough.
        let exact = !facts.remotes.is_empty() || locals.len() > 1;
        let mut snapshot = None;
        let mut unfit = None;
        for ready in locals {
            // A snapshot reads dozens of system files; take it only if it is needed.
            let now = match snapshot.take() {
                Some(now) => now,
                None => self.snapshot()?,
            };
            match self.verdict(&ready, snapshot.insert(now), exact) {
                Ok(verdict) => facts.locals.push(LocalCandidate {
                    speed: speed(&Target::Local {
                        model: ready.id.clone(),
                    }),
                    context: self.context_of(&ready),
                    abilities: HERE,
                    quality: ready.size_bytes as f64 / BYTES_PER_BILLION,
                    verdict,
                    model: ready.id,
                }),
                Err(error) => unfit = Some(error),
            }
        }
        match unfit {
            Some(error) if facts.locals.is_empty() && facts.remotes.is_empty() => Err(error),
            _ => Ok((needs, facts)),
        }
    }

    /// Local candidates. Resolves a model name that only exists locally.
    fn locals(&self, request: &ChatRequest, needs: &mut Needs, remotes: &[RemoteCandidate]) -> Result<Vec<Ready>> {
        let mut all: Vec<Ready> = self.store.list()?.into_iter().map(Ready::from).collect();
        let Some(name) = request.model.as_ref().filter(|_| request.provider.is_none()) else {
            return Ok(all);
        };
        let elsewhere = remotes.iter().any(|remote| remote.model == *name);
        let found = ModelRef::parse(name).and_then(|reference| {
            self.ready(&reference).map_err(|error| match reference {
                ModelRef::Path { .. } => error,
                _ => not_installed(&reference),
            })
        });
        match found {
            Ok(ready) => {
                needs.model = Some(ready.id.clone());
                if !all.iter().any(|other| other.id == ready.id) {
                    all.push(ready);
                }
                Ok(all)
            }
            Err(_) if elsewhere => Ok(all),
            Err(error) => Err(error),
        }
    }

    fn all_remotes(&self, request: &ChatRequest, speed: &impl Fn(&Target) -> Speed) -> Result<Vec<RemoteCandidate>> {
        let mut all = Vec::new();
        for settings in self.state.providers()? {
            all.append(&mut self.remotes(&settings, request, speed)?);
        }
        Ok(all)
    }

    fn remotes(
        &self,
        settings: &ProviderSettings,
        request: &ChatRequest,
        speed: &impl Fn(&Target) -> Speed,
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
        let circuit_open = self.resting(&settings.name).is_some();
        let candidates = ids.into_iter().map(|id| {
            let RemoteModel {
                id,
                context,
                abilities,
                price,
                retires,
                ..
            } = self.model_of(settings, &models, &id);
            let target = Target::Remote {
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
                quality: privacy::known(settings.kind, &id).map_or(0.0, |known| known.quality),
                speed: speed(&target),
                model: id,
            })
        });
        candidates.collect()
    }

    /// Where a tool loop began, if the last message holds results of its calls.
    fn pinned(&self, request: &ChatRequest) -> Option<Target> {
        let parts = &request.messages.last()?.parts;
        let loops = lock(&self.loops);
        parts.iter().find_map(|part| {
            let Part::ToolResult { id, .. } = part else { return None };
            loops
                .iter()
                .rev()
                .find(|(call, _)| call == id)
                .map(|(_, target)| target.clone())
        })
    }

    fn context_of(&self, ready: &Ready) -> u32 {
        let wanted = self.config.context.unwrap_or(crate::model::fit::DEFAULT_CONTEXT);
        ready.context_length.map_or(wanted, |trained| wanted.min(trained))
    }
}

/// What a request needs, as far as it says so itself.
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
        abilities: Abilities {
            tools: !request.tools.is_empty(),
            images: parts.any(|part| matches!(part, Part::Image { .. })),
            json_schema: matches!(request.output, Output::JsonSchema { .. }),
            reasoning: false,
            web_search: request.web_search,
        },
        max_usd: request.limits.max_usd,
        consent: request.consent.clone(),
        pinned: None,
    }
}

/// Whether the request allows remote targets.
pub(super) fn may_leave(request: &ChatRequest) -> bool {
    request.mode != Mode::OnlyOnDevice && request.sensitivity != Sensitivity::Sensitive
}

fn is_here(decision: &Decision) -> bool {
    matches!(decision, Decision::Go { route } if !route.target.is_remote())
}

/// Error for a target that was removed after the decision.
pub(super) fn gone(target: &Target) -> Error {
    Error::not_installed(format!("`{target}` is gone; ask again"))
}

/// Capabilities of every local model: its template calls tools, and grammars constrain output to a schema.
const HERE: Abilities = Abilities {
    tools: true,
    images: false,
    json_schema: true,
    reasoning: true,
    web_search: false,
};
/// Bytes of a file for a billion parameters, at four and a half bits each: what most files on phones have.
const BYTES_PER_BILLION: f64 = 0.56e9;
/// Timeout for refreshing model lists during a decision.
const FETCH: Duration = Duration::from_secs(8);
