//! The models in memory, and the one place that decides about their memory.
//!
//! The fit report, the router's verdict and the load take their budget from here ([`LocalModels::budget_for`]) and compare
//! it with the same needs, which are measured once and remembered. A load is planned, and its memory reserved, under one
//! lock: two models that start at the same moment do not get the same bytes. Idle models are freed only as far as a load
//! needs, the least recently used first; a leased engine is never closed for that.

mod closing;
mod contexts;
mod freeing;
mod leasing;
mod planner;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use contexts::ContextConfig;
use tokio::runtime::Handle;

use super::adjustments::AppState;
use super::local_abilities::LocalAbilities;
use super::local_model::{FileStamp, LocalModel};
use super::lock;
use super::memory_view::{LoadState, MemoryView, ModelState};
use super::needs_cache::NeedsCache;
use crate::config::Config;
use crate::device::{self, DeviceFacts, DeviceSnapshot, Host};
use crate::engine::local::{LoadedModel, LocalEngine, StateFiles};
use crate::error::{Error, ErrorKind, Result};
use crate::model::fit::{EngineParams, LoadOrder, judge_by_size, no_template, resolve_gpu_layers};
use crate::model::{self, FitOptions, FitVerdict, MemoryBudget};
use crate::state::State;

/// The local models of one library object.
#[derive(Debug)]
pub(super) struct LocalModels {
    host: Arc<dyn Host>,
    contexts: ContextConfig,
    cache_type: Option<model::CacheType>,
    threads: Option<u32>,
    gpu_layers: Option<u32>,
    keep_alive: Duration,
    needs: NeedsCache,
    states: Arc<StateFiles>,
    pub(super) abilities: LocalAbilities,
    handle: Handle,
    engines: Mutex<Vec<EngineEntry>>,
    /// Engines that left `engines` and whose threads may not have ended, with the bytes that their models held then.
    closing: Mutex<Vec<(Arc<LocalEngine>, u64)>>,
    /// Held while a load is planned, while one begins, and while a context reserves memory to grow. Nothing else waits for it.
    planning: Mutex<()>,
    /// Held while memory is freed for a load, before `planning`.
    freeing: Mutex<()>,
    /// Conversations that were deleted, and when. An engine that is started later may be asked for one that was sent before.
    deleted: Mutex<HashMap<u64, Instant>>,
    next_id: AtomicU64,
    pauses_in_background: bool,
    pub(super) app: AppState,
}

/// An engine and the state of its model.
#[derive(Debug, Clone)]
struct EngineEntry {
    id: u64,
    path: PathBuf,
    stamp: FileStamp,
    engine: Arc<LocalEngine>,
    load: LoadState,
    /// Bytes that its context will take, while it is replaced by a larger one.
    growing: u64,
}

impl EngineEntry {
    /// Returns whether its model takes memory.
    fn is_in_memory(&self) -> bool {
        matches!(self.load, LoadState::Loading(_) | LoadState::Loaded(_))
    }
}

impl LocalModels {
    pub(super) fn new(
        config: &Config,
        host: Arc<dyn Host>,
        state: Arc<State>,
        states: StateFiles,
        handle: Handle,
    ) -> Self {
        Self {
            host,
            contexts: ContextConfig::new(config),
            cache_type: config.cache_type,
            threads: config.threads,
            gpu_layers: config.gpu_layers,
            keep_alive: config.keep_alive_ms.map_or(KEEP_ALIVE, Duration::from_millis),
            needs: NeedsCache::new(state),
            states: Arc::new(states),
            abilities: LocalAbilities::default(),
            handle,
            engines: Mutex::default(),
            closing: Mutex::default(),
            planning: Mutex::default(),
            freeing: Mutex::default(),
            deleted: Mutex::default(),
            next_id: AtomicU64::new(0),
            pauses_in_background: config
                .pause_in_background
                .unwrap_or(USES_GPU && resolve_gpu_layers(config.gpu_layers) != 0),
            app: AppState::default(),
        }
    }

    /// Returns the host's facts; a recent memory warning counts as memory pressure.
    ///
    /// # Errors
    /// `Internal` with the host's own text if it panics.
    pub(super) fn host_facts(&self) -> Result<DeviceFacts> {
        let reported = catch_unwind(AssertUnwindSafe(|| self.host.facts()));
        let mut facts = reported.map_err(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("no text");
            Error::internal(format!("the app could not report the state of the device: {text}"))
        })?;
        facts.memory_pressure |= self.app.is_under_pressure();
        Ok(facts)
    }

    /// Measures the device, with the host's own figure of memory.
    pub(super) fn snapshot(&self) -> Result<DeviceSnapshot> {
        device::snapshot(&self.host_facts()?)
    }

    /// Returns the options of a fit check with the configuration's context and cache in place of unset ones. `id`: of the model,
    /// if it is installed.
    pub(super) fn fit_options(&self, id: Option<&str>, options: FitOptions) -> FitOptions {
        FitOptions {
            context: options.context.or(Some(self.contexts.planned(id))),
            cache_type: options.cache_type.or(self.cache_type),
            gpu_layers: options.gpu_layers.or(self.gpu_layers),
            ..options
        }
    }

    /// Returns the memory budget of the model at this path (unset: not on this device), and the compute threads.
    pub(super) fn budget_for(&self, path: Option<&Path>) -> Result<(MemoryBudget, u32)> {
        let view = self.view()?;
        let own = path.and_then(|path| view.find(path));
        Ok((view.budget(own.map(|own| own.id)), self.threads_on(&view.snapshot)))
    }

    /// Judges whether each model fits the memory that is available now, and which context it may have for a request with this
    /// limit.
    ///
    /// Remembered needs are compared with the budget. Of the others llama.cpp is asked only about `named`, the model that
    /// the request names; without one, and if `exact`, about a few that their size does not settle. The rest is judged
    /// by size, because the load compares exactly in any case.
    pub(super) fn verdicts(
        &self,
        models: &[LocalModel],
        named: Option<&str>,
        exact: bool,
        limit: Option<u32>,
    ) -> Vec<Result<LocalVerdict>> {
        if models.is_empty() {
            return vec![];
        }
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return models.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut probes = if exact { MAX_PROBES } else { 0 };
        let grows = self.may_grow(&view);
        let judge = |model: &LocalModel| {
            let own = view.find(&model.path);
            let id = own.map(|own| own.id);
            let judged = |order: &LoadOrder, spare: u64| {
                check_template(order, model).map(|()| LocalVerdict {
                    verdict: order.verdict,
                    context: order.reachable_context(limit, spare),
                })
            };
            match own.map(|own| (own.id, &own.load)) {
                Some((id, LoadState::Loaded(order))) => return judged(order, self.growth_bytes(&view, id, order)),
                // How much of its memory is taken already is not known; the engine finds out what is left.
                Some((_, LoadState::Planned(order) | LoadState::Loading(order))) => {
                    return judged(order, if grows { u64::MAX } else { 0 });
                }
                Some((_, LoadState::Failed(error))) if is_permanent(error) => return Err(error.clone()),
                _ => {}
            }
            let params = self.params(&model.id, &view.snapshot);
            let budget = view.budget(id).bytes;
            let judged = |order: &LoadOrder| judged(order, if grows { view.spare_after_load(id, order) } else { 0 });
            if let Some(order) = self.needs.order(model, params, budget)? {
                return judged(&order);
            }
            let (verdict, settled) = judge_by_size(model.size_bytes, params.context, budget);
            let may_probe = named.is_none_or(|named| named == model.id);
            if settled || !may_probe || probes == 0 {
                // The load finds out whether the model was trained with so much, and whether there is memory for it.
                let most = limit.or(params.max_context).unwrap_or(u32::MAX);
                let most = if grows { most } else { most.min(params.context) };
                let context = most.min(model.context_length.unwrap_or(u32::MAX));
                return Ok(LocalVerdict { verdict, context });
            }
            probes -= 1;
            judged(&self.needs.measure(model, params, budget)?)
        };
        models.iter().map(judge).collect()
    }

    /// Returns the models in memory, ordered by id. Waits for no engine.
    pub(super) fn loaded(&self) -> Vec<LoadedModel> {
        let engines = self.engines_but(None);
        let mut loaded: Vec<_> = engines.iter().filter_map(|engine| engine.loaded()).collect();
        loaded.sort_by(|one, other| (&one.id, &one.path).cmp(&(&other.id, &other.path)));
        loaded
    }

    /// Returns all engines but that of this id.
    fn engines_but(&self, id: Option<u64>) -> Vec<Arc<LocalEngine>> {
        let engines = lock(&self.engines);
        let others = engines.iter().filter(|entry| Some(entry.id) != id);
        others.map(|entry| Arc::clone(&entry.engine)).collect()
    }

    /// Returns the bytes that the context of a loaded model may take beyond its plan.
    fn growth_bytes(&self, view: &MemoryView, id: u64, order: &LoadOrder) -> u64 {
        match self.may_grow(view) {
            true => view.spare(id, order),
            false => 0,
        }
    }

    /// Returns whether contexts may become larger than planned: not while the system asks for memory or the app is in the
    /// background, where it is the first to be ended.
    fn may_grow(&self, view: &MemoryView) -> bool {
        !view.under_pressure && !self.app.is_in_background()
    }

    fn params(&self, id: &str, snapshot: &DeviceSnapshot) -> EngineParams {
        EngineParams {
            context: self.contexts.planned(Some(id)),
            max_context: self.contexts.most(id),
            cache_type: self.cache_type.unwrap_or_default(),
            threads: self.threads_on(snapshot),
            gpu_layers: resolve_gpu_layers(self.gpu_layers),
        }
    }

    fn threads_on(&self, snapshot: &DeviceSnapshot) -> u32 {
        self.threads.unwrap_or(snapshot.threads)
    }

    fn view(&self) -> Result<MemoryView> {
        let state = |entry: &EngineEntry| ModelState {
            id: entry.id,
            path: entry.path.clone(),
            stamp: entry.stamp,
            in_use: entry.engine.is_in_use(),
            last_used: entry.engine.last_used(),
            load: entry.load.clone(),
            saved_bytes: entry.engine.saved_bytes(),
            growing: entry.growing,
        };
        loop {
            let (models, closing) = {
                // Under one lock: an engine that is taken out meanwhile would be in both or in neither.
                let engines = lock(&self.engines);
                (engines.iter().map(state).collect(), self.closing())
            };
            let facts = self.host_facts()?;
            let snapshot = device::snapshot(&facts)?;
            // The figure may include the memory of one that ended meanwhile: it must not count twice.
            if closing.iter().any(|(engine, _)| engine.wait_for_end(Duration::ZERO)) {
                continue;
            }
            return Ok(MemoryView {
                snapshot,
                under_pressure: facts.memory_pressure,
                models,
                closing: closing.iter().map(|(_, held)| held).sum(),
            });
        }
    }

    fn set_load(&self, id: u64, load: LoadState) {
        if let Some(entry) = lock(&self.engines).iter_mut().find(|entry| entry.id == id) {
            entry.load = load;
        }
    }

    fn plan_load(&self, id: u64, model: &LocalModel, for_chat: bool) -> Result<LoadOrder> {
        let order = self.reserve(id, model, for_chat)?;
        let begun = self.free_for(id, order);
        if begun.is_err() {
            self.set_load(id, LoadState::Unloaded);
        }
        begun.map(|()| order)
    }

    /// Plans a load, and reserves its memory, which may not be free yet.
    fn reserve(&self, id: u64, model: &LocalModel, for_chat: bool) -> Result<LoadOrder> {
        let _one = lock(&self.planning);
        let view = self.view()?;
        let own = view.models.iter().find(|other| other.id == id);
        if let Some(LoadState::Failed(error)) = own.map(|own| &own.load)
            && is_permanent(error)
        {
            return Err(error.clone());
        }
        let params = self.params(&model.id, &view.snapshot);
        let budget = view.budget(Some(id));
        let order = match self.needs.order(model, params, budget.bytes)? {
            Some(order) => Ok(order),
            None => self.needs.measure(model, params, budget.bytes),
        };
        let order = order.inspect_err(|error| self.set_load(id, LoadState::Failed(error.clone())))?;
        if for_chat {
            check_template(&order, model)?;
        }
        if order.verdict == FitVerdict::TooLarge {
            let error = self.too_large(model, &order, &budget);
            self.set_load(id, LoadState::Failed(error.clone()));
            return Err(error);
        }
        self.set_load(id, LoadState::Planned(order));
        Ok(order)
    }

    /// Returns the error of a model that does not fit, with the smallest change that would help.
    fn too_large(&self, model: &LocalModel, order: &LoadOrder, budget: &MemoryBudget) -> Error {
        let options = self.fit_options(Some(&model.id), FitOptions::default());
        match model::fit_path(&model.path, &options, budget, order.threads) {
            Ok(report) => Error::too_large(match report.suggestions.first() {
                Some(suggestion) => format!("model `{}` {}; {}", model.id, report.reason, suggestion.text),
                None => format!("model `{}` {}; use a smaller model", model.id, report.reason),
            }),
            Err(error) => error,
        }
    }
}

/// What a model on this device can do now.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalVerdict {
    pub(super) verdict: FitVerdict,
    /// The context that it may have, in tokens.
    pub(super) context: u32,
}

/// Returns the error of a model without a chat template.
fn check_template(order: &LoadOrder, model: &LocalModel) -> Result<()> {
    match order.has_template {
        true => Ok(()),
        false => Err(no_template(&model.id)),
    }
}

/// Returns whether a load of the same file would fail again.
fn is_permanent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported)
}

/// Whether models compute on a GPU, which the system forbids in the background: llama.cpp uses Metal where there is one.
const USES_GPU: bool = cfg!(target_vendor = "apple");
/// States that are stored when memory is freed, of all engines together: some seconds on a phone.
const MAX_STORED_BYTES: u64 = 512 << 20;
/// Models that llama.cpp is asked about in one decision: each takes up to half a second, once.
const MAX_PROBES: u32 = 2;
/// How long an idle model stays: as long as Ollama's. A phone warns before it needs the memory.
const KEEP_ALIVE: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
